//! What a result file holds so far: the state that both a writer and a recovery build up, record by
//! record.
//!
//! **Invariant:** pure; the same records in the same order give the same contents.

use std::collections::HashSet;

use bytes::Bytes;
use libra_actors::ports::{ResultPart, StoredProgress};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::format::{Head, Kind};
use super::index::Index;
use super::{Limits, scan};

/// The records of one file, summed up.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) schema: Option<Bytes>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) batches: u64,
    pub(crate) cut: bool,
    pub(crate) complete: bool,
    pub(crate) last_id: Option<String>,
    pub(crate) index: Index,
    ids: HashSet<u128>,
}

/// What is to be done with a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is stored already, or comes after the end.
    Skip,
    /// It goes into the file, and the result goes on.
    Store,
    /// It goes into the file; only this many rows of the result count; then the result ends.
    StoreAndCut { rows: u64 },
    /// The result ends before it, with this many rows.
    Cut { rows: u64 },
    /// It cannot follow what is stored.
    Refuse { why: String },
}

impl Contents {
    /// Takes a stored record in.
    pub(crate) fn note(&mut self, at: u64, head: &Head, id: &str, schema: Option<Bytes>) {
        match head.kind {
            Kind::Schema => self.schema = schema,
            Kind::Batch => {
                if head.rows > 0 {
                    self.index.push(head.start, at);
                }
                self.rows += head.rows;
                self.bytes += head.payload_len;
                self.batches += 1;
            }
            Kind::Complete => self.complete = true,
            Kind::Cut => {
                self.cut = true;
                self.rows = head.rows;
            }
        }
        self.ids.insert(key(head.kind, id));
        if head.kind != Kind::Schema {
            self.last_id = Some(id.to_owned());
        }
    }

    /// Takes a record of a scanned file in.
    pub(crate) fn note_scanned(&mut self, record: scan::Record) {
        let schema = record.schema.map(Bytes::from);
        self.note(record.at, &record.head, &record.id, schema);
    }

    /// Decides about a response.
    ///
    /// After a reattach Spark sends responses again. One is a duplicate, and skipped, if
    /// - it is stored under its response id (a schema and a batch may share one), or
    /// - it is a schema and one is stored (another schema is refused), or
    /// - it is a batch of which Spark says that it ends at or before the last row stored.
    ///
    /// A batch that begins inside the stored rows but ends behind them, or leaves a gap, is refused:
    /// it is of another execution, or something between was lost.
    pub(crate) fn decide(&self, id: &str, part: &ResultPart, limits: &Limits) -> Decision {
        if self.ended() || self.ids.contains(&key(kind(part), id)) {
            return Decision::Skip;
        }
        match part {
            ResultPart::Schema(schema) => self.decide_schema(schema),
            ResultPart::Batch {
                rows,
                start_offset,
                data,
            } => self
                .misplaced(*rows, *start_offset)
                .unwrap_or_else(|| self.limited(*rows, data.len() as u64, limits)),
            ResultPart::Complete => Decision::Store,
        }
    }

    fn decide_schema(&self, schema: &Bytes) -> Decision {
        match &self.schema {
            None => Decision::Store,
            Some(stored) if stored == schema => Decision::Skip,
            Some(_) => Decision::Refuse {
                why: "Spark sent another schema than the one stored".to_owned(),
            },
        }
    }

    fn misplaced(&self, rows: u64, start: Option<u64>) -> Option<Decision> {
        let start = start.filter(|_| rows > 0)?;
        let stored = self.rows;
        if start == stored {
            return None;
        }
        let end = start.saturating_add(rows);
        Some(if end <= stored {
            Decision::Skip
        } else {
            Decision::Refuse {
                why: format!("Spark sent rows {start} to {end} when {stored} rows were stored"),
            }
        })
    }

    fn limited(&self, rows: u64, bytes: u64, limits: &Limits) -> Decision {
        if rows == 0 {
            return Decision::Store;
        }
        let too_big = self.bytes.saturating_add(bytes) > limits.max_bytes;
        if self.rows >= limits.max_rows || too_big {
            return Decision::Cut {
                rows: self.rows.min(limits.max_rows),
            };
        }
        if self.rows.saturating_add(rows) > limits.max_rows {
            return Decision::StoreAndCut {
                rows: limits.max_rows,
            };
        }
        Decision::Store
    }

    /// Whether nothing more belongs to the result.
    pub(crate) fn ended(&self) -> bool {
        self.cut || self.complete
    }

