//! Sessions change hands: each move is one epoch further (invariant I1), and what the session
//! holds goes with it: what waits, what runs, what is still to be cleaned up.

use std::collections::BTreeSet;

use libra_proto::admin::{SessionMoved, event};
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
    /// Whoever changes the state of a node calls this last. Says how many went.
    pub(super) fn settle(&mut self, unreachable: &[Unreachable]) -> u64 {
        let mut moved = 0;
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
            let Some(to) = placed else { return moved };
            if let Some(sessions) = load.get_mut(&to) {
                *sessions = sessions.saturating_add(1);
            }
            self.give(&id, to);
            moved += 1;
        }
        moved
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
        let reaches = |node: u64| {
            let mut pairs = command.unreachable.iter();
            !pairs.any(|pair| pair.node_id == node && pair.endpoint == session.endpoint)
        };
        let to = match command.to_node {
            0 => self
                .emptiest_without(owner, |node| !reaches(node))
                .ok_or_else(|| reject(RejectionCode::NoNode, id))?,
            node if reaches(self.up_node(node)?) => node,
            node => {
                return Err(reject(RejectionCode::EndpointUnreachable, node.to_string()));
            }
        };
        if to != owner {
            self.give(id, to);
            self.note_not_stored(JobId(command.not_stored), id, owner);
        }
        self.session(id).cloned().map(applied::Result::Session)
    }

    /// The node with the fewest sessions, if one of `owner`'s were not there; in doubt the owner. One
    /// that is `barred` only where all are, or instead of an owner that is.
    fn emptiest_without(&self, owner: u64, barred: impl Fn(u64) -> bool) -> Option<u64> {
        let mut load = self.registry.load();
        let Some(own) = load.get_mut(&owner) else {
            return place(&load, barred);
        };
        *own = own.saturating_sub(1);
        let own = *own;
        let fewest = place(&load, &barred)?;
        let fewer = load.get(&fewest).is_some_and(|sessions| *sessions < own);
        let better = match (barred(fewest), barred(owner)) {
            (false, true) => true,
            (true, false) => false,
            (true, true) | (false, false) => fewer,
        };
        Some(if better { fewest } else { owner })
    }

    /// The session's next epoch, in which it is another node's.
    fn give(&mut self, id: &str, to: u64) {
        let Ok(session) = self.session(id) else {
            return;
        };
        let from = session.owner_node;
        let epoch = session.epoch.saturating_add(1);
        self.registry.update_session(id, |session| {
            session.owner_node = to;
            session.epoch = epoch;
        });
        self.note_session(id);
        let running = self.running_jobs(id);
        self.tell(event::Kind::SessionMoved(SessionMoved {
            session_id: id.to_owned(),
            from_node: from,
            to_node: to,
            epoch,
            running: running.len() as u64,
        }));
        for job in running {
            self.move_copies(job, id, from, to);
        }
    }

    /// That node could not store the result of a statement that runs in the session.
    fn note_not_stored(&mut self, job: JobId, session: &str, node: u64) {
        if self.running_jobs(session).contains(&job) {
            self.registry
                .update_statement(job, |statement| statement.not_stored_on.push(node));
            self.note_statement(job, session);
        }
    }

    fn running_jobs(&self, id: &str) -> Vec<JobId> {
        let jobs = self.registry.index.sessions.get(id);
        jobs.map(|jobs| jobs.running.iter().copied().collect())
            .unwrap_or_default()
    }
}
