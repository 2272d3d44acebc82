//! The responses of one operation, as they come.
//!
//! **Invariant:** nothing is read ahead of the consumer beyond one message and the HTTP/2 window,
//! and no wait for Spark is longer than the limits of [`ClientOptions`](super::ClientOptions).

use std::future::Future;
use std::pin::pin;

use bytes::Bytes;
use libra_proto::spark::ExecutePlanResponse;
use libra_proto::spark::execute_plan_response::{ArrowBatch, ExecutionProgress, ResponseType};
use prost::Message as _;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status, Streaming};

use super::error::{SparkError, SparkErrorKind};
use super::seal::is_sealed;
use super::session::SparkSession;

/// How often a silent stream is forgiven because Spark answers otherwise. With the default idle
/// limit that is longer than the two minutes after which Spark ends every stream.
const FORGIVEN: usize = 5;

/// One response of an operation.
///
/// A response on the wire may carry a schema and something else besides: it comes as two, first
/// the schema, then the other, with the same `response_id`. To continue after that id is right
/// only when the second has been dealt with too. (Spark 4.3 never sends both in one.)
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// What a reattach continues after.
    pub response_id: String,
    /// What it says.
    pub body: Body,
}

/// What a response says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// The schema of the result: an encoded `spark.connect.DataType`.
    Schema(Bytes),
    /// Rows.
    Batch {
        /// How many.
        rows: u64,
        /// The row it starts at, if Spark says.
        start_offset: Option<u64>,
        /// An Arrow IPC stream of its own.
        data: Bytes,
    },
    /// How far it is.
    Progress {
        /// Tasks that are done, in all stages known so far.
        completed_tasks: u64,
        /// Tasks in all stages known so far.
        total_tasks: u64,
    },
    /// The operation has ended well, and this is all of it.
    Complete,
    /// Metrics and the like.
    Other,
}

/// The responses of one operation, from where it was attached.
#[derive(Debug)]
pub struct ResponseStream {
    session: SparkSession,
    operation_id: String,
    responses: Streaming<ExecutePlanResponse>,
    /// The second of two that came in one.
    pending: Option<Response>,
    /// A failure whose details are still being fetched.
    failed: Option<Status>,
    ended: bool,
    patience: Patience,
}

impl ResponseStream {
    pub(super) fn new(
        session: SparkSession,
        operation_id: &str,
        responses: Streaming<ExecutePlanResponse>,
    ) -> Self {
        Self {
            session,
            operation_id: operation_id.to_owned(),
            responses,
            pending: None,
            failed: None,
            ended: false,
            patience: Patience::new(),
        }
    }

    /// The next response; `None` when the stream has ended. Unless [`Body::Complete`] came before,
    /// that is not the end of the operation: Spark ends every stream after a while (2 minutes, or
    /// 1 GB), and a reattach after the last response goes on.
    ///
    /// # Errors
    /// The failure of the operation or of the connection;
    /// [`Unreachable`](super::SparkErrorKind::Unreachable) when nothing came for the idle limit
    /// and Spark does not answer otherwise either;
    /// [`OperationAbandoned`](SparkErrorKind::OperationAbandoned) when what answers is the poison
    /// of the id. After an error the stream has ended.
    ///
    /// # Cancel safety
    /// No response and no error is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Response>, SparkError> {
        if let Some(response) = self.pending.take() {
            return Ok(Some(response));
        }
        if self.failed.is_none() {
            if self.ended {
                return Ok(None);
            }
            match self
                .patience
                .wait(&self.session, self.responses.message())
                .await
            {
                Ok(Ok(Some(response))) => return self.read(response).map(Some),
                Ok(Ok(None)) => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(Err(status)) => {
                    self.session
                        .client()
                        .observed()
                        .stream_failed(status.code());
                    self.failed = Some(status);
                }
                Err(silence) => {
                    let observed = self.session.client().observed();
                    observed.stream_failed(Code::DeadlineExceeded);
                    self.ended = true;
                    return Err(silence);
                }
            }
        }
        self.ended = true;
        let Some(status) = &self.failed else {
            return Ok(None);
        };
        let error = self.session.failure("response stream", status).await;
        self.failed = None;
        Err(error)
    }

    fn read(&mut self, response: ExecutePlanResponse) -> Result<Response, SparkError> {
        let own = self
            .session
            .is_own(&response.session_id, &response.server_side_session_id)
            && response.operation_id == self.operation_id;
        let read = if own {
            bodies(response)
        } else {
            Err("of another session or operation")
        };
        let (first, second) = read.map_err(|what| {
            self.ended = true;
            let operation = &self.operation_id;
            SparkError::protocol(&format!(
                "{}: a response {what}",
                self.session
                    .client()
                    .place(&format!("operation {operation}"))
            ))
        })?;
        self.refuse_seal(&first)?;
        self.ended = [Some(&first), second.as_ref()]
            .into_iter()
            .flatten()
            .any(|response| response.body == Body::Complete);
        self.pending = second;
        Ok(first)
    }
}

