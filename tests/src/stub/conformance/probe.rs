//! A raw client: one session over one channel, every answer kept as it came.

use anyhow::{Context, Result, ensure};
use libra_proto::spark::config_request::operation::OpType;
use libra_proto::spark::execute_plan_request::{RequestOption, request_option};
use libra_proto::spark::execute_plan_response::ResponseType;
use libra_proto::spark::spark_connect_service_client::SparkConnectServiceClient;
use libra_proto::spark::{self, analyze_plan_request, analyze_plan_response};
use spark::get_status_response::operation_status::OperationState;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use super::Target;

const USER: &str = "conformance";
const MAX_MESSAGE_BYTES: usize = 128 << 20;
/// Spark's longest errors take more than the 16 KiB that h2 allows by default.
const MAX_HEADER_BYTES: u32 = 256 << 10;

/// A new id, for sessions and operations.
pub(in crate::stub) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Why a call gave nothing.
#[derive(Debug, Clone)]
pub(in crate::stub) struct Failure {
    pub(in crate::stub) code: Code,
    pub(in crate::stub) message: String,
    /// Spark's error class, from the details or, where they are too long, from the message.
    pub(in crate::stub) class: String,
    pub(in crate::stub) metadata: std::collections::HashMap<String, String>,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let metadata = status
            .get_details_error_info()
            .map(|info| info.metadata)
            .unwrap_or_default();
        let bracketed = status
            .message()
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
            .unwrap_or("");
        Self {
            code: status.code(),
            class: metadata
                .get("errorClass")
                .map_or(bracketed, String::as_str)
                .to_owned(),
            message: status.message().to_owned(),
            metadata,
        }
    }
}

/// A stream that was read to its end.
#[derive(Debug, Clone)]
pub(in crate::stub) struct Read {
    pub(in crate::stub) responses: Vec<spark::ExecutePlanResponse>,
    pub(in crate::stub) failure: Option<Failure>,
}

impl Read {
    /// Whether it ended with `result_complete` and no error.
    pub(in crate::stub) fn is_complete(&self) -> bool {
        let last = self.responses.last().and_then(|r| r.response_type.as_ref());
        self.failure.is_none() && matches!(last, Some(ResponseType::ResultComplete(_)))
    }

    /// Spark's error class; empty if it ended without an error.
    pub(in crate::stub) fn class(&self) -> &str {
        self.failure.as_ref().map_or("", |failure| &failure.class)
    }

    pub(in crate::stub) fn ids(&self) -> Vec<&str> {
        self.responses
            .iter()
            .map(|response| response.response_id.as_str())
            .collect()
    }

    /// The batches, with their places among the responses.
    pub(in crate::stub) fn batches(
        &self,
    ) -> Vec<(usize, &spark::execute_plan_response::ArrowBatch)> {
        self.responses
            .iter()
            .enumerate()
            .filter_map(|(at, response)| match &response.response_type {
                Some(ResponseType::ArrowBatch(batch)) => Some((at, batch)),
                _ => None,
            })
            .collect()
    }

    pub(in crate::stub) fn rows(&self) -> i64 {
        self.batches()
            .iter()
            .map(|(_, batch)| batch.row_count)
            .sum()
    }

    pub(in crate::stub) fn progress_reports(&self) -> usize {
        self.responses
            .iter()
            .filter(|r| matches!(r.response_type, Some(ResponseType::ExecutionProgress(_))))
            .count()
    }
}

/// A stream being read.
#[derive(Debug)]
pub(in crate::stub) struct Reading {
    stream: Option<Streaming<spark::ExecutePlanResponse>>,
    read: Read,
}

impl Reading {
    fn new(opened: Result<tonic::Response<Streaming<spark::ExecutePlanResponse>>, Status>) -> Self {
        let (stream, failure) = match opened {
            Ok(response) => (Some(response.into_inner()), None),
            Err(status) => (None, Some(status.into())),
        };
        Self {
            stream,
            read: Read {
                responses: Vec::new(),
                failure,
            },
        }
    }

