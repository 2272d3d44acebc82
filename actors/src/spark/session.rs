//! Everything that is said to Spark about one incarnation of a session.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::Incarnation;
use libra_proto::spark::execute_plan_request::{RequestOption, request_option};
use libra_proto::spark::get_status_request::OperationStatusRequest;
use libra_proto::spark::get_status_response::operation_status::OperationState;
use libra_proto::spark::interrupt_request::{Interrupt, InterruptType};
use libra_proto::spark::release_execute_request::{Release, ReleaseAll, ReleaseUntil};
use libra_proto::spark::{
    ExecutePlanRequest, FetchErrorDetailsRequest, GetStatusRequest, InterruptRequest, Plan,
    ReattachExecuteRequest, ReattachOptions, Relation, ReleaseExecuteRequest,
    ReleaseSessionRequest, Sql, UserContext, plan, relation,
};
use libra_proto::types::{Epoch, NodeId};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use super::client::{Client, Rpc, user_context};
use super::error::{SparkError, SparkErrorKind};
use super::seal::{self, Poisoned};
use super::stream::ResponseStream;
use super::{details, stream};

/// The request header that names a statement's pool to the scheduler plug-in in Spark's driver.
pub const POOL_HEADER: &str = "libra-pool";

/// How long the details of an error may take to fetch.
const DETAILS_LIMIT: Duration = Duration::from_secs(5);

/// One Spark session in one driver; cheap to clone.
#[derive(Debug, Clone)]
pub struct SparkSession {
    client: Client,
    key: Arc<Key>,
    client_type: Arc<str>,
}

/// What names the session on the wire.
#[derive(Debug)]
struct Key {
    user_id: String,
    session_id: String,
    server_side_session_id: String,
}

impl SparkSession {
    pub(super) fn new(client: Client, incarnation: &Incarnation) -> Self {
        let key = Key {
            user_id: incarnation.spark_user_id.clone(),
            session_id: incarnation.spark_session_id.clone(),
            server_side_session_id: incarnation.server_side_session_id.clone(),
        };
        Self {
            client_type: client.client_type().into(),
            client,
            key: Arc::new(key),
        }
    }

    /// The same, saying with each call which node makes it, and under which epoch: Spark's own
    /// record then tells who spoke for a session.
    #[must_use]
    pub fn spoken_by(mut self, node: NodeId, epoch: Epoch) -> Self {
        let agent = self.client.client_type();
        self.client_type = format!("{agent} node/{} epoch/{}", node.0, epoch.0).into();
        self
    }

    /// Sends a statement under `operation_id`, and waits until Spark answers for it. Never
    /// retried: after [`SparkErrorKind::Unreachable`] it may have arrived or not.
    ///
    /// Sent again with the same id and the same code it is a reattach from the first response.
    ///
    /// # Errors
    /// Any kind; a statement that Spark cannot analyse fails here, not in the stream.
    ///
    /// # Cancel safety
    /// When dropped, the statement may have arrived or not.
    pub async fn execute(
        &self,
        operation_id: &str,
        code: &str,
        pool: &str,
    ) -> Result<ResponseStream, SparkError> {
        let mut request = self
            .client
            .request(self.execute_request(operation_id, code));
        if !pool.is_empty() {
            let value = MetadataValue::try_from(pool).map_err(|_| {
                SparkError::protocol(&format!("pool `{pool}` cannot be sent in a request header"))
            })?;
            request.metadata_mut().insert(POOL_HEADER, value);
        }
        let mut rpc = self.client.rpc();
        let call = async move { rpc.execute_plan(request).await };
        let responses = stream::attended(self, "ExecutePlan", call)
            .await?
            .into_inner();
        Ok(ResponseStream::new(self.clone(), operation_id, responses))
    }