    /// The contents in the words of the port.
    pub(crate) fn progress(&self) -> StoredProgress {
        StoredProgress {
            begun: !self.ids.is_empty(),
            perhaps_begun: false,
            last_response_id: self.last_id.clone(),
            rows: self.rows,
            bytes: self.bytes,
            truncated: self.cut,
            complete: self.complete,
        }
    }
}

/// The bytes of a part.
pub(crate) fn payload(part: &ResultPart) -> &Bytes {
    static NONE: Bytes = Bytes::new();
    match part {
        ResultPart::Schema(bytes) | ResultPart::Batch { data: bytes, .. } => bytes,
        ResultPart::Complete => &NONE,
    }
}

/// The kind of record that a response becomes.
pub(crate) fn kind(part: &ResultPart) -> Kind {
    match part {
        ResultPart::Schema(_) => Kind::Schema,
        ResultPart::Batch { .. } => Kind::Batch,
        ResultPart::Complete => Kind::Complete,
    }
}

fn key(kind: Kind, id: &str) -> u128 {
    xxh3_128_with_seed(id.as_bytes(), u64::from(kind.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_rows: 25,
        max_bytes: 100,
    };

    fn batch(rows: u64, start: Option<u64>, bytes: usize) -> ResultPart {
        ResultPart::Batch {
            rows,
            start_offset: start,
            data: vec![0; bytes].into(),
        }
    }

    fn stored(rows: u64, bytes: u64) -> Contents {
        let mut contents = Contents::default();
        let head = Head {
            kind: Kind::Batch,
            rows,
            start: 0,
            crc: 0,
            id_len: 1,
            payload_len: bytes,
        };
        contents.note(32, &head, "a", None);
        contents
    }

    #[test]
    fn duplicates_are_skipped_by_id_and_by_place() {
        let contents = stored(20, 50);
        let skip = Decision::Skip;
        let store = Decision::Store;
        let decide = |id, part| contents.decide(id, &part, &LIMITS);
        assert_eq!(decide("a", batch(3, Some(20), 1)), skip, "same id");
        assert_eq!(decide("b", batch(20, Some(0), 1)), skip, "all its rows");
        assert_eq!(decide("b", batch(5, Some(3), 1)), skip, "rows inside");
        assert_eq!(decide("b", batch(5, Some(20), 1)), store, "the next");
        assert_eq!(decide("b", batch(5, None, 1)), store, "no word of a place");
        assert_eq!(decide("b", batch(0, Some(0), 1)), store, "empty, new id");
        assert_eq!(decide("a", batch(0, Some(20), 1)), skip, "empty, same id");
        for (rows, start) in [(5, 18), (1, 21), (1, u64::MAX)] {
            let decision = decide("b", batch(rows, Some(start), 1));
            assert!(matches!(decision, Decision::Refuse { .. }), "{start}");
        }
    }

    #[test]
    fn parts_of_one_response_are_told_apart() {
        let contents = stored(20, 50);
        let end = contents.decide("a", &ResultPart::Complete, &LIMITS);
        assert_eq!(end, Decision::Store);
        let schema = contents.decide("a", &ResultPart::Schema(Bytes::new()), &LIMITS);
        assert_eq!(schema, Decision::Store);
    }

    #[test]
    fn another_schema_is_refused() {
        let contents = Contents {
            schema: Some(Bytes::from_static(b"x")),
            ..Contents::default()
        };
        let decide = |schema| contents.decide("b", &ResultPart::Schema(schema), &LIMITS);
        assert_eq!(decide(Bytes::from_static(b"x")), Decision::Skip);
        let other = decide(Bytes::from_static(b"y"));
        assert!(matches!(other, Decision::Refuse { .. }));
    }

    #[test]
    fn limits_cut_exactly() {
        let decide = |rows, bytes| stored(20, 50).decide("b", &batch(rows, None, bytes), &LIMITS);
        assert_eq!(decide(5, 50), Decision::Store, "exactly both limits");
        assert_eq!(decide(6, 50), Decision::StoreAndCut { rows: 25 });
        assert_eq!(decide(5, 51), Decision::Cut { rows: 20 });
        assert_eq!(decide(0, 51), Decision::Store, "no rows, nothing to cut");
        let full = stored(25, 50);
        let next = batch(1, Some(25), 1);
        assert_eq!(full.decide("b", &next, &LIMITS), Decision::Cut { rows: 25 });
        let end = full.decide("b", &ResultPart::Complete, &LIMITS);
        assert_eq!(end, Decision::Store, "exactly max_rows is not truncated");
    }
}
