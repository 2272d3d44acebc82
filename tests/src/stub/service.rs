//! Spark Connect's calls, carried to the engine.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use libra_proto::spark::analyze_plan_request::Analyze;
use libra_proto::spark::spark_connect_service_server::SparkConnectService;
use libra_proto::spark::{
    AnalyzePlanRequest, AnalyzePlanResponse, ConfigRequest, ConfigResponse, ExecutePlanRequest,
    ExecutePlanResponse, FetchErrorDetailsRequest, FetchErrorDetailsResponse, GetStatusRequest,
    GetStatusResponse, InterruptRequest, InterruptResponse, ReattachExecuteRequest,
    ReleaseExecuteRequest, ReleaseExecuteResponse, ReleaseSessionRequest, ReleaseSessionResponse,
    analyze_plan_response, get_status_response,
};
use tonic::{Request, Response, Status};

use super::convert::{self, caller};
use super::engine::{Engine, Millis, RpcError};
use super::faults::{Lose, Method};
use super::server::Shared;
use super::status::{detailed, status};

type ResponseStream = Pin<Box<dyn Stream<Item = Result<ExecutePlanResponse, Status>> + Send>>;

/// The service, for tonic.
#[derive(Debug, Clone)]
pub(super) struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Notes who calls.
    fn heard(&self, call: &str, session_id: &str, client_type: Option<&str>) {
        let shared = &self.shared;
        shared
            .speakers
            .heard(shared.now(), session_id, call, client_type);
    }

    /// Makes a call of the engine, with the fault that is scripted for it.
    async fn call<T: Send + 'static>(
        &self,
        method: Method,
        call: impl FnOnce(&mut Engine, Millis) -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, Status> {
        let Some(fault) = self.shared.faults.take(method) else {
            return self.shared.with(call).map_err(|error| status(&error));
        };
        let shared = self.shared.clone();
        let lose = fault.lose;
        // A task of its own: a late request arrives even if its client has left.
        let late = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
            if lose == Lose::Request {
                return Err(RpcError::Unavailable);
            }
            let answer = shared.with(call)?;
            if lose == Lose::Answer {
                return Err(RpcError::Unavailable);
            }
            Ok(answer)
        });
        match late.await {
            Ok(answer) => answer.map_err(|error| status(&error)),
            Err(_) => Err(status(&RpcError::Unavailable)),
        }
    }

    /// The same for a call that attaches a stream.
    async fn attach(
        &self,
        method: Method,
        session_id: String,
        call: impl FnOnce(&mut Engine, Millis) -> Result<super::engine::Attached, RpcError>
        + Send
        + 'static,
    ) -> Result<Response<ResponseStream>, Status> {
        let fault = self.shared.faults.take(method);
        let shared = self.shared.clone();
        let Some(fault) = fault else {
            let responses = shared.attach(session_id, None, call);
            let responses = responses.map_err(|error| status(&error))?;
            return Ok(Response::new(Box::pin(responses.into_stream())));
        };
        let late = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
            if fault.lose == Lose::Request {
                return Err(RpcError::Unavailable);
            }
            let responses = shared.attach(session_id, fault.cut_after, call)?;
            if fault.lose == Lose::Answer {
                return Err(RpcError::Unavailable);
            }
            Ok(responses)
        });
        match late.await {
            Ok(Ok(responses)) => Ok(Response::new(Box::pin(responses.into_stream()))),
            Ok(Err(error)) => Err(status(&error)),
            Err(_) => Err(status(&RpcError::Unavailable)),
        }
    }
}

/// The request and who sent it.
macro_rules! opened {
    ($request:expr) => {{
        let mut request = $request.into_inner();
        let caller = caller(
            request.user_context.take(),
            request.session_id.clone(),
            request.client_observed_server_side_session_id.take(),
        );
        (request, caller)
    }};
}

#[tonic::async_trait]
impl SparkConnectService for Service {
    type ExecutePlanStream = ResponseStream;
    type ReattachExecuteStream = ResponseStream;

    async fn execute_plan(
        &self,
        request: Request<ExecutePlanRequest>,
    ) -> Result<Response<ResponseStream>, Status> {
        let request = request.into_inner();
        let session_id = request.session_id.clone();
        self.heard("ExecutePlan", &session_id, request.client_type.as_deref());
        let execute = convert::execute(request);
        self.attach(Method::ExecutePlan, session_id, move |engine, now| {
            engine.execute(now, execute)
        })
        .await
    }

    async fn reattach_execute(
        &self,
        request: Request<ReattachExecuteRequest>,
    ) -> Result<Response<ResponseStream>, Status> {
        let (request, caller) = opened!(request);
        let session_id = request.session_id.clone();
        let client_type = request.client_type.as_deref();
        self.heard("ReattachExecute", &session_id, client_type);
        self.attach(Method::ReattachExecute, session_id, move |engine, now| {
            let last = request.last_response_id.as_deref();
            engine.reattach(now, &caller, &request.operation_id, last)
        })
        .await
    }

