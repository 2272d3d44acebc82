//! `/* stub: rows=… delay_ms=… error=… crash */`: a statement that says what the stub shall do.

use super::super::{Ending, Millis, Script, SparkError};
use crate::stub::rows::{Column, Content, Table};

/// What a directive asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Directive {
    rows: u64,
    row_bytes: usize,
    batch_rows: u64,
    delay_ms: Millis,
    batch_delay_ms: Millis,
    error: Option<String>,
    message: String,
    sqlstate: String,
    crash: bool,
    hang: bool,
}

const ALLOWED: &str = "rows=N, row_bytes=N, batch_rows=N, delay_ms=N, batch_delay_ms=N, \
                       error=CLASS, message=WORD, sqlstate=STATE, crash, hang";

/// The script of a statement that begins with a directive; none if it does not.
pub(super) fn script(sql: &str) -> Option<Script> {
    let body = sql.trim_start().strip_prefix("/*")?.trim_start();
    let body = body.strip_prefix("stub:")?;
    let body = &body[..body.find("*/")?];
    Some(match parse(body) {
        Ok(directive) => directive.script(),
        Err(error) => Script::refused(error),
    })
}

fn parse(body: &str) -> Result<Directive, SparkError> {
    let mut directive = Directive {
        rows: 1,
        row_bytes: 8,
        batch_rows: 1_000,
        delay_ms: 0,
        batch_delay_ms: 0,
        error: None,
        message: "asked for".into(),
        sqlstate: "XXKST".into(),
        crash: false,
        hang: false,
    };
    for word in body.split_whitespace() {
        directive.take(word)?;
    }
    Ok(directive)
}

impl Directive {
    fn take(&mut self, word: &str) -> Result<(), SparkError> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "rows" => self.rows = number(word, value)?,
            "row_bytes" => self.row_bytes = number(word, value)?,
            "batch_rows" => self.batch_rows = number(word, value)?,
            "delay_ms" => self.delay_ms = number(word, value)?,
            "batch_delay_ms" => self.batch_delay_ms = number(word, value)?,
            "error" => self.error = Some(value.into()),
            "message" => self.message = value.into(),
            "sqlstate" => self.sqlstate = value.into(),
            "crash" => self.crash = true,
            "hang" => self.hang = true,
            _ => return Err(bad(word)),
        }
        Ok(())
    }

    fn script(self) -> Script {
        let columns = vec![
            Column::new("id", Content::Sequence { start: 0, step: 1 }),
            Column::new("payload", Content::Text("x".repeat(self.row_bytes))),
        ];
        let ending = match self.error {
            _ if self.crash => Ending::DriverDies,
            _ if self.hang => Ending::Never,
            Some(class) => Ending::Failure(SparkError::new(&class, &self.message, &self.sqlstate)),
            None => Ending::Success,
        };
        Script::table(Table::new(columns, self.rows), 1, self.batch_rows)
            .slow(self.delay_ms, self.batch_delay_ms)
            .ending(ending)
    }
}

fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T, SparkError> {
    value.parse().map_err(|_| bad(word))
}

fn bad(word: &str) -> SparkError {
    SparkError::new(
        "STUB_BAD_DIRECTIVE",
        &format!("stub directive {word:?} is not one of: {ALLOWED}"),
        "42000",
    )
}
