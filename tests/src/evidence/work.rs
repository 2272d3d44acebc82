//! What clients submit, in the dialect of the server behind Libra, and what must come of it.
//!
//! **Invariant:** every work has a marker of its own in its code, by which its executions are
//! counted; no other statement has it.

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_ipc::reader::StreamReader;
use serde::{Deserialize, Serialize};

use super::Dice;
use crate::harness::Marker;

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Directives of the stub.
    Stub,
    /// Spark's own.
    Spark,
}

/// What kind of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Short,
    Rows,
    Big,
    Slow,
    Failing,
    Cancelled,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Short,
        Self::Rows,
        Self::Big,
        Self::Slow,
        Self::Failing,
        Self::Cancelled,
    ];

    fn draw(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..35 => Self::Short,
            35..52 => Self::Rows,
            52..60 => Self::Big,
            60..75 => Self::Slow,
            75..85 => Self::Failing,
            _ => Self::Cancelled,
        }
    }
}

/// How a work must end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wants {
    /// `succeeded`, with exactly these rows.
    Rows(Rows),
    /// `failed`, with this error class.
    Error(String),
    /// `cancelled`, once that was asked for.
    Stop,
}

/// Rows of two columns: ids that count up, and the same text in every row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rows {
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// Length of the text, all `x`; `None` where it is not looked at.
    payload: Option<usize>,
}

/// One statement that a client wants to run, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) kind: Kind,
    pub(crate) marker: Marker,
    pub(crate) code: String,
    /// The Idempotency-Key, with which it is submitted until there is an answer.
    pub(crate) key: Option<String>,
    /// The pool that it is sent to; `None`: none is named.
    pub(crate) pool: Option<String>,
    pub(crate) wants: Wants,
}

/// Shape of a result: rows, bytes of text in each, rows of a batch.
struct Shape(u64, usize, u64);

impl Work {
    pub(crate) fn draw(dialect: Dialect, dice: &mut Dice) -> Self {
        let kind = Kind::draw(dice);
        let marker = Marker::new();
        // What only a cancel ends must be followed until it is acknowledged.
        let key = dice.below(10) < 4 || kind == Kind::Cancelled;
        let (code, wants) = match dialect {
            Dialect::Stub => on_stub(kind, marker),
            Dialect::Spark => on_spark(kind, marker),
        };
        Self {
            kind,
            marker,
            code,
            key: key.then(|| format!("key-{marker}")),
            pool: None,
            wants,
        }
    }

    /// One row after so many ms, with a key: what shows that a session serves.
    pub(crate) fn probe(dialect: Dialect, millis: u64) -> Self {
        let marker = Marker::new();
        let (code, wants) = match dialect {
            Dialect::Stub => (
                format!("/* stub: rows=1 row_bytes=4 delay_ms={millis} */ SELECT {marker}"),
                wants(Kind::Short, "", 0),
            ),
            Dialect::Spark => on_spark(Kind::Short, marker),
        };
        Self {
            kind: Kind::Short,
            marker,
            code,
            key: Some(format!("key-{marker}")),
            pool: None,
            wants,
        }
    }

    /// The same in a pool.
    pub(crate) fn in_pool(mut self, pool: &str) -> Self {
        self.pool = Some(pool.to_owned());
        self
    }
}

fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Rows => Shape(300, 40, 100),
        Kind::Big => Shape(12_000, 250, 1_000),
        Kind::Short | Kind::Slow | Kind::Failing | Kind::Cancelled => Shape(1, 4, 1),
    }
}

fn on_stub(kind: Kind, marker: Marker) -> (String, Wants) {
    let Shape(count, payload, batch) = shape(kind);
    let does = match kind {
        Kind::Short => "",
        Kind::Rows => " delay_ms=20",
        Kind::Big => " batch_delay_ms=15",
        Kind::Slow => " delay_ms=1200",
        Kind::Failing => " delay_ms=30 error=DIVIDE_BY_ZERO",
        Kind::Cancelled => " delay_ms=30000",
    };
    let code = format!(
        "/* stub: rows={count} row_bytes={payload} batch_rows={batch}{does} */ SELECT {marker}"
    );
    (code, wants(kind, "DIVIDE_BY_ZERO", 0))
}

