//! What is done in one injection, drawn before it is done. PURE.
//!
//! **Invariant:** the seed and the state of the cluster decide all of it.

use std::fmt;

use crate::evidence::Dice;

/// One thing done to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// kill -9.
    Kill(Vec<u64>),
    /// SIGSTOP, for so many ms.
    Stop(u64, u64),
    /// SIGTERM and a new start, of each in turn.
    Roll(Vec<u64>),
    /// Something about the network.
    Net(Net),
    /// A node's wall clock, so many seconds on or back.
    Clock(u64, i64),
    /// A full disk.
    Fill(u64),
    /// Every fsync takes so many ms.
    SlowSync(u64, u64),
    /// One fsync fails.
    FailSync(u64),
    /// Power cut.
    PowerCut(Vec<u64>),
    /// Power cut, and this node's disk is gone after it.
    Lose(Vec<u64>, u64),
    /// Spark's driver dies.
    Spark,
    /// A node is added, this one taken out.
    Replace(u64),
    /// So many moves of sessions, each to the node after its owner.
    MoveSessions(usize),
}

/// Something about the network of one node, or of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Net {
    /// Nothing in, nothing out.
    Isolated(u64),
    /// Nothing in.
    Deaf(u64),
    /// Nothing out.
    Mute(u64),
    /// Two do not reach each other.
    Apart(u64, u64),
    /// Cut off from the other nodes only.
    FromNodes(u64),
    /// Cut off from Spark only.
    FromSpark(u64),
    /// Packets in late by so many ms, more or less.
    Late(u64, u64, u64),
    /// So many of a hundred packets in lost.
    Lossy(u64, u8),
    /// So many kbit a second out.
    Slow(u64, u64),
}

/// Who is who in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cast {
    pub(super) nodes: Vec<u64>,
    pub(super) leader: u64,
    /// Nodes that own probed sessions, and do not lead.
    pub(super) owners: Vec<u64>,
}

impl Cast {
    /// A node that owns sessions and does not lead; else any that does not lead; else the leader.
    pub(super) fn owner(&self, dice: &mut Dice) -> u64 {
        let owner = pick(&self.owners, dice);
        owner.or_else(|| self.follower(dice)).unwrap_or(self.leader)
    }

    /// A node that does not lead.
    pub(super) fn follower(&self, dice: &mut Dice) -> Option<u64> {
        let followers: Vec<u64> = self.without(&[self.leader]);
        pick(&followers, dice)
    }

    /// Any node.
    pub(super) fn any(&self, dice: &mut Dice) -> u64 {
        pick(&self.nodes, dice).unwrap_or(self.leader)
    }

    /// As many as a majority, the leader among them or not.
    pub(super) fn majority(&self, dice: &mut Dice) -> Vec<u64> {
        let mut nodes = self.nodes.clone();
        dice.shuffle(&mut nodes);
        nodes.truncate(self.nodes.len() / 2 + 1);
        nodes
    }

    /// All nodes but these.
    pub(super) fn without(&self, some: &[u64]) -> Vec<u64> {
        let others = self.nodes.iter().copied();
        others.filter(|id| !some.contains(id)).collect()
    }
}

fn pick(nodes: &[u64], dice: &mut Dice) -> Option<u64> {
    let at = usize::try_from(dice.below(nodes.len() as u64)).ok()?;
    nodes.get(at).copied()
}

impl Act {
    /// The nodes that it is done to.
    pub(super) fn victims(&self) -> Vec<u64> {
        match self {
            Self::Kill(nodes)
            | Self::Roll(nodes)
            | Self::PowerCut(nodes)
            | Self::Lose(nodes, _) => nodes.clone(),
            Self::Net(Net::Apart(one, other)) => vec![*one, *other],
            Self::Stop(node, _)
            | Self::Net(
                Net::Isolated(node)
                | Net::Deaf(node)
                | Net::Mute(node)
                | Net::FromNodes(node)
                | Net::FromSpark(node)
                | Net::Late(node, ..)
                | Net::Lossy(node, _)
                | Net::Slow(node, _),
            )
            | Self::Clock(node, _)
            | Self::Fill(node)
            | Self::SlowSync(node, _)
            | Self::FailSync(node)
            | Self::Replace(node) => vec![*node],
            Self::Spark | Self::MoveSessions(_) => Vec::new(),
        }
    }

