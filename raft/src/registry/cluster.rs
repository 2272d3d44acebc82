//! Reading: which nodes there are, what each of them has, and who would get the next session.

use std::collections::BTreeSet;
use std::sync::Arc;

use libra_proto::registry::{
    Applied, Holder, NodeRecord, NodeState, ResultManifest, StatementRecord, Unreachable,
};
use libra_proto::types::{JobId, NodeId};

use super::copies::{self, Seat};
use super::placement::{self, Load};
use super::state::Registry;

/// A result on fewer nodes than it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct UnderCopied {
    /// Whose it is.
    pub job: JobId,
    /// What is held of it, by whom.
    pub manifest: ResultManifest,
    /// The holders that can be asked.
    pub within_reach: Vec<NodeId>,
    /// Who could hold it too, beginning elsewhere with every job so that copies are spread.
    pub targets: Vec<NodeId>,
}

/// What came of looking for results on too few nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shortages {
    /// Those that were found.
    pub found: Vec<UnderCopied>,
    /// Where to look on; `None` at the end.
    pub next: Option<JobId>,
}

impl Registry {
    /// All nodes that registered and were not removed, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.records.nodes.values()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&NodeRecord> {
        self.records.nodes.get(&id.0)
    }

    /// The nodes that may take sessions, by id.
    pub fn up_nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes().filter(|node| node.state().is_up())
    }

    /// How many sessions the node has work with: those of [`Registry::sessions_owned_by`].
    #[must_use]
    pub fn session_load(&self, node: NodeId) -> usize {
        self.index.owned.get(&node.0).map_or(0, BTreeSet::len)
    }

    /// The node that would get a session of that endpoint now: the one that is UP and has the
    /// fewest, ties by id, and one that cannot reach the endpoint only if none can. `None` while no
    /// node is UP.
    #[must_use]
    pub fn placement(&self, endpoint: &str, unreachable: &[Unreachable]) -> Option<NodeId> {
        let barred = |node| {
            let mut pairs = unreachable.iter();
            pairs.any(|pair| pair.node_id == node && pair.endpoint == endpoint)
        };
        placement::place(&self.load(), barred).map(NodeId)
    }

    /// The statements that have ended and whose result the node is said to hold, in order of
    /// acceptance; also where the node has another store by now, and so does not.
    pub fn held_by(&self, node: NodeId) -> impl Iterator<Item = &Arc<StatementRecord>> {
        let jobs = self.index.held.get(&node.0).into_iter().flatten();
        jobs.filter_map(|job| self.records.statements.get(job))
    }

    /// Whether the copy can be read, as far as the registry knows: the node is registered with that
    /// very store, and not DOWN.
    #[must_use]
    pub fn is_within_reach(&self, holder: &Holder) -> bool {
        self.node(NodeId(holder.node_id))
            .is_some_and(|node| node.store_uuid == holder.store_uuid && node.state().is_working())
    }

    /// Results that are on fewer nodes than they should and could be, each with the nodes that could
    /// hold it too: `found_most` of them, in order of acceptance, of the next `looked_most` statements
    /// from `from` on. One that no node has is left out.
    #[must_use]
    pub fn under_copied(&self, from: JobId, looked_most: usize, found_most: usize) -> Shortages {
        let up: Vec<NodeId> = self.up_nodes().map(|node| NodeId(node.node_id)).collect();
        let wanted = self.copies_wanted().min(up.len());
        let mut shortages = Shortages::default();
        let mut left = looked_most;
        for (job, statement) in self.records.statements.range(from..) {
            if left == 0 || shortages.found.len() >= found_most {
                shortages.next = Some(*job);
                break;
            }
            left -= 1;
            let found = self.shortage(*job, statement, &up, wanted);
            shortages.found.extend(found);
        }
        shortages
    }

    fn shortage(
        &self,
        job: JobId,
        statement: &StatementRecord,
        up: &[NodeId],
        wanted: usize,
    ) -> Option<UnderCopied> {
        let ended = statement.state().has_ended();
        let manifest = statement.result.as_ref().filter(|_| ended)?;
        let holders = manifest.holders.iter();
        let within_reach: Vec<NodeId> = holders
            .filter(|holder| self.is_within_reach(holder))
            .map(|holder| NodeId(holder.node_id))
            .collect();
        if within_reach.is_empty() || within_reach.len() >= wanted {
            return None;
        }
        let free = up.iter().filter(|node| !within_reach.contains(node));
        let mut targets: Vec<NodeId> = free.copied().collect();
        let turn = usize::try_from(job.0).unwrap_or_default();
        let turn = turn.checked_rem(targets.len())?;
        targets.rotate_left(turn);
        Some(UnderCopied {
            job,
            manifest: manifest.clone(),
            within_reach,
            targets,
        })
    }

    /// On how many nodes each result is to be, from 1.
    #[must_use]
    pub fn copies_wanted(&self) -> usize {
        let settings = self.records.settings.unwrap_or_default();
        settings.result_replicas.max(1) as usize
    }

    /// The answer that the request got, as long as that is kept.
    #[must_use]
    pub fn request(&self, id: &[u8]) -> Option<&Applied> {
        let index = self.index.requests.get(id)?;
        self.records.requests.get(index)?.applied.as_ref()
    }

    /// How many sessions each node has that may take one.
    pub(super) fn load(&self) -> Load {
        let up = self.up_nodes().map(|node| node.node_id);
        up.map(|node| (node, self.session_load(NodeId(node))))
            .collect()
    }

    /// Who is to hold the result of a statement that runs at `owner`, given who had it before.
    pub(super) fn replicas_for(&self, job: JobId, owner: u64, before: &[u64]) -> Vec<u64> {
        let ids = |wanted: fn(NodeState) -> bool| -> Vec<u64> {
            let nodes = self.nodes().filter(|node| wanted(node.state()));
            nodes.map(|node| node.node_id).collect()
        };
        let seat = Seat {
            job: job.0,
            owner,
            up: &ids(NodeState::is_up),
            working: &ids(NodeState::is_working),
            wanted: self.copies_wanted(),
        };
        copies::choose(&seat, before)
    }
}
