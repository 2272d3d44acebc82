//! Statements: what a result looks like, what text is accepted, what can be set.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow_ipc::reader::StreamReader;
use libra_proto::spark;
use libra_proto::spark::config_request::{Get, operation::OpType};
use libra_proto::spark::execute_plan_response::ResponseType;

use super::probe::{Probe, new_id};
use super::reading::{Read, failed, refused};
use super::{RUNS_ON, Scenario, Target, UNTIL_STOPPED};
use crate::harness::{Marker, until_some};

/// How long an operation that has ended may take to be let go of.
const GONE_WITHIN: Duration = Duration::from_secs(20);

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "a query answers schema, batches, the end, each with its own id",
        |t| Box::pin(query(t)),
    ),
    Scenario::new(
        "every batch is an Arrow IPC stream of its own, offsets without a gap",
        |t| Box::pin(batches(t)),
    ),
    Scenario::new("a command answers one empty batch without columns", |t| {
        Box::pin(command(t))
    }),
    Scenario::new("an empty result is one empty batch with columns", |t| {
        Box::pin(empty_result(t))
    }),
    Scenario::new(
        "one statement at a time, a semicolon behind it, comments around it",
        |t| Box::pin(text(t)),
    ),
    Scenario::new("SET and Config speak of the same session", |t| {
        Box::pin(set(t))
    }),
    Scenario::new("what belongs to the application cannot be set", |t| {
        Box::pin(not_modifiable(t))
    }),
    Scenario::new("a waiting reader gets progress every two seconds", |t| {
        Box::pin(progress(t))
    }),
    Scenario::new(
        "without reattach_options there is no result_complete and no way back",
        |t| Box::pin(not_reattachable(t)),
    ),
    Scenario::new("statements of one session run side by side", |t| {
        Box::pin(side_by_side(t))
    }),
];

fn schema(read: &Read) -> Result<Vec<spark::data_type::StructField>> {
    let schemas: Vec<_> = read
        .responses
        .iter()
        .filter_map(|r| r.schema.as_ref())
        .collect();
    ensure!(schemas.len() == 1, "{} schemas", schemas.len());
    match schemas.first().and_then(|schema| schema.kind.as_ref()) {
        Some(spark::data_type::Kind::Struct(fields)) => Ok(fields.fields.clone()),
        other => anyhow::bail!("no struct: {other:?}"),
    }
}

async fn query(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let operation = new_id();
    let read = probe.execute(&operation, "SELECT 1").await.rest().await;
    ensure!(read.is_complete(), "{read:?}");
    let fields = schema(&read)?;
    let field = fields.first().context("no field")?;
    ensure!(field.name == "1" && !field.nullable, "{field:?}");
    let integer = matches!(
        field.data_type.as_ref().and_then(|t| t.kind.as_ref()),
        Some(spark::data_type::Kind::Integer(_))
    );
    ensure!(integer, "{field:?}");
    let at =
        |wanted: fn(&spark::ExecutePlanResponse) -> bool| read.responses.iter().position(wanted);
    let schema_at = at(|r| r.schema.is_some());
    let batch_at = at(|r| matches!(r.response_type, Some(ResponseType::ArrowBatch(_))));
    ensure!(schema_at < batch_at, "the schema comes first: {read:?}");
    let ids: BTreeSet<_> = read.ids().into_iter().collect();
    ensure!(ids.len() == read.responses.len(), "an id came twice");
    ensure!(
        read.responses.iter().all(|r| r.operation_id == operation),
        "another operation"
    );
    // Metrics are not in our subset: they come as a response that says nothing.
    let silent = |r: &&spark::ExecutePlanResponse| r.response_type.is_none() && r.schema.is_none();
    ensure!(
        read.responses.iter().filter(silent).count() == 1,
        "{read:?}"
    );
    Ok(())
}

async fn batches(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let read = probe
        .run("SELECT id, repeat('x', 20) AS v FROM range(0, 25000, 1, 4)")
        .await?;
    ensure!(
        read.is_complete() && read.rows() == 25_000,
        "{} rows",
        read.rows()
    );
    ensure!(
        read.batches().len() >= 4,
        "{} batches",
        read.batches().len()
    );
    let mut offset = 0;
    for (_, batch) in read.batches() {
        ensure!(
            batch.start_offset == Some(offset),
            "{:?} at {offset}",
            batch.start_offset
        );
        offset += batch.row_count;
        let mut reader = StreamReader::try_new(batch.data.as_ref(), None)?;
        let columns = reader.next().context("no batch")??;
        ensure!(
            columns.num_columns() == 2,
            "{} columns",
            columns.num_columns()
        );
        ensure!(
            columns.num_rows() as i64 == batch.row_count,
            "row_count is wrong"
        );
        ensure!(reader.next().is_none(), "more than one batch in a stream");
    }
    Ok(())
}

