//! The leases as the leader counts them, and what it decides.
//!
//! PURE: no runtime and no clock; times are arguments, counted by the leader's monotonic clock.
//!
//! **Invariant:** a node is declared down only a lease and a margin after the last renewal that was
//! counted, and once that is decided no renewal of that boot is counted any more: the owner's own
//! lease is over by then. A leader that had stood still declares nobody down for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libra_proto::types::NodeId;
use thiserror::Error;

/// How long the leader waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The length of a lease.
    pub lease: Duration,
    /// What is waited beyond it, because clocks do not run equally fast.
    pub margin: Duration,
    /// Between two ticks.
    pub tick: Duration,
    /// A tick that comes later than it should by more than this shows that the leader stood still.
    pub late: Duration,
}

/// A node that may own sessions, by the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub node_id: NodeId,
    /// The start of its process that registered last.
    pub boot_id: String,
}

/// A renewal, as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Whose lease is to be renewed.
    pub node_id: NodeId,
    /// The start of its process that asks.
    pub boot_id: String,
    /// The endpoints that it cannot reach, by name.
    pub unreachable: BTreeSet<String>,
}

/// Why a renewal was not counted, and must not be answered as if it had been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No detector runs here: another node leads, or this one only just does.
    #[error("this node does not lead the cluster")]
    NotLeading,
    /// The registry does not have the node, or has it as down, or under another boot id.
    #[error("this start of the node is not registered as up")]
    NotRegistered,
    /// Its lease was over: it is being declared down.
    #[error("the node's lease is over")]
    Over,
}

/// A node is to be declared down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Which.
    pub node_id: NodeId,
    /// The start of its process whose lease is over.
    pub boot_id: String,
    /// Who said that they cannot reach which endpoint.
    pub unreachable: Vec<(NodeId, String)>,
}

/// How alive a node seems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It renews its lease.
    Up,
    /// Half its lease has passed without a renewal.
    Suspect,
    /// Its lease is over.
    Down,
}

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Which.
    pub node_id: NodeId,
    /// The start of its process.
    pub boot_id: String,
    /// How long ago it was last heard, or its clock started anew.
    pub heard_ago: Duration,
    /// How alive it seems.
    pub state: Liveness,
    /// The endpoints that it cannot reach.
    pub unreachable: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Seen {
    boot_id: String,
    heard: Duration,
    unreachable: BTreeSet<String>,
    /// It runs nothing any more and says so.
    gave_up: bool,
    /// That it is down is decided, and may be committed already.
    decided: bool,
}

/// The clocks of all nodes, in one term.
#[derive(Debug, Clone)]
pub struct Clocks {
    patience: Patience,
    nodes: BTreeMap<NodeId, Seen>,
    last_tick: Duration,
}

impl Clocks {
    /// The clocks of a leader that begins `now`: whatever an earlier one was told, it waits a full
    /// lease for everybody, but for what is said by [`Clocks::was_silent`].
    #[must_use]
    pub fn new(patience: Patience, now: Duration) -> Self {
        Self {
            patience,
            nodes: BTreeMap::new(),
            last_tick: now,
        }
    }

    /// These are the nodes, by the registry. One that has started anew proves by it that nothing
    /// of its earlier life goes on; its clock starts anew too.
    pub fn admit(&mut self, members: &[Member], now: Duration) {
        let is_member = |id: &NodeId, seen: &Seen| {
            members
                .iter()
                .any(|m| m.node_id == *id && m.boot_id == seen.boot_id)
        };
        self.nodes.retain(|id, seen| is_member(id, seen));
        for member in members {
            self.nodes.entry(member.node_id).or_insert_with(|| Seen {
                boot_id: member.boot_id.clone(),
                heard: now,
                unreachable: BTreeSet::new(),
                gave_up: false,
                decided: false,
            });
        }
    }

    /// Nothing was renewed for that node in the time before `now`: it was the leader, and had no
    /// quorum. To be called before anything is counted.
    pub fn was_silent(&mut self, node_id: NodeId, time: Duration, now: Duration) {
        if let Some(seen) = self.nodes.get_mut(&node_id) {
            seen.heard = seen.heard.min(now.saturating_sub(time));
        }
    }

    /// Counts a renewal that came in at `received`. It may be answered only if it was counted.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn renewed(&mut self, renewal: Renewal, received: Duration) -> Result<(), Refusal> {
        let seen = self
            .nodes
            .get_mut(&renewal.node_id)
            .filter(|seen| seen.boot_id == renewal.boot_id)
            .ok_or(Refusal::NotRegistered)?;
        if seen.decided || seen.gave_up {
            return Err(Refusal::Over);
        }
        if received >= seen.heard {
            seen.heard = received;
            seen.unreachable = renewal.unreachable;
        }
        Ok(())
    }

    /// That start of the node gives all its sessions up: nobody needs to wait for its lease.
    pub fn gave_up(&mut self, node_id: NodeId, boot_id: &str) {
        if let Some(seen) = self.nodes.get_mut(&node_id)
            && seen.boot_id == boot_id
        {
            seen.gave_up = true;
        }
    }

    /// Time has passed: who is down? The same answer is given until the registry has it so, or the
    /// node has started anew.
    pub fn tick(&mut self, now: Duration) -> Vec<Down> {
        let due = self.last_tick + self.patience.tick + self.patience.late;
        self.last_tick = now;
        if now > due {
            for seen in self.nodes.values_mut() {
                seen.heard = now;
            }
        }
        let limit = self.patience.lease + self.patience.margin;
        for seen in self.nodes.values_mut() {
            seen.decided |= seen.gave_up || now.saturating_sub(seen.heard) >= limit;
        }
        let unreachable = self.unreachable();
        let decided = self.nodes.iter().filter(|(_, seen)| seen.decided);
        decided
            .map(|(node_id, seen)| Down {
                node_id: *node_id,
                boot_id: seen.boot_id.clone(),
                unreachable: unreachable.clone(),
            })
            .collect()
    }

    /// Who said that they cannot reach which endpoint.
    #[must_use]
    pub fn unreachable(&self) -> Vec<(NodeId, String)> {
        let said = self.nodes.iter().flat_map(|(id, seen)| {
            let endpoints = seen.unreachable.iter();
            endpoints.map(|endpoint| (*id, endpoint.clone()))
        });
        said.collect()
    }

    /// What is known of each node.
    #[must_use]
    pub fn observe(&self, now: Duration) -> Vec<Observed> {
        let observed = self.nodes.iter().map(|(node_id, seen)| {
            let heard_ago = now.saturating_sub(seen.heard);
            let state = if seen.decided {
                Liveness::Down
            } else if heard_ago >= self.patience.lease / 2 {
                Liveness::Suspect
            } else {
                Liveness::Up
            };
            Observed {
                node_id: *node_id,
                boot_id: seen.boot_id.clone(),
                heard_ago,
                state,
                unreachable: seen.unreachable.clone(),
            }
        });
        observed.collect()
    }
}

#[cfg(test)]
#[path = "clocks_tests.rs"]
mod tests;