    /// The node that no other one reaches because of it.
    pub(super) fn cut_from_nodes(&self) -> Option<u64> {
        match self {
            Self::Net(Net::FromNodes(node)) => Some(*node),
            Self::Kill(_)
            | Self::Stop(..)
            | Self::Roll(_)
            | Self::Net(_)
            | Self::Clock(..)
            | Self::Fill(_)
            | Self::SlowSync(..)
            | Self::FailSync(_)
            | Self::PowerCut(_)
            | Self::Lose(..)
            | Self::Spark
            | Self::Replace(_)
            | Self::MoveSessions(_) => None,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(nodes) => write!(f, "kill -9 {nodes:?}"),
            Self::Stop(node, millis) => write!(f, "stop {node} for {millis} ms"),
            Self::Roll(nodes) => write!(f, "restart {nodes:?} in turn"),
            Self::Net(net) => net.fmt(f),
            Self::Clock(node, seconds) => write!(f, "clock of {node} {seconds:+} s"),
            Self::Fill(node) => write!(f, "disk of {node} full"),
            Self::SlowSync(node, millis) => write!(f, "fsync of {node} takes {millis} ms"),
            Self::FailSync(node) => write!(f, "fsync of {node} fails"),
            Self::PowerCut(nodes) => write!(f, "power cut of {nodes:?}"),
            Self::Lose(nodes, lost) => {
                write!(f, "power cut of {nodes:?}, the disk of {lost} gone")
            }
            Self::Spark => f.write_str("Spark's driver dies"),
            Self::Replace(node) => write!(f, "a new node for {node}"),
            Self::MoveSessions(moves) => write!(f, "{moves} moves of sessions"),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Isolated(node) => write!(f, "black hole around {node}"),
            Self::Deaf(node) => write!(f, "{node} hears nothing"),
            Self::Mute(node) => write!(f, "{node} is not heard"),
            Self::Apart(one, other) => write!(f, "nothing between {one} and {other}"),
            Self::FromNodes(node) => write!(f, "{node} cut off from the nodes, not from Spark"),
            Self::FromSpark(node) => write!(f, "{node} cut off from Spark"),
            Self::Late(node, millis, jitter) => {
                write!(f, "packets to {node} late by {millis}±{jitter} ms")
            }
            Self::Lossy(node, share) => write!(f, "{share} % of the packets to {node} lost"),
            Self::Slow(node, kbit) => write!(f, "{node} sends {kbit} kbit/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victims_are_drawn_from_the_roles() {
        let cast = Cast {
            nodes: vec![1, 2, 3],
            leader: 2,
            owners: vec![3],
        };
        let mut dice = Dice::new(1, 1);
        for _ in 0..20 {
            assert_eq!(cast.owner(&mut dice), 3);
            assert_ne!(cast.follower(&mut dice), Some(2));
            assert_eq!(cast.majority(&mut dice).len(), 2);
        }
        let alone = Cast {
            nodes: vec![2],
            leader: 2,
            owners: vec![],
        };
        assert_eq!(alone.owner(&mut dice), 2);
        assert_eq!(cast.without(&[1]), [2, 3]);
    }

    #[test]
    fn what_is_done_names_its_victims() {
        let act = Act::Net(Net::Apart(1, 3));
        assert_eq!(act.victims(), [1, 3]);
        assert_eq!(act.to_string(), "nothing between 1 and 3");
        assert_eq!(Act::Clock(2, -600).to_string(), "clock of 2 -600 s");
    }
}
