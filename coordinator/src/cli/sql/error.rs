//! Why `libra sql` ended.

use serde_json::Value;
use thiserror::Error;

/// A statement did not come through.
#[derive(Debug, Error)]
pub(super) enum SqlError {
    /// There is nobody at the URL.
    #[error(
        "cannot reach {url} ({cause}): is `libra serve` or `libra dev` running there? The address \
         is set by --url or LIBRA_URL"
    )]
    Unreachable {
        /// The coordinator's URL.
        url: String,
        /// What happened, in the system's words.
        cause: String,
    },
    /// The connection failed for longer than retries make sense.
    #[error("{doing}")]
    Connection {
        /// What was being done.
        doing: &'static str,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The coordinator refused.
    #[error("{status} {}", problem_text(problem))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem document.
        problem: Value,
    },
    /// The statement ended without success.
    #[error("{}", failure_text(statement))]
    Failed {
        /// The statement as the coordinator shows it.
        statement: Value,
    },
    /// The answer is not what the API promises.
    #[error("{doing}: the answer is no JSON of libra")]
    Answer {
        /// What was being done.
        doing: &'static str,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the result")]
    Output(#[source] std::io::Error),
    /// The statements cannot be read.
    #[error("cannot read {from}")]
    Input {
        /// The file, or standard input.
        from: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Arrow on a terminal helps nobody.
    #[error("--format arrow writes bytes: send standard output to a file or a program")]
    ArrowOnTerminal,
    /// Ctrl-C; the statement was asked to stop.
    #[error("interrupted; {job} is being cancelled")]
    Interrupted {
        /// The statement.
        job: String,
    },
}

fn problem_text(problem: &Value) -> String {
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let mut line = format!("{}: {}", text("code"), text("detail"));
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    // The detail tells all of a single one.
    if errors.len() > 1 {
        for error in errors {
            line.push_str(&format!(
                "\n  {}: {}; allowed: {}",
                plain(&error["field"]),
                plain(&error["value"]),
                plain(&error["allowed"])
            ));
        }
    }
    line
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn failure_text(statement: &Value) -> String {
    let error = &statement["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default();
    let job = statement["jobId"].as_str().unwrap_or_default();
    let state = statement["state"].as_str().unwrap_or_default();
    if error.is_null() {
        return format!("{job} is {state}");
    }
    let (class, message) = (text("errorClass"), text("message"));
    // Spark's messages begin with their class.
    if message.contains(class) {
        format!("{job} {state}: {message}")
    } else {
        format!(
            "{job} {state}: [{class}] {message} SQLSTATE: {}",
            text("sqlState")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_are_told_in_sparks_words() {
        let of =
            |error| failure_text(&json!({"jobId": "job-1", "state": "failed", "error": error}));
        assert_eq!(of(Value::Null), "job-1 is failed");
        assert_eq!(
            of(json!({"errorClass": "X_Y", "sqlState": "42", "message": "[X_Y] no. SQLSTATE: 42"})),
            "job-1 failed: [X_Y] no. SQLSTATE: 42"
        );
        assert_eq!(
            of(json!({"errorClass": "LIBRA_TIMEOUT", "sqlState": "HY008", "message": "too long"})),
            "job-1 failed: [LIBRA_TIMEOUT] too long SQLSTATE: HY008"
        );
    }

    #[test]
    fn refusals_name_fields() {
        let problem = json!({"code": "invalid", "detail": "no", "errors": [
            {"field": "pool", "value": "x", "allowed": ["default", "a"]},
            {"field": "kind", "value": 1, "allowed": "sql"}
        ]});
        let expected = "invalid: no\n  pool: x; allowed: default, a\n  kind: 1; allowed: sql";
        assert_eq!(problem_text(&problem), expected);
    }
}
