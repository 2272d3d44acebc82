//! The stub's side door, HTTP and JSON, for tests that run it as a process.
//!
//! | Request | What it does |
//! |---|---|
//! | `GET /ledger` | every execution |
//! | `GET /ledger/operations/{id}` | the executions of one operation |
//! | `GET /ledger/counts` | executions by statement, and operations that ran more than once |
//! | `GET /ledger/speakers` | which node spoke for which session, in turns |
//! | `GET /state` | incarnation, open sessions, settings, network mode |
//! | `PATCH /settings` | changes the settings named in the body |
//! | `POST /restart` | kills the driver |
//! | `POST /connections/reset` | resets every connection |
//! | `PUT /net` | `{"mode": "open" \| "refuse" \| "black_hole"}` |
//! | `POST /faults`, `DELETE /faults` | adds a [`Fault`], takes all back |

use std::io;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::engine::Execution;
use super::faults::Fault;
use super::net::Mode;
use super::server::{Shared, StubSpark};
use super::speakers::Turn;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetRequest {
    mode: Mode,
}

/// Serves the side door of a stub until the listener fails.
///
/// # Errors
/// What the listener fails with.
///
/// # Cancel safety
/// Dropping the future closes the door; the stub goes on.
pub async fn serve(stub: &StubSpark, listener: TcpListener) -> io::Result<()> {
    let router = Router::new()
        .route("/ledger", get(ledger))
        .route("/ledger/operations/{id}", get(operation))
        .route("/ledger/counts", get(counts))
        .route("/ledger/speakers", get(speakers))
        .route("/state", get(state))
        .route("/settings", patch(settings))
        .route("/restart", post(restart))
        .route("/connections/reset", post(reset))
        .route("/net", put(net))
        .route("/faults", post(add_fault).delete(clear_faults))
        .with_state(stub.shared().clone());
    axum::serve(listener, router).await
}

async fn ledger(State(shared): State<Arc<Shared>>) -> Json<Vec<Execution>> {
    Json(shared.with(|engine, now| engine.ledger(now).executions().to_vec()))
}

async fn operation(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Json<Vec<Execution>> {
    Json(shared.with(|engine, now| {
        let ledger = engine.ledger(now);
        ledger.of_operation(&id).into_iter().cloned().collect()
    }))
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.with(|engine, now| {
        let ledger = engine.ledger(now);
        let codes: Vec<_> = ledger
            .counts_by_code()
            .iter()
            .map(|(code, count)| json!({"code": code.as_ref(), "count": count}))
            .collect();
        let repeated: Vec<_> = ledger
            .repeated_operations()
            .into_iter()
            .map(|(id, count)| json!({"operation_id": id, "count": count}))
            .collect();
        let executions = ledger.executions().len();
        json!({"executions": executions, "codes": codes, "repeated_operations": repeated})
    }))
}

async fn speakers(State(shared): State<Arc<Shared>>) -> Json<Vec<Turn>> {
    Json(shared.speakers.turns())
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mode = shared.net.mode();
    Json(shared.with(|engine, _| {
        let sessions: Vec<_> = engine
            .open_sessions()
            .into_iter()
            .map(|(key, server_id)| {
                json!({
                    "user_id": key.user_id,
                    "session_id": key.session_id,
                    "server_side_session_id": server_id,
                })
            })
            .collect();
        json!({
            "incarnation": engine.incarnation(),
            "sessions": sessions,
            "settings": engine.settings(),
            "net": mode,
        })
    }))
}

async fn settings(
    State(shared): State<Arc<Shared>>,
    Json(changes): Json<Value>,
) -> Result<Json<Value>, (StatusCode, String)> {
    match shared.change_settings(changes) {
        Ok(settings) => Ok(Json(json!(settings))),
        Err(reason) => Err((StatusCode::BAD_REQUEST, reason)),
    }
}

async fn restart(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.restart();
    StatusCode::NO_CONTENT
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.net.reset_connections();
    StatusCode::NO_CONTENT
}

async fn net(State(shared): State<Arc<Shared>>, Json(request): Json<NetRequest>) -> StatusCode {
    shared.net.set_mode(request.mode);
    StatusCode::NO_CONTENT
}

async fn add_fault(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) -> StatusCode {
    shared.faults.add(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}
