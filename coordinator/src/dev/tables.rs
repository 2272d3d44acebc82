//! The guide's tables, made through the coordinator's own REST API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DevError;
use super::console::Step;
use crate::service::ErrorCode;

/// Name, rows and definition of each table.
const TABLES: [(&str, &str); 2] = [
    (
        "mydata",
        "CREATE TABLE IF NOT EXISTS mydata USING parquet AS \
         SELECT id, concat('name-', id) AS name, \
         CAST(id * 1.25 AS decimal(12, 2)) AS amount, \
         date_add(DATE'2025-01-01', CAST(id % 365 AS int)) AS day \
         FROM range(1, 1001)",
    ),
    (
        "large_table",
        "CREATE TABLE IF NOT EXISTS large_table USING parquet AS \
         SELECT id, concat('category-', id % 10) AS category, \
         CAST(id % 100000 / 100 AS decimal(12, 2)) AS amount, \
         timestamp_seconds(1735689600 + id * 30) AS at \
         FROM range(1, 1000001)",
    ),
];

/// How long one table may take, a cold Spark included.
const TABLE_LIMIT: Duration = Duration::from_secs(300);
/// How long a request may take: the longest poll and then some.
const REQUEST_LIMIT: Duration = Duration::from_secs(45);
/// How long the coordinator may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How often readiness is looked at.
const TICK: Duration = Duration::from_millis(100);
/// A statement of a fresh start may meet the end of the session that the last start left.
const ATTEMPTS: u32 = 4;
/// A shared session that was left on a port which is another's now fails, and is opened anew by the
/// coordinator within seconds.
const REOPEN_LIMIT: Duration = Duration::from_secs(30);

/// The coordinator's REST API.
pub(super) struct Rest {
    client: reqwest::Client,
    base: String,
}

impl Rest {
    /// For the coordinator at `base`, such as `http://127.0.0.1:8080`.
    pub(super) fn new(base: &str) -> Result<Self, DevError> {
        // Harmless if a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(REQUEST_LIMIT)
            .build()
            .map_err(|e| rest("making an HTTP client", &e))?;
        Ok(Self {
            client,
            base: base.to_owned(),
        })
    }

    /// Waits until the coordinator takes statements.
    pub(super) async fn until_ready(&self) -> Result<(), DevError> {
        let url = format!("{}/actuator/health/readiness", self.base);
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let answer = self.client.get(&url).send().await;
            let problem = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => format!("{} after {} s", answer.status(), READY_LIMIT.as_secs()),
                Err(e) => e.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(DevError::Rest {
                    what: "waiting for the coordinator".to_owned(),
                    problem,
                });
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Makes the guide's tables in a session.
    pub(super) async fn make_tables(&self, session: &str, step: &Step) -> Result<(), DevError> {
        for (table, code) in TABLES {
            step.now(&format!("making the table {table}"));
            self.run(&format!("making the table {table}"), session, code)
                .await?;
        }
        Ok(())
    }

    /// Closes a session, if it can be closed.
    pub(super) async fn close(&self, session: &str) {
        let url = format!("{}/api/v1/sessions/{session}", self.base);
        // It would end by itself in time: nothing depends on it.
        let _ = self.client.delete(url).send().await;
    }

    /// Runs a statement that may run twice, until it has succeeded.
    async fn run(&self, what: &str, session: &str, code: &str) -> Result<(), DevError> {
        let mut problem = String::new();
        for _ in 0..ATTEMPTS {
            let statement = self.submit(what, session, code).await?;
            let statement = self.until_ended(what, statement).await?;
            if statement["state"] == "succeeded" {
                return Ok(());
            }
            problem = format!("{}: {}", statement["state"], statement["error"]);
            let class = statement["error"]["errorClass"]
                .as_str()
                .unwrap_or_default();
            if !class.starts_with("LIBRA_") {
                break;
            }
        }
        Err(DevError::Rest {
            what: what.to_owned(),
            problem,
        })
    }

    async fn submit(&self, what: &str, session: &str, code: &str) -> Result<Value, DevError> {
        let url = format!("{}/api/v1/sessions/{session}/statements?wait=30", self.base);
        let failed = format!(r#""code":"{}""#, ErrorCode::SessionFailed.kind().name);
        let deadline = Instant::now() + REOPEN_LIMIT;
        loop {
            let request = self.client.post(&url).json(&json!({
                "code": code,
                "kind": "sql",
                "description": "libra dev",
            }));
            match answer(what, request).await {
                Err(DevError::Rest { problem, .. })
                    if problem.contains(&failed) && Instant::now() < deadline =>
                {
                    tokio::time::sleep(TICK).await;
                }
                answer => return answer,
            }
        }
    }

    async fn until_ended(&self, what: &str, mut statement: Value) -> Result<Value, DevError> {
        let deadline = Instant::now() + TABLE_LIMIT;
        while matches!(statement["state"].as_str(), Some("queued" | "running")) {
            if Instant::now() >= deadline {
                return Err(DevError::Rest {
                    what: what.to_owned(),
                    problem: format!("not done after {} s", TABLE_LIMIT.as_secs()),
                });
            }
            let job = statement["jobId"].as_str().unwrap_or_default();
            let url = format!("{}/api/v1/statements/{job}?wait=30&rows=0", self.base);
            statement = answer(what, self.client.get(url)).await?;
        }
        Ok(statement)
    }
}

async fn answer(what: &str, request: reqwest::RequestBuilder) -> Result<Value, DevError> {
    let answer = request.send().await.map_err(|e| rest(what, &e))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|e| rest(what, &e))?;
    let problem = |problem: String| DevError::Rest {
        what: what.to_owned(),
        problem,
    };
    if !status.is_success() {
        return Err(problem(format!("{status}: {text}")));
    }
    serde_json::from_str(&text).map_err(|e| problem(format!("no JSON: {e}")))
}

fn rest(what: &str, e: &reqwest::Error) -> DevError {
    DevError::Rest {
        what: what.to_owned(),
        problem: e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;

    use super::*;

    /// Refuses twice with a problem's code, then takes everything.
    async fn refusing(code: &'static str) -> Rest {
        let asked = Arc::new(AtomicU32::new(0));
        let answer = move || {
            let asked = asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = match asked {
                0 | 1 => (StatusCode::CONFLICT, json!({"code": code})),
                _ => (StatusCode::OK, json!({"state": "succeeded"})),
            };
            async move { (status, axum::Json(body)) }
        };
        let router = Router::new().route("/api/v1/sessions/default/statements", post(answer));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Rest::new(&base).unwrap()
    }

    #[tokio::test]
    async fn a_failed_session_is_waited_for_and_nothing_else() {
        let submit = async |code| refusing(code).await.submit("t", "default", "x").await;
        assert_eq!(
            submit("session-failed").await.unwrap()["state"],
            "succeeded"
        );
        let e = submit("session-closed").await.unwrap_err();
        assert!(e.to_string().contains("409"), "{e}");
    }
}
