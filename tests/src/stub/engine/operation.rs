//! One operation: what it has produced, what of that can still be read, how it ended.

use std::sync::Arc;

use super::{Kind, Millis, Script, SessionKey, SparkError, StreamId, mix, uuid_of};

/// Bytes of a response around its payload: four ids and framing.
const RESPONSE_OVERHEAD: u64 = 154;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Succeeded,
    Failed,
    Cancelled,
}

/// What a reader finds at a place in the responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Response(Kind, u64),
    Gone,
    NotYet,
    Finished,
}

#[derive(Debug, Clone, Copy)]
struct Produced {
    kind: Kind,
    bytes: u64,
    /// Bytes of all responses before this one.
    before: u64,
}

/// What an operation is made from.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) session: SessionKey,
    pub(super) id: String,
    pub(super) plan: Arc<str>,
    pub(super) script: Arc<Script>,
    pub(super) reattachable: bool,
    pub(super) tags: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) request: Request,
    /// When it starts to run.
    pub(super) started: Millis,
    /// Place in the ledger, once it runs.
    pub(super) execution: Option<usize>,
    pub(super) attached: Option<StreamId>,
    pub(super) detached_since: Option<Millis>,
    pub(super) ended: Option<Ended>,
    pub(super) error: Option<SparkError>,
    seed: u64,
    has_schema: bool,
    batches: usize,
    produced: Vec<Produced>,
    /// Responses before this one can no longer be read.
    released: usize,
    buffer_bytes: u64,
}

impl Operation {
    pub(super) fn new(request: Request, started: Millis, seed: u64, buffer_bytes: u64) -> Self {
        Self {
            buffer_bytes: if request.reattachable {
                buffer_bytes
            } else {
                0
            },
            request,
            started,
            execution: None,
            attached: None,
            detached_since: None,
            ended: None,
            error: None,
            seed,
            has_schema: false,
            batches: 0,
            produced: Vec::new(),
            released: 0,
        }
    }

    /// Produces what was due by `now`; `progress` puts a progress report behind the schema.
    pub(super) fn catch_up(&mut self, now: Millis, progress: bool) {
        if self.ended.is_some() || now < self.started {
            return;
        }
        let script = self.request.script.clone();
        if !self.has_schema && script.result().is_some() {
            self.has_schema = true;
            self.push(Kind::Schema, 64);
            if progress {
                self.push(Kind::Progress(self.produced.len()), 16);
            }
        }
        let elapsed = now.saturating_sub(self.started);
        while self.batches < script.batches.len() && script.batch_at(self.batches) <= elapsed {
            self.push(Kind::Batch(self.batches), script.batch_bytes(self.batches));
            self.batches += 1;
        }
    }

    /// Reports progress to a reader that has read everything and waits.
    pub(super) fn report_progress_at(&mut self, index: usize) {
        if self.ended.is_none() && index == self.produced.len() {
            self.push(Kind::Progress(index), 16);
        }
    }

    /// Ends by itself, at `now`.
    pub(super) fn finish(&mut self, now: Millis, failure: Option<SparkError>) {
        self.catch_up(now, false);
        if failure.is_none() {
            self.push(Kind::Metrics, 64);
            if self.request.reattachable {
                self.push(Kind::Complete, 0);
            }
        }
        self.ended = Some(if failure.is_some() {
            Ended::Failed
        } else {
            Ended::Succeeded
        });
        self.error = failure;
    }

    /// Ends by an interrupt: everything not yet read is gone.
    pub(super) fn cancel(&mut self) {
        self.ended = Some(Ended::Cancelled);
        self.error = Some(SparkError::operation_canceled());
        self.released = self.produced.len();
    }

    /// When the next batch is there; none after the last, or once ended.
    pub(super) fn next_batch_at(&self) -> Option<Millis> {
        let more = self.ended.is_none() && self.batches < self.request.script.batches.len();
        more.then(|| {
            self.started
                .saturating_add(self.request.script.batch_at(self.batches))
        })
    }

    /// When it ends by itself; none if it never does, or once ended.
    pub(super) fn ends_at(&self) -> Option<Millis> {
        let after = self
            .request
            .script
            .end_at()
            .filter(|_| self.ended.is_none())?;
        Some(self.started.saturating_add(after))
    }

    /// Whether it has ended and nothing is left to read.
    pub(super) fn is_cleaned(&self) -> bool {
        self.ended.is_some() && self.released == self.produced.len()
    }

    /// Reads a response; reading it lets go of those too far behind it.
    pub(super) fn consume(&mut self, index: usize) -> Found {
        match self.produced.get(index).copied() {
            _ if self.is_cleaned() => Found::Finished,
            Some(_) if index < self.released => Found::Gone,
            Some(response) => {
                self.keep_behind(response.before);
                Found::Response(response.kind, response.bytes)
            }
            None if self.ended.is_some() => Found::Finished,
            None => Found::NotYet,
        }
    }

    /// Keeps the fewest responses before that point which reach the retry buffer's size.
    fn keep_behind(&mut self, bytes_before: u64) {
        let Some(limit) = bytes_before.checked_sub(self.buffer_bytes) else {
            return;
        };
        let first = self
            .produced
            .partition_point(|response| response.before <= limit);
        self.released = self.released.max(first.saturating_sub(1));
    }

    /// Lets go of everything up to a response.
    pub(super) fn release_until(&mut self, response_id: &str) -> Result<(), SparkError> {
        let index = self.position(response_id)?;
        self.released = self.released.max(index + 1);
        Ok(())
    }

    /// Id of a response.
    pub(super) fn response_id(&self, index: usize) -> String {
        let low = mix(self.seed ^ 0x5EED) & !0xFFFF_FFFF;
        let place = (index as u64 ^ self.seed) & 0xFFFF_FFFF;
        uuid_of(mix(self.seed), low | place)
    }

    /// Place of a response that was produced.
    pub(super) fn position(&self, response_id: &str) -> Result<usize, SparkError> {
        let unknown = || SparkError::position_not_found(response_id);
        let id = uuid::Uuid::parse_str(response_id).map_err(|_| unknown())?;
        let place = (id.as_u64_pair().1 ^ self.seed) & 0xFFFF_FFFF;
        let index = usize::try_from(place).map_err(|_| unknown())?;
        if index >= self.produced.len() || self.response_id(index) != id.to_string() {
            return Err(unknown());
        }
        Ok(index)
    }

    fn push(&mut self, kind: Kind, payload: u64) {
        let before = self
            .produced
            .last()
            .map_or(0, |last| last.before + last.bytes);
        self.produced.push(Produced {
            kind,
            bytes: payload + RESPONSE_OVERHEAD,
            before,
        });
    }
}
