//! The new leader's word in the log: from it every node, and every operator who watches, knows who
//! leads since when.

use std::time::Duration;

use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::registry::{NoteLeader, command};
use tokio::time::sleep;

use crate::adapters::RaftRegistry;

/// Between two attempts in one term.
const PAUSE: Duration = Duration::from_millis(200);

/// Notes each term that this node leads; ends with the registry.
pub(crate) async fn run(registry: RaftRegistry) {
    let mut led = registry.leadership();
    loop {
        let term = *led.borrow_and_update();
        if let Some(term) = term {
            while *led.borrow() == Some(term) && !is_noted(&registry, term).await {
                sleep(PAUSE).await;
            }
        }
        if led.changed().await.is_err() {
            return;
        }
    }
}

async fn is_noted(registry: &RaftRegistry, term: u64) -> bool {
    let note = command::Kind::NoteLeader(NoteLeader {});
    match registry.propose_as_leader(term, note).await {
        // Refused: the term is over.
        Proposed::Applied(_) | Proposed::Rejected(_) => true,
        Proposed::Unknown(reason) => {
            tracing::debug!(term, reason, "leadership not noted yet");
            false
        }
    }
}
