//! The prompt: lines until a semicolon, history in the user's cache folder, completion of
//! keywords. Ctrl-C drops the input or cancels the statement, Ctrl-D and `exit` leave.

use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Editor, Helper};

use super::error::SqlError;
use super::script::split;
use super::{client, run_one};
use crate::cli::arguments::SqlArguments;
use crate::cli::report::Failure;
use crate::cli::tell;
use crate::dev::Environment;

/// Entries of the history.
const HISTORY: usize = 1_000;

/// What the completion offers.
const KEYWORDS: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CACHE",
    "CASE",
    "CAST",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATABASE",
    "DATABASES",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "FUNCTION",
    "FUNCTIONS",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MERGE",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "OVERWRITE",
    "PARTITION",
    "REPLACE",
    "RIGHT",
    "SELECT",
    "SET",
    "SHOW",
    "TABLE",
    "TABLES",
    "TEMPORARY",
    "THEN",
    "TRUE",
    "UNION",
    "UPDATE",
    "USE",
    "USING",
    "VALUES",
    "VIEW",
    "VIEWS",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

type Prompt = Editor<Sql, FileHistory>;

/// Asks for statements until there are no more.
pub(super) async fn prompt(arguments: &SqlArguments) -> Result<(), SqlError> {
    let input = |source: std::io::Error| SqlError::Input {
        from: "the terminal".to_owned(),
        source,
    };
    let client = client(arguments)?;
    let mut editor = editor().map_err(|e| input(std::io::Error::other(e)))?;
    let history = history_file();
    if let Some(file) = &history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    tell(&format!(
        "libra at {}, session {}; statements end with `;`, `exit` leaves",
        arguments.url, arguments.session
    ));
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let line = editor.readline("libra> ");
            (editor, line)
        });
        let line;
        (editor, line) = read.await.map_err(|e| input(std::io::Error::other(e)))?;
        match line {
            Ok(line) if is_exit(&line) => break,
            Ok(line) => {
                // A history that cannot take it is no reason not to run it.
                let _ = editor.add_history_entry(line.trim());
                for code in split(&line).all() {
                    if let Err(e) = run_one(&client, arguments, &code).await {
                        Failure::new(super::FAILED, &e).report();
                        break;
                    }
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(input(std::io::Error::other(e))),
        }
    }
    save(&mut editor, history);
    Ok(())
}

fn editor() -> rustyline::Result<Prompt> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Sql));
    Ok(editor)
}

fn history_file() -> Option<PathBuf> {
    Environment::of_process()
        .cache()
        .map(|cache| cache.join("sql_history"))
}

/// Saves the history; without a place for it there is none the next time.
fn save(editor: &mut Prompt, file: Option<PathBuf>) {
    let Some(file) = file else { return };
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    if made.is_ok() {
        let _ = editor.save_history(&file);
    }
}

fn is_exit(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim();
    word.eq_ignore_ascii_case("exit") || word.eq_ignore_ascii_case("quit")
}

/// What the editor knows of SQL.
struct Sql;

impl Helper for Sql {}
impl Highlighter for Sql {}

impl Hinter for Sql {
    type Hint = String;
}

impl Validator for Sql {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

fn is_complete(input: &str) -> bool {
    is_exit(input) || split(input).rest.is_none()
}

impl Completer for Sql {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(completions(line, position))
    }
}

/// Where the word before `position` begins, and what it may become, in the case it is written in.
fn completions(line: &str, position: usize) -> (usize, Vec<Pair>) {
    let before = line.get(..position).unwrap_or(line);
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
    let word = &before[start..];
    if word.is_empty() {
        return (start, Vec::new());
    }
    let is_lower = word.chars().any(char::is_lowercase);
    let upper = word.to_uppercase();
    let found = KEYWORDS
        .iter()
        .filter(|keyword| keyword.starts_with(&upper));
    let pairs = found.map(|keyword| {
        let text = if is_lower {
            keyword.to_lowercase()
        } else {
            (*keyword).to_owned()
        };
        Pair {
            display: text.clone(),
            replacement: text,
        }
    });
    (start, pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_ends_with_a_semicolon() {
        for complete in [
            "",
            "  ",
            "SELECT 1;",
            "select 1; select 2;\n",
            "exit",
            "QUIT;",
            "-- x",
        ] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in [
            "SELECT 1",
            "SELECT ';",
            "SELECT 1; SELECT 2",
            "BEGIN SELECT 1;",
            "/* x;",
        ] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn keywords_are_completed_in_their_case() {
        let words = |line: &str| -> Vec<String> {
            let (_, pairs) = completions(line, line.len());
            pairs.into_iter().map(|pair| pair.replacement).collect()
        };
        assert_eq!(words("sel"), ["select"]);
        assert_eq!(words("SELECT * FR"), ["FROM"]);
        assert_eq!(words("é,wh"), ["when", "where"]);
        assert_eq!(words("SELECT "), [""; 0]);
        assert_eq!(completions("SELECT * FR", 11).0, 9);
        assert_eq!(completions("é,wh", 5).0, 3);
    }
}
