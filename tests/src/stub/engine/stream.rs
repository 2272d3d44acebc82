//! Streams of responses: one reader at a time, the newest wins, cut by time and size.

use super::maintenance::Due;
use super::operation::{Found, Operation};
use super::{Effect, Engine, Millis, OperationNo, RpcError, SparkError};

/// How much one poll gives out, as gRPC's server takes before it waits for the client.
const READY_BYTES: u64 = 32 << 10;

/// Number of one `ExecutePlan` or `ReattachExecute` that was answered with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u64);

/// What a response carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The result's schema.
    Schema,
    /// A progress report: so many tasks are done.
    Progress(usize),
    /// The batch of that number.
    Batch(usize),
    /// Metrics, which Libra's subset of the protocol does not show.
    Metrics,
    /// The end of the result.
    Complete,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id.
    pub response_id: String,
    /// What it carries.
    pub kind: Kind,
}

/// What a stream has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These, now; then poll again.
    Send(Vec<Outgoing>),
    /// Nothing until then, or until woken.
    Wait(Option<Millis>),
    /// That was all; without an error it need not be the end of the operation.
    End(Result<(), RpcError>),
}

#[derive(Debug)]
pub(super) struct Stream {
    operation: OperationNo,
    next: usize,
    sent: u64,
    deadline: Option<Millis>,
    quiet_since: Millis,
    cut: Option<Result<(), RpcError>>,
    client_left: bool,
}

impl Stream {
    #[cfg(test)]
    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Takes what can be sent now, in all at most one response over [`READY_BYTES`] or `most`.
    fn gather(
        &mut self,
        operation: &mut Operation,
        most: u64,
    ) -> Result<Vec<Outgoing>, Result<(), SparkError>> {
        let mut sending = Vec::new();
        let mut bytes = 0;
        while bytes < READY_BYTES && self.sent <= most {
            match operation.consume(self.next) {
                Found::Response(kind, size) => {
                    let response_id = operation.response_id(self.next);
                    sending.push(Outgoing { response_id, kind });
                    self.next += 1;
                    self.sent += size;
                    bytes += size;
                }
                Found::Gone if sending.is_empty() => {
                    let response_id = operation.response_id(self.next);
                    let error = SparkError::position_not_available(&response_id, self.next + 1);
                    return Err(Err(error));
                }
                Found::Finished if sending.is_empty() => {
                    return Err(operation.error.clone().map_or(Ok(()), Err));
                }
                Found::Gone | Found::Finished | Found::NotYet => break,
            }
        }
        Ok(sending)
    }
}

impl Engine {
    /// Attaches a reader behind `from` responses; whoever read before is disconnected.
    pub(super) fn attach(&mut self, now: Millis, no: OperationNo, from: usize) -> StreamId {
        let id = StreamId(self.mint_no());
        let limit = self.settings.sender_max_stream_ms;
        let older = match self.operations.get_mut(&no) {
            Some(operation) => {
                operation.detached_since = None;
                operation.attached.replace(id)
            }
            None => None,
        };
        let reattachable = self
            .operations
            .get(&no)
            .is_some_and(|operation| operation.request.reattachable);
        let deadline = (limit > 0 && reattachable).then(|| now.saturating_add(limit));
        if let Some(at) = deadline {
            self.agenda.insert((at, Due::StreamEnds(id)));
        }
        self.streams.insert(
            id,
            Stream {
                operation: no,
                next: from,
                sent: 0,
                deadline,
                quiet_since: now,
                cut: None,
                client_left: false,
            },
        );
        if let Some(older) = older {
            self.disconnect(no, older);
        }
        id
    }

    /// Ends a stream with `INVALID_CURSOR.DISCONNECTED`.
    pub(super) fn disconnect(&mut self, no: OperationNo, id: StreamId) {
        let session = self.operations.get(&no).map(|o| o.request.session.clone());
        let error = match session {
            Some(key) => self.fail(&key, SparkError::disconnected()),
            None => SparkError::disconnected().into(),
        };
        self.cut(id, Err(error));
    }

