//! Cuts a text into statements at its semicolons, as Spark's own shell does: not at those in
//! strings, quoted names, comments, or inside of BEGIN … END.
//!
//! **Invariant:** what is cut out is sent as it was written; Spark alone judges whether it is SQL.

/// Statements of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// Complete ones, without their semicolons and without those that hold nothing to run.
    pub(super) statements: Vec<String>,
    /// What follows the last semicolon, if there is anything to run in it, or something open: a
    /// string, a comment, a BEGIN.
    pub(super) rest: Option<String>,
}

impl Script {
    /// All statements, the last of which needs no semicolon.
    pub(super) fn all(self) -> Vec<String> {
        let mut statements = self.statements;
        statements.extend(self.rest);
        statements
    }
}

/// Cuts a text into statements.
pub(super) fn split(text: &str) -> Script {
    let mut script = Script {
        statements: Vec::new(),
        rest: None,
    };
    let mut current = Current::default();
    let mut start = 0;
    let mut at = 0;
    while let Some(token) = next_token(text, at) {
        at = token.end;
        if token.kind == Kind::Semicolon {
            current.settle_end();
        }
        if token.kind == Kind::Semicolon && current.depth == 0 {
            if current.has_code {
                script
                    .statements
                    .push(text[start..token.start].trim().to_owned());
            }
            start = token.end;
            current = Current::default();
        } else {
            current.take(&token, text);
        }
    }
    if current.has_code || current.is_open {
        script.rest = Some(text[start..].trim().to_owned());
    }
    script
}

/// What is known of the statement being read.
#[derive(Debug, Default)]
struct Current {
    has_code: bool,
    /// It ends in a string or a comment that is not closed.
    is_open: bool,
    /// It began with a label, `name:`.
    has_label: bool,
    /// It began with BEGIN, maybe after a label.
    is_block: bool,
    /// BEGINs and CASEs without their END.
    depth: usize,
    words: usize,
    after_end: bool,
}

/// Words that may follow an END that does not close a BEGIN or a CASE: they opened nothing here.
const OTHER_BLOCKS: [&str; 5] = ["IF", "WHILE", "FOR", "LOOP", "REPEAT"];

impl Current {
    fn take(&mut self, token: &Token, text: &str) {
        match token.kind {
            Kind::Comment { closed } => self.is_open |= !closed,
            Kind::Quoted { closed } => {
                self.is_open |= !closed;
                self.code();
            }
            Kind::Semicolon => self.code(),
            Kind::Other => {
                self.has_label |= self.words == 1 && &text[token.start..token.end] == ":";
                self.code();
            }
            Kind::Word => {
                let word = text[token.start..token.end].to_ascii_uppercase();
                self.word(&word);
            }
        }
    }

    fn code(&mut self) {
        self.has_code = true;
        self.settle_end();
    }

