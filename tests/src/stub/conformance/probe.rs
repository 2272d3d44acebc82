//! A raw client: one session over one channel, every answer kept as it came.

use anyhow::{Result, ensure};
use libra_proto::spark::config_request::operation::OpType;
use libra_proto::spark::execute_plan_request::{RequestOption, request_option};
use libra_proto::spark::spark_connect_service_client::SparkConnectServiceClient;
use libra_proto::spark::{self, analyze_plan_request, analyze_plan_response};
use spark::get_status_response::operation_status::OperationState;
use tonic::transport::{Channel, Endpoint};

use super::Target;
use super::reading::{Failure, Read, Reading};

const USER: &str = "conformance";
const MAX_MESSAGE_BYTES: usize = 128 << 20;
/// Spark's longest errors take more than the 16 KiB that h2 allows by default.
const MAX_HEADER_BYTES: u32 = 256 << 10;

/// A new id, for sessions and operations.
pub(in crate::stub) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
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

async fn connect(endpoint: &str) -> Result<SparkConnectServiceClient<Channel>> {
    let endpoint =
        Endpoint::from_shared(endpoint.to_owned())?.http2_max_header_list_size(MAX_HEADER_BYTES);
    let channel = endpoint.connect().await?;
    Ok(SparkConnectServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}
