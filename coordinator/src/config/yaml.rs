//! A YAML text → its leaves, each with its dotted path, its text as written, and its line.
//!
//! It reads the parser's events, not its types: a deserializer would hand over `4.10` as 4.1.
//!
//! **Invariant:** scalars are never interpreted here: `010`, `yes` and `4.10` stay what they are.

use std::collections::{BTreeSet, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// The value of a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing: `key:`, `~` or `null`.
    Nothing,
    /// An empty map, `{}`.
    EmptyMap,
    /// One scalar.
    Text(String),
    /// A list of scalars.
    List(Vec<String>),
}

/// A value that has no keys below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Keys on the way, joined by dots, as written.
    pub(super) path: String,
    pub(super) value: Value,
    /// From 1.
    pub(super) line: u64,
}

/// A text that is not the YAML of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) key: String,
    pub(super) problem: String,
    /// From 1.
    pub(super) line: u64,
}

/// How deep sections may be nested.
const MAX_DEPTH: usize = 32;
/// How many values there may be, those that aliases repeat included.
const MAX_NODES: usize = 20_000;

/// Reads all leaves, in order of the text.
pub(super) fn leaves(text: &str) -> Result<Vec<Leaf>, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut leaves = Vec::new();
    if let Some(root) = builder.document()? {
        root.flatten(None, &mut leaves)?;
    }
    Ok(leaves)
}

fn malformed(line: u64, problem: impl Into<String>) -> Malformed {
    Malformed {
        key: String::new(),
        problem: problem.into(),
        line,
    }
}

fn line_of(span: Span) -> u64 {
    span.start.line() as u64
}