    /// Reads one more response: its id, or none at the end.
    pub(in crate::stub) async fn next(&mut self) -> Option<String> {
        let stream = self.stream.as_mut()?;
        match stream.message().await {
            Ok(Some(response)) => {
                let id = response.response_id.clone();
                self.read.responses.push(response);
                Some(id)
            }
            Ok(None) => {
                self.stream = None;
                None
            }
            Err(status) => {
                self.stream = None;
                self.read.failure = Some(status.into());
                None
            }
        }
    }

    /// Reads one more response, which must be there.
    pub(in crate::stub) async fn first(&mut self) -> Result<String> {
        let id = self.next().await;
        id.with_context(|| format!("no response: {:?}", self.read.failure))
    }

    /// Reads to the end.
    pub(in crate::stub) async fn rest(mut self) -> Read {
        while self.next().await.is_some() {}
        self.read
    }
}

/// A session over a channel.
#[derive(Debug, Clone)]
pub(in crate::stub) struct Probe {
    client: SparkConnectServiceClient<Channel>,
    pub(in crate::stub) user: String,
    pub(in crate::stub) session: String,
    /// Sent as the observed server-side session id, if set.
    pub(in crate::stub) observed: Option<String>,
}

impl Probe {
    /// A new session over a new channel.
    pub(in crate::stub) async fn open(target: &Target) -> Result<Self> {
        Self::at(target.endpoint()).await
    }

    /// The same at an endpoint, `http://host:port`.
    pub(in crate::stub) async fn at(endpoint: &str) -> Result<Self> {
        Ok(Self {
            client: connect(endpoint).await?,
            user: USER.into(),
            session: new_id(),
            observed: None,
        })
    }

    /// The same session over another channel.
    pub(in crate::stub) async fn elsewhere(&self, target: &Target) -> Result<Self> {
        Ok(Self {
            client: connect(target.endpoint()).await?,
            ..self.clone()
        })
    }

    /// The same session, telling which server-side id was seen.
    pub(in crate::stub) fn observing(&self, observed: &str) -> Self {
        Self {
            observed: Some(observed.to_owned()),
            ..self.clone()
        }
    }

    fn user(&self) -> Option<spark::UserContext> {
        Some(spark::UserContext {
            user_id: self.user.clone(),
            user_name: self.user.clone(),
        })
    }

    /// `ExecutePlan`, reattachable.
    pub(in crate::stub) async fn execute(&self, operation: &str, sql: &str) -> Reading {
        self.execute_with(operation, sql, true, &[]).await
    }

    pub(in crate::stub) async fn execute_with(
        &self,
        operation: &str,
        sql: &str,
        reattachable: bool,
        tags: &[&str],
    ) -> Reading {
        let option = request_option::RequestOption::ReattachOptions;
        let query = spark::Sql {
            query: sql.to_owned(),
        };
        let request = spark::ExecutePlanRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            operation_id: Some(operation.to_owned()),
            plan: Some(spark::Plan {
                op_type: Some(spark::plan::OpType::Root(spark::Relation {
                    common: None,
                    rel_type: Some(spark::relation::RelType::Sql(query)),
                })),
            }),
            client_type: None,
            request_options: vec![RequestOption {
                request_option: Some(option(spark::ReattachOptions { reattachable })),
            }],
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        Reading::new(self.client.clone().execute_plan(request).await)
    }

    /// Runs a statement to its end and releases it, following every stream that is cut.
    pub(in crate::stub) async fn run(&self, sql: &str) -> Result<Read> {
        let operation = new_id();
        let mut read = self.execute(&operation, sql).await.rest().await;
        while read.failure.is_none() && !read.is_complete() {
            let last = read.ids().last().map(|id| (*id).to_owned());
            let more = self.reattach(&operation, last.as_deref()).await;
            let more = more.rest().await;
            ensure!(
                !more.responses.is_empty(),
                "a stream came to nothing: {more:?}"
            );
            read.responses.extend(more.responses);
            read.failure = more.failure;
        }
        self.release(&operation).await?;
        Ok(read)
    }

