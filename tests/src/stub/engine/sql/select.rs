//! `SELECT` as far as the tests use it: literals, `range`, sleeping, failing.

use super::super::{Ending, Millis, Script, SparkError};
use super::Statement;
use super::text::{call, positions, split, unquoted};
use crate::stub::rows::{Column, Content, Table};

/// Rows of a batch, `spark.sql.execution.arrow.maxRecordsPerBatch`.
const BATCH_ROWS: u64 = 10_000;
/// Partitions of `range` without a number of them.
const PARTITIONS: u64 = 2;
/// How many rows one core hashes in a millisecond.
const HASHED_PER_MS: u64 = 3_000;
/// What a table holds that nobody described.
const TABLE_ROWS: u64 = 10;

#[derive(Debug, Clone, Copy)]
struct Range {
    start: i64,
    step: i64,
    rows: u64,
    parts: u64,
}

#[derive(Debug, Default)]
struct Select {
    columns: Vec<Column>,
    delay_ms: Millis,
    error: Option<SparkError>,
    aggregated: bool,
}

/// Compiles what stands behind `SELECT`.
pub(super) fn compile(sql: &str, body: &str) -> Statement {
    let from = positions(body, "FROM").first().copied();
    let (items, source) = match from {
        Some(at) => (&body[..at], body[at + 4..].trim()),
        None => (body, ""),
    };
    let one = Range {
        start: 0,
        step: 1,
        rows: 1,
        parts: 1,
    };
    if source.is_empty() {
        return Statement::run(select(sql, items, one, 0));
    }
    let filter = positions(source, "WHERE").first().copied();
    let (relation, filter) = source.split_at(filter.unwrap_or(source.len()));
    let relation = relation.split(" AS ").next().unwrap_or("").trim();
    if let Some(arguments) = call(relation, "range") {
        let Some(range) = range(&arguments) else {
            return Statement::run(Script::refused(SparkError::parse("'range'", "", sql, 0)));
        };
        let hashed = if filter.contains("sha2") {
            range.rows / HASHED_PER_MS
        } else {
            0
        };
        return Statement::run(select(sql, items, range, hashed));
    }
    let name = relation.split_whitespace().next().unwrap_or("");
    let rows = Range {
        rows: TABLE_ROWS,
        ..one
    };
    Statement::ReadTable {
        name: name.to_lowercase(),
        found: Box::new(Statement::run(select(sql, items, rows, 0))),
        missing: SparkError::table_not_found(name, sql),
    }
}

fn range(arguments: &[&str]) -> Option<Range> {
    let numbers = arguments
        .iter()
        .map(|argument| argument.parse::<i64>().ok())
        .collect::<Option<Vec<_>>>()?;
    let (start, end, step, parts) = match numbers.as_slice() {
        [end] => (0, *end, 1, PARTITIONS),
        [start, end] => (*start, *end, 1, PARTITIONS),
        [start, end, step] => (*start, *end, *step, PARTITIONS),
        [start, end, step, parts] => (*start, *end, *step, u64::try_from(*parts).ok()?),
        _ => return None,
    };
    let span = u64::try_from(end.checked_sub(start)?).unwrap_or(0);
    Some(Range {
        start,
        step,
        rows: span.div_ceil(u64::try_from(step).ok().filter(|step| *step > 0)?),
        parts,
    })
}

fn select(sql: &str, items: &str, range: Range, hashed_ms: Millis) -> Script {
    let mut select = Select::default();
    for item in split(items, ",") {
        select.take(sql, item, range);
    }
    let rows = if select.aggregated { 1 } else { range.rows };
    let table = Table::new(select.columns, rows);
    let delay_ms = select.delay_ms + hashed_ms;
    if let Some(error) = select.error {
        return Script::failing(table, error).slow(delay_ms, 0);
    }
    let parts = if select.aggregated { 1 } else { range.parts };
    Script::table(table, parts, BATCH_ROWS)
        .slow(delay_ms, 0)
        .ending(Ending::Success)
}

impl Select {
    fn take(&mut self, sql: &str, item: &str, range: Range) {
        let (expression, alias) = match positions(item, "AS").last() {
            Some(at) => (item[..*at].trim(), Some(item[at + 2..].trim())),
            None => (item, None),
        };
        let content = self.content(sql, expression, range);
        let name = alias.unwrap_or(if expression == "*" { "id" } else { expression });
        self.columns.push(Column::new(name, content));
    }

    fn content(&mut self, sql: &str, expression: &str, range: Range) -> Content {
        if expression == "*" || expression.eq_ignore_ascii_case("id") {
            return Content::Sequence {
                start: range.start,
                step: range.step,
            };
        }
        if let Some(content) = literal(expression) {
            return content;
        }
        if expression.ends_with("/0") {
            self.error = Some(SparkError::divide_by_zero(sql, expression));
            return Content::Long(0);
        }
        self.called(expression, range)
    }

    fn called(&mut self, expression: &str, range: Range) -> Content {
        if let Some(arguments) = call(expression, "repeat")
            && let [text, times] = arguments.as_slice()
            && let (Some(text), Ok(times)) = (unquoted(text), times.parse())
        {
            return Content::Text(text.repeat(times));
        }
        if let Some(arguments) = call(expression, "raise_error") {
            let text = arguments.first().map_or("", |text| text);
            self.error = Some(SparkError::user_raised(&self.text(text, range)));
            return Content::Null;
        }
        if let Some(arguments) = call(expression, "reflect") {
            let slept = arguments
                .last()
                .and_then(|last| call(last, "bigint")?.first()?.parse::<Millis>().ok());
            self.delay_ms += slept.unwrap_or(0);
            return Content::Text("null".into());
        }
        let aggregates = ["count", "sum", "avg", "min", "max"];
        if aggregates
            .iter()
            .any(|name| call(expression, name).is_some())
        {
            self.aggregated = true;
            return Content::Long(i64::try_from(range.rows).unwrap_or(i64::MAX));
        }
        Content::Text(expression.into())
    }

    /// The text that an argument stands for.
    fn text(&mut self, argument: &str, range: Range) -> String {
        match unquoted(argument) {
            Some(text) => text.into(),
            None => match self.called(argument, range) {
                Content::Text(text) => text,
                Content::Int(_)
                | Content::Long(_)
                | Content::Boolean(_)
                | Content::Null
                | Content::Sequence { .. } => argument.into(),
            },
        }
    }
}

fn literal(expression: &str) -> Option<Content> {
    if let Ok(value) = expression.parse() {
        return Some(Content::Int(value));
    }
    if let Ok(value) = expression.parse() {
        return Some(Content::Long(value));
    }
    if let Some(text) = unquoted(expression) {
        return Some(Content::Text(text.into()));
    }
    match expression.to_ascii_lowercase().as_str() {
        "true" => Some(Content::Boolean(true)),
        "false" => Some(Content::Boolean(false)),
        "null" => Some(Content::Null),
        _ => None,
    }
}
