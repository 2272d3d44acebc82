//! A gRPC status in words: what was wrong, and what to do next.
//!
//! PURE: a status in, text out.
//!
//! **Invariant:** what the details of the status say (`google.rpc`) is told as it is: a field, its
//! value, what is allowed, which precondition; a step follows for every code that has one.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// A status in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explained {
    /// What was wrong.
    pub(super) reason: String,
    /// What to do.
    pub(super) next: Option<String>,
}

/// Tells a status.
pub(super) fn explain(status: &Status) -> Explained {
    let details = status.get_error_details();
    Explained {
        reason: reason(status, &details),
        next: next(status, &details),
    }
}

fn reason(status: &Status, details: &ErrorDetails) -> String {
    let message = match status.message() {
        "" => describe(status.code()),
        message => message,
    };
    let told: Vec<String> = told(details)
        .into_iter()
        .filter(|line| !message.contains(line.as_str()))
        .collect();
    match told.as_slice() {
        [] => message.to_owned(),
        lines => format!("{message}\n  {}", lines.join("\n  ")),
    }
}

/// Everything that the details say, one line each.
fn told(details: &ErrorDetails) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(bad) = details.bad_request() {
        let told = bad.field_violations.iter();
        lines.extend(told.map(|field| named(&field.field, &field.description)));
    }
    if let Some(failed) = details.precondition_failure() {
        let told = failed.violations.iter();
        lines.extend(told.map(|violation| named(&violation.subject, &violation.description)));
    }
    if let Some(quota) = details.quota_failure() {
        let told = quota.violations.iter();
        lines.extend(told.map(|violation| named(&violation.subject, &violation.description)));
    }
    if let Some(resource) = details.resource_info() {
        let name = format!("{} {}", resource.resource_type, resource.resource_name);
        lines.push(named(name.trim(), &resource.description));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

fn named(name: &str, description: &str) -> String {
    match (name, description) {
        (name, "") => name.to_owned(),
        ("", description) => description.to_owned(),
        (name, description) if description.starts_with(name) => description.to_owned(),
        (name, description) => format!("{name}: {description}"),
    }
}

fn next(status: &Status, details: &ErrorDetails) -> Option<String> {
    if let Some(help) = details.help() {
        let told = help
            .links
            .iter()
            .map(|link| named(&link.url, &link.description));
        let told: Vec<String> = told.filter(|line| !line.is_empty()).collect();
        if !told.is_empty() {
            return Some(told.join("; "));
        }
    }
    let wait = details.retry_info().and_then(|retry| retry.retry_delay);
    if let Some(wait) = wait {
        return Some(format!("ask again in {} s", wait.as_secs().max(1)));
    }
    by_code(status.code()).map(str::to_owned)
}

fn by_code(code: Code) -> Option<&'static str> {
    match code {
        Code::Unavailable => Some(
            "`libra admin doctor` says which nodes can be reached; without a majority of voters \
             no change is possible. Then ask again, which does no harm",
        ),
        Code::DeadlineExceeded | Code::Cancelled => Some(
            "it may have been done, or may be yet: look with `libra admin status`, or ask again, \
             which does no harm; --timeout gives it more time",
        ),
        Code::NotFound => Some("`list` beside this command shows what there is"),
        Code::Unimplemented => Some(
            "the coordinator does not know this call: it is older than this command, or it is no \
             coordinator of Libra",
        ),
        Code::ResourceExhausted => Some("ask again in a moment"),
        Code::Aborted => Some("something else was changed meanwhile: look, and ask again"),
        Code::Internal | Code::Unknown | Code::DataLoss => {
            Some("the log of that coordinator says more")
        }
        Code::Ok
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unauthenticated => None,
    }
}

/// What a code means, where the server says nothing.
fn describe(code: Code) -> &'static str {
    match code {
        Code::Ok => "it was done",
        Code::Cancelled | Code::DeadlineExceeded => "no answer in time",
        Code::Unknown | Code::Internal => "the coordinator failed",
        Code::InvalidArgument | Code::OutOfRange => "an argument is not allowed",
        Code::NotFound => "there is no such thing",
        Code::AlreadyExists => "it is there already",
        Code::PermissionDenied | Code::Unauthenticated => "not allowed",
        Code::ResourceExhausted => "a limit is reached",
        Code::FailedPrecondition => "the state of the cluster does not allow it",
        Code::Aborted => "something else was changed at the same time",
        Code::Unimplemented => "the coordinator does not know this call",
        Code::Unavailable => "no coordinator that leads can be reached",
        Code::DataLoss => "data is lost or damaged",
    }
}
