//! The only places where a record changes, each with its indexes.
//!
//! **Invariant:** whoever changes a record goes through here; every function leaves the indexes as
//! [`super::indexes::Indexes::build`] would make them.

use std::sync::Arc;

use libra_proto::registry::{
    CleanupRecord, RequestRecord, SessionRecord, StatementRecord, StatementState,
};
use libra_proto::types::JobId;

use super::state::{Registry, has_ended, is_open};

/// How many answered requests are kept, and how many bytes of their records: what comes first. A
/// retry follows within seconds.
pub(super) const REQUESTS_KEPT: usize = 4_096;
pub(super) const REQUEST_BYTES_KEPT: u64 = 16 << 20;

impl Registry {
    /// Adds a session of a new id.
    pub(super) fn insert_session(&mut self, session: SessionRecord) {
        self.index.mark_session(&session, true);
        self.records
            .sessions
            .insert(session.session_id.clone(), Arc::new(session));
    }

    /// Changes a session; its queued statements become eligible, or cease to be, with it.
    pub(super) fn update_session(&mut self, id: &str, change: impl FnOnce(&mut SessionRecord)) {
        let Some(session) = self.records.sessions.get_mut(id) else {
            return;
        };
        let was_open = is_open(session);
        self.index.mark_session(session, false);
        change(Arc::make_mut(session));
        self.index.mark_session(session, true);
        let open = is_open(session);
        if was_open == open {
            return;
        }
        let Some(jobs) = self.index.sessions.get(id) else {
            return;
        };
        let active: Vec<JobId> = jobs.active.iter().copied().collect();
        for job in active {
            if let Some(statement) = self.records.statements.get(&job)
                && statement.state() == StatementState::Queued
            {
                self.index.mark_eligible(statement, open);
            }
        }
    }

    /// Changes what no index depends on: activity, counts and notices.
    pub(super) fn amend_session(&mut self, id: &str, change: impl FnOnce(&mut SessionRecord)) {
        if let Some(session) = self.records.sessions.get_mut(id) {
            change(Arc::make_mut(session));
        }
    }

    /// Removes an ended session of which nothing is left; its epoch stays taken.
    pub(super) fn remove_session(&mut self, id: &str) {
        if let Some(session) = self.records.sessions.remove(id) {
            self.index.mark_session(&session, false);
            self.records.epoch_floor = self.records.epoch_floor.max(session.epoch);
        }
    }

    /// Whether the session may be forgotten.
    pub(super) fn is_spent(&self, session: &SessionRecord) -> bool {
        has_ended(session) && !self.index.sessions.contains_key(&session.session_id)
    }

    /// Adds a statement with a job id of its own.
    pub(super) fn insert_statement(&mut self, statement: StatementRecord) {
        let open = self.lets_start(&statement);
        self.index.mark_identity(&statement, true);
        self.index.mark_progress(&statement, open, true);
        self.records
            .statements
            .insert(JobId(statement.job), Arc::new(statement));
    }

    /// Changes how far a statement is.
    pub(super) fn update_statement(
        &mut self,
        job: JobId,
        change: impl FnOnce(&mut StatementRecord),
    ) {
        let Some(statement) = self.records.statements.get_mut(&job) else {
            return;
        };
        let open = self
            .records
            .sessions
            .get(&statement.session_id)
            .is_some_and(|session| is_open(session));
        self.index.mark_progress(statement, open, false);
        change(Arc::make_mut(statement));
        self.index.mark_progress(statement, open, true);
    }

    /// Forgets a statement, its operation and its idempotency key.
    pub(super) fn remove_statement(&mut self, job: JobId) {
        if let Some(statement) = self.records.statements.remove(&job) {
            let open = self.lets_start(&statement);
            self.index.mark_progress(&statement, open, false);
            self.index.mark_identity(&statement, false);
        }
    }

    /// Adds a clean-up record: from now on it holds a slot.
    pub(super) fn insert_cleanup(&mut self, cleanup: CleanupRecord) {
        self.mark_cleanup(&cleanup, true);
        self.records.cleanups.insert(JobId(cleanup.job), cleanup);
    }

    /// Removes a clean-up record and so frees its slot.
    pub(super) fn remove_cleanup(&mut self, job: JobId) {
        if let Some(cleanup) = self.records.cleanups.remove(&job) {
            self.mark_cleanup(&cleanup, false);
        }
    }

    /// Adds an answered request, and forgets the oldest beyond the bounds.
    pub(super) fn insert_request(&mut self, request: RequestRecord) {
        self.index.mark_request(&request, true);
        self.records
            .requests
            .insert(request.index, Arc::new(request));
        while self.records.requests.len() > REQUESTS_KEPT
            || self.index.request_bytes > REQUEST_BYTES_KEPT
        {
            let Some((_, oldest)) = self.records.requests.pop_first() else {
                return;
            };
            self.index.mark_request(&oldest, false);
        }
    }

    fn mark_cleanup(&mut self, cleanup: &CleanupRecord, present: bool) {
        let session = self.records.sessions.get(&cleanup.session_id);
        if let Some(session) = session {
            self.index.mark_session(session, false);
        }
        self.index.mark_cleanup(cleanup, present);
        if let Some(session) = session {
            self.index.mark_session(session, true);
        }
    }

    /// Whether the statement's session lets it start.
    pub(super) fn lets_start(&self, statement: &StatementRecord) -> bool {
        self.records
            .sessions
            .get(&statement.session_id)
            .is_some_and(|session| is_open(session))
    }
}
