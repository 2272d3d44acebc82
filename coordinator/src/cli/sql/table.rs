//! Rows as a table for people. Widths come from the first page: a result is never held whole.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::client::{Column, Page};

/// Cells on a terminal are cut at this width.
const MAX_WIDTH: usize = 100;

/// A table being written.
pub(super) struct Table {
    widths: Vec<usize>,
    align_right: Vec<bool>,
    cut: bool,
}

impl Table {
    /// Lays out a table by its first page; `cut` shortens long cells.
    pub(super) fn new(page: &Page, cut: bool) -> Self {
        let mut table = Self {
            widths: page
                .schema
                .iter()
                .map(|column| column.name.width())
                .collect(),
            align_right: page.schema.iter().map(is_number).collect(),
            cut,
        };
        for row in &page.rows {
            for (at, cell) in row.iter().enumerate() {
                let width = table.shown(cell.get()).width();
                if let Some(widest) = table.widths.get_mut(at) {
                    *widest = width.max(*widest);
                }
            }
        }
        table
    }

    /// The head: names between lines.
    pub(super) fn head(&self, schema: &[Column]) -> String {
        let names: Vec<_> = schema.iter().map(|column| plain(&column.name)).collect();
        format!("{0}{1}{0}", self.line(), self.row(&names))
    }

    /// The line that closes it.
    pub(super) fn line(&self) -> String {
        let dashes: Vec<_> = self
            .widths
            .iter()
            .map(|width| "-".repeat(width + 2))
            .collect();
        format!("+{}+\n", dashes.join("+"))
    }

    /// The rows of a page.
    pub(super) fn rows(&self, page: &Page) -> String {
        let cells = |row: &Vec<Box<serde_json::value::RawValue>>| -> Vec<String> {
            row.iter().map(|cell| self.shown(cell.get())).collect()
        };
        page.rows.iter().map(|row| self.row(&cells(row))).collect()
    }

    fn row(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for ((cell, width), right) in cells.iter().zip(&self.widths).zip(&self.align_right) {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            // Writing to a string does not fail.
            let _ = if *right {
                write!(line, "| {pad}{cell} ")
            } else {
                write!(line, "| {cell}{pad} ")
            };
        }
        line.push_str("|\n");
        line
    }

    /// A JSON cell as people read it.
    fn shown(&self, json: &str) -> String {
        let text = match json.chars().next() {
            Some('"') => serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned()),
            Some('n') => "NULL".to_owned(),
            Some(_) | None => json.to_owned(),
        };
        let text = plain(&text);
        if !self.cut || text.width() <= MAX_WIDTH {
            return text;
        }
        text.chars().take(MAX_WIDTH - 1).chain(['…']).collect()
    }
}

fn is_number(column: &Column) -> bool {
    let numbers = [
        "tinyint", "smallint", "int", "bigint", "float", "double", "decimal",
    ];
    numbers
        .iter()
        .any(|number| column.type_name.starts_with(number))
        && !column.type_name.starts_with("interval")
}

/// Text whose control characters cannot disturb a terminal.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let kept = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(kept)
        })
        .collect()
}

/// How many rows a statement gave and how long it took.
pub(super) fn footer(statement: &Value) -> String {
    let rows = statement["result"]["rowCount"].as_u64().unwrap_or(0);
    let millis = statement["executionTimeMs"].as_u64().unwrap_or(0);
    let unit = if rows == 1 { "row" } else { "rows" };
    format!("{rows} {unit} ({}.{:03} s)", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &str) -> Page {
        let text = format!(
            r#"{{"schema": [{{"name": "id", "type": "bigint", "nullable": false}},
            {{"name": "näme", "type": "string", "nullable": true}}], "truncated": false, "rows": {rows}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn columns_line_up() {
        let first = page(r#"[[1, "a"], [20000000000000000001, null], [3, "日本"], [4, "x\ty"]]"#);
        let table = Table::new(&first, false);
        let text = table.head(&first.schema) + &table.rows(&first) + &table.line();
        let expected = "\
+----------------------+------+
|                   id | näme |
+----------------------+------+
|                    1 | a    |
| 20000000000000000001 | NULL |
|                    3 | 日本 |
|                    4 | x\\ty |
+----------------------+------+
";
        assert_eq!(text, expected);
    }

    #[test]
    fn long_cells_are_cut_on_terminals_only() {
        let long = page(&format!(r#"[[1, "{}"]]"#, "x".repeat(500)));
        assert!(Table::new(&long, true).rows(&long).len() < 200);
        assert!(Table::new(&long, false).rows(&long).len() > 500);
        assert!(Table::new(&long, true).rows(&long).contains('…'));
    }

    #[test]
    fn the_footer_counts() {
        let statement = serde_json::json!({"result": {"rowCount": 1}, "executionTimeMs": 1042});
        assert_eq!(footer(&statement), "1 row (1.042 s)");
    }
}
