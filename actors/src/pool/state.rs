//! What a pool actor knows: all of it can be read again from the registry.

use std::sync::Arc;

use libra_proto::types::Place;

use crate::fair::queue::Queue;
use crate::ports::RegistryPort;

use super::Arguments;

/// The state of a pool actor.
pub(crate) struct State {
    pub(super) place: Place,
    pub(super) registry: Arc<dyn RegistryPort>,
    pub(super) queue: Queue,
}

impl State {
    pub(super) fn read(arguments: Arguments) -> Self {
        let Arguments { place, registry } = arguments;
        let queue = Queue::of(&registry.backlog(&place));
        Self {
            place,
            registry,
            queue,
        }
    }

    /// Makes the queue anew from the registry.
    pub(super) fn reread(&mut self) {
        self.queue = Queue::of(&self.registry.backlog(&self.place));
    }
}
