//! The conf that every Spark session gets by default, and what Spark does not let a session set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::registry::Incarnation;

use crate::spark::{Client, SparkError, SparkErrorKind};

/// Default conf of all sessions. Keys that Spark calls static or core are left out once Spark has
/// refused them, and warned of once.
#[derive(Debug, Default)]
pub struct DefaultConf {
    wanted: BTreeMap<String, String>,
    refused: Mutex<BTreeSet<String>>,
    /// Endpoints that were asked whether their tasks know pools.
    asked: Mutex<BTreeSet<String>>,
    task_pools: TaskPools,
}

/// Which endpoints have the interceptor of pools loaded, as far as they have said; a handle, cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub struct TaskPools(Arc<Mutex<BTreeMap<String, bool>>>);

impl TaskPools {
    /// Whether the endpoint has it; `None` while it has not been asked.
    #[must_use]
    pub fn is_loaded(&self, endpoint: &str) -> Option<bool> {
        self.lock().get(endpoint).copied()
    }

    fn note(&self, endpoint: &str, loaded: bool) {
        self.lock().insert(endpoint.to_owned(), loaded);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server is extended with.
const INTERCEPTORS: &str = "spark.connect.grpc.interceptor.classes";
/// The class of `deploy/spark-plugin`, without its package.
const POOL_INTERCEPTOR: &str = "PoolInterceptor";
const SCHEDULER_MODE: &str = "spark.scheduler.mode";

impl DefaultConf {
    /// The conf of `spark.config`, as configured.
    #[must_use]
    pub fn new(wanted: BTreeMap<String, String>) -> Self {
        Self {
            wanted,
            refused: Mutex::default(),
            asked: Mutex::default(),
            task_pools: TaskPools::default(),
        }
    }

    /// What is known of the endpoints' own scheduling.
    #[must_use]
    pub fn task_pools(&self) -> TaskPools {
        self.task_pools.clone()
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
                Ok(incarnation) => {
                    self.look_for_task_pools(client, &incarnation).await;
                    return Ok(incarnation);
                }
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

    /// Says, once per endpoint, if pools end at admission there.
    async fn look_for_task_pools(&self, client: &Client, incarnation: &Incarnation) {
        let endpoint = client.endpoint().name();
        if !lock(&self.asked).insert(endpoint.to_owned()) {
            return;
        }
        let keys = [INTERCEPTORS, SCHEDULER_MODE];
        match client.session(incarnation).config_get(&keys).await {
            Ok(settings) => {
                self.task_pools.note(endpoint, has_interceptor(&settings));
                if let Some(why) = no_task_pools(&settings) {
                    tracing::info!(
                        endpoint,
                        why,
                        "task-level pools are off: started statements share Spark's cores \
                         whatever their pools (deploy/spark-plugin)"
                    );
                }
            }
            Err(error) => {
                tracing::debug!(endpoint, %error, "cannot tell whether task-level pools are on");
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
        lock(&self.refused)
    }
}

fn lock(keys: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why Spark's own scheduler does not know the pools, if it does not.
fn no_task_pools(settings: &BTreeMap<String, String>) -> Option<&'static str> {
    if !has_interceptor(settings) {
        return Some("the server has no pool interceptor");
    }
    (!setting(settings, SCHEDULER_MODE).eq_ignore_ascii_case("FAIR"))
        .then_some("the server's spark.scheduler.mode is not FAIR")
}

fn has_interceptor(settings: &BTreeMap<String, String>) -> bool {
    let mut classes = setting(settings, INTERCEPTORS).split(',');
    classes.any(|class| class.trim().rsplit('.').next() == Some(POOL_INTERCEPTOR))
}

fn setting<'a>(settings: &'a BTreeMap<String, String>, key: &str) -> &'a str {
    settings.get(key).map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_pools_need_the_interceptor_and_fair_mode() {
        for (classes, mode, on) in [
            ("org.libra.spark.PoolInterceptor", "FAIR", true),
            ("a.B, org.libra.spark.PoolInterceptor", "fair", true),
            ("org.libra.spark.PoolInterceptor", "FIFO", false),
            ("org.libra.spark.PoolInterceptor", "", false),
            ("a.B", "FAIR", false),
            ("", "FAIR", false),
        ] {
            let settings = [(INTERCEPTORS, classes), (SCHEDULER_MODE, mode)];
            let settings = settings.into_iter().filter(|(_, value)| !value.is_empty());
            let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(
                no_task_pools(&settings.collect()).is_none(),
                on,
                "{classes}, {mode}"
            );
        }
    }
}
