//! `libra health`: one question to a coordinator's actuator, for health checks of containers, which
//! have no curl.
//!
//! **Invariant:** ends within its time whatever the coordinator does, with 0 only if that has said
//! that it is well.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::FAILED;
use super::arguments::{HealthArguments, Probe};
use super::report::Failure;
use super::rest;

/// An answer of the actuator's health endpoints.
#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    components: BTreeMap<String, Component>,
}

/// A component of it.
#[derive(Debug, Deserialize)]
struct Component {
    status: String,
    #[serde(default)]
    details: BTreeMap<String, Value>,
}

/// A coordinator that is not well.
#[derive(Debug, Error)]
enum Unwell {
    /// It does not answer, or not in time, or is no coordinator.
    #[error("{url} does not answer as a coordinator does")]
    Silent {
        /// Where it was asked.
        url: String,
        /// What came instead.
        #[source]
        source: reqwest::Error,
    },
    /// It says so.
    #[error("{status}{reasons}")]
    Says {
        /// What it says: `DOWN`, `OUT_OF_SERVICE`.
        status: String,
        /// Which of its components are not well, and why, as far as it tells.
        reasons: String,
    },
}

/// Asks, and prints what the coordinator says in one line.
pub(super) async fn health(arguments: HealthArguments) -> Result<(), Failure> {
    let limit = Duration::from_secs(arguments.timeout_seconds);
    let status = ask(&arguments.url, arguments.probe, limit)
        .await
        .map_err(|e| Failure::new(FAILED, &e))?;
    // The exit code is the answer; whoever has closed standard output does not want the line.
    let _ = writeln!(io::stdout(), "{status}");
    Ok(())
}

async fn ask(url: &str, probe: Probe, limit: Duration) -> Result<String, Unwell> {
    let path = match probe {
        Probe::Liveness => "/liveness",
        Probe::Readiness => "/readiness",
        Probe::Whole => "",
    };
    let url = format!("{}/actuator/health{path}", url.trim_end_matches('/'));
    let asked = async {
        // A proxy of the environment knows nothing of this machine's coordinator.
        let http = rest::client(&url).no_proxy().timeout(limit).build()?;
        let answer = http.get(&url).send().await?;
        // Any other code is not the actuator's, and its body is not either.
        let answer = match answer.status() {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => answer,
            _ => answer.error_for_status()?,
        };
        let is_well = answer.status() == StatusCode::OK;
        Ok((is_well, answer.json::<Answer>().await?))
    };
    let (is_well, answer) = match asked.await {
        Ok(answer) => answer,
        Err(source) => {
            return Err(Unwell::Silent {
                url,
                source: reqwest::Error::without_url(source),
            });
        }
    };
    if is_well && answer.status == "UP" {
        return Ok(answer.status);
    }
    Err(Unwell::Says {
        reasons: reasons(&answer.components),
        status: answer.status,
    })
}

/// `, spark DOWN, readinessState OUT_OF_SERVICE: no leader answers`.
fn reasons(components: &BTreeMap<String, Component>) -> String {
    let unwell = components.iter().filter(|(_, it)| it.status != "UP");
    let said = unwell.map(|(name, it)| {
        let reason = it.details.get("reason").and_then(Value::as_str);
        let reason = reason.map(|reason| format!(": {reason}"));
        format!(", {name} {}{}", it.status, reason.unwrap_or_default())
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    /// As the command's start does for all of its parts.
    fn with_cryptography() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    /// A coordinator that answers every health question in one way.
    async fn answering(code: u16, body: &'static str) -> String {
        with_cryptography();
        let code = StatusCode::from_u16(code).unwrap();
        let routes = ["", "/readiness", "/liveness"].map(|path| format!("/actuator/health{path}"));
        let router = routes.iter().fold(Router::new(), |router, path| {
            let answer = move |uri: http::Uri| async move {
                let body = body.replace("PATH", uri.path());
                (code, [("content-type", "application/json")], body)
            };
            router.route(path, get(answer))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn asked(code: u16, body: &'static str) -> Result<String, String> {
        let url = answering(code, body).await;
        let said = ask(&url, Probe::Readiness, LIMIT).await;
        said.map_err(|e| e.to_string().replace(&url, "URL/"))
    }

    #[tokio::test]
    async fn only_an_up_is_well() {
        let cases = [
            (200, r#"{"status":"UP"}"#, Ok("UP")),
            (
                503,
                r#"{"status":"OUT_OF_SERVICE","components":{"readinessState":
                    {"status":"OUT_OF_SERVICE","details":{"reason":"no leader answers"}}}}"#,
                Err("OUT_OF_SERVICE, readinessState OUT_OF_SERVICE: no leader answers"),
            ),
            (
                503,
                r#"{"status":"DOWN","components":{"disk":{"status":"UP"},"spark":{"status":"DOWN","details":{"reason":7}}}}"#,
                Err("DOWN, spark DOWN"),
            ),
            // Neither code nor text alone.
            (503, r#"{"status":"UP"}"#, Err("UP")),
            (200, r#"{"status":"DOWN"}"#, Err("DOWN")),
        ];
        for (code, body, expected) in cases {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(asked(code, body).await, expected, "{body}");
        }
        let silent =
            Err("URL/actuator/health/readiness does not answer as a coordinator does".to_owned());
        for (code, body) in [
            (200, "<html>"),
            (404, r#"{"status":"UP"}"#),
            (500, ""),
            (200, "{}"),
        ] {
            assert_eq!(asked(code, body).await, silent, "{code} {body}");
        }
    }

    #[tokio::test]
    async fn each_probe_has_its_own_question() {
        let url = answering(503, r#"{"status":"PATH"}"#).await;
        for (probe, path) in [
            (Probe::Liveness, "/actuator/health/liveness"),
            (Probe::Readiness, "/actuator/health/readiness"),
            (Probe::Whole, "/actuator/health"),
        ] {
            let said = ask(&url, probe, LIMIT).await;
            assert_eq!(said.unwrap_err().to_string(), path);
        }
    }

    #[tokio::test]
    async fn silence_ends_in_time() {
        with_cryptography();
        // Connections are taken up by the kernel, and nobody answers.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let said = ask(&url, Probe::Liveness, Duration::from_millis(50)).await;
        assert!(matches!(said, Err(Unwell::Silent { source, .. }) if source.is_timeout()));
        drop(listener);
        let said = ask(&url, Probe::Liveness, LIMIT).await;
        assert!(matches!(said, Err(Unwell::Silent { source, .. }) if source.is_connect()));
    }
}
