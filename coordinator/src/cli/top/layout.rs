//! Text in columns, and parts of a screen.
//!
//! PURE: cells in, lines out.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// Between two columns.
const GAP: &str = "  ";
/// What says that something was cut.
const CUT: &str = "…";
/// A column gets at least this many characters, and more on a wide screen.
const LEAST_WIDTH: usize = 12;
/// No column but the last gets more of the screen than one part in so many.
const PARTS: usize = 5;

/// Rows below a head, in columns as wide as what is in them, but no wider than fits beside others;
/// only the last column may be longer. A title that begins with `>` is aligned to the right; a
/// column in which nothing is, is left out. `none` stands in place of no rows.
pub(super) fn table(
    head: &[&str],
    rows: &[Vec<String>],
    none: &str,
    columns: usize,
) -> Vec<String> {
    let title = |head: &&str| head.trim_start_matches('>').to_owned();
    let titles: Vec<String> = head.iter().map(title).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&titles).chain(rows).collect();
    let most = (columns / PARTS).max(LEAST_WIDTH);
    let width = |n: usize| {
        let cells = all.iter().filter_map(|row| row.get(n));
        let widest = cells.map(|cell| measure_text_width(cell)).max();
        let last = n + 1 == head.len();
        widest.unwrap_or(0).min(if last { columns } else { most })
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &&Vec<String>| {
        let cells = row.iter().zip(head).zip(&widths);
        let cells = cells.filter(|(_, width)| **width > 0);
        let cells = cells.map(|((cell, head), width)| {
            let side = if head.starts_with('>') {
                Alignment::Right
            } else {
                Alignment::Left
            };
            pad_str(cell, *width, side, Some(CUT))
        });
        let line = cells.collect::<Vec<_>>().join(GAP);
        fit(line.trim_end(), columns)
    };
    let mut lines: Vec<String> = all.iter().map(line).collect();
    if rows.is_empty() {
        lines.push(fit(none, columns));
    }
    lines
}

/// The line, cut to the width of the screen.
pub(in crate::cli) fn fit(line: &str, columns: usize) -> String {
    truncate_str(line, columns, CUT).into_owned()
}

/// Cuts the parts, so that they have no more than `rows` lines together: a long one does not push
/// the others off the screen. What was cut is said in the last line of each.
pub(super) fn share(mut parts: Vec<Vec<String>>, rows: usize) -> Vec<Vec<String>> {
    let mut shortest_first: Vec<usize> = (0..parts.len()).collect();
    shortest_first.sort_by_key(|n| parts[*n].len());
    let (mut left, mut others) = (rows, parts.len());
    for n in shortest_first {
        // Each gets an even part of what those that are shorter have left over.
        let given = left / others.max(1);
        cut(&mut parts[n], given);
        left -= parts[n].len();
        others -= 1;
    }
    parts
}

fn cut(lines: &mut Vec<String>, rows: usize) {
    if lines.len() > rows {
        let kept = rows.saturating_sub(1);
        let hidden = lines.len() - kept;
        lines.truncate(kept);
        if rows > 0 {
            lines.push(format!("{CUT} {hidden} more"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        rows.iter().map(row).collect()
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = cells(&[&["a", "1", "", "x y"], &["long-name", "22", "", "z"]]);
        let lines = table(&["NAME", ">N", "", "TEXT"], &rows, "none", 100);
        assert_eq!(
            lines,
            [
                "NAME        N  TEXT",
                "a           1  x y",
                "long-name  22  z"
            ]
        );
    }

    #[test]
    fn a_long_name_leaves_room_for_what_stands_behind_it() {
        let name = "s-0f8fad5b-d9cb-469f-a165-70867728950e";
        let rows = cells(&[&[name, "1", "SELECT count(*) FROM large_table, mydata"]]);
        let lines = table(&["SESSION", ">N", "CODE"], &rows, "none", 40);
        assert_eq!(lines[1], "s-0f8fad5b-…  1  SELECT count(*) FROM l…");
        assert!(table(&["SESSION"], &[], "none", 40)[1] == "none");
    }

    #[test]
    fn parts_share_the_rows() {
        let part = |lines: usize| vec!["line".to_owned(); lines];
        let lengths = |rows| -> Vec<usize> {
            let parts = share(vec![part(5), part(50), part(20)], rows);
            parts.iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(100), [5, 50, 20]);
        assert_eq!(lengths(30), [5, 13, 12]);
        assert_eq!(lengths(9), [3, 3, 3]);
        assert_eq!(lengths(1), [0, 1, 0]);
        assert_eq!(lengths(0), [0, 0, 0]);
        let cut = share(vec![part(5)], 3);
        assert_eq!(cut[0][2], "… 3 more");
    }
}
