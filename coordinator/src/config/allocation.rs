//! Pools in the form of Spark's `fairscheduler.xml`, with Spark's defaults: schedulingMode FIFO,
//! weight 1, minShare 0, and a pool `default` if there is none. Beyond Spark's form a pool may
//! have `<maxRunning>`, which Spark ignores.
//!
//! **Invariant:** where Spark would warn and go on with another value than the one written, the
//! file is refused: a mistyped priority is found at the start, not in an overloaded night.

use std::path::Path;

use libra_proto::registry::{PoolRecord, SchedulingMode};
use libra_proto::types::SessionId;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use thiserror::Error;

use super::parse::{whole, word};

/// No allocation file is longer, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// No file may make more pools.
const MAX_POOLS: usize = 1_000;
/// Highest weight, minShare and maxRunning.
const MAX_NUMBER: u32 = 1_000_000;

/// An allocation file that cannot be used.
#[derive(Debug, Error)]
pub enum AllocationError {
    /// The file cannot be read.
    #[error("cannot be read: {source}")]
    Unreadable {
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{problem}")]
    Invalid {
        /// Where, from 1.
        line: u64,
        /// What, and what is allowed.
        problem: String,
    },
}

impl AllocationError {
    /// The line of the mistake, if it has one.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Invalid { line, .. } => Some(*line),
        }
    }
}

/// Reads a file of pools.
pub(super) fn read_file(path: &Path) -> Result<Vec<PoolRecord>, AllocationError> {
    let unreadable = |source| AllocationError::Unreadable { source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        let problem = format!("{size} bytes long; allowed: up to {MAX_FILE_BYTES}");
        return Err(AllocationError::Invalid { line: 1, problem });
    }
    read_allocations(&std::fs::read_to_string(path).map_err(unreadable)?)
}

/// Reads the text of an allocation file, in its own order, `default` last if it had to be made.
///
/// # Errors
/// With line and reason, at the first mistake.
pub fn read_allocations(text: &str) -> Result<Vec<PoolRecord>, AllocationError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut document = Document::default();
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        let event = reader.read_event().map_err(|e| {
            let at = usize::try_from(reader.error_position()).unwrap_or(text.len());
            invalid(text, at, format!("no well-formed XML: {e}"))
        })?;
        let at = at + leading_blanks(&event);
        let end = matches!(event, Event::Eof);
        document
            .take(event)
            .map_err(|problem| invalid(text, at, problem))?;
        if end {
            return Ok(document.pools);
        }
    }
}

/// Blanks that a text begins with: what is wrong in it stands after them.
fn leading_blanks(event: &Event<'_>) -> usize {
    match event {
        Event::Text(text) => text
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count(),
        _ => 0,
    }
}

fn invalid(text: &str, at: usize, problem: String) -> AllocationError {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    let newlines = before.iter().filter(|b| **b == b'\n').count() as u64;
    AllocationError::Invalid {
        line: 1 + newlines,
        problem,
    }
}

/// How deep in the document the reader is.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Before,
    Allocations,
    Pool(PoolRecord),
    Field {
        pool: PoolRecord,
        name: String,
        text: String,
    },
    After,
}

#[derive(Debug, Default)]
struct Document {
    place: Place,
    /// Fields that the pool being read has already.
    seen: Vec<String>,
    pools: Vec<PoolRecord>,
}