    pub(in crate::stub) async fn reattach(&self, operation: &str, last: Option<&str>) -> Reading {
        let request = spark::ReattachExecuteRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            operation_id: operation.to_owned(),
            client_type: None,
            last_response_id: last.map(str::to_owned),
        };
        Reading::new(self.client.clone().reattach_execute(request).await)
    }

    pub(in crate::stub) async fn release(&self, operation: &str) -> Result<bool, Failure> {
        use spark::release_execute_request::{Release, ReleaseAll};
        self.let_go(operation, Release::ReleaseAll(ReleaseAll {}))
            .await
    }

    pub(in crate::stub) async fn release_until(
        &self,
        operation: &str,
        response_id: &str,
    ) -> Result<bool, Failure> {
        use spark::release_execute_request::{Release, ReleaseUntil};
        let until = ReleaseUntil {
            response_id: response_id.to_owned(),
        };
        self.let_go(operation, Release::ReleaseUntil(until)).await
    }

    async fn let_go(
        &self,
        operation: &str,
        release: spark::release_execute_request::Release,
    ) -> Result<bool, Failure> {
        let request = spark::ReleaseExecuteRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            operation_id: operation.to_owned(),
            client_type: None,
            release: Some(release),
        };
        let answer = self.client.clone().release_execute(request).await?;
        Ok(answer.into_inner().operation_id.is_some())
    }

    /// `Interrupt` of one operation: what was interrupted.
    pub(in crate::stub) async fn interrupt(&self, operation: &str) -> Result<Vec<String>, Failure> {
        use spark::interrupt_request::{Interrupt, InterruptType};
        let named = Interrupt::OperationId(operation.to_owned());
        self.stop(InterruptType::OperationId, Some(named)).await
    }

    pub(in crate::stub) async fn interrupt_tag(&self, tag: &str) -> Result<Vec<String>, Failure> {
        use spark::interrupt_request::{Interrupt, InterruptType};
        let named = Interrupt::OperationTag(tag.to_owned());
        self.stop(InterruptType::Tag, Some(named)).await
    }

    pub(in crate::stub) async fn interrupt_all(&self) -> Result<Vec<String>, Failure> {
        self.stop(spark::interrupt_request::InterruptType::All, None)
            .await
    }

    async fn stop(
        &self,
        kind: spark::interrupt_request::InterruptType,
        interrupt: Option<spark::interrupt_request::Interrupt>,
    ) -> Result<Vec<String>, Failure> {
        let request = spark::InterruptRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            client_type: None,
            interrupt_type: kind.into(),
            interrupt,
        };
        let answer = self.client.clone().interrupt(request).await?;
        Ok(answer.into_inner().interrupted_ids)
    }

    /// `GetStatus`: server-side session id and the operation's state.
    pub(in crate::stub) async fn status(
        &self,
        operation: &str,
    ) -> Result<(String, OperationState), Failure> {
        let request = spark::GetStatusRequest {
            session_id: self.session.clone(),
            user_context: self.user(),
            client_type: None,
            client_observed_server_side_session_id: self.observed.clone(),
            operation_status: Some(spark::get_status_request::OperationStatusRequest {
                operation_ids: vec![operation.to_owned()],
            }),
        };
        let answer = self.client.clone().get_status(request).await?.into_inner();
        let state = answer
            .operation_statuses
            .first()
            .map_or(OperationState::Unspecified, |status| status.state());
        Ok((answer.server_side_session_id, state))
    }

    /// The operation's state.
    pub(in crate::stub) async fn state(&self, operation: &str) -> Result<OperationState, Failure> {
        self.status(operation).await.map(|(_, state)| state)
    }

    /// `Config`: server-side session id and what came back.
    pub(in crate::stub) async fn config(
        &self,
        operation: OpType,
    ) -> Result<(String, Vec<(String, Option<String>)>), Failure> {
        let request = spark::ConfigRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            operation: Some(spark::config_request::Operation {
                op_type: Some(operation),
            }),
            client_type: None,
        };
        let answer = self.client.clone().config(request).await?.into_inner();
        let pairs = answer.pairs.into_iter().map(|p| (p.key, p.value)).collect();
        Ok((answer.server_side_session_id, pairs))
    }

    pub(in crate::stub) async fn set(&self, key: &str, value: &str) -> Result<(), Failure> {
        let pair = spark::KeyValue {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        let set = spark::config_request::Set {
            pairs: vec![pair],
            silent: None,
        };
        self.config(OpType::Set(set)).await.map(|_| ())
    }

    /// `Config.GetOption` of one key.
    pub(in crate::stub) async fn get(&self, key: &str) -> Result<Option<String>, Failure> {
        let asked = spark::config_request::GetOption {
            keys: vec![key.to_owned()],
        };
        let (_, pairs) = self.config(OpType::GetOption(asked)).await?;
        Ok(pairs.into_iter().next().and_then(|(_, value)| value))
    }

    /// `AnalyzePlan(spark_version)`: server-side session id and version.
    pub(in crate::stub) async fn spark_version(&self) -> Result<(String, String), Failure> {
        let request = spark::AnalyzePlanRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            client_type: None,
            analyze: Some(analyze_plan_request::Analyze::SparkVersion(
                analyze_plan_request::SparkVersion {},
            )),
        };
        let answer = self
            .client
            .clone()
            .analyze_plan(request)
            .await?
            .into_inner();
        let version = match answer.result {
            Some(analyze_plan_response::Result::SparkVersion(version)) => version.version,
            None => String::new(),
        };
        Ok((answer.server_side_session_id, version))
    }

    /// The server-side id of the session, which is made if it is not there.
    pub(in crate::stub) async fn server_id(&self) -> Result<String, Failure> {
        self.spark_version().await.map(|(server_id, _)| server_id)
    }

    pub(in crate::stub) async fn error_details(
        &self,
        error_id: &str,
    ) -> Result<spark::FetchErrorDetailsResponse, Failure> {
        let request = spark::FetchErrorDetailsRequest {
            session_id: self.session.clone(),
            client_observed_server_side_session_id: self.observed.clone(),
            user_context: self.user(),
            error_id: error_id.to_owned(),
            client_type: None,
        };
        let answer = self.client.clone().fetch_error_details(request).await?;
        Ok(answer.into_inner())
    }

    /// `ReleaseSession`: the server-side id it had.
    pub(in crate::stub) async fn close(&self, allow_reconnect: bool) -> Result<String, Failure> {
        let request = spark::ReleaseSessionRequest {
            session_id: self.session.clone(),
            user_context: self.user(),
            client_type: None,
            allow_reconnect,
        };
        let answer = self.client.clone().release_session(request).await?;
        Ok(answer.into_inner().server_side_session_id)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

async fn connect(endpoint: &str) -> Result<SparkConnectServiceClient<Channel>> {
    let endpoint =
        Endpoint::from_shared(endpoint.to_owned())?.http2_max_header_list_size(MAX_HEADER_BYTES);
    let channel = endpoint.connect().await?;
    Ok(SparkConnectServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// Makes sure that a call was refused with that error class.
pub(in crate::stub) fn refused<T: std::fmt::Debug>(
    answer: Result<T, Failure>,
    class: &str,
) -> Result<()> {
    match answer {
        Err(failure) => {
            ensure!(failure.class == class, "{failure} instead of {class}");
            ensure!(failure.code == Code::Internal, "{:?}", failure.code);
            Ok(())
        }
        Ok(answer) => anyhow::bail!("{answer:?} instead of {class}"),
    }
}

/// Makes sure that a stream ended with that error class.
pub(in crate::stub) fn failed(read: &Read, class: &str) -> Result<()> {
    ensure!(
        read.class() == class,
        "{:?} instead of {class}",
        read.failure
    );
    Ok(())
}

/// Makes sure that a stream ended with one of two error classes: which of them is a race in Spark.
pub(in crate::stub) fn failed_either(read: &Read, classes: [&str; 2]) -> Result<()> {
    ensure!(
        classes.contains(&read.class()),
        "{:?} instead of {classes:?}",
        read.failure
    );
    Ok(())
}
