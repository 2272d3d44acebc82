//! Rows in columns.
//!
//! PURE: cells in, text out.

use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell as Drawn, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row,
    Table,
};

use super::Look;

/// What says that something was cut.
const CUT: &str = "…";
/// Between two columns.
const GAP: u16 = 2;

/// How a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::admin) enum Tone {
    Plain,
    /// All well.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::admin) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text in one line, with nothing in it that moves a cursor; `-` if it is empty.
    pub(in crate::cli::admin) fn new(text: impl ToString) -> Self {
        Self {
            text: one_line(&text.to_string()),
            tone: Tone::Plain,
        }
    }

    /// What may not be there.
    pub(in crate::cli::admin) fn of<T: ToString>(value: Option<T>) -> Self {
        Self::new(value.map(|value| value.to_string()).unwrap_or_default())
    }

    pub(in crate::cli::admin) fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    fn drawn(&self, look: Look) -> Drawn {
        let cell = Drawn::new(&self.text);
        match self.tone {
            _ if !look.colours => cell,
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::Green),
            Tone::Warn => cell.fg(Color::Yellow),
            Tone::Bad => cell.fg(Color::Red),
        }
    }
}

fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(visible).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::admin) struct Column {
    title: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What is copied from here: never cut.
    Key,
    Number,
    Text,
}

impl Column {
    /// What is copied from here, an id say: it is never cut.
    pub(in crate::cli::admin) const fn key(title: &'static str) -> Self {
        Self {
            title,
            kind: Kind::Key,
        }
    }

    /// Aligned to the right, and never cut.
    pub(in crate::cli::admin) const fn number(title: &'static str) -> Self {
        Self {
            title,
            kind: Kind::Number,
        }
    }

    /// Cut where the terminal is too narrow.
    pub(in crate::cli::admin) const fn text(title: &'static str) -> Self {
        Self {
            title,
            kind: Kind::Text,
        }
    }
}

/// Rows below a head.
#[derive(Debug, Clone)]
pub(in crate::cli::admin) struct Grid {
    pub(in crate::cli::admin) columns: &'static [Column],
    pub(in crate::cli::admin) rows: Vec<Vec<Cell>>,
    /// Said in place of no rows.
    pub(in crate::cli::admin) none: &'static str,
}

impl Grid {
    pub(super) fn text(&self, look: Look) -> String {
        if self.rows.is_empty() {
            return self.none.to_owned();
        }
        let mut table = plain_table(look);
        table.set_header(self.columns.iter().map(|column| title(column.title, look)));
        for row in &self.rows {
            let mut row = Row::from(row.iter().map(|cell| cell.drawn(look)).collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        for (column, drawn) in self.columns.iter().zip(table.column_iter_mut()) {
            match column.kind {
                Kind::Key => {
                    drawn.set_constraint(ColumnConstraint::ContentWidth);
                }
                Kind::Number => {
                    drawn.set_constraint(ColumnConstraint::ContentWidth);
                    drawn.set_cell_alignment(CellAlignment::Right);
                }
                Kind::Text => {}
            }
        }
        finished(table)
    }
}

fn title(text: &str, look: Look) -> Drawn {
    let cell = Drawn::new(text);
    if look.colours {
        cell.add_attribute(Attribute::Bold)
    } else {
        cell
    }
}

/// A table of nothing but cells, two spaces apart, as wide as the terminal at most.
fn plain_table(look: Look) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_truncation_indicator(CUT);
    if look.colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    match look.columns {
        Some(columns) => {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(columns);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table
}

/// Two columns: a name that is never cut, and text that is wrapped beside it.
pub(super) fn pairs(pairs: &[(&'static str, Cell)], look: Look) -> String {
    let mut table = plain_table(look);
    for (name, value) in pairs {
        table.add_row(vec![title(name, look), value.drawn(look)]);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    finished(table)
}

/// The table's text: columns two spaces apart, nothing empty at the ends of lines.
fn finished(mut table: Table) -> String {
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { GAP }));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column::key("SESSION"),
        Column::number("RUNNING"),
        Column::text("CODE"),
    ];

    fn look(columns: Option<u16>, colours: bool) -> Look {
        Look { columns, colours }
    }

    fn grid() -> Grid {
        let row = |session, running: u32, code| {
            vec![Cell::new(session), Cell::new(running), Cell::new(code)]
        };
        Grid {
            columns: COLUMNS,
            rows: vec![
                row("default", 12, "SELECT\n\t1\u{1b}[2J"),
                row(
                    "数据",
                    3,
                    "SELECT count(*) FROM large_table WHERE name = 'x'",
                ),
            ],
            none: "no sessions",
        }
    }

    #[test]
    fn on_a_pipe_nothing_is_cut() {
        let expected = "\
SESSION  RUNNING  CODE
default       12  SELECT 1 [2J
数据           3  SELECT count(*) FROM large_table WHERE name = 'x'";
        assert_eq!(grid().text(look(None, false)), expected);
    }

    #[test]
    fn on_a_narrow_terminal_only_text_is_cut() {
        let expected = "\
SESSION  RUNNING  CODE
default       12  SELECT 1 [2J
数据           3  SELECT count(*) FROM…";
        assert_eq!(grid().text(look(Some(40), false)), expected);
    }

    #[test]
    fn colours_come_only_where_they_are_wanted() {
        let cell = Cell::new("down").toned(Tone::Bad);
        let one = Grid {
            columns: const { &[Column::key("STATE")] },
            rows: vec![vec![cell]],
            none: "",
        };
        assert_eq!(one.text(look(Some(40), false)), "STATE\ndown");
        let coloured = one.text(look(Some(40), true));
        assert!(coloured.contains("\u{1b}["), "{coloured:?}");
        assert!(coloured.contains("down"), "{coloured:?}");
    }

    #[test]
    fn no_rows_are_said() {
        let mut grid = grid();
        grid.rows.clear();
        assert_eq!(grid.text(look(Some(40), true)), "no sessions");
    }

    #[test]
    fn pairs_are_wrapped_beside_their_names() {
        let facts = [
            ("session", Cell::new("default")),
            (
                "error",
                Cell::new("the server went away and did not come back"),
            ),
        ];
        let expected = "\
session  default
error    the server went away
         and did not come back";
        assert_eq!(pairs(&facts, look(Some(30), false)), expected);
    }
}
