//! The first contact with a server: the only place that speaks without an observed server-side
//! session id, because it is what learns it.

use std::collections::BTreeMap;
use std::time::Duration;

use libra_proto::registry::Incarnation;
use libra_proto::spark::{
    AnalyzePlanRequest, AnalyzePlanResponse, analyze_plan_request, analyze_plan_response,
};

use super::client::{Client, Rpc, user_context};
use super::error::SparkError;
use super::{time_text, ui};

const APP_ID: &str = "spark.app.id";
/// How long Spark remembers the ids of ended operations. A Spark that does not have the setting
/// does not have the memory.
const MEMORY: &str = "spark.connect.session.inactiveOperations.cacheExpiration";
/// How long Spark keeps a session that nobody calls.
const SESSION_TIMEOUT: &str = "spark.connect.session.manager.defaultSessionTimeout";
/// The first Spark with that memory.
const REMEMBERS_SINCE: (u32, u32) = (4, 1);
/// How long the search for Spark's own UI may take.
const UI_LIMIT: Duration = Duration::from_secs(1);

impl Client {
    /// Opens the Spark session `spark_session_id` (a UUID), or finds it if it is open already, and
    /// sets `conf` in it. What is returned has no `opened_at_ms`: that is the committer's to say.
    ///
    /// # Errors
    /// [`SparkErrorKind::Conf`](super::SparkErrorKind::Conf) names the key that Spark does not let
    /// a session set; otherwise as any call.
    ///
    /// # Cancel safety
    /// May be dropped and called again: the session may be open by then, without all its conf.
    pub async fn open(
        &self,
        spark_session_id: &str,
        conf: &BTreeMap<String, String>,
    ) -> Result<Incarnation, SparkError> {
        let first = self.greet(spark_session_id).await?;
        let version = match first.result {
            Some(analyze_plan_response::Result::SparkVersion(version)) => version.version,
            None => return Err(self.refuse("gives no version")),
        };
        if first.session_id != spark_session_id {
            return Err(self.refuse("answers for another session"));
        }
        if first.server_side_session_id.is_empty() {
            return Err(self.refuse("gives no server-side session id (Spark 4.0 or later does)"));
        }
        let mut incarnation = Incarnation {
            spark_session_id: spark_session_id.to_owned(),
            server_side_session_id: first.server_side_session_id,
            spark_user_id: self.endpoint().user_id().to_owned(),
            spark_version: version,
            ..Incarnation::default()
        };
        let session = self.session(&incarnation);
        let keys = [
            APP_ID,
            MEMORY,
            SESSION_TIMEOUT,
            ui::ENABLED,
            ui::HOST,
            ui::PORT,
        ];
        let settings = session.config_get(&keys).await?;
        let setting = |key| settings.get(key).map(String::as_str).unwrap_or_default();
        incarnation.app_id = setting(APP_ID).to_owned();
        let has_memory = settings.contains_key(MEMORY);
        incarnation.remembers_operations = has_memory && is_remembering_spark(&incarnation);
        incarnation.session_timeout_ms = time_text::millis(setting(SESSION_TIMEOUT)).unwrap_or(0);
        session.config_set(conf).await?;
        let place = ui::Place::of(&settings);
        incarnation.spark_ui_url = ui::find(place, &incarnation.app_id, UI_LIMIT)
            .await
            .unwrap_or_default();
        Ok(incarnation)
    }

    async fn greet(&self, spark_session_id: &str) -> Result<AnalyzePlanResponse, SparkError> {
        let version = analyze_plan_request::SparkVersion {};
        let message = AnalyzePlanRequest {
            session_id: spark_session_id.to_owned(),
            client_observed_server_side_session_id: None,
            user_context: user_context(self.endpoint().user_id()),
            client_type: Some(self.client_type()),
            analyze: Some(analyze_plan_request::Analyze::SparkVersion(version)),
        };
        let call = |mut rpc: Rpc, request| async move { rpc.analyze_plan(request).await };
        let answer = self.unary("AnalyzePlan", self.options().open_timeout, message, call);
        let answer = answer.await;
        answer.map_err(|status| SparkError::of(&self.place("AnalyzePlan"), &status))
    }

    fn refuse(&self, what: &str) -> SparkError {
        SparkError::protocol(&format!("{} {what}", self.place("the server")))
    }
}

/// Whether the server is a Spark that refuses a repeated operation id even after its release: 4.1
/// and later do. An engine that merely speaks the protocol gives the version and the defaults of
/// whatever Spark it imitates (Sail 0.7 does), but has no application, and no id of its own for
/// its side of the session by which a restart could be noticed.
fn is_remembering_spark(incarnation: &Incarnation) -> bool {
    let version = major_minor(&incarnation.spark_version);
    version.is_some_and(|version| version >= REMEMBERS_SINCE)
        && !incarnation.app_id.is_empty()
        && incarnation.server_side_session_id != incarnation.spark_session_id
}

/// The first two numbers of `4.3.0`, `4.1.0-SNAPSHOT`, `4.2.0.vendor7`.
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_spark_with_a_memory_remembers() {
        for (version, app_id, server_side, expected) in [
            ("4.3.0", "local-1", "b", true),
            ("4.1.0", "local-1", "b", true),
            ("4.1.0-SNAPSHOT", "local-1", "b", true),
            ("4.10.2.vendor7", "local-1", "b", true),
            ("10.0.0", "local-1", "b", true),
            ("4.0.1", "local-1", "b", false),
            ("3.5.6", "local-1", "b", false),
            // As Sail answers.
            ("4.1.1", "", "a", false),
            ("4.1.1", "", "b", false),
            ("4.1.1", "local-1", "a", false),
            ("", "local-1", "b", false),
            ("4", "local-1", "b", false),
            ("4.x", "local-1", "b", false),
            ("v4.1", "local-1", "b", false),
            ("4.99999999999", "local-1", "b", false),
        ] {
            let incarnation = Incarnation {
                spark_session_id: "a".to_owned(),
                server_side_session_id: server_side.to_owned(),
                spark_version: version.to_owned(),
                app_id: app_id.to_owned(),
                ..Incarnation::default()
            };
            let remembers = is_remembering_spark(&incarnation);
            assert_eq!(remembers, expected, "{version} {app_id} {server_side}");
        }
    }
}