    /// An END with nothing after it that says otherwise closes a BEGIN or a CASE.
    fn settle_end(&mut self) {
        if std::mem::take(&mut self.after_end) {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn word(&mut self, word: &str) {
        self.has_code = true;
        self.words += 1;
        let first = if self.has_label { 2 } else { 1 };
        self.is_block |= word == "BEGIN" && self.words == first;
        if !self.is_block {
            return;
        }
        if self.after_end && OTHER_BLOCKS.contains(&word) {
            self.after_end = false;
            return;
        }
        let closes_case = self.after_end && word == "CASE";
        self.settle_end();
        match word {
            "BEGIN" => self.depth += 1,
            "CASE" if !closes_case => self.depth += 1,
            "END" => self.after_end = true,
            _ => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Semicolon,
    Word,
    Quoted { closed: bool },
    Comment { closed: bool },
    Other,
}

struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

/// The next token from byte `from` on.
fn next_token(text: &str, from: usize) -> Option<Token> {
    let rest = &text[from..];
    let start = from + rest.find(|c: char| !c.is_whitespace())?;
    let rest = &text[start..];
    let first = rest.chars().next()?;
    let (kind, length) = match first {
        ';' => (Kind::Semicolon, 1),
        '\'' | '"' => quoted(rest, first, true),
        '`' => quoted(rest, first, false),
        '-' if rest.starts_with("--") => (
            Kind::Comment { closed: true },
            rest.find('\n').unwrap_or(rest.len()),
        ),
        '/' if rest.starts_with("/*") => bracketed_comment(rest),
        c if is_word(c) => {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            (Kind::Word, length)
        }
        c => (Kind::Other, c.len_utf8()),
    };
    Some(Token {
        kind,
        start,
        end: start + length,
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn quoted(text: &str, quote: char, escapes: bool) -> (Kind, usize) {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == quote {
            return (Kind::Quoted { closed: true }, at + 1);
        }
    }
    (Kind::Quoted { closed: false }, text.len())
}

/// Comments in brackets nest.
fn bracketed_comment(text: &str) -> (Kind, usize) {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(found) = text[at..].find(['*', '/']) {
        at += found;
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return (Kind::Comment { closed: true }, at);
            }
        } else {
            at += 1;
        }
    }
    (Kind::Comment { closed: false }, text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_are_cut_at_semicolons_only() {
        let cases: &[(&str, &[&str], Option<&str>)] = &[
            ("", &[], None),
            (" ;; ; ", &[], None),
            ("-- only a comment\n;", &[], None),
            ("-- only a comment", &[], None),
            ("SELECT 1", &[], Some("SELECT 1")),
            ("SELECT 1;", &["SELECT 1"], None),
            ("SELECT 1; SELECT 2 ", &["SELECT 1"], Some("SELECT 2")),
            ("SELECT ';';x", &["SELECT ';'"], Some("x")),
            (r"SELECT 'it\';s';x", &[r"SELECT 'it\';s'"], Some("x")),
            ("SELECT 'a'';b';x", &["SELECT 'a'';b'"], Some("x")),
            (
                "SELECT \";\", `;`, `a``;`;",
                &["SELECT \";\", `;`, `a``;`"],
                None,
            ),
            ("SELECT 1 -- ; no\n+ 1;", &["SELECT 1 -- ; no\n+ 1"], None),
            (
                "SELECT /* ; /* ; */ ; */ 1;",
                &["SELECT /* ; /* ; */ ; */ 1"],
                None,
            ),
            ("SELECT 'open;", &[], Some("SELECT 'open;")),
            ("/* open ;", &[], Some("/* open ;")),
            ("SELECT 1 / 2 * 3; é", &["SELECT 1 / 2 * 3"], Some("é")),
            (
                "BEGIN SELECT 1; SELECT 2; END; x",
                &["BEGIN SELECT 1; SELECT 2; END"],
                Some("x"),
            ),
            ("begin select 1;", &[], Some("begin select 1;")),
            (
                "l: BEGIN SELECT 1; END l; x",
                &["l: BEGIN SELECT 1; END l"],
                Some("x"),
            ),
            (
                "BEGIN IF true THEN SELECT 1; END IF; BEGIN SELECT 2; END; END; x",
                &["BEGIN IF true THEN SELECT 1; END IF; BEGIN SELECT 2; END; END"],
                Some("x"),
            ),
            (
                "BEGIN SELECT CASE WHEN a THEN 1 END; CASE x WHEN 1 THEN SELECT 1; END CASE; END; x",
                &[
                    "BEGIN SELECT CASE WHEN a THEN 1 END; CASE x WHEN 1 THEN SELECT 1; END CASE; END",
                ],
                Some("x"),
            ),
            (
                "SELECT CASE WHEN a THEN 1 END; x",
                &["SELECT CASE WHEN a THEN 1 END"],
                Some("x"),
            ),
            ("SELECT begin; x", &["SELECT begin"], Some("x")),
        ];
        for (text, statements, rest) in cases {
            let script = split(text);
            assert_eq!(script.statements, *statements, "{text}");
            assert_eq!(script.rest.as_deref(), *rest, "{text}");
        }
        assert_eq!(split("a; b").all(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_nothing_is_lost(text in "[-a/*;'\"`\\\\ \nBEGINDé]{0,60}") {
            let kept: usize = split(&text).all().iter().map(String::len).sum();
            prop_assert!(kept <= text.len());
        }
    }
}