    /// Attaches to an operation that Spark has: from its first response, or after
    /// `last_response_id`. Cuts off whoever is attached.
    ///
    /// # Errors
    /// Any kind but [`SparkErrorKind::Conf`].
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn reattach(
        &self,
        operation_id: &str,
        last_response_id: Option<&str>,
    ) -> Result<ResponseStream, SparkError> {
        let request = self.client.request(ReattachExecuteRequest {
            session_id: self.session_id(),
            client_observed_server_side_session_id: self.observed(),
            user_context: self.user_context(),
            operation_id: operation_id.to_owned(),
            client_type: self.client_type(),
            last_response_id: last_response_id.map(str::to_owned),
        });
        let mut rpc = self.client.rpc();
        let call = async move { rpc.reattach_execute(request).await };
        let responses = stream::attended(self, "ReattachExecute", call)
            .await?
            .into_inner();
        Ok(ResponseStream::new(self.clone(), operation_id, responses))
    }

    /// Takes an operation id for good, so that a late request with it never runs. The server must
    /// remember operations (`Incarnation::remembers_operations`); never retried.
    ///
    /// # Errors
    /// [`SparkErrorKind::OperationAbandoned`] where the id was used and released before, by the
    /// statement or by an earlier poisoning; otherwise as [`SparkSession::execute`].
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn poison(&self, operation_id: &str) -> Result<Poisoned, SparkError> {
        let poison = seal::poison(operation_id);
        match self.execute(operation_id, &poison, "").await {
            // The stream knows the seal when it sees it.
            Ok(mut stream) => loop {
                match stream.next().await {
                    Ok(Some(_)) => {}
                    Err(error) if error.kind != SparkErrorKind::OperationAbandoned => {
                        return Err(error);
                    }
                    Ok(None) | Err(_) => break,
                }
            },
            Err(error) if error.kind == SparkErrorKind::OperationAlreadyExists => {
                return Ok(Poisoned::Arrived);
            }
            Err(error) => return Err(error),
        }
        // The id is taken by now, released or not.
        if let Err(error) = self.release(operation_id).await {
            tracing::debug!(operation_id, %error, "poisoned operation not released; Spark drops it by itself");
        }
        Ok(Poisoned::Sealed)
    }

    /// Asks Spark to cancel an operation; says whether there was one to cancel. One that arrives
    /// later runs all the same: see [`SparkSession::poison`].
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is gone.
    pub async fn interrupt(&self, operation_id: &str) -> Result<bool, SparkError> {
        let message = InterruptRequest {
            session_id: self.session_id(),
            client_observed_server_side_session_id: self.observed(),
            user_context: self.user_context(),
            client_type: self.client_type(),
            interrupt_type: InterruptType::OperationId.into(),
            interrupt: Some(Interrupt::OperationId(operation_id.to_owned())),
        };
        let call = |mut rpc: Rpc, request| async move { rpc.interrupt(request).await };
        let answer = self.unary("Interrupt", message, call).await?;
        Ok(answer.interrupted_ids.iter().any(|id| id == operation_id))
    }

    /// Lets Spark forget an operation and all its responses; interrupts it if it still runs. An
    /// operation that Spark does not know is no error, nor is another driver than the observed.
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is closed.
    pub async fn release(&self, operation_id: &str) -> Result<(), SparkError> {
        self.release_execute(operation_id, Release::ReleaseAll(ReleaseAll {}))
            .await
    }

    /// Lets Spark forget the responses of an operation up to and with `response_id`.
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is gone.
    pub async fn release_until(
        &self,
        operation_id: &str,
        response_id: &str,
    ) -> Result<(), SparkError> {
        let until = ReleaseUntil {
            response_id: response_id.to_owned(),
        };
        self.release_execute(operation_id, Release::ReleaseUntil(until))
            .await
    }

