//! What parameters may hold, by their names: the same id has the same form wherever it stands.

use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

const SESSION_ID: &str = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$";
const JOB_ID: &str = "^job-[1-9][0-9]{0,18}$";
const USER: &str = "^[A-Za-z0-9._@-]{1,128}$";
const POOL: &str = "^[!-.0-~]([ -.0-~]{0,126}[!-.0-~])?$";
const KEY: &str = "^[!-~]{1,255}$";
const EVENT_ID: &str = "^[1-4]:[01]:[0-9]{1,19}:[0-9]{1,19}$";
const STATES: [&str; 5] = ["queued", "running", "succeeded", "failed", "cancelled"];
const BIGINTS: [&str; 2] = ["number", "string"];

enum Form {
    Pattern(&'static str),
    OneOf(&'static [&'static str]),
}

/// Says of each parameter of the operation what it may hold.
pub(super) fn constrain(path: &str, operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            restrict(path, parameter);
        }
    }
    // All of it may be left out.
    if path.ends_with("/sessions")
        && let Some(RefOr::T(body)) = &mut operation.request_body
    {
        body.required = Some(Required::False);
    }
}

fn restrict(path: &str, parameter: &mut Parameter) {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let text = match form(path, &parameter.name) {
        Some(Form::Pattern(pattern)) => text.pattern(Some(pattern)),
        Some(Form::OneOf(words)) => text.enum_values(Some(words.iter().copied())),
        None => return,
    };
    parameter.schema = Some(RefOr::T(Schema::Object(text.build())));
}

fn form(path: &str, parameter: &str) -> Option<Form> {
    let pattern = match parameter {
        "sessionId" | "session" => SESSION_ID,
        "after" if path.ends_with("/sessions") => SESSION_ID,
        "jobId" | "after" => JOB_ID,
        "pool" => POOL,
        "name" if path.contains("/pools/") => POOL,
        "Idempotency-Key" => KEY,
        "X-Libra-User" => USER,
        "Last-Event-ID" => EVENT_ID,
        "state" => return Some(Form::OneOf(&STATES)),
        "bigint" => return Some(Form::OneOf(&BIGINTS)),
        _ => return None,
    };
    Some(Form::Pattern(pattern))
}
