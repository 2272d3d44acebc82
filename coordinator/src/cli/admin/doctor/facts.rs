//! What is known of a cluster when it is judged.

use libra_proto::admin::{ClusterStatusResponse, DiagnoseResponse, Node};

/// All that was found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// The cluster as the leader knows it, or the node that was asked.
    pub(super) cluster: ClusterStatusResponse,
    /// Its nodes, by id: all of the group and all that are registered.
    pub(super) nodes: Vec<NodeFacts>,
}

/// One node.
#[derive(Debug, Clone, Default)]
pub(super) struct NodeFacts {
    /// As the cluster knows it.
    pub(super) known: Node,
    /// What it says about itself.
    pub(super) said: Said,
}

/// What a node says about itself, and how that came here.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// It was asked from here.
    Direct {
        diagnosis: Box<DiagnoseResponse>,
        clock: Clock,
    },
    /// It cannot be reached from here, but another node reaches it.
    Relayed {
        diagnosis: Box<DiagnoseResponse>,
        /// Why not from here.
        why: String,
    },
    /// Nobody reaches it.
    Nothing { why: String },
}

impl Default for Said {
    fn default() -> Self {
        Self::Nothing { why: String::new() }
    }
}

/// How its clock stands to the one here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// How far it is ahead, by the middle of the call.
    pub(super) ahead_ms: i64,
    /// It may be wrong by so much: half of the call, and what the rounding takes.
    pub(super) unsure_ms: i64,
}

impl Clock {
    /// Of one call, as it was begun and answered by the clock here, and what the node's said.
    pub(super) fn of_call(begun_ms: u64, answered_ms: u64, said_ms: u64) -> Self {
        let half = (answered_ms.saturating_sub(begun_ms)).div_ceil(2);
        let middle = begun_ms.saturating_add(half);
        Self {
            ahead_ms: signed(said_ms).saturating_sub(signed(middle)),
            unsure_ms: signed(half).saturating_add(1),
        }
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

impl NodeFacts {
    pub(super) fn id(&self) -> u64 {
        self.known.node_id
    }

    pub(super) fn diagnosis(&self) -> Option<&DiagnoseResponse> {
        match &self.said {
            Said::Direct { diagnosis, .. } | Said::Relayed { diagnosis, .. } => Some(diagnosis),
            Said::Nothing { .. } => None,
        }
    }

    pub(super) fn clock(&self) -> Option<Clock> {
        match &self.said {
            Said::Direct { clock, .. } => Some(*clock),
            Said::Relayed { .. } | Said::Nothing { .. } => None,
        }
    }
}

impl Facts {
    /// Nodes that have said something, with it.
    pub(super) fn diagnosed(&self) -> impl Iterator<Item = (&NodeFacts, &DiagnoseResponse)> {
        let nodes = self.nodes.iter();
        nodes.filter_map(|node| Some((node, node.diagnosis()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_corrected_by_half_of_the_call() {
        for (begun, answered, said, ahead_ms, unsure_ms) in [
            (1_000, 1_000, 1_000, 0, 1),
            (1_000, 1_100, 1_050, 0, 51),
            (1_000, 1_100, 6_050, 5_000, 51),
            (10_000, 10_010, 5_005, -5_000, 6),
            // The clock here was set back meanwhile.
            (1_000, 900, 1_000, 0, 1),
        ] {
            let expected = Clock {
                ahead_ms,
                unsure_ms,
            };
            assert_eq!(Clock::of_call(begun, answered, said), expected);
        }
    }
}
