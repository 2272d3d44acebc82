use std::collections::HashMap;

use libra_proto::spark::fetch_error_details_response as fetched;
use proptest::prelude::*;

use super::super::error::{SparkError, SparkErrorKind};
use super::*;

/// A status as Spark sends it.
pub(in crate::spark) fn spark_status(code: Code, message: &str, meta: &[(&str, &str)]) -> Status {
    let meta: HashMap<_, _> = meta
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let mut details = tonic_types::ErrorDetails::new();
    details.set_error_info("org.apache.spark.SparkException", DOMAIN, meta);
    Status::with_error_details(code, message, details)
}

fn throwable(class: &str) -> SparkThrowable {
    SparkThrowable {
        error_class: Some(class.to_owned()),
        message_parameters: [("name".to_owned(), "`t`".to_owned())].into(),
        query_contexts: vec![fetched::QueryContext {
            fragment: "t".to_owned(),
            start_index: 14,
            stop_index: 14,
            ..fetched::QueryContext::default()
        }],
        sql_state: Some("42P01".to_owned()),
    }
}

fn fetched_error(message: &str, cause: Option<i32>, of: Option<SparkThrowable>) -> Error {
    Error {
        message: message.to_owned(),
        cause_idx: cause,
        spark_throwable: of,
        ..Error::default()
    }
}

#[test]
fn the_status_alone_gives_class_state_message_and_parameters() {
    let status = spark_status(
        Code::Internal,
        "\n[X] message \n",
        &[
            ("errorClass", "X"),
            ("sqlState", "42000"),
            ("messageParameters", r#"{"a":"1","b":""}"#),
            ("errorId", "e-1"),
        ],
    );
    let error = from_status(&status).unwrap();
    assert_eq!(
        (error.error_class.as_str(), error.sql_state.as_str()),
        ("X", "42000")
    );
    assert_eq!(error.message, "[X] message");
    assert_eq!(error.message_parameters["a"], "1");
    assert_eq!(error_id(&status).as_deref(), Some("e-1"));
}

#[test]
fn an_exception_without_class_goes_by_its_name() {
    let status = spark_status(Code::Internal, "boom", &[("messageParameters", "no json")]);
    let error = from_status(&status).unwrap();
    assert_eq!(error.error_class, "org.apache.spark.SparkException");
    assert_eq!(error.sql_state, "HY000");
    assert!(error.message_parameters.is_empty());
}

#[test]
fn another_domains_info_is_not_sparks() {
    let mut details = tonic_types::ErrorDetails::new();
    details.set_error_info("QUOTA", "googleapis.com", HashMap::new());
    let status = Status::with_error_details(Code::Internal, "quota", details);
    assert_eq!(from_status(&status), None);
    assert_eq!(
        SparkError::of("x", &status).kind,
        SparkErrorKind::Unreachable
    );
}

#[test]
fn fetched_details_complete_what_the_status_cut() {
    let mut error = from_status(&spark_status(
        Code::Internal,
        "[X] cu…",
        &[("errorClass", "X")],
    ))
    .unwrap();
    let answer = FetchErrorDetailsResponse {
        root_error_idx: Some(0),
        errors: vec![
            fetched_error("\nthe whole message", Some(1), None),
            fetched_error("cause", None, Some(throwable("X.SUB"))),
        ],
        ..FetchErrorDetailsResponse::default()
    };
    complete(&mut error, answer);
    assert_eq!(error.message, "the whole message");
    assert_eq!(
        (error.error_class.as_str(), error.sql_state.as_str()),
        ("X.SUB", "42P01")
    );
    assert_eq!(error.query_context[0].fragment, "t");
    assert_eq!(error.message_parameters["name"], "`t`");
}

#[test]
fn odd_answers_leave_the_first_error() {
    let first = from_status(&spark_status(Code::Internal, "m", &[("errorClass", "X")])).unwrap();
    for (root, errors) in [
        (None, vec![fetched_error("n", None, Some(throwable("Y")))]),
        (
            Some(-1),
            vec![fetched_error("n", None, Some(throwable("Y")))],
        ),
        (
            Some(7),
            vec![fetched_error("n", None, Some(throwable("Y")))],
        ),
        (Some(0), Vec::new()),
        // A circle of causes.
        (Some(0), vec![fetched_error("", Some(0), None)]),
        (Some(0), vec![fetched_error(" ", Some(-3), None)]),
    ] {
        let mut error = first.clone();
        let answer = FetchErrorDetailsResponse {
            root_error_idx: root,
            errors,
            ..FetchErrorDetailsResponse::default()
        };
        complete(&mut error, answer);
        assert_eq!(error, first);
    }
}

proptest! {
    #[test]
    fn an_error_is_never_larger_than_its_limit(
        message in 0..100_000_usize,
        fragment in 0..100_000_usize,
        parameter in 0..100_000_usize,
    ) {
        let mut error = StatementError {
            message: "é".repeat(message),
            query_context: vec![QueryContext { fragment: "f".repeat(fragment), ..QueryContext::default() }; 3],
            message_parameters: [("k".to_owned(), "p".repeat(parameter))].into(),
            ..StatementError::default()
        };
        limit(&mut error);
        let contexts: usize = error.query_context.iter().map(|c| c.fragment.len()).sum();
        let parameters: usize = error.message_parameters.iter().map(|(k, v)| k.len() + v.len()).sum();
        prop_assert!(error.message.len() + contexts + parameters <= MAX_BYTES);
        prop_assert!(error.message.len() >= (2 * message).min(MAX_BYTES - 1));
    }
}
