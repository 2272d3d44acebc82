//! Results: paged, in every format, and the same bytes when read again.

use std::collections::BTreeSet;
use std::io::Cursor;

use anyhow::{Context, Result};
use arrow_ipc::reader::StreamReader;
use libra_tests::harness::{Statement, Submit};
use serde_json::{Value, json};

use super::{SOON, assert_succeeded, skeleton};

const TEN_THOUSAND: &str =
    "SELECT id, id * 3 AS triple, concat('row-', id) AS name FROM range(10000)";

fn ids(rows: &[Vec<Value>]) -> Vec<u64> {
    rows.iter()
        .filter_map(|row| row.first().and_then(Value::as_u64))
        .collect()
}

#[tokio::test]
async fn real_10_000_rows_are_paged_and_read_the_same_again() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    let statement = api.run("default", &Submit::sql(TEN_THOUSAND), SOON).await?;
    assert_succeeded(&statement);
    let job = &statement.job_id;

    let pages = api.pages(job, 1000).await?;
    assert_eq!(pages.len(), 10);
    let mut seen = BTreeSet::new();
    for (number, (page, _)) in pages.iter().enumerate() {
        assert_eq!(page.offset, 1000 * number as u64);
        assert_eq!(page.rows.len(), 1000, "rows on page {number}");
        assert_eq!((page.row_count, page.truncated), (10_000, false));
        seen.extend(ids(&page.rows));
    }
    assert_eq!(seen.len(), 10_000, "different rows");
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&9999)));
    let row = &pages[3].0.rows[7];
    let id = row[0].as_u64().context("an id")?;
    assert_eq!(row[1..], [json!(3 * id), json!(format!("row-{id}"))]);

    let again = api.pages(job, 1000).await?;
    assert!(
        pages.iter().zip(&again).all(|(a, b)| a.1 == b.1),
        "pages differ when read again"
    );
    let (past, _) = api
        .page(&format!("statements/{job}/result?offset=10000"))
        .await?;
    assert_eq!((past.rows.len(), past.next), (0, None), "past the end");
    Ok(())
}

#[tokio::test]
async fn real_a_statement_shows_its_first_rows_and_where_to_go_on() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    let job = api
        .run("default", &Submit::sql(TEN_THOUSAND), SOON)
        .await?
        .job_id;

    let statement = api.statement(&job).await?;
    let result = statement.result.as_ref().context("no result")?;
    assert_eq!((result.row_count, result.truncated), (10_000, false));
    let columns: Vec<_> = result
        .schema
        .iter()
        .map(|f| (&*f.name, &*f.ddl_type))
        .collect();
    assert_eq!(
        columns,
        [("id", "bigint"), ("triple", "bigint"), ("name", "string")]
    );
    assert_eq!(statement.rows().len(), 1000);
    assert_eq!(result.next, Some(1000));
    let (second, _) = api
        .page(&format!("statements/{job}/result?offset=1000"))
        .await?;
    assert_eq!((second.offset, second.rows.len()), (1000, 1000));

    let none: Statement = api
        .get(&format!("statements/{job}?rows=0"))
        .await?
        .json(&[200])?;
    assert!(none.rows().is_empty());
    Ok(())
}

#[tokio::test]
async fn real_arrow_is_one_stream_and_csv_is_complete() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    let job = api
        .run("default", &Submit::sql(TEN_THOUSAND), SOON)
        .await?
        .job_id;

    let arrow = api.arrow(&job).await?;
    let mut stream = Cursor::new(&arrow[..]);
    let batches = StreamReader::try_new(&mut stream, None)?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        10_000
    );
    assert_eq!(
        stream.position(),
        arrow.len() as u64,
        "bytes after the end marker"
    );
    assert_eq!(
        arrow,
        api.arrow(&job).await?,
        "Arrow differs when read again"
    );

    let csv = api.csv(&job).await?;
    let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 10_001);
    assert_eq!(lines[0], "id,triple,name");
    assert_eq!(csv, api.csv(&job).await?, "CSV differs when read again");
    Ok(())
}

#[tokio::test]
async fn real_a_statement_without_rows_has_an_empty_result() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    let ddl = "CREATE OR REPLACE TEMPORARY VIEW nothing_to_show AS SELECT 1 AS one";
    let statement = api.run("default", &Submit::sql(ddl), SOON).await?;
    assert_succeeded(&statement);
    let result = statement.result.context("no result")?;
    assert_eq!((result.schema.len(), result.row_count), (0, 0));
    assert_eq!(result.rows, Some(vec![]));

    let rows = api
        .run(
            "default",
            &Submit::sql("SELECT * FROM nothing_to_show"),
            SOON,
        )
        .await?;
    assert_eq!(rows.rows(), [vec![json!(1)]]);
    Ok(())
}
