//! A Spark Connect server that notes every call, and whose operations do what a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use libra_proto::spark::execute_plan_response::{ArrowBatch, ResponseType, ResultComplete};
use libra_proto::spark::get_status_response::OperationStatus;
use libra_proto::spark::get_status_response::operation_status::OperationState;
use libra_proto::spark::spark_connect_service_server::{
    SparkConnectService, SparkConnectServiceServer,
};
use libra_proto::spark::{
    AnalyzePlanRequest, AnalyzePlanResponse, ConfigRequest, ConfigResponse, ExecutePlanRequest,
    ExecutePlanResponse, FetchErrorDetailsRequest, FetchErrorDetailsResponse, GetStatusRequest,
    GetStatusResponse, InterruptRequest, InterruptResponse, ReattachExecuteRequest,
    ReleaseExecuteRequest, ReleaseExecuteResponse, ReleaseSessionRequest, ReleaseSessionResponse,
    analyze_plan_response, plan, relation,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::registry::operation;

const SERVER_SIDE: &str = "driver-1";

/// A call, with what it was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// The operation, and the SQL.
    Execute(String, String),
    /// The operation, and the response to go on after.
    Reattach(String, Option<String>),
    Status(String),
    Interrupt,
    Release(String),
    ReleaseSession,
    Greet,
}

type Answers = mpsc::Sender<Result<ExecutePlanResponse, Status>>;

pub(crate) struct Spark {
    inner: Arc<Mutex<Inner>>,
    gate: Arc<watch::Sender<bool>>,
    address: String,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    calls: Vec<Call>,
    known: BTreeSet<String>,
    attached: BTreeMap<String, (String, Answers)>,
    /// The Spark session is gone.
    lost: bool,
    /// Greetings get no answer that is understood.
    refuses: bool,
}

