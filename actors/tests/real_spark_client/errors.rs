use libra_actors::spark::SparkErrorKind;

use super::support::{open, run};

#[tokio::test]
async fn real_spark_says_what_is_wrong_with_a_statement() {
    let spark = open().await.spark;
    for (code, class, sql_state, fragment) in [
        ("SELEC 1", "PARSE_SYNTAX_ERROR", "42601", None),
        ("SELECT 1; SELECT 2", "PARSE_SYNTAX_ERROR", "42601", None),
        (
            "SELECT * FROM nowhere",
            "TABLE_OR_VIEW_NOT_FOUND",
            "42P01",
            Some("nowhere"),
        ),
        ("SELECT 1/0", "DIVIDE_BY_ZERO", "22012", Some("1/0")),
        (
            "SELECT id/(id-id) FROM range(3)",
            "DIVIDE_BY_ZERO",
            "22012",
            Some("id/(id-id)"),
        ),
        (
            "SELECT int('a')",
            "CAST_INVALID_INPUT",
            "22018",
            Some("int('a')"),
        ),
        (
            "SELECT raise_error('[INVALID_HANDLE.SESSION_CHANGED] me SQLSTATE: 08003')",
            "USER_RAISED_EXCEPTION",
            "P0001",
            None,
        ),
    ] {
        let error = run(&spark, code).await.unwrap_err();
        assert_eq!(error.kind, SparkErrorKind::Statement, "{code}");
        let error = error.error;
        assert_eq!(
            (error.error_class.as_str(), error.sql_state.as_str()),
            (class, sql_state)
        );
        assert!(
            error.message.starts_with(&format!("[{class}]")),
            "{code}: {}",
            error.message
        );
        let context = error.query_context.first();
        assert_eq!(
            context.map(|context| context.fragment.as_str()),
            fragment,
            "{code}"
        );
        if let Some(context) = context {
            let found = &code[usize::try_from(context.start_index).unwrap()..];
            assert!(found.starts_with(&context.fragment), "{code}: {context:?}");
        }
    }
    run(&spark, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn real_parameters_of_the_message_come_along() {
    let error = run(&open().await.spark, "SELECT * FROM nowhere")
        .await
        .unwrap_err();
    assert_eq!(error.error.message_parameters["relationName"], "`nowhere`");
}

/// What does not fit into the status comes from `FetchErrorDetails`, up to the limit.
#[tokio::test]
async fn real_a_long_message_is_whole_up_to_the_limit() {
    let spark = open().await.spark;
    for (length, expected) in [(10_000, 10_000), (300_000, 60_000)] {
        let code = format!("SELECT raise_error(repeat('é', {length}))");
        let error = run(&spark, &code).await.unwrap_err();
        let message = &error.error.message;
        let kept = message.matches('é').count();
        assert!(message.len() <= 64 << 10, "{}", message.len());
        assert!(kept >= expected.min(32_000), "{kept} of {length}");
    }
}
