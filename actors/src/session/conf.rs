//! The conf that every Spark session gets by default, and what Spark does not let a session set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libra_proto::registry::Incarnation;

use crate::spark::{Client, SparkError, SparkErrorKind};

/// Default conf of all sessions. Keys that Spark calls static or core are left out once Spark has
/// refused them, and warned of once.
#[derive(Debug, Default)]
pub struct DefaultConf {
    wanted: BTreeMap<String, String>,
    refused: Mutex<BTreeSet<String>>,
}

impl DefaultConf {
    /// The conf of `spark.config`, as configured.
    #[must_use]
    pub fn new(wanted: BTreeMap<String, String>) -> Self {
        Self {
            wanted,
            refused: Mutex::default(),
        }
    }

    /// Opens a Spark session with the defaults and, over them, the session's own conf.
    ///
    /// # Errors
    /// As [`Client::open`]; a refused key is an error only if it is the session's own.
    pub(crate) async fn open(
        &self,
        client: &Client,
        spark_session_id: &str,
        own: &BTreeMap<String, String>,
    ) -> Result<Incarnation, SparkError> {
        // Each round leaves out one more key, so the rounds are bounded by the keys.
        loop {
            match client.open(spark_session_id, &self.with(own)).await {
                Ok(incarnation) => return Ok(incarnation),
                Err(error) => match &error.kind {
                    SparkErrorKind::Conf { key }
                        if !own.contains_key(key) && self.leave_out(key) =>
                    {
                        self.warn(key, &error);
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    fn with(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let refused = self.refused();
        let defaults = self
            .wanted
            .iter()
            .filter(|(key, _)| !refused.contains(*key));
        defaults
            .chain(own)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// False if the key was left out before: then it is not what Spark refuses.
    fn leave_out(&self, key: &str) -> bool {
        self.refused().insert(key.to_owned())
    }

    fn warn(&self, key: &str, error: &SparkError) {
        let wanted = self.wanted.get(key).map_or("", String::as_str);
        tracing::warn!(key, wanted, reason = %error.error.message,
            "spark.config key is not a session's to set; the Spark server's own value holds");
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