impl Drop for Spark {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Spark {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Mutex::new(Inner::default()));
        let gate = Arc::new(watch::Sender::new(true));
        let service = Service {
            inner: Arc::clone(&inner),
            gate: Arc::clone(&gate),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server::builder().add_service(SparkConnectServiceServer::new(service));
        let server = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            inner,
            gate,
            address,
            server,
        }
    }

    pub(crate) fn remote(&self) -> String {
        format!("sc://{}", self.address)
    }

    /// Spark has got the statement's operation.
    pub(crate) fn know(&self, job: u64) {
        self.lock().known.insert(operation(job));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(crate) fn has(&self, call: &Call) -> bool {
        self.lock().calls.contains(call)
    }

    pub(crate) fn executions(&self) -> Vec<Call> {
        let calls = self.calls().into_iter();
        calls.filter(|c| matches!(c, Call::Execute(..))).collect()
    }

    pub(crate) fn reattaches(&self) -> usize {
        let calls = self.calls().into_iter();
        calls.filter(|c| matches!(c, Call::Reattach(..))).count()
    }

    /// Whether somebody is attached to the statement's operation.
    pub(crate) fn is_attached(&self, job: u64) -> bool {
        let inner = self.lock();
        let attached = inner.attached.get(&operation(job));
        attached.is_some_and(|(_, answers)| !answers.is_closed())
    }

    /// Sends a batch to whoever is attached; `false` if nobody is.
    pub(crate) fn batch(&self, job: u64, response_id: &str) -> bool {
        let batch = ResponseType::ArrowBatch(ArrowBatch {
            row_count: 1,
            ..ArrowBatch::default()
        });
        self.send(job, response_id, batch)
    }

    pub(crate) fn complete(&self, job: u64, response_id: &str) -> bool {
        let complete = ResponseType::ResultComplete(ResultComplete {});
        self.send(job, response_id, complete)
    }

    fn send(&self, job: u64, response_id: &str, body: ResponseType) -> bool {
        let inner = self.lock();
        let Some((session_id, answers)) = inner.attached.get(&operation(job)) else {
            return false;
        };
        let response = ExecutePlanResponse {
            session_id: session_id.clone(),
            server_side_session_id: SERVER_SIDE.to_owned(),
            operation_id: operation(job),
            response_id: response_id.to_owned(),
            response_type: Some(body),
            ..ExecutePlanResponse::default()
        };
        answers.try_send(Ok(response)).is_ok()
    }

    /// Somebody else attaches: whoever is attached is told so.
    pub(crate) fn disconnect(&self, job: u64) {
        let mut inner = self.lock();
        if let Some((_, answers)) = inner.attached.remove(&operation(job)) {
            let _ = answers.try_send(Err(spark_error("INVALID_CURSOR.DISCONNECTED")));
        }
    }

    /// The Spark session is gone.
    pub(crate) fn lose_session(&self) {
        self.lock().lost = true;
    }

    /// No greeting gets an answer that is understood.
    pub(crate) fn refuse_greetings(&self) {
        self.lock().refuses = true;
    }

    pub(crate) fn count(&self, call: &Call) -> usize {
        self.lock().calls.iter().filter(|c| *c == call).count()
    }

    /// Holds greetings up, or lets them through.
    pub(crate) fn open_gate(&self, open: bool) {
        self.gate.send_replace(open);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

fn spark_error(class: &str) -> Status {
    Status::internal(format!("[{class}] as the test wants it. SQLSTATE: HY000"))
}

struct Service {
    inner: Arc<Mutex<Inner>>,
    gate: Arc<watch::Sender<bool>>,
}

impl Service {
    fn note(&self, call: Call) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap();
        inner.calls.push(call);
        inner
    }
}

type Responses = Pin<Box<dyn Stream<Item = Result<ExecutePlanResponse, Status>> + Send>>;

fn attach(inner: &mut Inner, operation: String, session_id: String) -> Response<Responses> {
    let (answers, responses) = mpsc::channel(16);
    inner.attached.insert(operation, (session_id, answers));
    Response::new(Box::pin(ReceiverStream::new(responses)))
}

#[tonic::async_trait]
impl SparkConnectService for Service {
    type ExecutePlanStream = Responses;
    type ReattachExecuteStream = Responses;

    async fn execute_plan(
        &self,
        request: Request<ExecutePlanRequest>,
    ) -> Result<Response<Responses>, Status> {
        let request = request.into_inner();
        let operation = request.operation_id.unwrap_or_default();
        let sql = match request.plan.and_then(|plan| plan.op_type) {
            Some(plan::OpType::Root(root)) => match root.rel_type {
                Some(relation::RelType::Sql(sql)) => sql.query,
                None => String::new(),
            },
            Some(plan::OpType::Command(_)) | None => String::new(),
        };
        let sealing = sql.contains("libra-seal-");
        let mut inner = self.note(Call::Execute(operation.clone(), sql));
        inner.known.insert(operation.clone());
        if sealing {
            // The poison has run to its end.
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        Ok(attach(&mut inner, operation, request.session_id))
    }

    async fn reattach_execute(
        &self,
        request: Request<ReattachExecuteRequest>,
    ) -> Result<Response<Responses>, Status> {
        let request = request.into_inner();
        let operation = request.operation_id;
        let call = Call::Reattach(operation.clone(), request.last_response_id);
        let mut inner = self.note(call);
        if inner.lost {
            return Err(spark_error("INVALID_HANDLE.SESSION_NOT_FOUND"));
        }
        if !inner.known.contains(&operation) {
            return Err(spark_error("INVALID_HANDLE.OPERATION_NOT_FOUND"));
        }
        Ok(attach(&mut inner, operation, request.session_id))
    }

    async fn get_status(
        &self,
        request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let request = request.into_inner();
        let asked = request.operation_status.unwrap_or_default().operation_ids;
        let mut answer = GetStatusResponse {
            session_id: request.session_id,
            server_side_session_id: SERVER_SIDE.to_owned(),
            ..GetStatusResponse::default()
        };
        for operation_id in asked {
            drop(self.note(Call::Status(operation_id.clone())));
            answer.operation_statuses.push(OperationStatus {
                operation_id,
                state: OperationState::Unknown.into(),
            });
        }
        Ok(Response::new(answer))
    }

    async fn interrupt(
        &self,
        _request: Request<InterruptRequest>,
    ) -> Result<Response<InterruptResponse>, Status> {
        drop(self.note(Call::Interrupt));
        Ok(Response::new(InterruptResponse::default()))
    }

    async fn release_execute(
        &self,
        request: Request<ReleaseExecuteRequest>,
    ) -> Result<Response<ReleaseExecuteResponse>, Status> {
        drop(self.note(Call::Release(request.into_inner().operation_id)));
        Ok(Response::new(ReleaseExecuteResponse::default()))
    }

    async fn release_session(
        &self,
        _request: Request<ReleaseSessionRequest>,
    ) -> Result<Response<ReleaseSessionResponse>, Status> {
        drop(self.note(Call::ReleaseSession));
        Ok(Response::new(ReleaseSessionResponse::default()))
    }

    async fn analyze_plan(
        &self,
        request: Request<AnalyzePlanRequest>,
    ) -> Result<Response<AnalyzePlanResponse>, Status> {
        let refuses = self.note(Call::Greet).refuses;
        let mut gate = self.gate.subscribe();
        gate.wait_for(|open| *open).await.unwrap();
        let version = analyze_plan_response::SparkVersion {
            version: "4.3.0".to_owned(),
        };
        Ok(Response::new(AnalyzePlanResponse {
            session_id: request.into_inner().session_id,
            server_side_session_id: SERVER_SIDE.to_owned(),
            result: (!refuses).then_some(analyze_plan_response::Result::SparkVersion(version)),
        }))
    }

    async fn config(
        &self,
        request: Request<ConfigRequest>,
    ) -> Result<Response<ConfigResponse>, Status> {
        Ok(Response::new(ConfigResponse {
            session_id: request.into_inner().session_id,
            server_side_session_id: SERVER_SIDE.to_owned(),
            ..ConfigResponse::default()
        }))
    }

    async fn fetch_error_details(
        &self,
        _request: Request<FetchErrorDetailsRequest>,
    ) -> Result<Response<FetchErrorDetailsResponse>, Status> {
        Ok(Response::new(FetchErrorDetailsResponse::default()))
    }
}