    /// What Spark says about an operation; `None` where it cannot be asked (before Spark 4.2).
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is gone.
    pub async fn status(&self, operation_id: &str) -> Result<Option<OperationState>, SparkError> {
        let message = GetStatusRequest {
            session_id: self.session_id(),
            user_context: self.user_context(),
            client_type: self.client_type(),
            client_observed_server_side_session_id: self.observed(),
            operation_status: Some(OperationStatusRequest {
                operation_ids: vec![operation_id.to_owned()],
            }),
        };
        let call = |mut rpc: Rpc, request| async move { rpc.get_status(request).await };
        let answer = match self.unary("GetStatus", message, call).await {
            Ok(answer) => answer,
            Err(error) if error.kind == SparkErrorKind::Unimplemented => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut statuses = answer.operation_statuses.iter();
        let status = statuses.find(|status| status.operation_id == operation_id);
        Ok(Some(
            status.map_or(OperationState::Unknown, |status| status.state()),
        ))
    }

    /// Ends the session in Spark, with all its operations. Its id is dead from then on.
    ///
    /// # Errors
    /// When Spark gives no answer in time.
    pub async fn release_session(&self) -> Result<(), SparkError> {
        let message = ReleaseSessionRequest {
            session_id: self.session_id(),
            user_context: self.user_context(),
            client_type: self.client_type(),
            allow_reconnect: false,
        };
        let call = |mut rpc: Rpc, request| async move { rpc.release_session(request).await };
        self.unary("ReleaseSession", message, call).await.map(drop)
    }

    /// The error of a call, with what Spark has kept of it. That more cannot be had hides nothing.
    pub(super) async fn failure(&self, what: &str, status: &Status) -> SparkError {
        let mut error = self.error(what, status);
        if error.kind != SparkErrorKind::Statement {
            return error;
        }
        let Some(error_id) = details::error_id(status) else {
            return error;
        };
        let message = FetchErrorDetailsRequest {
            session_id: self.session_id(),
            client_observed_server_side_session_id: self.observed(),
            user_context: self.user_context(),
            error_id,
            client_type: self.client_type(),
        };
        let call = |mut rpc: Rpc, request| async move { rpc.fetch_error_details(request).await };
        let what = "FetchErrorDetails";
        match self.client.unary(what, DETAILS_LIMIT, message, call).await {
            Ok(answer) => details::complete(&mut error.error, answer),
            Err(status) => tracing::debug!(code = ?status.code(), "error details not fetched"),
        }
        error
    }

    pub(super) fn session_id(&self) -> String {
        self.key.session_id.clone()
    }

    /// Whether a response comes from this session in this driver.
    pub(super) fn is_own(&self, session_id: &str, server_side_session_id: &str) -> bool {
        session_id == self.key.session_id
            && server_side_session_id == self.key.server_side_session_id
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn execute_request(&self, operation_id: &str, code: &str) -> ExecutePlanRequest {
        let sql = Sql {
            query: code.to_owned(),
        };
        let root = Relation {
            common: None,
            rel_type: Some(relation::RelType::Sql(sql)),
        };
        let reattach = ReattachOptions { reattachable: true };
        ExecutePlanRequest {
            session_id: self.session_id(),
            client_observed_server_side_session_id: self.observed(),
            user_context: self.user_context(),
            operation_id: Some(operation_id.to_owned()),
            plan: Some(Plan {
                op_type: Some(plan::OpType::Root(root)),
            }),
            client_type: self.client_type(),
            request_options: vec![RequestOption {
                request_option: Some(request_option::RequestOption::ReattachOptions(reattach)),
            }],
            tags: Vec::new(),
        }
    }

    async fn release_execute(&self, operation_id: &str, what: Release) -> Result<(), SparkError> {
        let message = ReleaseExecuteRequest {
            session_id: self.session_id(),
            client_observed_server_side_session_id: self.observed(),
            user_context: self.user_context(),
            operation_id: operation_id.to_owned(),
            client_type: self.client_type(),
            release: Some(what),
        };
        let call = |mut rpc: Rpc, request| async move { rpc.release_execute(request).await };
        self.unary("ReleaseExecute", message, call).await.map(drop)
    }

    pub(super) async fn unary<M, R, F>(
        &self,
        what: &'static str,
        message: M,
        call: impl Fn(Rpc, Request<M>) -> F,
    ) -> Result<R, SparkError>
    where
        M: Clone,
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        let limit = self.client.options().request_timeout;
        let answer = self.client.unary(what, limit, message, call).await;
        answer.map_err(|status| self.error(what, &status))
    }

    fn error(&self, what: &str, status: &Status) -> SparkError {
        SparkError::of(&self.client.place(what), status)
    }

    pub(super) fn observed(&self) -> Option<String> {
        Some(self.key.server_side_session_id.clone())
    }

    pub(super) fn user_context(&self) -> Option<UserContext> {
        user_context(&self.key.user_id)
    }

    pub(super) fn client_type(&self) -> Option<String> {
        Some(self.client_type.to_string())
    }
}
