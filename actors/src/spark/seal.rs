//! The poison of an operation id: a statement of Libra's own that takes the id, so that the
//! statement which the id was made for never runs under it.
//!
//! PURE. **Invariant:** the result of a poison is told from that of any statement: whoever attaches
//! to a poisoned id, and whenever, knows it by its schema.

/// What the column of a poison is called, before the operation's id. A user's statement cannot have
/// such a column: its id is made only when it is accepted.
const SEAL: &str = "libra-seal-";

/// What became of a poisoned id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poisoned {
    /// The id is taken: the statement never ran under it and never will.
    Sealed,
    /// The statement itself has arrived before: it runs, or has ended unreleased.
    Arrived,
}

/// The statement that takes an operation's id.
#[must_use]
pub fn poison(operation_id: &str) -> String {
    format!("SELECT 0 AS `{SEAL}{operation_id}`")
}

/// Whether a schema is that of the poison of this operation, and not of a statement.
#[must_use]
pub fn is_sealed(operation_id: &str, schema: &[u8]) -> bool {
    let seal = format!("{SEAL}{operation_id}");
    schema
        .windows(seal.len())
        .any(|window| window == seal.as_bytes())
}
