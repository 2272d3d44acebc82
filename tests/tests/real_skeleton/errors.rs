//! Spark's errors, passed through.

use anyhow::{Context, Result};
use libra_tests::harness::{State, Submit};

use super::{SOON, assert_succeeded, skeleton};

struct Case {
    code: &'static str,
    class: &'static str,
    sql_state: &'static str,
    message: &'static str,
    /// What the query context must hold, if Spark gives one.
    context: Option<&'static str>,
}

const CASES: [Case; 5] = [
    Case {
        code: "SELEC 1",
        class: "PARSE_SYNTAX_ERROR",
        sql_state: "42601",
        message: "Syntax error at or near 'SELEC'",
        context: None,
    },
    Case {
        code: "SELECT * FROM no_such_table_anywhere",
        class: "TABLE_OR_VIEW_NOT_FOUND",
        sql_state: "42P01",
        message: "The table or view `no_such_table_anywhere` cannot be found",
        context: None,
    },
    Case {
        code: "SELECT 1 / id FROM range(3)",
        class: "DIVIDE_BY_ZERO",
        sql_state: "22012",
        message: "Division by zero",
        context: Some("1 / id"),
    },
    Case {
        code: "SELECT cast('x' AS INT)",
        class: "CAST_INVALID_INPUT",
        sql_state: "22018",
        message: "cannot be cast to \"INT\"",
        context: Some("cast('x' AS INT)"),
    },
    Case {
        code: "SELECT raise_error(concat('boom ', id)) FROM range(1)",
        class: "USER_RAISED_EXCEPTION",
        sql_state: "P0001",
        message: "boom 0",
        context: None,
    },
];

#[tokio::test]
async fn real_spark_errors_come_back_with_class_state_message_and_context() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    for case in &CASES {
        let statement = api.run("default", &Submit::sql(case.code), SOON).await?;
        assert_eq!(statement.state, State::Failed, "{}", case.code);
        assert!(statement.result.is_none(), "{}", case.code);
        let error = statement.error.context("no error")?;
        assert_eq!(error.error_class.as_deref(), Some(case.class), "{error:?}");
        assert_eq!(
            error.sql_state.as_deref(),
            Some(case.sql_state),
            "{error:?}"
        );
        assert!(error.message.contains(case.message), "{error:?}");
        if let Some(fragment) = case.context {
            let context = error.query_context.context("no query context")?.to_string();
            assert!(context.contains(fragment), "{context}");
        }
    }
    assert_succeeded(&api.run("default", &Submit::sql("SELECT 1"), SOON).await?);
    Ok(())
}

#[tokio::test]
async fn real_the_result_of_a_failed_statement_is_a_conflict() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    let failed = api.run("default", &Submit::sql("SELEC 1"), SOON).await?;
    let reply = api
        .get(&format!("statements/{}/result", failed.job_id))
        .await?;
    assert_eq!(reply.problem(409)?.code, "statement-failed");
    Ok(())
}
