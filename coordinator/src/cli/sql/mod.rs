//! `libra sql`: statements to a coordinator, results to standard output.
//!
//! Exit codes: 0 all statements succeeded; 1 one failed, or the coordinator did; 2 wrong
//! arguments; 130 interrupted (the statement is cancelled).
//!
//! **Invariant:** it speaks REST only, and every submit carries an Idempotency-Key: whatever it
//! repeats, no statement runs twice.

mod client;
mod error;
mod output;
mod prompt;
mod script;
mod table;

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::arguments::SqlArguments;
use super::report::Failure;
use super::{FAILED, USAGE, tell};
use client::{Client, Submit};
use error::SqlError;
pub(super) use output::Format;

/// What the shell says of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs the statements of the arguments, of standard input, or of a prompt.
pub(super) async fn sql(arguments: SqlArguments) -> Result<(), Failure> {
    let result = match statements(&arguments) {
        Ok(Some(statements)) => run_all(&arguments, &statements).await,
        Ok(None) => prompt::prompt(&arguments).await,
        Err(e) => Err(e),
    };
    result.map_err(|e| Failure::new(exit_code(&e), &e))
}

fn exit_code(error: &SqlError) -> u8 {
    match error {
        SqlError::Interrupted { .. } => INTERRUPTED,
        SqlError::ArrowOnTerminal | SqlError::Input { .. } => USAGE,
        SqlError::Unreachable { .. }
        | SqlError::Connection { .. }
        | SqlError::Refused { .. }
        | SqlError::Failed { .. }
        | SqlError::Answer { .. }
        | SqlError::Output(_) => FAILED,
    }
}

/// The statements to run; `None` if they are to be asked for.
fn statements(arguments: &SqlArguments) -> Result<Option<Vec<String>>, SqlError> {
    if !arguments.execute.is_empty() {
        let all = arguments
            .execute
            .iter()
            .flat_map(|text| script::split(text).all());
        return Ok(Some(all.collect()));
    }
    let text = match &arguments.file {
        Some(file) => read_file(file)?,
        None if io::stdin().is_terminal() => return Ok(None),
        None => read_input()?,
    };
    Ok(Some(script::split(&text).all()))
}

fn read_file(file: &Path) -> Result<String, SqlError> {
    std::fs::read_to_string(file).map_err(|source| SqlError::Input {
        from: file.display().to_string(),
        source,
    })
}

fn read_input() -> Result<String, SqlError> {
    let mut text = String::new();
    match io::stdin().read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(source) => Err(SqlError::Input {
            from: "standard input".to_owned(),
            source,
        }),
    }
}

fn client(arguments: &SqlArguments) -> Result<Client, SqlError> {
    Client::new(&arguments.url, arguments.user.clone())
}

async fn run_all(arguments: &SqlArguments, statements: &[String]) -> Result<(), SqlError> {
    let client = client(arguments)?;
    for code in statements {
        run_one(&client, arguments, code).await?;
    }
    Ok(())
}

/// Runs one statement to its end and writes its result.
async fn run_one(client: &Client, arguments: &SqlArguments, code: &str) -> Result<(), SqlError> {
    let session = arguments.session.as_str();
    let body = Submit {
        code,
        kind: "sql",
        pool: arguments.pool.as_deref(),
        timeout_seconds: arguments.timeout_seconds,
    };
    let submitted = client.submit(session, &body).await?;
    let job = submitted["jobId"].as_str().unwrap_or_default().to_owned();
    let statement = tokio::select! {
        ended = until_ended(client, &job, submitted) => ended?,
        _ = tokio::signal::ctrl_c() => {
            client.cancel(session, &job).await?;
            return Err(SqlError::Interrupted { job });
        }
    };
    if statement["state"] != "succeeded" {
        return Err(SqlError::Failed { statement });
    }
    let truncated = output::write(client, arguments.format, session, &job).await?;
    if truncated {
        tell(&format!(
            "libra: the result of {job} was cut at a limit (libra.results)"
        ));
    }
    if arguments.format == Format::Table {
        tell(&table::footer(&statement));
    }
    Ok(())
}

async fn until_ended(client: &Client, job: &str, mut statement: Value) -> Result<Value, SqlError> {
    let progress = Progress::new();
    while matches!(statement["state"].as_str(), Some("queued" | "running")) {
        progress.show(&statement);
        statement = client.poll(job).await?;
    }
    Ok(statement)
}

/// How far the statement is, on a terminal; nothing elsewhere.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        let template = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        bar.set_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    fn show(&self, statement: &Value) {
        self.bar.set_message(progress_text(statement));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn progress_text(statement: &Value) -> String {
    let text = |name: &str| statement[name].as_str().unwrap_or_default();
    let mut line = format!("{} {}", text("jobId"), text("state"));
    let tasks = &statement["progress"];
    if let (Some(done), Some(all)) = (
        tasks["completedTasks"].as_u64(),
        tasks["totalTasks"].as_u64(),
    ) {
        line.push_str(&format!(", {done} of {all} tasks"));
    }
    if statement["reconnecting"] == true {
        line.push_str(", reconnecting to Spark");
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn progress_says_what_is_known() {
        assert_eq!(
            progress_text(&json!({"jobId": "job-1", "state": "queued"})),
            "job-1 queued"
        );
        let running = json!({
            "jobId": "job-2", "state": "running", "reconnecting": true,
            "progress": {"completedTasks": 3, "totalTasks": 8}
        });
        assert_eq!(
            progress_text(&running),
            "job-2 running, 3 of 8 tasks, reconnecting to Spark"
        );
    }
}