    async fn analyze_plan(
        &self,
        request: Request<AnalyzePlanRequest>,
    ) -> Result<Response<AnalyzePlanResponse>, Status> {
        let (request, caller) = opened!(request);
        let Some(Analyze::SparkVersion(_)) = request.analyze else {
            return Err(Status::unimplemented(
                "the stub analyses spark_version only",
            ));
        };
        let (server_side_session_id, version) = self
            .call(Method::AnalyzePlan, move |engine, now| {
                engine.spark_version(now, &caller)
            })
            .await?;
        let version = analyze_plan_response::SparkVersion { version };
        Ok(Response::new(AnalyzePlanResponse {
            session_id: request.session_id,
            server_side_session_id,
            result: Some(analyze_plan_response::Result::SparkVersion(version)),
        }))
    }

    async fn config(
        &self,
        request: Request<ConfigRequest>,
    ) -> Result<Response<ConfigResponse>, Status> {
        let (request, caller) = opened!(request);
        let Some(operation) = convert::conf(request.operation) else {
            return Err(Status::internal("config operation not set"));
        };
        let (server_side_session_id, pairs) = self
            .call(Method::Config, move |engine, now| {
                engine.config(now, &caller, operation)
            })
            .await?;
        Ok(Response::new(ConfigResponse {
            session_id: request.session_id,
            server_side_session_id,
            pairs: convert::key_values(pairs),
            warnings: Vec::new(),
        }))
    }

    async fn interrupt(
        &self,
        request: Request<InterruptRequest>,
    ) -> Result<Response<InterruptResponse>, Status> {
        let (request, caller) = opened!(request);
        let client_type = request.client_type.as_deref();
        self.heard("Interrupt", &request.session_id, client_type);
        let what = convert::interrupt(&request);
        let (server_side_session_id, interrupted_ids) = self
            .call(Method::Interrupt, move |engine, now| {
                engine.interrupt(now, &caller, &what)
            })
            .await?;
        Ok(Response::new(InterruptResponse {
            session_id: request.session_id,
            server_side_session_id,
            interrupted_ids,
        }))
    }

    async fn release_execute(
        &self,
        request: Request<ReleaseExecuteRequest>,
    ) -> Result<Response<ReleaseExecuteResponse>, Status> {
        let (request, caller) = opened!(request);
        let Some(release) = convert::release(request.release) else {
            return Err(Status::internal("unknown ReleaseExecute type"));
        };
        let client_type = request.client_type.as_deref();
        self.heard("ReleaseExecute", &request.session_id, client_type);
        let operation_id = request.operation_id.clone();
        let (server_side_session_id, found) = self
            .call(Method::ReleaseExecute, move |engine, now| {
                engine.release(now, &caller, &operation_id, &release)
            })
            .await?;
        Ok(Response::new(ReleaseExecuteResponse {
            session_id: request.session_id,
            server_side_session_id,
            operation_id: found.then_some(request.operation_id),
        }))
    }

    async fn release_session(
        &self,
        request: Request<ReleaseSessionRequest>,
    ) -> Result<Response<ReleaseSessionResponse>, Status> {
        let request = request.into_inner();
        let caller = caller(request.user_context, request.session_id.clone(), None);
        let server_side_session_id = self
            .call(Method::ReleaseSession, move |engine, now| {
                Ok(engine.release_session(now, &caller, request.allow_reconnect))
            })
            .await?;
        Ok(Response::new(ReleaseSessionResponse {
            session_id: request.session_id,
            server_side_session_id,
        }))
    }

    async fn fetch_error_details(
        &self,
        request: Request<FetchErrorDetailsRequest>,
    ) -> Result<Response<FetchErrorDetailsResponse>, Status> {
        let (request, caller) = opened!(request);
        let (server_side_session_id, found) = self
            .call(Method::FetchErrorDetails, move |engine, now| {
                engine.error_details(now, &caller, &request.error_id)
            })
            .await?;
        Ok(Response::new(FetchErrorDetailsResponse {
            // As Spark: a session id comes only with an error.
            session_id: found
                .as_ref()
                .map(|_| request.session_id)
                .unwrap_or_default(),
            server_side_session_id,
            root_error_idx: found.as_ref().map(|_| 0),
            errors: found.iter().map(detailed).collect(),
        }))
    }

    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let (request, caller) = opened!(request);
        let ids = request.operation_status.map(|asked| asked.operation_ids);
        let (server_side_session_id, states) = self
            .call(Method::GetStatus, move |engine, now| {
                engine.status(now, &caller, ids)
            })
            .await?;
        let operation_statuses = states
            .into_iter()
            .map(
                |(operation_id, state)| get_status_response::OperationStatus {
                    operation_id,
                    state: convert::state(state).into(),
                },
            )
            .collect();
        Ok(Response::new(GetStatusResponse {
            session_id: request.session_id,
            server_side_session_id,
            operation_statuses,
        }))
    }
}
