//! A whole body for each request and each answer.
//!
//! Those in `examples.json` are written by hand, by operation and status (`request` for the
//! request's); refusals are made by the server's own code.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::Operation;

use crate::http::problem::{PROBLEM_JSON, Problem};
use crate::service::ErrorCode;

/// Bodies by media type, by status, by operation.
type Bodies = BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>;

// A text that does not parse would leave the document without examples; a test reads it.
static BODIES: LazyLock<Bodies> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// Puts an example to every body of the operation that has one.
pub(super) fn put(path: &str, method: &str, operation: &mut Operation) {
    let own = BODIES.get(&format!("{method} {path}"));
    let body = |status: &str, kind: &str| own?.get(status)?.get(kind).cloned();
    if let Some(RefOr::T(request)) = &mut operation.request_body {
        for (kind, content) in &mut request.content {
            if let RefOr::T(content) = content {
                content.example = body("request", kind);
            }
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        for (kind, content) in &mut response.content {
            let RefOr::T(content) = content else {
                continue;
            };
            content.example = if kind == PROBLEM_JSON {
                refusal(path, method, status)
            } else {
                body(status, kind)
            };
        }
    }
}

fn refusal(path: &str, method: &str, status: &str) -> Option<Value> {
    let (code, detail) = code(path, method, status)?;
    let id = "5f1c7a3e-0d0b-4f5e-9a53-0c9f7d8f2b11";
    let body = Problem::new(code, detail).body(&instance(path), Some(id));
    serde_json::to_value(body).ok()
}

/// The path with its parameters filled in.
fn instance(path: &str) -> String {
    let path = path.replace("{sessionId}", "user-alice");
    path.replace("{jobId}", "job-17")
        .replace("{name}", "nightly")
}

/// The most likely reason for a refusal.
fn code(path: &str, method: &str, status: &str) -> Option<(ErrorCode, &'static str)> {
    Some(match status {
        "400" => (
            ErrorCode::InvalidRequest,
            "`limit` is `0`, allowed: a whole number from 1 to 1000",
        ),
        "404" => missing(path),
        "406" => (
            ErrorCode::NotAcceptable,
            "`Accept: text/html` names no form that this path has",
        ),
        "409" => conflict(path, method),
        "413" => (
            ErrorCode::BodyTooLarge,
            "the body has 5000000 bytes, at most 4194304 bytes are allowed",
        ),
        "414" => (
            ErrorCode::UriTooLong,
            "URI: 9000 bytes, at most 8192 are allowed",
        ),
        "415" => (
            ErrorCode::UnsupportedMediaType,
            "`Content-Type: text/plain` is not understood, send `Content-Type: application/json`",
        ),
        "422" => (
            ErrorCode::IdempotencyMismatch,
            "the Idempotency-Key came with another body before",
        ),
        "429" if method == "POST" && path.ends_with("/sessions") => (
            ErrorCode::TooManySessions,
            "there are 10 sessions, as many as libra.session.max-sessions allows",
        ),
        "429" if method == "POST" && path.ends_with("/statements") => (
            ErrorCode::QueueFull,
            "10000 statements wait in the pool, as many as libra.scheduler.max-queued allows",
        ),
        "429" => (
            ErrorCode::TooManyRequests,
            "as many requests at once as allowed",
        ),
        "431" => (
            ErrorCode::HeadersTooLarge,
            "headers: 40000 bytes, at most 32768 are allowed",
        ),
        "500" => (ErrorCode::Internal, "internal error"),
        "503" => (ErrorCode::NoLeader, "no leader was found within 2 s"),
        "504" => (ErrorCode::DeadlineExceeded, "no answer within 90 s"),
        _ => return None,
    })
}

fn missing(path: &str) -> (ErrorCode, &'static str) {
    if path.contains("{jobId}") {
        (
            ErrorCode::StatementNotFound,
            "there is no statement `job-17`",
        )
    } else if path.contains("{sessionId}") {
        (
            ErrorCode::SessionNotFound,
            "there is no session `user-alice`",
        )
    } else if path.contains("/pools/") {
        (ErrorCode::PoolNotFound, "there is no pool `nightly`")
    } else if path.contains("/metrics/") {
        (ErrorCode::MetricNotFound, "there is no metric `nightly`")
    } else {
        (ErrorCode::NotFound, "there is nothing at this path")
    }
}

fn conflict(path: &str, method: &str) -> (ErrorCode, &'static str) {
    if path.ends_with("/result") {
        (
            ErrorCode::StatementNotFinished,
            "`job-17` is running; its result can be read when it has ended",
        )
    } else if path.contains("/pools/") {
        (ErrorCode::PoolInUse, "3 statements are in the pool")
    } else if path.ends_with("/statements") {
        (
            ErrorCode::SessionClosed,
            "the session `user-alice` is closing",
        )
    } else if method == "POST" {
        (ErrorCode::SessionTaken, "there is a session `user-alice`")
    } else {
        (
            ErrorCode::ModeShared,
            "in SHARED mode the session `default` stays",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::http::model::{CreateSessionBody, PutPoolBody, SubmitBody};

    fn document() -> Value {
        serde_json::to_value(super::super::whole()).unwrap()
    }

    /// Every body of the document: where, its schema, its example.
    fn bodies(document: &Value) -> Vec<(String, Value, Value)> {
        let mut all = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let requests = operation.get("requestBody").map(|body| ("request", body));
                let responses = operation["responses"].as_object().unwrap();
                let responses = responses.iter().map(|(status, r)| (status.as_str(), r));
                for (what, body) in requests.into_iter().chain(responses) {
                    let contents = body.get("content").and_then(Value::as_object);
                    for (kind, content) in contents.into_iter().flatten() {
                        all.push((
                            format!("{method} {path} {what} {kind}"),
                            content["schema"].clone(),
                            content.get("example").cloned().unwrap_or(Value::Null),
                        ));
                    }
                }
            }
        }
        all
    }

    /// What is wrong with a value: enough of JSON Schema for what the models need.
    fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let pointer = name.trim_start_matches('#');
            let target = document.pointer(pointer).unwrap();
            return wrong(document, target, value, at);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = |s: &&Value| wrong(document, s, value, at).is_empty();
            return match choices.iter().find(fits) {
                Some(_) => Vec::new(),
                None => vec![format!("{at}: {value} fits none of {schema}")],
            };
        }
        let kinds = match &schema["type"] {
            Value::String(kind) => vec![kind.clone()],
            Value::Array(kinds) => kinds
                .iter()
                .map(|k| k.as_str().unwrap().to_owned())
                .collect(),
            _ => return Vec::new(),
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(n) if n.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !kinds
            .iter()
            .any(|k| k == kind || (k == "number" && kind == "integer"))
        {
            return vec![format!("{at}: {value} is {kind}, not {kinds:?}")];
        }
        match value {
            Value::Array(items) => items
                .iter()
                .flat_map(|item| wrong(document, &schema["items"], item, at))
                .collect(),
            Value::Object(fields) => wrong_fields(document, schema, fields, at),
            _ => Vec::new(),
        }
    }

    fn wrong_fields(
        document: &Value,
        schema: &Value,
        fields: &serde_json::Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let mut found = Vec::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for name in required.iter().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                found.push(format!("{at}: {name} is missing"));
            }
        }
        let Some(properties) = schema["properties"].as_object() else {
            return found;
        };
        for (name, value) in fields {
            match properties.get(name) {
                None => found.push(format!("{at}: {name} is no field")),
                Some(schema) => {
                    found.extend(wrong(document, schema, value, &format!("{at}.{name}")));
                }
            }
        }
        found
    }

    #[test]
    fn every_body_has_an_example_that_fits_its_schema() {
        let document = document();
        let bodies = bodies(&document);
        assert!(bodies.len() > 150, "{}", bodies.len());
        for (place, schema, example) in bodies {
            let binary = place.ends_with("arrow.stream");
            assert!(binary || !example.is_null(), "no example: {place}");
            if !binary && !place.ends_with("text/event-stream") {
                assert_eq!(wrong(&document, &schema, &example, &place), [""; 0]);
            }
        }
    }

    #[test]
    fn the_check_sees_what_does_not_fit() {
        let document = document();
        let schema = json!({ "$ref": "#/components/schemas/PutPoolRequest" });
        for (body, problem) in [
            (
                json!({ "weight": 1, "minShare": 0 }),
                "schedulingMode is missing",
            ),
            (
                json!({ "weight": "1", "minShare": 0, "schedulingMode": "FAIR" }),
                "string",
            ),
            (
                json!({ "weight": 1, "minShare": 0, "schedulingMode": "FAIR", "x": 1 }),
                "x is no field",
            ),
        ] {
            let wrong = wrong(&document, &schema, &body, "body");
            assert!(wrong[0].contains(problem), "{wrong:?}");
        }
    }

    #[test]
    fn examples_of_requests_are_what_the_server_reads() {
        let request = |operation: &str| BODIES[operation]["request"]["application/json"].clone();
        let submit = request("POST /api/v1/sessions/{sessionId}/statements");
        serde_json::from_value::<SubmitBody>(submit).unwrap();
        let create = request("POST /api/v1/sessions");
        serde_json::from_value::<CreateSessionBody>(create).unwrap();
        let pool = request("PUT /api/v1/pools/{name}");
        serde_json::from_value::<PutPoolBody>(pool).unwrap();
    }

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let operations = paths
            .values()
            .flat_map(|item| item.as_object().unwrap().values());
        let ids: Vec<_> = operations.map(|o| o["operationId"].to_string()).collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), unique.len()), (26, 26), "{ids:?}");
    }
}