impl Document {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) | Event::Empty(tag) => self.open(&tag),
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(&text.decode().map_err(|e| e.to_string())?),
            Event::CData(text) => self.text(&text.decode().map_err(|e| e.to_string())?),
            Event::GeneralRef(_) => Err("references (`&…;`) are not allowed".to_owned()),
            Event::DocType(_) => Err("a DOCTYPE is not allowed".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
            Event::Eof => self.finish(),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
        match std::mem::take(&mut self.place) {
            Place::Before if name == "allocations" => {
                no_attributes(tag, &name)?;
                self.place = Place::Allocations;
                Ok(())
            }
            Place::Before | Place::After => Err(format!(
                "<{name}> is not allowed here; allowed: one <allocations>"
            )),
            Place::Allocations if name == "pool" => {
                self.seen.clear();
                self.place = Place::Pool(self.new_pool(tag)?);
                Ok(())
            }
            Place::Allocations => Err(format!(
                "<{name}> is not allowed here; allowed: <pool name=\"…\">"
            )),
            Place::Pool(pool) => {
                self.field(tag, &name)?;
                self.place = Place::Field {
                    pool,
                    name,
                    text: String::new(),
                };
                Ok(())
            }
            Place::Field { name: outer, .. } => Err(format!(
                "<{name}> is not allowed in <{outer}>; allowed: one value"
            )),
        }
    }

    fn new_pool(&self, tag: &BytesStart<'_>) -> Result<PoolRecord, String> {
        let name = pool_name(tag)?;
        if self.pools.iter().any(|pool| pool.name == name) {
            return Err(format!("pool `{name}` is given twice; allowed: once"));
        }
        if self.pools.len() >= MAX_POOLS {
            return Err(format!("more than {MAX_POOLS} pools"));
        }
        Ok(spark_pool(name))
    }

    fn field(&mut self, tag: &BytesStart<'_>, name: &str) -> Result<(), String> {
        if !["schedulingMode", "weight", "minShare", "maxRunning"].contains(&name) {
            return Err(format!(
                "<{name}> is not allowed in a pool; allowed: <schedulingMode>, <weight>, \
                 <minShare>, <maxRunning>"
            ));
        }
        no_attributes(tag, name)?;
        if self.seen.iter().any(|seen| seen == name) {
            return Err(format!(
                "<{name}> is given twice in one pool; allowed: once"
            ));
        }
        self.seen.push(name.to_owned());
        Ok(())
    }

    fn text(&mut self, more: &str) -> Result<(), String> {
        match &mut self.place {
            Place::Field { text, .. } => {
                text.push_str(more);
                Ok(())
            }
            Place::Before | Place::Allocations | Place::Pool(_) | Place::After => {
                match more.trim() {
                    "" => Ok(()),
                    stray => Err(format!(
                        "`{stray}` is not allowed outside of a pool's elements"
                    )),
                }
            }
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.place = match std::mem::take(&mut self.place) {
            Place::Field {
                mut pool,
                name,
                text,
            } => {
                set(&mut pool, &name, text.trim())?;
                Place::Pool(pool)
            }
            Place::Pool(pool) => {
                self.pools.push(pool);
                Place::Allocations
            }
            Place::Allocations | Place::Before | Place::After => Place::After,
        };
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.place {
            Place::After => {}
            Place::Before => return Err("no <allocations>".to_owned()),
            Place::Allocations | Place::Pool(_) | Place::Field { .. } => {
                return Err("the file ends inside of an element".to_owned());
            }
        }
        if !self.pools.iter().any(|pool| pool.name == "default") {
            self.pools.push(spark_pool("default".to_owned()));
        }
        Ok(())
    }
}

fn spark_pool(name: String) -> PoolRecord {
    PoolRecord {
        name,
        weight: 1,
        min_share: 0,
        scheduling_mode: SchedulingMode::Fifo.into(),
        max_running: 0,
        paused: false,
    }
}

fn pool_name(tag: &BytesStart<'_>) -> Result<String, String> {
    let allowed = "a pool needs a name: 1 to 128 letters, digits, `.`, `_`, `@`, `-`, the first a \
                   letter or a digit";
    let mut name = None;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|e| format!("no well-formed attribute: {e}"))?;
        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        if key != "name" {
            return Err(format!("attribute `{key}` is not allowed; allowed: name"));
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|e| format!("{allowed} ({e})"))?;
        name = Some(value.into_owned());
    }
    // Pools are named like sessions, so that they fit in a path.
    name.filter(|name| name.parse::<SessionId>().is_ok())
        .ok_or_else(|| allowed.to_owned())
}

fn no_attributes(tag: &BytesStart<'_>, name: &str) -> Result<(), String> {
    match tag.attributes().next() {
        None => Ok(()),
        Some(_) => Err(format!("<{name}> takes no attributes")),
    }
}

fn set(pool: &mut PoolRecord, name: &str, text: &str) -> Result<(), String> {
    let number = |min| whole(text, min, MAX_NUMBER);
    let bound = match name {
        "schedulingMode" => {
            let modes = [
                ("FAIR", SchedulingMode::Fair),
                ("FIFO", SchedulingMode::Fifo),
            ];
            word(text, &modes).map(|mode| pool.scheduling_mode = mode.into())
        }
        "weight" => number(1).map(|n| pool.weight = n),
        "minShare" => number(0).map(|n| pool.min_share = n),
        _ => number(1).map(|n| pool.max_running = n),
    };
    bound.map_err(|allowed| {
        format!(
            "pool `{}`: <{name}> `{text}` is not allowed; allowed: {allowed}",
            pool.name
        )
    })
}

#[cfg(test)]
mod tests;
