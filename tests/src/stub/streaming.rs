//! A response stream: pulled by the transport, so its flow control is the client's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use libra_proto::spark::ExecutePlanResponse;
use libra_proto::spark::execute_plan_response::execution_progress::StageInfo;
use libra_proto::spark::execute_plan_response::{
    ArrowBatch, ExecutionProgress, ResponseType, ResultComplete,
};
use tokio::sync::Notify;
use tonic::Status;

use super::engine::{Attached, Kind, Millis, Outgoing, RpcError, Step};
use super::server::Shared;
use super::status::status;

/// One attached reader. Dropping it tells the engine that the client has left.
pub(super) struct Responses {
    shared: Arc<Shared>,
    attached: Attached,
    session_id: String,
    woken: Arc<Notify>,
    ready: VecDeque<Outgoing>,
    cut_after: Option<u64>,
    ended: bool,
}

impl Responses {
    pub(super) fn new(
        shared: Arc<Shared>,
        attached: Attached,
        session_id: String,
        woken: Arc<Notify>,
        cut_after: Option<u64>,
    ) -> Self {
        Self {
            shared,
            attached,
            session_id,
            woken,
            ready: VecDeque::new(),
            cut_after,
            ended: false,
        }
    }

    pub(super) fn into_stream(
        self,
    ) -> impl Stream<Item = Result<ExecutePlanResponse, Status>> + Send {
        futures::stream::unfold(self, |mut responses| async move {
            let item = responses.next().await?;
            Some((item, responses))
        })
    }

    async fn next(&mut self) -> Option<Result<ExecutePlanResponse, Status>> {
        if self.cut_after == Some(0) && !self.ended {
            self.ended = true;
            return Some(Err(status(&RpcError::Unavailable)));
        }
        loop {
            if let Some(outgoing) = self.ready.pop_front() {
                self.cut_after = self.cut_after.map(|left| left.saturating_sub(1));
                return Some(self.response(outgoing));
            }
            if self.ended {
                return None;
            }
            match self.shared.poll(self.attached.stream) {
                Step::Send(ready) => self.ready = ready.into(),
                Step::Wait(until) => self.wait(until).await,
                Step::End(how) => {
                    self.ended = true;
                    if let Err(error) = how {
                        return Some(Err(status(&error)));
                    }
                }
            }
        }
    }

    async fn wait(&self, until: Option<Millis>) {
        let Some(until) = until else {
            return self.woken.notified().await;
        };
        let left = Duration::from_millis(until.saturating_sub(self.shared.now()).max(1));
        let _ = tokio::time::timeout(left, self.woken.notified()).await;
    }

    fn response(&self, outgoing: Outgoing) -> Result<ExecutePlanResponse, Status> {
        let script = &self.attached.script;
        let mut schema = None;
        let response_type = match outgoing.kind {
            Kind::Schema => {
                schema = script.result().map(super::rows::Table::spark_schema);
                None
            }
            Kind::Progress(done) => Some(ResponseType::ExecutionProgress(progress(done))),
            Kind::Batch(index) => Some(ResponseType::ArrowBatch(self.batch(index)?)),
            Kind::Metrics => None,
            Kind::Complete => Some(ResponseType::ResultComplete(ResultComplete {})),
        };
        Ok(ExecutePlanResponse {
            session_id: self.session_id.clone(),
            server_side_session_id: self.attached.server_id.clone(),
            operation_id: self.attached.operation_id.clone(),
            response_id: outgoing.response_id,
            response_type,
            schema,
        })
    }

    fn batch(&self, index: usize) -> Result<ArrowBatch, Status> {
        let script = &self.attached.script;
        let (rows, start) = script.span(index);
        let data = script
            .render(index)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(ArrowBatch {
            row_count: i64::try_from(rows).unwrap_or(i64::MAX),
            data,
            start_offset: i64::try_from(start).ok(),
            chunk_index: None,
            num_chunks_in_batch: None,
        })
    }
}

/// One stage, of which one more task is under way.
fn progress(done: usize) -> ExecutionProgress {
    let done = i64::try_from(done).unwrap_or(i64::MAX - 1);
    let stage = StageInfo {
        num_tasks: done + 1,
        num_completed_tasks: done,
        ..StageInfo::default()
    };
    ExecutionProgress {
        stages: vec![stage],
        num_inflight_tasks: 1,
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        self.shared.leave(self.attached.stream);
    }
}
