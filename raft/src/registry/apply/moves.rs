//! Sessions change hands: each move is one epoch further (invariant I1), and what the session
//! holds goes with it: what waits, what runs, what is still to be cleaned up.

use std::collections::BTreeSet;

use libra_proto::registry::{MoveSession, RejectionCode, Unreachable, applied};
use libra_proto::types::JobId;

use super::sessions::over;
use super::{Outcome, Step};
use crate::registry::error::reject;
use crate::registry::placement::place;

impl Step<'_> {
    /// Gives away what is owned by nodes that are not UP, evenly over those that are. While none
    /// is, everything stays where it was: its owner may still come back.
    ///
    /// Whoever changes the state of a node calls this last.
    pub(super) fn settle(&mut self, unreachable: &[Unreachable]) {
        let mut load = self.registry.load();
        let owned = self.registry.index.owned.iter();
        let stranded: Vec<String> = owned
            .filter(|(owner, _)| !load.contains_key(owner))
            .flat_map(|(_, ids)| ids.iter().cloned())
            .collect();
        let barred: BTreeSet<(u64, &str)> = unreachable
            .iter()
            .map(|pair| (pair.node_id, pair.endpoint.as_str()))
            .collect();
        for id in stranded {
            let placed = self.session(&id).ok().and_then(|session| {
                place(&load, |node| {
                    barred.contains(&(node, session.endpoint.as_str()))
                })
            });
            let Some(to) = placed else { return };
            if let Some(sessions) = load.get_mut(&to) {
                *sessions = sessions.saturating_add(1);
            }
            self.give(&id, to);
        }
    }

    /// Gives one session to a node, by somebody's wish. Without a node named it goes to the one
    /// with the fewest, if that evens things out.
    pub(super) fn move_session(&mut self, command: &MoveSession) -> Outcome {
        let id = command.session_id.as_str();
        let session = self.session_at(id, command.epoch)?;
        let owner = session.owner_node;
        let owned = self.registry.index.owned.get(&owner);
        if !owned.is_some_and(|ids| ids.contains(id)) {
            return Err(over(session));
        }
        let to = match command.to_node {
            0 => self
                .emptiest_without(owner)
                .ok_or_else(|| reject(RejectionCode::NoNode, id))?,
            node => self.up_node(node)?,
        };
        if to != owner {
            self.give(id, to);
        }
        self.session(id).cloned().map(applied::Result::Session)
    }

    /// The node with the fewest sessions, if one of `owner`'s were not there; in doubt the owner.
    fn emptiest_without(&self, owner: u64) -> Option<u64> {
        let mut load = self.registry.load();
        let Some(own) = load.get_mut(&owner) else {
            return place(&load, |_| false);
        };
        *own = own.saturating_sub(1);
        let own = *own;
        let fewest = place(&load, |_| false)?;
        let fewer = load.get(&fewest).is_some_and(|sessions| *sessions < own);
        Some(if fewer { fewest } else { owner })
    }

    /// The session's next epoch, in which it is another node's.
    fn give(&mut self, id: &str, to: u64) {
        let Ok(session) = self.session(id) else {
            return;
        };
        let from = session.owner_node;
        self.registry.update_session(id, |session| {
            session.owner_node = to;
            session.epoch = session.epoch.saturating_add(1);
        });
        self.note_session(id);
        for job in self.running_jobs(id) {
            self.move_copies(job, id, from, to);
        }
    }

    fn running_jobs(&self, id: &str) -> Vec<JobId> {
        let jobs = self.registry.index.sessions.get(id);
        jobs.map(|jobs| jobs.running.iter().copied().collect())
            .unwrap_or_default()
    }
}
