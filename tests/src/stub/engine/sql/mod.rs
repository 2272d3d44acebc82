//! From SQL text to a [`Script`]: as much SQL as our tests speak, and the stub's own directives.
//!
//! `/* stub: rows=100000 row_bytes=100 batch_rows=1000 delay_ms=10000 error=DIVIDE_BY_ZERO crash */`
//! in front of a statement says what it does; the rest of it is not looked at. Without a directive
//! the statement is read: literals, `range`, `repeat`, sleeping by `reflect`, `raise_error`, `SET`,
//! views and tables by name. What is not known answers with one row of text.
//!
//! **Invariant:** pure, and knows no session: what depends on one is left to the engine.

mod directive;
mod select;
mod text;

use std::sync::Arc;

use super::{Script, SparkError};
use crate::stub::rows::{Column, Content, Table};

/// A compiled statement: a script, or what a session has to add first.
#[derive(Debug, Clone)]
pub enum Statement {
    /// Runs as it is.
    Run(Arc<Script>),
    /// `SET key`.
    ReadConf(String),
    /// `SET key=value`.
    SetConf(String, String),
    /// Reads a table or view.
    ReadTable {
        /// Its name, in lower case.
        name: String,
        /// What to run if it is a table.
        found: Box<Statement>,
        /// What to say if it is not there.
        missing: SparkError,
    },
    /// Makes a temporary view.
    CreateView {
        /// Its name, in lower case.
        name: String,
        /// What it stands for.
        body: Box<Statement>,
    },
    /// Makes a table.
    CreateTable(String),
    /// Takes a table or view away.
    Drop(String),
}

impl Statement {
    fn run(script: Script) -> Self {
        Self::Run(Arc::new(script))
    }
}

/// Compiles a statement. Never fails: a statement that Spark would refuse runs into that refusal.
#[must_use]
pub fn compile(sql: &str) -> Statement {
    if let Some(script) = directive::script(sql) {
        return Statement::run(script);
    }
    match statement(sql) {
        Ok(statement) => statement,
        Err(error) => Statement::run(Script::refused(error)),
    }
}

fn statement(sql: &str) -> Result<Statement, SparkError> {
    if sql.trim().is_empty() {
        return Err(SparkError::empty_statement(sql));
    }
    let plain = text::without_comments(sql);
    let plain = plain.strip_suffix(';').unwrap_or(&plain).trim();
    let first = plain
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or("");
    let rest = plain[first.len()..].trim();
    let keyword = first.to_ascii_uppercase();
    if keyword != "BEGIN"
        && let Some(at) = text::positions(plain, ";").first()
    {
        let word = plain[at + 1..].split_whitespace().next().unwrap_or("");
        let hint = format!(": extra input '{word}'");
        return Err(SparkError::parse(&format!("'{word}'"), &hint, sql, at + 2));
    }
    Ok(match keyword.as_str() {
        "" if plain.is_empty() => {
            return Err(SparkError::parse("end of input", "", sql, sql.len()));
        }
        "SELECT" => select::compile(sql, rest),
        "SET" => set(rest),
        "CREATE" => create(sql, rest),
        "DROP" => Statement::Drop(last_word(rest)),
        "USE" | "INSERT" | "ALTER" | "REFRESH" | "CACHE" | "UNCACHE" | "TRUNCATE" | "DELETE"
        | "UPDATE" | "MERGE" | "ANALYZE" | "RESET" | "BEGIN" | "CLEAR" => nothing(),
        "SHOW" | "DESCRIBE" | "DESC" | "EXPLAIN" | "VALUES" | "WITH" | "FROM" | "TABLE" => {
            one_text(plain)
        }
        _ => return Err(SparkError::parse(&format!("'{first}'"), "", sql, 0)),
    })
}

fn set(rest: &str) -> Statement {
    match rest.split_once('=') {
        Some((key, value)) => Statement::SetConf(key.trim().into(), value.trim().into()),
        None => Statement::ReadConf(rest.into()),
    }
}

fn create(sql: &str, rest: &str) -> Statement {
    let body = text::positions(rest, "AS").first().copied();
    let head = &rest[..body.unwrap_or(rest.len())];
    let words: Vec<String> = head.split_whitespace().map(str::to_lowercase).collect();
    let Some(kind) = words
        .iter()
        .position(|word| word == "view" || word == "table")
    else {
        return nothing();
    };
    let skipped = ["if", "not", "exists"];
    let name = words[kind + 1..]
        .iter()
        .find(|word| !skipped.contains(&word.as_str()))
        .map(|word| word.split('(').next().unwrap_or(word).to_owned())
        .unwrap_or_default();
    match body {
        Some(at) if words[kind] == "view" => {
            let query = rest[at + 2..].trim();
            let body = statement(query).unwrap_or_else(|_| one_text(sql));
            Statement::CreateView {
                name,
                body: Box::new(body),
            }
        }
        _ => Statement::CreateTable(name),
    }
}

fn last_word(rest: &str) -> String {
    rest.split_whitespace()
        .next_back()
        .unwrap_or("")
        .to_lowercase()
}

pub(super) fn nothing() -> Statement {
    Statement::run(Script::table(Table::nothing(), 1, 1))
}

/// One row of key and value, as `SET` answers.
pub(super) fn key_value(key: &str, value: &str) -> Script {
    let columns = vec![
        Column::new("key", Content::Text(key.into())),
        Column::new("value", Content::Text(value.into())),
    ];
    Script::table(Table::new(columns, 1), 1, 1)
}

fn one_text(text: &str) -> Statement {
    let columns = vec![Column::new("result", Content::Text(text.into()))];
    Statement::run(Script::table(Table::new(columns, 1), 1, 1))
}
