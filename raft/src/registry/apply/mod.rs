//! The one function that changes the registry.
//!
//! **Invariant:** total and deterministic: any entry, also one made of garbage, gives an answer and
//! never a panic. A refused command, and one whose request was answered before, changes nothing but
//! the clock and the applied index.

mod closing;
mod ends;
mod levels;
mod moves;
mod nodes;
mod pools;
mod replicas;
mod requests;
mod restore;
mod sessions;
mod settings;
mod starts;
mod submit;

use std::collections::BTreeSet;

use libra_proto::admin::{Event, LeaderElected, Position, event};
use libra_proto::registry::command::Kind;
use libra_proto::registry::{
    Applied, Command, Done, Rejection, RejectionCode, SessionRecord, StatementRecord, applied,
};
use libra_proto::types::{Change, JobId};

use super::error::reject;
use super::state::Registry;

/// What a command came to. `Err` is an answer like any other: nothing was changed.
type Outcome = Result<applied::Result, Rejection>;

/// One command being applied.
struct Step<'a> {
    registry: &'a mut Registry,
    /// The registry's clock, which every timestamp made here is.
    now: u64,
    changes: &'a mut Vec<Change>,
    /// What operators are told.
    events: Vec<event::Kind>,
    /// Sessions touched, each told of once, at the end.
    touched: BTreeSet<String>,
}

impl Registry {
    /// Applies one log entry and pushes the names of what it changed. Total, deterministic, never
    /// panics. An entry at or below the applied index changes nothing: replaying a log is safe.
    /// Log indexes count from 1.
    pub fn apply(
        &mut self,
        index: u64,
        term: u64,
        command: &Command,
        changes: &mut Vec<Change>,
    ) -> Applied {
        self.apply_and_tell(index, term, command, changes, &mut Vec::new())
    }

    /// The same, and pushes what operators are told of it: the same on every node.
    pub fn apply_and_tell(
        &mut self,
        index: u64,
        term: u64,
        command: &Command,
        changes: &mut Vec<Change>,
        events: &mut Vec<Event>,
    ) -> Applied {
        if index <= self.records.applied_index {
            return answer(Ok(done(false)));
        }
        self.advance(index, term);
        // From 1, because a time of 0 says "never" in records.
        self.records.clock_ms = self.records.clock_ms.max(command.proposed_at_ms).max(1);
        let now = self.records.clock_ms;
        match self.answer_at_once(term, command) {
            Ok(None) => {}
            Ok(Some(known)) => return known.clone(),
            Err(refusal) => return answer(Err(refusal)),
        }
        let mut step = Step {
            registry: self,
            now,
            changes,
            events: Vec::new(),
            touched: BTreeSet::new(),
        };
        let outcome = step.run(command);
        let told = std::mem::take(&mut step.events);
        step.tell_of_sessions();
        events.extend(in_order(told, index, now));
        let applied = answer(outcome);
        self.remember(index, command, &applied);
        applied
    }

    /// Notes an entry that holds no command: a blank one, or a change of membership.
    pub fn advance(&mut self, index: u64, term: u64) {
        if index >= self.records.applied_index {
            self.records.applied_index = index;
            self.records.applied_term = term;
        }
    }
}

