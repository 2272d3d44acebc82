//! Errors: class, SQLSTATE and message, in the status and in full.

use anyhow::{Context, Result, ensure};
use tonic::Code;

use super::probe::Probe;
use super::reading::{Failure, Read};
use super::{Scenario, Target};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "an error has its class, SQLSTATE and message in the status",
        |t| Box::pin(in_the_status(t)),
    ),
    Scenario::new("FetchErrorDetails gives an error in full, once", |t| {
        Box::pin(in_full(t))
    }),
    Scenario::new(
        "a long error loses its class in the status, not in full",
        |t| Box::pin(too_long(t)),
    ),
];

fn failure(read: Read) -> Result<Failure> {
    read.failure.context("no error")
}

async fn in_the_status(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let cases = [
        ("SELEC 1", "PARSE_SYNTAX_ERROR", "42601"),
        (
            "SELECT * FROM no_such_table",
            "TABLE_OR_VIEW_NOT_FOUND",
            "42P01",
        ),
        ("SELECT 1/0", "DIVIDE_BY_ZERO", "22012"),
        (
            "SELECT raise_error('boom')",
            "USER_RAISED_EXCEPTION",
            "P0001",
        ),
    ];
    for (sql, class, state) in cases {
        let failure = failure(probe.run(sql).await?)?;
        ensure!(failure.code == Code::Internal, "{sql}: {failure}");
        ensure!(failure.class == class, "{sql}: {failure}");
        ensure!(
            failure.message.contains(&format!("[{class}]")),
            "{sql}: {failure}"
        );
        ensure!(
            failure.message.contains(&format!("SQLSTATE: {state}")),
            "{sql}: {failure}"
        );
        for (key, part) in [("sqlState", state), ("classes", "java.lang.Throwable")] {
            let value = failure.metadata.get(key).context(key)?;
            ensure!(value.contains(part), "{sql}: {key} is {value}");
        }
        ensure!(
            failure.metadata.contains_key("errorId"),
            "{sql}: no errorId"
        );
        ensure!(failure.metadata.contains_key("messageParameters"), "{sql}");
    }
    Ok(())
}

async fn in_full(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let failure = failure(probe.run("SELECT * FROM no_such_table").await?)?;
    let id = failure.metadata.get("errorId").context("no errorId")?;
    let full = probe.error_details(id).await?;
    let root = usize::try_from(full.root_error_idx.context("no root")?)?;
    let error = full.errors.get(root).context("no error at root")?;
    ensure!(
        error.message.starts_with("[TABLE_OR_VIEW_NOT_FOUND]"),
        "{}",
        error.message
    );
    let thrown = error.spark_throwable.as_ref().context("no throwable")?;
    ensure!(
        thrown.error_class.as_deref() == Some("TABLE_OR_VIEW_NOT_FOUND"),
        "{thrown:?}"
    );
    ensure!(thrown.sql_state.as_deref() == Some("42P01"), "{thrown:?}");
    let name = thrown.message_parameters.get("relationName");
    ensure!(
        name.map(String::as_str) == Some("`no_such_table`"),
        "{thrown:?}"
    );
    let context = thrown.query_contexts.first().context("no context")?;
    ensure!(context.fragment == "no_such_table", "{context:?}");
    ensure!(
        (context.start_index, context.stop_index) == (14, 26),
        "{context:?}"
    );
    let again = probe.error_details(id).await?;
    ensure!(
        again.errors.is_empty() && again.root_error_idx.is_none(),
        "given twice"
    );
    Ok(())
}

async fn too_long(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    for letter in ["x", "é"] {
        let sql = format!("SELECT raise_error(repeat('{letter}', 9000))");
        let failure = failure(probe.run(&sql).await?)?;
        ensure!(failure.code == Code::Internal, "{failure}");
        ensure!(
            failure.class == "USER_RAISED_EXCEPTION",
            "from the message: {}",
            failure.class
        );
        ensure!(
            failure.message.chars().count() == 2_048,
            "{}",
            failure.message.len()
        );
        ensure!(
            !failure.metadata.contains_key("errorClass"),
            "{:?}",
            failure.metadata
        );
        let id = failure.metadata.get("errorId").context("no errorId")?;
        let full = probe.error_details(id).await?;
        let error = full.errors.first().context("no error")?;
        ensure!(
            error.message.chars().count() > 9_000,
            "{}",
            error.message.len()
        );
    }
    Ok(())
}
