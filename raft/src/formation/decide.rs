//! PURE: what a node without a log does next, by what its peers say of themselves.
//!
//! **Invariant:** a group is formed by one node only, the one with the lowest id, and only when every
//! configured peer has said that it is in none and is configured alike. A peer that does not answer
//! may be in a group: it is waited for.

use std::collections::BTreeMap;

use crate::type_config::Peer;

/// What a peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) store_uuid: String,
    pub(super) peers_hash: u64,
    /// It is, or was, in a group.
    pub(super) initialised: bool,
    /// Where the leader of its group is, as far as it knows.
    pub(super) leader: Option<String>,
    /// The asking node, with its very store, is in its group.
    pub(super) knows_me: bool,
    /// Why it will have nothing to do with the asking node; empty if it will.
    pub(super) refused: String,
}

/// The node that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) node_id: u64,
    pub(super) myself: Peer,
    pub(super) peers_hash: u64,
    /// Where the others are.
    pub(super) others: BTreeMap<u64, String>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Wait {
        reason: String,
    },
    /// Form the group of these.
    Initialise {
        members: BTreeMap<u64, Peer>,
    },
    /// Ask there to be let in.
    Join {
        address: String,
    },
    Refuse {
        reason: String,
    },
}

/// Decides by the answers of one round: those of the peers that answered in time.
pub(super) fn decide(asker: &Asker, answers: &BTreeMap<u64, Answer>) -> Step {
    let refused = answers
        .iter()
        .find(|(_, answer)| !answer.refused.is_empty());
    if let Some((id, answer)) = refused {
        let reason = format!("node {id}: {}", answer.refused);
        return Step::Refuse { reason };
    }
    if let Some(step) = step_into_group(asker, answers) {
        return step;
    }
    let silent = ids(asker.others.keys().filter(|id| !answers.contains_key(id)));
    if !silent.is_empty() {
        let reason = format!("no answer of node {silent}");
        return Step::Wait { reason };
    }
    let differs = |(_, answer): &(&u64, &Answer)| answer.peers_hash != asker.peers_hash;
    let different = ids(answers.iter().filter(differs).map(|(id, _)| id));
    if !different.is_empty() {
        let reason = format!("node {different} is configured with other peers than this one");
        return Step::Wait { reason };
    }
    match asker.others.keys().find(|id| **id < asker.node_id) {
        Some(first) => Step::Wait {
            reason: format!("node {first} forms the group"),
        },
        None => Step::Initialise {
            members: members(asker, answers),
        },
    }
}

/// What to do if any peer is in a group.
fn step_into_group(asker: &Asker, answers: &BTreeMap<u64, Answer>) -> Option<Step> {
    let grouped = || answers.iter().filter(|(_, answer)| answer.initialised);
    if let Some((id, _)) = grouped().find(|(_, answer)| answer.knows_me) {
        let reason = format!("the leader of node {id}'s group will send the log");
        return Some(Step::Wait { reason });
    }
    let leader = grouped().find_map(|(_, answer)| answer.leader.clone());
    let somebody = || grouped().find_map(|(id, _)| asker.others.get(id).cloned());
    let address = leader.or_else(somebody)?;
    Some(Step::Join { address })
}

fn members(asker: &Asker, answers: &BTreeMap<u64, Answer>) -> BTreeMap<u64, Peer> {
    let other = |(id, address): (&u64, &String)| {
        let answer = answers.get(id)?;
        let peer = Peer {
            address: address.clone(),
            store_uuid: answer.store_uuid.clone(),
        };
        Some((*id, peer))
    };
    let mut members: BTreeMap<_, _> = asker.others.iter().filter_map(other).collect();
    members.insert(asker.node_id, asker.myself.clone());
    members
}

fn ids<'a>(ids: impl Iterator<Item = &'a u64>) -> String {
    let ids: Vec<_> = ids.map(u64::to_string).collect();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u64) -> Peer {
        Peer {
            address: format!("a:{id}"),
            store_uuid: format!("s{id}"),
        }
    }

    fn asker(node_id: u64) -> Asker {
        let others = (1..=3).filter(|id| *id != node_id);
        Asker {
            node_id,
            myself: peer(node_id),
            peers_hash: 7,
            others: others.map(|id| (id, format!("a:{id}"))).collect(),
        }
    }

    fn empty(id: u64) -> Answer {
        Answer {
            store_uuid: format!("s{id}"),
            peers_hash: 7,
            initialised: false,
            leader: None,
            knows_me: false,
            refused: String::new(),
        }
    }

    fn all_empty(node_id: u64) -> BTreeMap<u64, Answer> {
        let others = asker(node_id).others;
        others.keys().map(|id| (*id, empty(*id))).collect()
    }

    fn waits_for(node_id: u64, answers: &BTreeMap<u64, Answer>, part: &str) {
        match decide(&asker(node_id), answers) {
            Step::Wait { reason } => assert!(reason.contains(part), "{reason}"),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn only_the_first_forms_a_group_and_only_when_all_are_empty() {
        let members = (1..=3).map(|id| (id, peer(id))).collect();
        let step = decide(&asker(1), &all_empty(1));
        assert_eq!(step, Step::Initialise { members });
        waits_for(2, &all_empty(2), "node 1 forms");
        waits_for(3, &all_empty(3), "node 1 forms");
        let mut answers = all_empty(1);
        answers.remove(&3);
        waits_for(1, &answers, "no answer of node 3");
        answers.clear();
        waits_for(1, &answers, "no answer of node 2, 3");
    }

    #[test]
    fn a_group_of_other_peers_is_not_formed() {
        let mut answers = all_empty(1);
        answers.get_mut(&3).unwrap().peers_hash = 8;
        waits_for(1, &answers, "node 3 is configured with other peers");
    }

    #[test]
    fn a_group_that_is_there_is_joined() {
        for silent in [None, Some(3)] {
            let mut answers = all_empty(1);
            answers.get_mut(&2).unwrap().initialised = true;
            if let Some(id) = silent {
                answers.remove(&id);
            }
            let address = "a:2".to_owned();
            assert_eq!(decide(&asker(1), &answers), Step::Join { address });
            answers.get_mut(&2).unwrap().leader = Some("a:9".to_owned());
            let address = "a:9".to_owned();
            assert_eq!(decide(&asker(1), &answers), Step::Join { address });
            answers.get_mut(&2).unwrap().knows_me = true;
            waits_for(1, &answers, "will send the log");
        }
    }

    #[test]
    fn a_refusal_is_final() {
        let mut answers = all_empty(1);
        answers.get_mut(&2).unwrap().initialised = true;
        answers.get_mut(&3).unwrap().refused = "other cluster".to_owned();
        let reason = "node 3: other cluster".to_owned();
        assert_eq!(decide(&asker(1), &answers), Step::Refuse { reason });
    }
}
