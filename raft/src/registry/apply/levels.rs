//! Feature levels: which form of commands and records the whole cluster understands.
//!
//! **Invariant:** what `apply` does depends on the level in the registry, never on what this build
//! knows. So two builds do the same with every entry until the level is raised, and that happens
//! only once every node knows the next; a build that meets a level beyond its own must stop
//! ([`Registry::is_beyond`]).

use libra_proto::admin::{FeatureLevelRaised, event};
#[cfg(test)]
use libra_proto::registry::PoolRecord;
use libra_proto::registry::command::Kind;
use libra_proto::registry::{Command, NodeRecord, RaiseFeatureLevel, RejectionCode};

use super::{Outcome, Step, done, malformed};
use crate::registry::error::over_limit;
#[cfg(test)]
use crate::registry::state::TEST_LEVEL;
use crate::registry::state::{FIRST_LEVEL, Registry};

impl Step<'_> {
    pub(super) fn raise_feature_level(&mut self, command: &RaiseFeatureLevel) -> Outcome {
        let (level, present) = (command.level, self.registry.feature_level());
        if level == 0 {
            return Err(malformed("level"));
        }
        if level == present {
            return Ok(done(false));
        }
        let refused = |most: u32| {
            let code = RejectionCode::FeatureLevel;
            Err(over_limit(code, level.to_string(), most.into()))
        };
        if level < present {
            return refused(present);
        }
        if let Some(most) = self.registry.level_of_nodes().filter(|most| *most < level) {
            return refused(most);
        }
        if level > self.registry.known_level {
            return refused(self.registry.known_level);
        }
        self.registry.records.feature_level = level;
        self.note_settings();
        self.tell(event::Kind::FeatureLevelRaised(FeatureLevelRaised {
            level,
        }));
        Ok(done(true))
    }

    /// Stands for what a newer build does in another way: from [`TEST_LEVEL`] on, and not before.
    #[cfg(test)]
    pub(super) fn differ_at_test_level(&self, pool: PoolRecord) -> PoolRecord {
        let factor = if self.registry.feature_level() < TEST_LEVEL {
            1
        } else {
            2
        };
        PoolRecord {
            weight: pool.weight.saturating_mul(factor),
            ..pool
        }
    }
}

impl Registry {
    /// Whether the command raises the level beyond what this build knows, with all nodes agreeing:
    /// others apply from then on what this build cannot. Whoever is about to apply it must stop
    /// instead. Never so on a registered node: its own level keeps the command from passing.
    #[must_use]
    pub fn is_beyond(&self, command: &Command) -> bool {
        let Some(Kind::RaiseFeatureLevel(raise)) = &command.kind else {
            return false;
        };
        let passes = self.level_of_nodes().is_none_or(|most| raise.level <= most);
        raise.level > self.known_level && passes
    }

    /// The newest level that all registered nodes know; `None` without nodes.
    #[must_use]
    pub fn level_of_nodes(&self) -> Option<u32> {
        self.records.nodes.values().map(known_by).min()
    }
}

/// The newest level that the node's build understands.
pub(super) fn known_by(node: &NodeRecord) -> u32 {
    node.feature_level.max(FIRST_LEVEL)
}
