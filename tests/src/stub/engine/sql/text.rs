//! The little lexing that the stub's SQL needs: comments, quotes, brackets.

/// The statement without comments; quotes are respected.
pub(super) fn without_comments(sql: &str) -> String {
    let mut kept = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if matches!(first, '\'' | '"' | '`') {
            let quoted = quoted(rest, first);
            kept.push_str(&rest[..quoted]);
            rest = &rest[quoted..];
            continue;
        } else {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        kept.push(' ');
        rest = &rest[skipped..];
    }
    kept.trim().to_owned()
}

/// Length of the quoted text that `rest` begins with.
fn quoted(rest: &str, quote: char) -> usize {
    rest[1..].find(quote).map_or(rest.len(), |end| end + 2)
}

/// Places of `separator` outside quotes and brackets; a word counts only as a whole word.
pub(super) fn positions(sql: &str, separator: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut at, mut depth) = (0, 0_i32);
    while let Some(first) = sql[at..].chars().next() {
        match first {
            '\'' | '"' | '`' => {
                at += quoted(&sql[at..], first);
                continue;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches_at(sql, at, separator) {
            found.push(at);
        }
        at += first.len_utf8();
    }
    found
}

fn matches_at(sql: &str, at: usize, separator: &str) -> bool {
    let Some(piece) = sql.get(at..at + separator.len()) else {
        return false;
    };
    if !piece.eq_ignore_ascii_case(separator) {
        return false;
    }
    let is_word = separator.chars().all(char::is_alphanumeric);
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !is_word
        || !(inside(sql[..at].chars().next_back())
            || inside(sql[at + separator.len()..].chars().next()))
}

/// The pieces between top-level separators, trimmed.
pub(super) fn split<'a>(sql: &'a str, separator: &str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in positions(sql, separator) {
        pieces.push(sql[start..at].trim());
        start = at + separator.len();
    }
    pieces.push(sql[start..].trim());
    pieces
}

/// The arguments of `name(…)` if `expression` is that call and nothing else.
pub(super) fn call<'a>(expression: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let head = expression.get(..name.len())?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    let inner = expression[name.len()..]
        .trim_start()
        .strip_prefix('(')?
        .strip_suffix(')')?;
    Some(split(inner, ","))
}

/// What stands between quotes.
pub(super) fn unquoted(expression: &str) -> Option<&str> {
    let quote = expression.chars().next().filter(|c| "'\"".contains(*c))?;
    expression
        .strip_prefix(quote)?
        .strip_suffix(quote)
        .filter(|inner| !inner.contains(quote))
}

#[cfg(test)]
mod tests {
    use super::{call, split, unquoted, without_comments};

    #[test]
    fn comments_go_and_quotes_stay() {
        assert_eq!(
            without_comments("/* a */ SELECT '--x' -- tail\n, 1"),
            "SELECT '--x'  \n, 1"
        );
        assert_eq!(without_comments("-- only"), "");
        assert_eq!(without_comments("SELECT 'open"), "SELECT 'open");
    }

    #[test]
    fn separators_in_quotes_and_brackets_do_not_split() {
        assert_eq!(split("a, f(b, c), 'd,e'", ","), ["a", "f(b, c)", "'d,e'"]);
        assert_eq!(split("fromage FROM x", "FROM"), ["fromage", "x"]);
    }

    #[test]
    fn a_call_gives_its_arguments() {
        assert_eq!(call("range(0, 5)", "range"), Some(vec!["0", "5"]));
        assert_eq!(call("ranger(0)", "range"), None);
        assert_eq!(unquoted("'x'"), Some("x"));
        assert_eq!(unquoted("x"), None);
    }
}
