//! Everything that happens by itself: statements end, streams run out, the forgotten is removed,
//! the driver dies.

use std::collections::{BTreeSet, VecDeque};

use super::operation::Ended;
use super::session::Memory;
use super::{
    Effect, Ending, Engine, Execution, Millis, OperationNo, Outcome, RpcError, SessionKey, StreamId,
};

/// Something that happens at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    OperationStarts(OperationNo),
    OperationEnds(OperationNo),
    StreamEnds(StreamId),
    Maintenance,
}

/// Operations that were removed as abandoned, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    order: VecDeque<(SessionKey, String)>,
    known: BTreeSet<(SessionKey, String)>,
}

impl Tombstones {
    pub(super) fn contains(&self, session: &SessionKey, id: &str) -> bool {
        !self.known.is_empty() && self.known.contains(&(session.clone(), id.to_owned()))
    }

    fn bury(&mut self, session: &SessionKey, id: &str, most: usize) {
        let key = (session.clone(), id.to_owned());
        if self.known.insert(key.clone()) {
            self.order.push_back(key);
        }
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl Engine {
    /// When something happens next by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Lets everything happen that was due by `now`, in its order.
    pub fn advance(&mut self, now: Millis) {
        while let Some((at, due)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            self.agenda.pop_first();
            match due {
                Due::OperationStarts(no) => self.operation_starts(at, no),
                Due::OperationEnds(no) => self.operation_ends(at, no),
                Due::StreamEnds(id) => self.stream_ends(at, id),
                Due::Maintenance => self.maintain(at),
            }
        }
    }

    pub(super) fn schedule_maintenance(&mut self, now: Millis) {
        self.agenda.retain(|(_, due)| *due != Due::Maintenance);
        let interval = self.settings.maintenance_interval_ms.max(1);
        self.agenda
            .insert((now.saturating_add(interval), Due::Maintenance));
    }

    fn operation_starts(&mut self, now: Millis, no: OperationNo) {
        let progress = self.settings.progress_interval_ms > 0;
        let Some(operation) = self.operations.get_mut(&no) else {
            return;
        };
        if operation.ended.is_some() {
            return;
        }
        operation.execution = Some(self.ledger.begin(Execution {
            incarnation: self.incarnation,
            user_id: operation.request.session.user_id.clone(),
            session_id: operation.request.session.session_id.clone(),
            operation_id: operation.request.id.clone(),
            code: operation.request.plan.to_string(),
            started_ms: now,
            ended_ms: None,
            outcome: None,
        }));
        operation.catch_up(now, progress);
        if let Some(at) = operation.ends_at() {
            self.agenda.insert((at, Due::OperationEnds(no)));
        }
        if let Some(id) = operation.attached {
            self.effects.push(Effect::Wake(id));
        }
    }

    fn operation_ends(&mut self, now: Millis, no: OperationNo) {
        let Some(operation) = self.operations.get_mut(&no) else {
            return;
        };
        if operation.ended.is_some() {
            return;
        }
        let script = operation.request.script.clone();
        let outcome = match &script.ending {
            Ending::Success => {
                operation.finish(now, None);
                Outcome::Succeeded
            }
            Ending::Failure(error) => {
                operation.finish(now, Some(error.clone()));
                Outcome::Failed
            }
            Ending::DriverDies => return self.restart(now),
            Ending::Never => return,
        };
        self.ledger.end(operation.execution, now, outcome);
        if let Some(id) = operation.attached {
            self.effects.push(Effect::Wake(id));
            self.operation_ended(now, id);
        }
    }

    /// Ends an operation that runs; false if it had ended.
    pub(super) fn cancel_operation(&mut self, now: Millis, no: OperationNo) -> bool {
        let Some(operation) = self.operations.get_mut(&no) else {
            return false;
        };
        if operation.ended.is_some() {
            return false;
        }
        if let Some(at) = operation.ends_at() {
            self.agenda.remove(&(at, Due::OperationEnds(no)));
        }
        operation.cancel();
        self.ledger
            .end(operation.execution, now, Outcome::Cancelled);
        if let Some(id) = operation.attached {
            self.effects.push(Effect::Wake(id));
        }
        true
    }

    /// Removes an operation: cancels it, disconnects its reader, remembers how it ended.
    pub(super) fn remove_operation(&mut self, now: Millis, no: OperationNo, abandoned: bool) {
        self.cancel_operation(now, no);
        if let Some(id) = self.operations.get(&no).and_then(|o| o.attached) {
            self.disconnect(no, id);
        }
        let Some(operation) = self.operations.remove(&no) else {
            return;
        };
        let (key, id) = (operation.request.session, operation.request.id);
        if abandoned && self.settings.profile.keeps_operations() {
            self.tombstones.bury(&key, &id, self.settings.tombstones);
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.operations.get(&id) == Some(&no) {
            session.operations.remove(&id);
        }
        if self.settings.profile.remembers_operations() {
            let memory = Memory {
                ended: operation.ended.unwrap_or(Ended::Cancelled),
                expires: now.saturating_add(self.settings.operation_memory_ms),
            };
            session.memory.insert(id, memory);
        }
    }

    /// What Spark's two maintenance threads do.
    fn maintain(&mut self, now: Millis) {
        self.schedule_maintenance(now);
        let over = |since: Millis, limit: Millis| limit > 0 && since.saturating_add(limit) <= now;
        let limit = self.settings.detached_timeout_ms;
        let abandoned: Vec<_> = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.detached_since.is_some_and(|at| over(at, limit)))
            .map(|(no, _)| *no)
            .collect();
        for no in abandoned {
            self.remove_operation(now, no, true);
        }
        let limit = self.settings.session_timeout_ms;
        let idle: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| over(session.last_access, limit))
            .map(|(key, _)| key.clone())
            .collect();
        for key in idle {
            self.close_session(now, &key, false);
        }
        for session in self.sessions.values_mut() {
            session.memory.retain(|_, memory| memory.expires > now);
        }
    }

    /// The driver dies with all it holds and is back as another one.
    pub fn restart(&mut self, now: Millis) {
        for operation in self.operations.values() {
            self.ledger
                .end(operation.execution, now, Outcome::DriverDied);
        }
        let streams: Vec<_> = self.streams.keys().copied().collect();
        for id in streams {
            self.cut(id, Err(RpcError::Unavailable));
        }
        self.incarnation += 1;
        self.sessions.clear();
        self.closed_sessions.clear();
        self.operations.clear();
        self.tombstones = Tombstones::default();
        self.agenda.clear();
        self.tables = self.settings.tables.iter().cloned().collect();
        self.schedule_maintenance(now);
        self.effects.push(Effect::DriverDied);
    }
}
