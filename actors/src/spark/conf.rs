//! The conf of a session in Spark.

use std::collections::BTreeMap;

use libra_proto::spark::config_request::{GetAll, GetOption, Operation, Set, operation::OpType};
use libra_proto::spark::{ConfigRequest, ConfigResponse, KeyValue};

use super::client::Rpc;
use super::error::{SparkError, SparkErrorKind};
use super::session::SparkSession;

impl SparkSession {
    /// Shows Spark that the session is wanted, and this side that Spark is there and the same.
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is gone.
    pub async fn keep_alive(&self) -> Result<(), SparkError> {
        self.config_get(&["spark.app.id"]).await.map(drop)
    }

    /// The values of those of `keys` that have one, defaults included.
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is gone.
    pub async fn config_get(&self, keys: &[&str]) -> Result<BTreeMap<String, String>, SparkError> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.config(OpType::GetOption(GetOption { keys }))
            .await
            .map(values)
    }

    /// Every key that is set in the session or for the driver; no defaults.
    ///
    /// # Errors
    /// When Spark gives no answer in time, or the session is gone.
    pub async fn get_all(&self) -> Result<BTreeMap<String, String>, SparkError> {
        self.config(OpType::GetAll(GetAll { prefix: None }))
            .await
            .map(values)
    }

    /// Sets conf of the session.
    ///
    /// # Errors
    /// [`SparkErrorKind::Conf`] names the key that Spark refuses; the others may be set by then.
    pub async fn config_set(&self, conf: &BTreeMap<String, String>) -> Result<(), SparkError> {
        if conf.is_empty() {
            return Ok(());
        }
        match self.config(set(conf)).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind == SparkErrorKind::Statement => {}
            Err(error) => return Err(error),
        }
        // Not every refusal names its key: one by one the culprit is found.
        for (key, value) in conf {
            let one = BTreeMap::from([(key.clone(), value.clone())]);
            self.config(set(&one))
                .await
                .map_err(|error| error.for_conf(key))?;
        }
        Ok(())
    }

    async fn config(&self, operation: OpType) -> Result<ConfigResponse, SparkError> {
        let message = ConfigRequest {
            session_id: self.session_id(),
            client_observed_server_side_session_id: self.observed(),
            user_context: self.user_context(),
            operation: Some(Operation {
                op_type: Some(operation),
            }),
            client_type: self.client_type(),
        };
        let call = |mut rpc: Rpc, request| async move { rpc.config(request).await };
        self.unary("Config", message, call).await
    }
}

fn set(conf: &BTreeMap<String, String>) -> OpType {
    let pair = |(key, value): (&String, &String)| KeyValue {
        key: key.clone(),
        value: Some(value.clone()),
    };
    OpType::Set(Set {
        pairs: conf.iter().map(pair).collect(),
        silent: None,
    })
}

fn values(answer: ConfigResponse) -> BTreeMap<String, String> {
    answer
        .pairs
        .into_iter()
        .filter_map(|pair| Some((pair.key, pair.value?)))
        .collect()
}
