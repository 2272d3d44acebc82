//! A gRPC status in words: what was wrong, and what to do next.
//!
//! **Invariant:** what the details of the status say (`google.rpc`) is told as it is: a field, its
//! value, what is allowed, which precondition; a step follows for every code that has one.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::output::visible;

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
        "" => describe(status.code()).to_owned(),
        message => visible(message),
    };
    let told = told(details, &message)
        .into_iter()
        .map(|line| visible(&line));
    let told: Vec<String> = told.filter(|line| !message.contains(line)).collect();
    match told.as_slice() {
        [] => message,
        lines => format!("{message}\n  {}", lines.join("\n  ")),
    }
}

/// Everything that the details say and the message does not, one line each.
fn told(details: &ErrorDetails, message: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(bad) = details.bad_request() {
        let told = bad.field_violations.iter();
        let told = told.filter(|field| !message.contains(&format!("`{}`", field.field)));
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
    let info = details.error_info();
    if let Some(step) = info.and_then(|info| by_reason(&info.reason)) {
        return Some(step.to_owned());
    }
    let wait = details.retry_info().and_then(|retry| retry.retry_delay);
    if let (None, Some(wait)) = (by_code(status.code()), wait) {
        return Some(format!("ask again in {} s", wait.as_secs().max(1)));
    }
    by_code(status.code()).map(str::to_owned)
}

/// By the reasons that `admin.proto` lists; none for one that says all itself, or is not known here.
fn by_reason(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "POOL_NOT_FOUND" => "`libra admin pools list` shows the pools",
        "SESSION_NOT_FOUND" => "`libra admin sessions list` shows the sessions",
        "STATEMENT_NOT_FOUND" => {
            "`libra admin statements list` shows the statements; those that ended long ago are \
             forgotten (libra.results.retention-minutes)"
        }
        "NODE_NOT_FOUND" => "`libra admin nodes list` shows the nodes",
        "MALFORMED_BACKUP" => "take another backup: this one cannot be restored from",
        "MODE_SHARED" => "in SHARED mode there is one session for all; it stays",
        "POOL_IN_USE" => {
            "wait until its statements have ended, or cancel them: \
             libra admin statements cancel --pool"
        }
        "POOL_PROTECTED" => "the pool `default` always stays; it can be set and paused",
        "SESSION_CLOSED" | "SESSION_FAILED" => "it is over: there is nothing left to do to it",
        "MEMBERSHIP_REFUSED" => {
            "`libra admin nodes list` shows ids and addresses in use; a node joins with an empty \
             data directory and an id that nobody had"
        }
        "LAST_VOTER" => "add another node and give it a vote first: libra admin nodes add, promote",
        "NO_OTHER_NODE" => {
            "start another node first, or undrain one: libra admin nodes list shows how they are"
        }
        "NODE_NOT_UP" => {
            "choose a node that is up (libra admin nodes list); one that is down comes back by \
             itself when it is started"
        }
        "ENDPOINT_UNREACHABLE" => {
            "choose a node that reaches the session's Spark: libra admin doctor says which do not"
        }
        "NOT_FRESH" => {
            "restore into a new cluster: stop the nodes, give them empty data directories, start \
             them again, and restore before anything is submitted"
        }
        "OTHER_CLUSTER" => "give --other-cluster if it is really meant for this one",
        "FEATURE_LEVEL" => "update all nodes of this cluster to the version of the backup",
        "STALE_EPOCH" => "the session has moved meanwhile: look where it is, and ask again",
        "RESTORE_SUPERSEDED" => "let one restore end before another begins",
        "EVENTS_EXPIRED" => "begin with --from oldest: what was before is forgotten",
        "EVENTS_AHEAD" => {
            "that position is not reached yet; it may be of another cluster: --from oldest"
        }
        "TOO_MANY_WATCHERS" => "end another `libra admin events --follow`, or ask another node",
        "READER_TOO_SLOW" => "go on from the last position that was seen: --from",
        "NO_LEADER" => {
            "an election may be under way: ask again in a second. If it stays so, a majority of \
             voters is missing: libra admin doctor"
        }
        "DRAINING" | "STOPPED" => "that node is leaving: ask another one with --endpoint",
        "DISK_FULL" => "make room on that node's disk, or ask another one with --endpoint",
        "NODE_UNREACHABLE" => {
            "`libra admin doctor` says which nodes can be reached, from here and from each other"
        }
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;

    fn of(code: Code, message: &str, details: ErrorDetails) -> Explained {
        explain(&Status::with_error_details(code, message, details))
    }

    fn because(reason: &str) -> ErrorDetails {
        ErrorDetails::with_error_info(reason, "libra", HashMap::new())
    }

    #[test]
    fn wrong_fields_are_told_each_with_what_is_allowed() {
        let mut details = because("INVALID_REQUEST");
        details.add_bad_request_violation("node_id", "`0` is not allowed, but: a number from 1");
        details.add_bad_request_violation("address", "`x` is not allowed, but: `host:port`");
        let told = of(Code::InvalidArgument, "2 fields are wrong", details);
        assert_eq!(
            told.reason,
            "2 fields are wrong\n  \
             node_id: `0` is not allowed, but: a number from 1\n  \
             address: `x` is not allowed, but: `host:port`"
        );
        assert_eq!(told.next, None, "the fields say it all");
    }

    #[test]
    fn what_the_message_says_is_not_said_twice() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("weight", "`0` is not allowed");
        for message in [
            "weight: `0` is not allowed",
            "`weight` is `0`, allowed: from 1",
        ] {
            let told = of(Code::InvalidArgument, message, details.clone());
            assert_eq!(told.reason, message);
        }
    }

    #[test]
    fn preconditions_quotas_and_resources_are_told() {
        let mut details = ErrorDetails::new();
        details.add_precondition_failure_violation("STATE", "node 1", "it is the last voter");
        details.add_quota_failure_violation("sessions", "10 of 10 are in use");
        details.set_resource_info("session", "x", "", "it is closed");
        let told = of(Code::FailedPrecondition, "no", details);
        assert_eq!(
            told.reason,
            "no\n  node 1: it is the last voter\n  sessions: 10 of 10 are in use\n  \
             session x: it is closed"
        );
    }

    #[test]
    fn a_reason_has_its_own_next_step_and_else_the_code_has_one() {
        for (code, details, part) in [
            (
                Code::FailedPrecondition,
                because("LAST_VOTER"),
                Some("give it a vote"),
            ),
            (
                Code::Unavailable,
                because("NO_LEADER"),
                Some("an election may be under way"),
            ),
            (
                Code::Unavailable,
                ErrorDetails::new(),
                Some("libra admin doctor"),
            ),
            (
                Code::Unimplemented,
                ErrorDetails::new(),
                Some("older than this command"),
            ),
            (
                Code::DeadlineExceeded,
                because("OUTCOME_UNKNOWN"),
                Some("may have been done"),
            ),
            (
                Code::FailedPrecondition,
                ErrorDetails::with_retry_info(Some(Duration::from_secs(3))),
                Some("ask again in 3 s"),
            ),
            (Code::FailedPrecondition, because("SOMETHING_NEW"), None),
        ] {
            let told = of(code, "no", details);
            match (told.next, part) {
                (Some(next), Some(part)) => assert!(next.contains(part), "{code:?}: {next}"),
                (next, part) => assert_eq!(next.as_deref(), part, "{code:?}"),
            }
        }
    }

    /// The table in `admin.proto` is where reasons are listed.
    #[test]
    fn every_reason_of_the_service_leads_on() {
        let proto = include_str!("../../../../proto/proto/libra/admin/v1/admin.proto");
        let table = proto.split("Which code has which reasons").nth(1).unwrap();
        let table = table.split("// Times are").next().unwrap();
        let is_reason = |word: &&str| {
            let shouted = |c: char| c.is_ascii_uppercase() || c == '_';
            word.len() > 7 && word.chars().all(shouted)
        };
        let words = table.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let reasons: Vec<&str> = words.filter(is_reason).collect();
        assert!(reasons.len() > 30, "{reasons:?}");
        // Codes themselves, and what says all itself or has a step by its code.
        let by_code = [
            "INVALID_ARGUMENT",
            "NOT_FOUND",
            "FAILED_PRECONDITION",
            "OUT_OF_RANGE",
            "RESOURCE_EXHAUSTED",
            "UNAVAILABLE",
            "DEADLINE_EXCEEDED",
            "INTERNAL",
            "INVALID_REQUEST",
            "OUTCOME_UNKNOWN",
            "NO_SNAPSHOT",
            "LIMIT_REACHED",
        ];
        for reason in reasons {
            assert!(
                by_code.contains(&reason) || by_reason(reason).is_some(),
                "{reason}"
            );
        }
    }

    #[test]
    fn nothing_that_is_told_moves_a_cursor() {
        let told = of(Code::Internal, "a\u{1b}[2Jb", ErrorDetails::new());
        assert_eq!(told.reason, "a [2Jb");
    }
}
