//! Results on standard output.

use std::io::{self, IsTerminal as _, Write};

use super::client::{Client, Page};
use super::error::SqlError;
use super::table::Table;

/// Rows fetched at once.
const PAGE_ROWS: u64 = 1_000;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// A table for people.
    Table,
    /// One JSON object: schema, rows, truncated.
    Json,
    /// RFC 4180, with a header line.
    Csv,
    /// One Arrow IPC stream.
    Arrow,
}

/// Whether the result was cut at a limit.
pub(super) type Truncated = bool;

/// Writes the result of a statement that has succeeded.
pub(super) async fn write(
    client: &Client,
    format: Format,
    session: &str,
    job: &str,
) -> Result<Truncated, SqlError> {
    match format {
        Format::Table => write_table(client, session, job).await,
        Format::Json => write_json(client, session, job).await,
        Format::Csv => download(client, session, job, "text/csv").await,
        Format::Arrow if io::stdout().is_terminal() => Err(SqlError::ArrowOnTerminal),
        Format::Arrow => {
            download(client, session, job, "application/vnd.apache.arrow.stream").await
        }
    }
}

fn put(bytes: &[u8]) -> Result<(), SqlError> {
    io::stdout().write_all(bytes).map_err(SqlError::Output)
}

fn flush() -> Result<(), SqlError> {
    io::stdout().flush().map_err(SqlError::Output)
}

async fn write_table(client: &Client, session: &str, job: &str) -> Result<Truncated, SqlError> {
    let mut page = client.page(session, job, 0, PAGE_ROWS).await?;
    if page.schema.is_empty() {
        return Ok(page.truncated);
    }
    let table = Table::new(&page, io::stdout().is_terminal());
    put(table.head(&page.schema).as_bytes())?;
    loop {
        put(table.rows(&page).as_bytes())?;
        let Some(next) = page.next else { break };
        page = client.page(session, job, next, PAGE_ROWS).await?;
    }
    put(table.line().as_bytes())?;
    flush()?;
    Ok(page.truncated)
}

async fn write_json(client: &Client, session: &str, job: &str) -> Result<Truncated, SqlError> {
    let mut page = client.page(session, job, 0, PAGE_ROWS).await?;
    let schema = serde_json::to_string(&page.schema).map_err(|source| SqlError::Answer {
        doing: "writing the schema",
        source,
    })?;
    put(format!(
        "{{\"schema\":{schema},\"truncated\":{},\"rows\":[",
        page.truncated
    )
    .as_bytes())?;
    let mut separator = "\n";
    loop {
        put(json_rows(&page, &mut separator).as_bytes())?;
        let Some(next) = page.next else { break };
        page = client.page(session, job, next, PAGE_ROWS).await?;
    }
    put(b"\n]}\n")?;
    flush()?;
    Ok(page.truncated)
}

/// One row a line; cells as the server wrote them.
fn json_rows(page: &Page, separator: &mut &str) -> String {
    let mut text = String::new();
    for row in &page.rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.get()).collect();
        text.push_str(separator);
        text.push_str(&format!("[{}]", cells.join(",")));
        *separator = ",\n";
    }
    text
}

async fn download(
    client: &Client,
    session: &str,
    job: &str,
    accept: &'static str,
) -> Result<Truncated, SqlError> {
    let doing = "reading the result";
    let mut answer = client.download(session, job, accept).await?;
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|source| SqlError::Connection { doing, source })?
    {
        put(&chunk)?;
    }
    flush()?;
    // These forms have no place for it: the statement says it.
    let statement = client.poll(job).await?;
    Ok(statement["result"]["truncated"].as_bool().unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cells_keep_all_their_digits() {
        let text = r#"{"schema": [], "truncated": false, "rows": [[12345678901234567890, 0.1], [null, "x"]]}"#;
        let page: Page = serde_json::from_str(text).unwrap();
        let mut separator = "";
        assert_eq!(
            json_rows(&page, &mut separator),
            "[12345678901234567890,0.1],\n[null,\"x\"]"
        );
        assert_eq!(separator, ",\n");
    }
}