fn on_spark(kind: Kind, marker: Marker) -> (String, Wants) {
    let Shape(count, payload, _) = shape(kind);
    let first = marker.number();
    let code = match kind {
        Kind::Slow => marker.sleeping(1_200),
        Kind::Cancelled => marker.sleeping(30_000),
        Kind::Failing => format!("SELECT raise_error('x') FROM {}", marker.relation()),
        Kind::Short | Kind::Rows | Kind::Big => {
            let end = first + count;
            format!("SELECT id, repeat('x', {payload}) AS payload FROM range({first}, {end}, 1, 1)")
        }
    };
    (code, wants(kind, "USER_RAISED_EXCEPTION", first))
}

fn wants(kind: Kind, error: &str, first: u64) -> Wants {
    let Shape(count, payload, _) = shape(kind);
    match kind {
        Kind::Failing => Wants::Error(error.to_owned()),
        Kind::Cancelled => Wants::Stop,
        Kind::Slow => Wants::Rows(Rows {
            first,
            count,
            payload: None,
        }),
        Kind::Short | Kind::Rows | Kind::Big => Wants::Rows(Rows {
            first,
            count,
            payload: Some(payload),
        }),
    }
}

impl Rows {
    /// Checks a download, row by row.
    ///
    /// # Errors
    /// When it is no Arrow IPC stream, or not these rows; says where.
    pub(crate) fn check(&self, arrow: &[u8]) -> Result<()> {
        let mut expected = self.first..self.first + self.count;
        let text = self.payload.map(|length| "x".repeat(length));
        for batch in StreamReader::try_new(arrow, None)? {
            let batch = batch?;
            let ids = batch.column(0).as_primitive_opt::<Int64Type>();
            for id in ids.context("the first column is no BIGINT")?.values() {
                let wanted = expected.next().context("more rows than wanted")?;
                ensure!(
                    u64::try_from(*id) == Ok(wanted),
                    "row {id} instead of {wanted}"
                );
            }
            if let Some(text) = &text {
                let texts = batch.column(1).as_string_opt::<i32>();
                let texts = texts.context("the second column is no STRING")?;
                let same = texts.iter().all(|found| found == Some(text));
                ensure!(same, "the second column holds something else");
            }
        }
        let missing = expected.count();
        ensure!(missing == 0, "{missing} rows are missing at the end");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::rows::{Column, Content, Table};

    fn rendered(first: i64, rows: u64, text: &str) -> Vec<u8> {
        let columns = vec![
            Column::new(
                "id",
                Content::Sequence {
                    start: first,
                    step: 1,
                },
            ),
            Column::new("payload", Content::Text(text.into())),
        ];
        Table::new(columns, rows).render(0, rows).unwrap().to_vec()
    }

    #[test]
    fn a_download_is_checked_row_by_row() {
        let rows = Rows {
            first: 5,
            count: 3,
            payload: Some(2),
        };
        assert!(rows.check(&rendered(5, 3, "xx")).is_ok());
        for wrong in [
            rendered(5, 2, "xx"),
            rendered(5, 4, "xx"),
            rendered(6, 3, "xx"),
            rendered(5, 3, "xy"),
            b"no arrow".to_vec(),
        ] {
            assert!(rows.check(&wrong).is_err());
        }
    }

    #[test]
    fn a_code_of_the_stub_is_understood_by_it() {
        use crate::stub::engine::{Statement, compile};
        for kind in Kind::ALL {
            let (code, _) = on_stub(kind, Marker::new());
            let Statement::Run(script) = compile(&code) else {
                panic!("{code}");
            };
            assert_eq!(
                script.result().map(Table::rows),
                Some(shape(kind).0),
                "{code}"
            );
        }
    }
}
