//! Rows in columns.
//!
//! PURE: cells in, text out.

use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell as Drawn, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row,
    Table, Width,
};
use unicode_width::UnicodeWidthStr as _;

use super::Look;

/// What says that something was cut.
const CUT: &str = "…";
/// Longer text is never cut to less than this.
const SHORTEST_TEXT: u16 = 12;
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
    optional: bool,
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
            optional: false,
        }
    }

    /// Aligned to the right, and never cut.
    pub(in crate::cli::admin) const fn number(title: &'static str) -> Self {
        Self {
            title,
            kind: Kind::Number,
            optional: false,
        }
    }

    /// Cut where the terminal is too narrow, to a few letters at the least.
    pub(in crate::cli::admin) const fn text(title: &'static str) -> Self {
        Self {
            title,
            kind: Kind::Text,
            optional: false,
        }
    }

    /// Left out where the terminal is too narrow for all: the last one first.
    pub(in crate::cli::admin) const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
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
        let shown = self.shown(look);
        let mut table = plain_table(look);
        // Between words only, text would be cut far before the end of the line.
        table.set_delimiter('\0');
        table.set_header(shown.iter().map(|n| title(self.columns[*n].title, look)));
        for row in &self.rows {
            let cells = shown.iter().filter_map(|n| row.get(*n));
            let mut row = Row::from(cells.map(|cell| cell.drawn(look)).collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        let last = shown.last();
        for (n, drawn) in shown.iter().zip(table.column_iter_mut()) {
            let column = self.columns[*n];
            let gap = if Some(n) == last { 0 } else { GAP };
            drawn.set_constraint(match column.kind {
                Kind::Key | Kind::Number => ColumnConstraint::ContentWidth,
                Kind::Text => ColumnConstraint::LowerBoundary(Width::Fixed(self.least(*n) + gap)),
            });
            if column.kind == Kind::Number {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
        }
        finished(table)
    }

    /// Which columns there is room for.
    fn shown(&self, look: Look) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(room) = look.columns else {
            return shown;
        };
        let width = |n: &usize| u32::from(self.least(*n) + GAP);
        let needed = |shown: &[usize]| shown.iter().map(width).sum::<u32>();
        // Behind the last one there is no gap.
        while needed(&shown) > u32::from(room) + u32::from(GAP) {
            let Some(last) = shown.iter().rposition(|n| self.columns[*n].optional) else {
                break;
            };
            shown.remove(last);
        }
        shown
    }

    /// The least width of a column: all of it, or of text as much as says something.
    fn least(&self, n: usize) -> u16 {
        let Column { title, kind, .. } = self.columns[n];
        let cells = self.rows.iter().filter_map(|row| row.get(n));
        let widest = cells.map(|cell| width_of(&cell.text)).max().unwrap_or(0);
        let widest = match kind {
            Kind::Key | Kind::Number => widest,
            Kind::Text => widest.min(SHORTEST_TEXT),
        };
        widest.max(width_of(title))
    }
}

fn width_of(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX / 2)
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
数据           3  SELECT count(*) FROM …";
        assert_eq!(grid().text(look(Some(40), false)), expected);
    }

    #[test]
    fn optional_columns_go_where_there_is_no_room_for_all() {
        let row = |id: &str| {
            vec![
                Cell::new(id),
                Cell::new("up"),
                Cell::new("h:1"),
                Cell::new(7),
            ]
        };
        let grid = Grid {
            columns: const {
                &[
                    Column::key("NODE"),
                    Column::text("STATE"),
                    Column::text("ADDRESS").optional(),
                    Column::number("LEASE").optional(),
                ]
            },
            rows: vec![row("1")],
            none: "",
        };
        let head = |columns| {
            let text = grid.text(look(columns, false));
            text.lines().next().unwrap().to_owned()
        };
        assert_eq!(head(None), "NODE  STATE  ADDRESS  LEASE");
        assert_eq!(head(Some(27)), "NODE  STATE  ADDRESS  LEASE");
        assert_eq!(head(Some(26)), "NODE  STATE  ADDRESS");
        assert_eq!(head(Some(19)), "NODE  STATE");
        assert_eq!(head(Some(5)), "NODE  STATE", "what must be there is there");
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