/// A YAML node and the line it stands on.
#[derive(Clone)]
struct Node {
    line: u64,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Nodes in it, itself included.
    fn size(&self) -> usize {
        1 + match &self.content {
            Content::Nothing | Content::Text(_) => 0,
            Content::List(items) => items.iter().map(Self::size).sum(),
            Content::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }

    /// Appends its leaves; the root has no path.
    fn flatten(self, path: Option<String>, leaves: &mut Vec<Leaf>) -> Result<(), Malformed> {
        let line = self.line;
        let value = match self.content {
            Content::Map(entries) if path.is_none() || !entries.is_empty() => {
                return entries.into_iter().try_for_each(|(key, child)| {
                    let path = match &path {
                        None => key,
                        Some(parent) => format!("{parent}.{key}"),
                    };
                    child.flatten(Some(path), leaves)
                });
            }
            Content::Map(_) => Value::EmptyMap,
            Content::Nothing => Value::Nothing,
            Content::Text(text) => Value::Text(text),
            Content::List(items) => Value::List(texts(path.as_deref().unwrap_or(""), items)?),
        };
        match (path, value) {
            (Some(path), value) => leaves.push(Leaf { path, value, line }),
            (None, Value::Nothing) => {}
            (None, Value::EmptyMap | Value::Text(_) | Value::List(_)) => {
                let problem = "no configuration; allowed: the sections libra and spark";
                return Err(malformed(line, problem));
            }
        }
        Ok(())
    }
}

fn texts(path: &str, items: Vec<Node>) -> Result<Vec<String>, Malformed> {
    items
        .into_iter()
        .map(|item| match item.content {
            Content::Text(text) => Ok(text),
            Content::Nothing | Content::List(_) | Content::Map(_) => Err(Malformed {
                key: path.to_owned(),
                problem: "a list may only hold single values".to_owned(),
                line: item.line,
            }),
        })
        .collect()
}

/// Events → nodes, within bounds.
struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    /// The one document of the text, if there is any.
    fn document(&mut self) -> Result<Option<Node>, Malformed> {
        let mut root = None;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(malformed(
                        line,
                        "a second document (`---`) is not allowed; allowed: one",
                    ));
                }
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                Event::Alias(_)
                | Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd => root = Some(self.node(event, line, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, u64), Malformed> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, line_of(span))),
            Some(Err(e)) => {
                let line = e.marker().line() as u64;
                Err(malformed(line, format!("no valid YAML: {}", e.info())))
            }
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn node(&mut self, event: Event<'a>, line: u64, depth: usize) -> Result<Node, Malformed> {
        if depth > MAX_DEPTH {
            let problem = format!("nested too deeply; allowed: {MAX_DEPTH} levels");
            return Err(malformed(line, problem));
        }
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, None) => (anchor, scalar(&text, style)),
            Event::SequenceStart(anchor, None) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, None) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => (0, self.alias(anchor, line)?),
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(malformed(line, "tags (`!…`) are not allowed"));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                return Err(malformed(line, "no valid YAML: a value is missing"));
            }
        };
        let node = Node { line, content };
        self.count(1, line)?;
        if anchor != 0 {
            self.count(node.size(), line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, line: u64) -> Result<(), Malformed> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MAX_NODES {
            let problem = format!("too many values; allowed: {MAX_NODES}");
            return Err(malformed(line, problem));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Content, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, Malformed> {
        let mut entries = Vec::new();
        let mut keys = BTreeSet::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Map(entries)),
                (Event::Scalar(key, _, 0, None), line) => {
                    if !keys.insert(key.to_string()) {
                        let problem = format!("duplicate key `{key}`; allowed: once in a section");
                        return Err(malformed(line, problem));
                    }
                    key.into_owned()
                }
                (_, line) => return Err(malformed(line, "a key must be a single plain value")),
            };
            let (event, line) = self.next()?;
            entries.push((key, self.node(event, line, depth + 1)?));
        }
    }

    fn alias(&mut self, anchor: usize, line: u64) -> Result<Content, Malformed> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(malformed(
                line,
                "an alias (`*…`) without its anchor before it",
            ));
        };
        let (size, content) = (node.size(), node.content.clone());
        self.count(size, line)?;
        Ok(content)
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Content {
    let is_null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    match style {
        ScalarStyle::Plain if is_null => Content::Nothing,
        ScalarStyle::Plain
        | ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => Content::Text(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> Vec<(String, Value, u64)> {
        leaves(text)
            .unwrap()
            .into_iter()
            .map(|leaf| (leaf.path, leaf.value, leaf.line))
            .collect()
    }

    #[test]
    fn dotted_and_nested_are_the_same() {
        let text = |value: &str| Value::Text(value.to_owned());
        assert_eq!(
            flat("a:\n  b:\n    c: x\n  b.d: y\ne.f: z\n"),
            [
                ("a.b.c".to_owned(), text("x"), 3),
                ("a.b.d".to_owned(), text("y"), 4),
                ("e.f".to_owned(), text("z"), 5),
            ]
        );
    }

    #[test]
    fn scalars_stay_as_written() {
        for (written, read) in [
            ("4.10", "4.10"),
            ("010", "010"),
            ("0x10", "0x10"),
            ("yes", "yes"),
            ("True", "True"),
            ("1_000", "1_000"),
            ("-5", "-5"),
            ("1e3 # comment", "1e3"),
            ("12   ", "12"),
            ("\"12\"", "12"),
            ("'a b'", "a b"),
            ("größe", "größe"),
            ("{ä: 4.10, ö: 010}", "4.10"),
        ] {
            let yaml = format!("ä: ö\nk: {written}\n");
            let found = flat(&yaml);
            assert_eq!(found[1].1, Value::Text(read.to_owned()), "{written}");
        }
    }

    #[test]
    fn lists_maps_and_nothing() {
        let list = |items: &[&str]| Value::List(items.iter().map(|s| (*s).to_owned()).collect());
        assert_eq!(flat("k: [1, x, 4.10]")[0].1, list(&["1", "x", "4.10"]));
        assert_eq!(flat("k:\n- 007\n- b\n")[0].1, list(&["007", "b"]));
        assert_eq!(flat("k: {}")[0].1, Value::EmptyMap);
        assert_eq!(flat("k: []")[0].1, list(&[]));
        for nothing in ["k:", "k: ~", "k: null"] {
            assert_eq!(flat(nothing)[0].1, Value::Nothing, "{nothing}");
        }
        for empty in ["", "# only a comment\n", "{}", "\u{feff}", "---\n"] {
            assert_eq!(flat(empty), [], "{empty:?}");
        }
        assert_eq!(flat("\u{feff}k: 1")[0].1, Value::Text("1".to_owned()));
        assert_eq!(flat("{1: a, 2: b}")[1].0, "2");
        assert_eq!(flat("a: &x 010\nb: *x")[1].1, Value::Text("010".to_owned()));
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for bad in [
            "just words",
            "- a\n- b",
            "a: 1\na: 2",
            "a: {b: 1}\n\"a\": {c: 2}",
            "a: [",
            "a: *unknown",
            "a: [[1]]",
            "a: [{b: 1}]",
            "a: 1\n---\nb: 2",
            "x:\n\ty: 1",
            "a: b: c",
            "? [x, y]\n: z",
        ] {
            assert!(leaves(bad).is_err(), "{bad}: {:?}", leaves(bad));
        }
        assert_eq!(leaves("x: 1\ny: [\n").unwrap_err().line, 3);
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let below = i - 1;
            bomb +=
                &format!("a{i}: &a{i} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n");
        }
        assert!(leaves(&bomb).is_err());
        assert!(leaves(&"[".repeat(10_000)).is_err());
        assert!(leaves(&"{a: ".repeat(10_000)).is_err());
    }
}