    /// Ends a stream at its next poll, or forgets it if nobody will poll it.
    pub(super) fn cut(&mut self, id: StreamId, how: Result<(), RpcError>) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.client_left {
            self.forget_stream(id);
            return;
        }
        stream.cut.get_or_insert(how);
        self.effects.push(Effect::Wake(id));
    }

    fn forget_stream(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        if let Some(at) = stream.deadline {
            self.agenda.remove(&(at, Due::StreamEnds(id)));
        }
        Some(stream)
    }

    /// The stream's time is over.
    pub(super) fn stream_ends(&mut self, now: Millis, id: StreamId) {
        if let Some(stream) = self.streams.get(&id) {
            let no = stream.operation;
            self.detach(now, no, id);
            self.cut(id, Ok(()));
        }
    }

    fn detach(&mut self, now: Millis, no: OperationNo, id: StreamId) {
        if let Some(operation) = self.operations.get_mut(&no)
            && operation.attached == Some(id)
        {
            operation.attached = None;
            operation.detached_since = Some(now);
        }
    }

    /// What the stream has to say now.
    pub fn poll(&mut self, now: Millis, id: StreamId) -> Step {
        self.advance(now);
        let Some(stream) = self.streams.get_mut(&id) else {
            return Step::End(Err(RpcError::Unavailable));
        };
        if let Some(how) = stream.cut.take() {
            self.forget_stream(id);
            return Step::End(how);
        }
        match self.read(now, id) {
            Some(Ok(step)) => step,
            Some(Err(end)) => self.end_stream(now, id, end),
            None => Step::End(Err(RpcError::Unavailable)),
        }
    }

    /// Reads on; an `Err` is how the stream ends.
    fn read(&mut self, now: Millis, id: StreamId) -> Option<Result<Step, Result<(), SparkError>>> {
        let interval = self.settings.progress_interval_ms;
        let most = match self.settings.sender_max_stream_bytes {
            0 => u64::MAX,
            limit => limit,
        };
        let stream = self.streams.get_mut(&id)?;
        let operation = self.operations.get_mut(&stream.operation)?;
        operation.catch_up(now, interval > 0);
        let report_at = (interval > 0).then(|| stream.quiet_since.saturating_add(interval));
        if stream.sent <= most && report_at.is_some_and(|at| at <= now) {
            operation.report_progress_at(stream.next);
        }
        match stream.gather(operation, most) {
            Err(end) => return Some(Err(end)),
            Ok(sending) if sending.is_empty() => {}
            Ok(sending) => {
                stream.quiet_since = now;
                return Some(Ok(Step::Send(sending)));
            }
        }
        if stream.sent > most {
            return Some(Err(Ok(())));
        }
        let wake = [
            report_at,
            operation.next_batch_at(),
            operation.ends_at(),
            stream.deadline,
        ];
        Some(Ok(Step::Wait(wake.into_iter().flatten().min())))
    }

    fn end_stream(&mut self, now: Millis, id: StreamId, end: Result<(), SparkError>) -> Step {
        let Some(stream) = self.forget_stream(id) else {
            return Step::End(Err(RpcError::Unavailable));
        };
        let no = stream.operation;
        self.detach(now, no, id);
        let Some(operation) = self.operations.get(&no) else {
            return Step::End(Err(RpcError::Unavailable));
        };
        let (session, reattachable) = (
            operation.request.session.clone(),
            operation.request.reattachable,
        );
        let end = end.map_err(|error| self.fail(&session, error));
        if !reattachable {
            self.remove_operation(now, no, false);
        }
        Step::End(end)
    }

    /// The client of a stream is gone. Spark notices when the stream's time is over: only then
    /// the operation counts as detached.
    pub fn leave(&mut self, now: Millis, id: StreamId) {
        self.advance(now);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.client_left = true;
        let (no, is_cut) = (stream.operation, stream.cut.is_some());
        let operation = self.operations.get(&no);
        let is_current = operation.is_some_and(|operation| operation.attached == Some(id));
        if is_cut || !is_current {
            self.forget_stream(id);
        } else if !self.settings.profile.keeps_operations() {
            self.forget_stream(id);
            self.remove_operation(now, no, false);
        } else if operation.is_some_and(|operation| operation.ended.is_some()) {
            self.operation_ended(now, id);
        }
    }

    /// The operation of a stream has ended: a stream that nobody reads and no time ends is over.
    pub(super) fn operation_ended(&mut self, now: Millis, id: StreamId) {
        let orphaned = self
            .streams
            .get(&id)
            .filter(|stream| stream.client_left && stream.deadline.is_none());
        if orphaned.is_some() {
            self.end_stream(now, id, Ok(()));
        }
    }
}