impl ResponseStream {
    /// An id that was poisoned answers with the poison's own result until it is released; that must
    /// never pass for the statement's.
    fn refuse_seal(&mut self, response: &Response) -> Result<(), SparkError> {
        match &response.body {
            Body::Schema(schema) if is_sealed(&self.operation_id, schema) => {
                self.ended = true;
                Err(SparkError::local(
                    SparkErrorKind::OperationAbandoned,
                    &format!("operation {} was sealed and never ran", self.operation_id),
                ))
            }
            Body::Schema(_)
            | Body::Batch { .. }
            | Body::Progress { .. }
            | Body::Complete
            | Body::Other => Ok(()),
        }
    }
}

/// Waits for a call that opens a stream, as patiently as for the stream itself.
pub(super) async fn attended<T>(
    session: &SparkSession,
    what: &'static str,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, SparkError> {
    // Boxed: the futures of calls are large, and those of callers hold them more than once.
    let call = session.client().observed().call(what, Box::pin(call));
    match Patience::new().wait(session, call).await? {
        Ok(opened) => Ok(opened),
        Err(status) => Err(session.failure(what, &status).await),
    }
}

/// How long Spark has been silent. When nothing has come for the idle limit it is asked: a server
/// without progress reports, or one that plans for long, is merely silent.
#[derive(Debug)]
struct Patience {
    since: Instant,
    forgiven: usize,
}

impl Patience {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            forgiven: 0,
        }
    }

    /// Waits as long as Spark shows that it is there.
    ///
    /// # Cancel safety
    /// The time already waited counts for the next wait.
    async fn wait<T>(
        &mut self,
        session: &SparkSession,
        wait: impl Future<Output = T>,
    ) -> Result<T, SparkError> {
        let limit = session.client().options().idle_limit;
        let mut wait = pin!(wait);
        while self.forgiven <= FORGIVEN {
            if let Ok(done) = timeout_at(self.since + limit, &mut wait).await {
                *self = Self::new();
                return Ok(done);
            }
            session.keep_alive().await?;
            self.forgiven += 1;
            self.since = Instant::now();
        }
        let place = session.client().place("response stream");
        Err(SparkError::unreachable(&format!(
            "{place}: silent, although Spark answers otherwise"
        )))
    }
}

/// The one or two responses that came as one.
fn bodies(response: ExecutePlanResponse) -> Result<(Response, Option<Response>), &'static str> {
    let response_id = response.response_id;
    let with = |body| Response {
        response_id: response_id.clone(),
        body,
    };
    let schema = response
        .schema
        .map(|schema| Body::Schema(schema.encode_to_vec().into()));
    let other = match response.response_type {
        None => None,
        Some(ResponseType::ArrowBatch(batch)) => Some(rows(batch)?),
        Some(ResponseType::ExecutionProgress(progress)) => Some(tasks(&progress)),
        Some(ResponseType::ResultComplete(_)) => Some(Body::Complete),
        Some(ResponseType::SqlCommandResult(_)) => Some(Body::Other),
    };
    Ok(match (schema, other) {
        (Some(schema), other) => (with(schema), other.map(with)),
        (None, other) => (with(other.unwrap_or(Body::Other)), None),
    })
}

fn rows(batch: ArrowBatch) -> Result<Body, &'static str> {
    if batch.num_chunks_in_batch.is_some_and(|chunks| chunks > 1) {
        return Err("with a part of a batch, which was not asked for");
    }
    let start_offset = batch.start_offset.map(u64::try_from).transpose();
    match (u64::try_from(batch.row_count), start_offset) {
        (Ok(rows), Ok(start_offset)) => Ok(Body::Batch {
            rows,
            start_offset,
            data: batch.data,
        }),
        _ => Err("with a negative count of rows"),
    }
}

fn tasks(progress: &ExecutionProgress) -> Body {
    let sum = |tasks: fn(&_) -> i64| {
        progress
            .stages
            .iter()
            .map(tasks)
            .map(|n| u64::try_from(n).unwrap_or(0))
            .sum()
    };
    Body::Progress {
        completed_tasks: sum(|stage| stage.num_completed_tasks),
        total_tasks: sum(|stage| stage.num_tasks),
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
