//! Who spoke for a session: Libra names node and epoch in the `client_type` of its calls.
//!
//! **Invariant:** in the order of arrival. Calls of one speaker in a row are one turn, so that the
//! list grows with moves and not with calls.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::engine::Millis;

/// Calls in a row that one node made for a session under one epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Client-side id of the Spark session.
    pub session_id: String,
    /// The node.
    pub node: u64,
    /// Its epoch.
    pub epoch: u64,
    /// What the first call was.
    pub call: String,
    /// When that arrived, ms.
    pub from_ms: Millis,
    /// When the last one did, ms.
    pub until_ms: Millis,
}

/// The turns of all sessions.
#[derive(Debug, Default)]
pub(super) struct Speakers(Mutex<BTreeMap<String, Vec<Turn>>>);

impl Speakers {
    /// Notes a call, if it says who makes it.
    pub(super) fn heard(
        &self,
        now: Millis,
        session_id: &str,
        call: &str,
        client_type: Option<&str>,
    ) {
        let Some((node, epoch)) = client_type.and_then(speaker) else {
            return;
        };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = sessions.entry(session_id.to_owned()).or_default();
        match turns.last_mut() {
            Some(turn) if (turn.node, turn.epoch) == (node, epoch) => turn.until_ms = now,
            Some(_) | None => turns.push(Turn {
                session_id: session_id.to_owned(),
                node,
                epoch,
                call: call.to_owned(),
                from_ms: now,
                until_ms: now,
            }),
        }
    }

    /// All turns, session by session, each in order.
    pub(super) fn turns(&self) -> Vec<Turn> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.values().flatten().cloned().collect()
    }
}

/// Node and epoch in a `client_type`.
fn speaker(client_type: &str) -> Option<(u64, u64)> {
    let named = |name: &str| {
        let mut words = client_type.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.parse().ok())
    };
    Some((named("node/")?, named("epoch/")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_speaker_in_a_row_are_one_turn() {
        let speakers = Speakers::default();
        let says = |now, who| speakers.heard(now, "s", "Interrupt", Some(who));
        says(1, "libra/1 node/1 epoch/7");
        says(2, "libra/1 node/1 epoch/7");
        says(3, "libra/1 node/2 epoch/8");
        says(4, "libra/1 node/1 epoch/7");
        says(5, "libra/1");
        speakers.heard(6, "s", "Interrupt", None);
        let turns = speakers.turns();
        let seen: Vec<_> = turns
            .iter()
            .map(|t| (t.node, t.epoch, t.from_ms, t.until_ms))
            .collect();
        assert_eq!(seen, [(1, 7, 1, 2), (2, 8, 3, 3), (1, 7, 4, 4)]);
    }
}
