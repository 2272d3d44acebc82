//! The right to act in the leader's role, in one term.
//!
//! **Invariant:** what acts for the leader proposes with a mandate only, so that nothing of one
//! term is applied in another; and all of one instance holds clones of one mandate, so that its
//! successor can wait until nothing of it is left.

use std::fmt;
use std::sync::Arc;

use libra_proto::registry::command;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::ports::{Proposed, RegistryPort};

/// A cheap handle; whoever holds one keeps its instance's tracker from ending.
#[derive(Clone)]
pub(crate) struct Mandate {
    registry: Arc<dyn RegistryPort>,
    term: u64,
    _held: TaskTrackerToken,
}

impl fmt::Debug for Mandate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mandate")
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

impl Mandate {
    /// A mandate of that term, seen by `instance` until its last clone is dropped.
    pub(crate) fn new(registry: Arc<dyn RegistryPort>, term: u64, instance: &TaskTracker) -> Self {
        Self {
            registry,
            term,
            _held: instance.token(),
        }
    }

    pub(crate) fn registry(&self) -> &Arc<dyn RegistryPort> {
        &self.registry
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Proposes a command that counts in this term only. Unknown outcomes are resolved by reading
    /// the registry, never by proposing the same again.
    ///
    /// # Cancel safety
    /// When dropped, the outcome is unknown.
    pub(crate) async fn propose(&self, command: command::Kind) -> Proposed {
        self.registry.propose_as_leader(self.term, command).await
    }
}
