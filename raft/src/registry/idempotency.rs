//! Idempotency keys: what was made under which.

use libra_proto::types::{JobId, SessionId};

use super::state::Registry;

/// What an Idempotency-Key made the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotent {
    /// The statement or the session.
    pub target: IdempotentTarget,
    /// XXH3-128 of the canonical body that came with the key.
    pub body_hash: Vec<u8>,
}

/// The entity that a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotentTarget {
    /// A statement.
    Statement(JobId),
    /// A session.
    Session(SessionId),
}

/// The same, as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Statement(JobId),
    Session(String),
}

/// The form in which `CreateSession.idempotency_key` carries a key (`<path>\n<key>`) together with
/// the hash of the body: `<path>\n<key>\n<hash in hex>`. An empty key stays empty.
#[must_use]
pub fn session_key(key: &str, body_hash: &[u8]) -> String {
    if key.is_empty() {
        return String::new();
    }
    let hex: String = body_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{key}\n{hex}")
}

/// The key and the hash (in hex) of what [`session_key`] made. A key without a hash is taken whole.
pub(super) fn split_session_key(stored: &str) -> (&str, &str) {
    let two_breaks = stored.bytes().filter(|byte| *byte == b'\n').count() == 2;
    match stored.rsplit_once('\n') {
        Some((key, hash)) if two_breaks => (key, hash),
        Some(_) | None => (stored, ""),
    }
}

impl Registry {
    /// What the key (`<path>\n<key>`) made, as long as that is kept.
    #[must_use]
    pub fn by_idempotency_key(&self, key: &str) -> Option<Idempotent> {
        match self.index.idempotency.get(key)? {
            Target::Statement(job) => Some(Idempotent {
                target: IdempotentTarget::Statement(*job),
                body_hash: self
                    .records
                    .statements
                    .get(job)?
                    .idempotency_body_hash
                    .clone(),
            }),
            Target::Session(id) => {
                let (_, hash) = split_session_key(&self.records.sessions.get(id)?.idempotency_key);
                Some(Idempotent {
                    target: IdempotentTarget::Session(id.parse().ok()?),
                    body_hash: bytes_of_hex(hash),
                })
            }
        }
    }
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    hex.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}
