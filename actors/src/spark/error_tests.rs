use std::io;

use tonic::Code;

use super::details::MAX_BYTES;
use super::details::tests::spark_status;
use super::*;

/// What tonic makes of a failed connection: a status whose source chain ends in the cause.
#[derive(Debug, thiserror::Error)]
#[error("transport error")]
struct Transport(#[source] io::Error);

fn torn(code: Code, kind: io::ErrorKind) -> Status {
    let mut status = Status::new(code, "tcp connect error");
    status.set_source(std::sync::Arc::new(Transport(kind.into())));
    status
}

#[test]
fn sparks_own_errors_go_by_class_whatever_the_code() {
    use SparkErrorKind as Kind;
    for (class, kind) in [
        (
            "INVALID_HANDLE.OPERATION_NOT_FOUND",
            Kind::OperationNotFound,
        ),
        (
            "INVALID_HANDLE.OPERATION_ABANDONED",
            Kind::OperationAbandoned,
        ),
        (
            "INVALID_HANDLE.OPERATION_ALREADY_EXISTS",
            Kind::OperationAlreadyExists,
        ),
        ("INVALID_HANDLE.SESSION_CHANGED", Kind::SessionChanged),
        ("INVALID_HANDLE.SESSION_NOT_FOUND", Kind::SessionNotFound),
        ("INVALID_HANDLE.SESSION_CLOSED", Kind::SessionClosed),
        ("INVALID_HANDLE.FORMAT", Kind::Statement),
        ("INVALID_CURSOR.DISCONNECTED", Kind::CursorDisconnected),
        (
            "INVALID_CURSOR.POSITION_NOT_AVAILABLE",
            Kind::PositionNotAvailable,
        ),
        (
            "INVALID_CURSOR.POSITION_NOT_FOUND",
            Kind::PositionNotAvailable,
        ),
        ("OPERATION_CANCELED", Kind::OperationCanceled),
        ("TABLE_OR_VIEW_NOT_FOUND", Kind::Statement),
        ("CANNOT_MODIFY_CONFIG", Kind::Statement),
        // A user's own words decide nothing.
        ("USER_RAISED_EXCEPTION", Kind::Statement),
    ] {
        for code in [Code::Internal, Code::Unavailable, Code::Unknown] {
            let message = "[INVALID_HANDLE.SESSION_CHANGED] said the user SQLSTATE: 08003";
            let status = spark_status(code, message, &[("errorClass", class)]);
            assert_eq!(classify(&status), kind, "{class} {code:?}");
        }
    }
}

#[test]
fn without_sparks_mark_the_code_decides() {
    use SparkErrorKind as Kind;
    for (code, kind) in [
        (Code::Unimplemented, Kind::Unimplemented),
        (Code::Unavailable, Kind::Unreachable),
        (Code::DeadlineExceeded, Kind::Unreachable),
        (Code::Cancelled, Kind::Unreachable),
        (Code::Aborted, Kind::Unreachable),
        (Code::Unknown, Kind::Unreachable),
        (Code::Internal, Kind::Unreachable),
        (Code::ResourceExhausted, Kind::Unreachable),
        (Code::OutOfRange, Kind::Protocol),
        (Code::Unauthenticated, Kind::Protocol),
        (Code::PermissionDenied, Kind::Protocol),
        (Code::InvalidArgument, Kind::Protocol),
    ] {
        assert_eq!(classify(&Status::new(code, "gone")), kind, "{code:?}");
        let error = SparkError::of("Config at sc://h:1", &Status::new(code, "gone"));
        assert_eq!(error.kind, kind);
        assert_eq!(error.error.error_class, "LIBRA_SPARK_UNREACHABLE");
        assert_eq!(error.to_string(), "Config at sc://h:1: gone");
    }
}

#[test]
fn refused_is_told_from_reset_by_the_source_chain() {
    use io::ErrorKind as Io;
    for (kind, expected) in [
        (Io::ConnectionRefused, SparkErrorKind::Refused),
        (Io::ConnectionReset, SparkErrorKind::Unreachable),
        (Io::TimedOut, SparkErrorKind::Unreachable),
        (Io::BrokenPipe, SparkErrorKind::Unreachable),
    ] {
        assert_eq!(
            classify(&torn(Code::Unavailable, kind)),
            expected,
            "{kind:?}"
        );
    }
    let error = SparkError::of("Config", &torn(Code::Unavailable, Io::ConnectionRefused));
    assert_eq!(
        error.error.message,
        "Config: tcp connect error: transport error: connection refused"
    );
}

#[test]
fn an_error_whose_details_got_lost_is_still_sparks() {
    let status = Status::internal("\n[PARSE_SYNTAX_ERROR] Syntax error. SQLSTATE: 42601 (line 1)");
    let error = SparkError::of("x", &status);
    assert_eq!(error.kind, SparkErrorKind::Statement);
    assert_eq!(error.error.error_class, "PARSE_SYNTAX_ERROR");
    assert_eq!(error.error.sql_state, "42601");
    for (code, message) in [
        (Code::Unavailable, "[PARSE_SYNTAX_ERROR] x"),
        (Code::Internal, "[] x"),
        (Code::Internal, "[not a class] x"),
        (Code::Internal, "[NEVER_CLOSED"),
        (Code::Internal, "h2 protocol error"),
    ] {
        assert_eq!(
            classify(&Status::new(code, message)),
            SparkErrorKind::Unreachable,
            "{message}"
        );
    }
}

#[test]
fn a_refused_key_is_named_only_where_spark_refused_it() {
    let refused = spark_status(
        Code::Internal,
        "no",
        &[("errorClass", "CANNOT_MODIFY_CONFIG")],
    );
    let error = SparkError::of("Config", &refused).for_conf("spark.executor.memory");
    assert_eq!(
        error.kind,
        SparkErrorKind::Conf {
            key: "spark.executor.memory".to_owned()
        }
    );
    let error = SparkError::of("Config", &Status::unavailable("gone")).for_conf("k");
    assert_eq!(error.kind, SparkErrorKind::Unreachable);
}

#[test]
fn a_transport_message_is_bounded() {
    let error = SparkError::of("x", &Status::unavailable("é".repeat(MAX_BYTES)));
    assert!(error.error.message.len() <= MAX_BYTES);
}