async fn command(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let read = probe
        .run("CREATE TEMPORARY VIEW nothing AS SELECT 1")
        .await?;
    ensure!(read.is_complete(), "{read:?}");
    ensure!(schema(&read)?.is_empty(), "a command has no columns");
    let batches = read.batches();
    ensure!(batches.len() == 1 && read.rows() == 0, "{batches:?}");
    Ok(())
}

async fn empty_result(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let read = probe.run("SELECT * FROM range(0)").await?;
    ensure!(read.is_complete() && schema(&read)?.len() == 1, "{read:?}");
    ensure!(read.batches().len() == 1 && read.rows() == 0, "{read:?}");
    Ok(())
}

async fn text(target: &Target) -> Result<()> {
    let syntax = "PARSE_SYNTAX_ERROR";
    let probe = Probe::open(target).await?;
    for good in ["SELECT 1;", "/* c */ SELECT 1 -- d", "select 1"] {
        let read = probe.run(good).await?;
        ensure!(read.is_complete() && read.rows() == 1, "{good}: {read:?}");
    }
    failed(&probe.run("SELECT 1; SELECT 2").await?, syntax)?;
    failed(&probe.run("-- only a comment").await?, syntax)?;
    failed(&probe.run("SELEC 1").await?, syntax)?;
    failed(&probe.run("").await?, "PARSE_EMPTY_STATEMENT")
}

async fn set(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let read = probe.run("SET libra.by.sql=1").await?;
    ensure!(read.is_complete() && read.rows() == 1, "{read:?}");
    ensure!(schema(&read)?.len() == 2, "SET answers key and value");
    ensure!(
        probe.get("libra.by.sql").await?.as_deref() == Some("1"),
        "not set"
    );
    ensure!(probe.get("libra.no.such").await?.is_none(), "what is this?");
    let asked = Get {
        keys: vec!["libra.no.such".into()],
    };
    refused(probe.config(OpType::Get(asked)).await, "SQL_CONF_NOT_FOUND")
}

async fn not_modifiable(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    for key in [
        "spark.executor.memory",
        "spark.driver.memory",
        "spark.scheduler.mode",
    ] {
        refused(probe.set(key, "1").await, "CANNOT_MODIFY_CONFIG")?;
    }
    let warehouse = probe.set("spark.sql.warehouse.dir", "/x").await;
    refused(warehouse, "CANNOT_MODIFY_STATIC_CONFIG")?;
    probe.set("spark.scheduler.pool", "p").await?;
    Ok(())
}

async fn progress(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let read = probe.run(&Marker::new().sleeping(7_000)).await?;
    ensure!(read.is_complete(), "{read:?}");
    ensure!(
        read.progress_reports() >= 3,
        "{} reports",
        read.progress_reports()
    );
    Ok(())
}

async fn not_reattachable(target: &Target) -> Result<()> {
    let lost = "INVALID_CURSOR.NOT_REATTACHABLE";
    let probe = Probe::open(target).await?;
    let (operation, sql) = (new_id(), Marker::new().sleeping(RUNS_ON));
    let mut running = probe.execute_with(&operation, &sql, false, &[]).await;
    running.first().await?;
    failed(&probe.reattach(&operation, None).await.rest().await, lost)?;
    failed(&probe.execute(&operation, &sql).await.rest().await, lost)?;
    refused(probe.release(&operation).await, lost)?;
    let read = running.rest().await;
    ensure!(read.failure.is_none() && read.rows() == 1, "{read:?}");
    ensure!(
        !read.is_complete(),
        "result_complete without reattach_options"
    );
    // It is let go of a moment after its stream has ended.
    let again = until_some("the operation to be gone", GONE_WITHIN, || async {
        let again = probe.execute(&operation, &sql).await.rest().await;
        Ok((again.class() != lost).then_some(again))
    });
    failed(&again.await?, "INVALID_HANDLE.OPERATION_ABANDONED")
}

async fn side_by_side(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (slow, quick) = (new_id(), new_id());
    let sql = Marker::new().sleeping(UNTIL_STOPPED);
    let mut running = probe.execute(&slow, &sql).await;
    running.first().await?;
    let read = probe.execute(&quick, "SELECT 1").await.rest().await;
    ensure!(read.is_complete(), "{read:?}");
    ensure!(
        probe.interrupt(&slow).await? == [slow.clone()],
        "it was running"
    );
    failed(&running.rest().await, "OPERATION_CANCELED")
}