impl Step<'_> {
    fn run(&mut self, command: &Command) -> Outcome {
        let Some(kind) = &command.kind else {
            return Err(reject(RejectionCode::Malformed, "command"));
        };
        match kind {
            Kind::NoteLeader(_) => Ok(self.note_leader(command)),
            Kind::RegisterNode(command) => self.register_node(command),
            Kind::NodeDown(command) => self.node_down(command),
            Kind::DrainNode(command) => self.drain_node(command),
            Kind::RemoveNode(command) => self.remove_node(command),
            Kind::RaiseFeatureLevel(command) => self.raise_feature_level(command),
            Kind::PutSettings(command) => self.put_settings(command),
            Kind::SeedPools(command) => self.seed_pools(command),
            Kind::PutPool(command) => self.put_pool(command),
            Kind::DeletePool(command) => self.delete_pool(command),
            Kind::PausePool(command) => self.pause_pool(command),
            Kind::CreateSession(command) => self.create_session(command),
            Kind::OpenSession(command) => self.open_session(command),
            Kind::ResetSession(command) => self.reset_session(command),
            Kind::FailSession(command) => self.fail_session(command),
            Kind::CloseSession(command) => self.close_session(command),
            Kind::SessionClosed(command) => self.session_closed(command),
            Kind::MoveSession(command) => self.move_session(command),
            Kind::Submit(command) => self.submit(command),
            Kind::StartBatch(command) => self.start_batch(command),
            Kind::Cancel(command) => self.cancel(command),
            Kind::CancelBatch(command) => self.cancel_batch(command),
            Kind::TimeOut(command) => self.time_out(command),
            Kind::Finish(command) => self.finish(command),
            Kind::CleanupDone(command) => self.cleanup_done(command),
            Kind::Retire(command) => self.retire(command),
            Kind::PutReplicas(command) => self.put_replicas(command),
            Kind::PutHolders(command) => self.put_holders(command),
            Kind::RestoreBegin(command) => self.restore_begin(command),
            Kind::RestorePart(command) => self.restore_part(command),
            Kind::RestoreEnd(command) => self.restore_end(command),
        }
    }

    /// Whoever proposes this leads that term: else it was refused before it came here.
    fn note_leader(&mut self, command: &Command) -> applied::Result {
        if command.leader_term != 0 {
            self.tell(event::Kind::LeaderElected(LeaderElected {
                node_id: command.proposer_node,
                term: command.leader_term,
            }));
        }
        done(false)
    }

    fn tell(&mut self, event: event::Kind) {
        self.events.push(event);
    }

    fn note_session(&mut self, id: &str) {
        self.touched.insert(id.to_owned());
    }

    fn note_statement(&mut self, job: JobId, session: &str) {
        // Only ids that parse become sessions, so none is left out here.
        let Ok(session) = session.parse() else { return };
        let change = Change::Statement(job, session);
        if self.changes.last() != Some(&change) {
            self.changes.push(change);
        }
    }

    fn note_settings(&mut self) {
        self.changes.push(Change::Settings);
    }

    fn tell_of_sessions(self) {
        let sessions = self.touched.iter().filter_map(|id| id.parse().ok());
        self.changes.extend(sessions.map(Change::Session));
    }

    fn session(&self, id: &str) -> Result<&SessionRecord, Rejection> {
        let found = self.registry.records.sessions.get(id);
        found
            .map(AsRef::as_ref)
            .ok_or_else(|| reject(RejectionCode::UnknownSession, id))
    }

    /// The session, if that is its epoch: commands of its owner carry it (invariant I1).
    fn session_at(&self, id: &str, epoch: u64) -> Result<&SessionRecord, Rejection> {
        let session = self.session(id)?;
        if session.epoch == epoch {
            Ok(session)
        } else {
            Err(stale(session))
        }
    }

    fn statement(&self, job: JobId) -> Result<&StatementRecord, Rejection> {
        let found = self.registry.records.statements.get(&job);
        found
            .map(AsRef::as_ref)
            .ok_or_else(|| reject(RejectionCode::UnknownJob, job.to_string()))
    }
}

/// The events of one entry, each with its place in the stream.
fn in_order(told: Vec<event::Kind>, index: u64, at_ms: u64) -> impl Iterator<Item = Event> {
    (0..).zip(told).map(move |(ordinal, kind)| Event {
        position: Some(Position { index, ordinal }),
        at_ms,
        kind: Some(kind),
    })
}

fn answer(outcome: Outcome) -> Applied {
    Applied {
        result: Some(outcome.unwrap_or_else(applied::Result::Rejected)),
    }
}

fn done(changed: bool) -> applied::Result {
    applied::Result::Done(Done { changed })
}

fn malformed(subject: &str) -> Rejection {
    reject(RejectionCode::Malformed, subject)
}

/// The command belongs to an earlier life of the session; the limit names the present epoch.
fn stale(session: &SessionRecord) -> Rejection {
    Rejection {
        limit: session.epoch,
        ..reject(RejectionCode::StaleEpoch, session.session_id.as_str())
    }
}
