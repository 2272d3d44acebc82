//! What is derived from the records so that no reader has to scan them.
//!
//! **Invariant:** the indexes say nothing that [`Indexes::build`] could not say from the records
//! alone; entries that would be empty are absent, so that equality means equality.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::registry::{
    CleanupRecord, RequestRecord, SessionRecord, StatementRecord, StatementState,
};
use libra_proto::types::JobId;
use prost::Message;

use super::idempotency::{Target, split_session_key};
use super::state::{Records, deadline_ms, has_ended, has_intent, is_open};

/// The jobs of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SessionJobs {
    pub(super) all: BTreeSet<JobId>,
    /// Queued and running.
    pub(super) active: BTreeSet<JobId>,
    pub(super) running: BTreeSet<JobId>,
    pub(super) cleanups: BTreeSet<JobId>,
}

/// One pool on one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// Running statements and clean-ups: what holds a slot.
    pub(super) taken: u32,
    /// Queued statements of open sessions.
    pub(super) eligible: BTreeSet<JobId>,
}

/// One endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) taken: u32,
    pub(super) lanes: BTreeMap<String, Lane>,
}

/// One pool on all endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PoolJobs {
    pub(super) queued: u64,
    pub(super) running: u64,
}

/// All indexes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Indexes {
    pub(super) sessions: BTreeMap<String, SessionJobs>,
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    pub(super) pools: BTreeMap<String, PoolJobs>,
    /// Queued and running statements of each user.
    pub(super) users: BTreeMap<String, u64>,
    /// Active statements that have a timeout and no intent yet, by deadline.
    pub(super) deadlines: BTreeSet<(u64, JobId)>,
    /// Ended statements by the time of their end.
    pub(super) ended: BTreeSet<(u64, JobId)>,
    /// Sessions that are neither closed nor failed.
    pub(super) live_sessions: BTreeSet<String>,
    /// By node: its sessions that are live or hold clean-ups.
    pub(super) owned: BTreeMap<u64, BTreeSet<String>>,
    /// Closed and failed sessions by the time of their end.
    pub(super) ended_sessions: BTreeSet<(u64, String)>,
    pub(super) operations: BTreeMap<String, JobId>,
    pub(super) idempotency: BTreeMap<String, Target>,
    /// By node: ended statements whose result it is said to hold.
    pub(super) held: BTreeMap<u64, BTreeSet<JobId>>,
    /// Bytes of all results that are inline.
    pub(super) inline_bytes: u64,
    /// By request id: the log index that answered it.
    pub(super) requests: BTreeMap<Vec<u8>, u64>,
    /// Bytes of all request records.
    pub(super) request_bytes: u64,
    pub(super) queued: u64,
    pub(super) running: u64,
    pub(super) queued_bytes: u64,
}

impl Indexes {
    /// Makes all indexes from the records alone.
    pub(super) fn build(records: &Records) -> Self {
        let mut index = Self::default();
        for statement in records.statements.values() {
            let open = records
                .sessions
                .get(&statement.session_id)
                .is_some_and(|s| is_open(s));
            index.mark_identity(statement, true);
            index.mark_progress(statement, open, true);
        }
        for cleanup in records.cleanups.values() {
            index.mark_cleanup(cleanup, true);
        }
        for session in records.sessions.values() {
            index.mark_session(session, true);
        }
        for request in records.requests.values() {
            index.mark_request(request, true);
        }
        index
    }

    /// Adds or takes away what never changes in a statement's life.
    pub(super) fn mark_identity(&mut self, statement: &StatementRecord, present: bool) {
        let job = JobId(statement.job);
        self.with_session(&statement.session_id, |jobs| {
            put(&mut jobs.all, job, present)
        });
        set(&mut self.operations, &statement.operation_id, job, present);
        if !statement.idempotency_key.is_empty() {
            let target = Target::Statement(job);
            set(
                &mut self.idempotency,
                &statement.idempotency_key,
                target,
                present,
            );
        }
    }

    /// Adds or takes away what follows from how far a statement is. `open` says whether its
    /// session lets it start.
    pub(super) fn mark_progress(&mut self, statement: &StatementRecord, open: bool, present: bool) {
        let job = JobId(statement.job);
        match statement.state() {
            StatementState::Queued => {
                self.with_session(&statement.session_id, |jobs| {
                    put(&mut jobs.active, job, present)
                });
                self.with_pool(&statement.pool, |pool| count(&mut pool.queued, 1, present));
                count(&mut self.queued, 1, present);
                count(&mut self.queued_bytes, statement.code.len() as u64, present);
                if open {
                    self.mark_eligible(statement, present);
                }
            }
            StatementState::Running => {
                self.with_session(&statement.session_id, |jobs| {
                    put(&mut jobs.active, job, present);
                    put(&mut jobs.running, job, present);
                });
                self.with_pool(&statement.pool, |pool| count(&mut pool.running, 1, present));
                count(&mut self.running, 1, present);
                self.mark_slot(&statement.endpoint, &statement.pool, present);
            }
            StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled => {
                put(&mut self.ended, (statement.completed_at_ms, job), present);
                self.mark_result(statement, present);
            }
            StatementState::Unspecified => {}
        }
        if !statement.state().has_ended() {
            edit(&mut self.users, &statement.user, |active| {
                count(active, 1, present);
            });
        }
        if !statement.state().has_ended()
            && !has_intent(statement)
            && let Some(deadline) = deadline_ms(statement)
        {
            put(&mut self.deadlines, (deadline, job), present);
        }
    }

    /// Adds a queued statement to those that may start, or takes it away.
    pub(super) fn mark_eligible(&mut self, statement: &StatementRecord, present: bool) {
        let job = JobId(statement.job);
        self.with_lane(&statement.endpoint, &statement.pool, |_, lane| {
            put(&mut lane.eligible, job, present);
        });
    }

    /// Adds a clean-up record, or takes it away. Its session must be marked anew around it.
    pub(super) fn mark_cleanup(&mut self, cleanup: &CleanupRecord, present: bool) {
        let job = JobId(cleanup.job);
        self.with_session(&cleanup.session_id, |jobs| {
            put(&mut jobs.cleanups, job, present)
        });
        self.mark_slot(&cleanup.endpoint, &cleanup.pool, present);
    }

    /// Adds or takes away what follows from a session's own record.
    pub(super) fn mark_session(&mut self, session: &SessionRecord, present: bool) {
        let id = &session.session_id;
        let ended = has_ended(session);
        if ended {
            put(
                &mut self.ended_sessions,
                (session.closed_at_ms, id.clone()),
                present,
            );
        } else {
            put(&mut self.live_sessions, id.clone(), present);
        }
        let has_cleanups = self
            .sessions
            .get(id)
            .is_some_and(|jobs| !jobs.cleanups.is_empty());
        if !ended || has_cleanups {
            edit_at(&mut self.owned, session.owner_node, |owned| {
                put(owned, id.clone(), present);
            });
        }
        let (key, _) = split_session_key(&session.idempotency_key);
        if !key.is_empty() {
            let target = Target::Session(id.clone());
            set(&mut self.idempotency, key, target, present);
        }
    }

    /// Adds or takes away a request that was answered.
    pub(super) fn mark_request(&mut self, request: &RequestRecord, present: bool) {
        let id = request.request_id.clone();
        if present {
            self.requests.insert(id, request.index);
        } else {
            self.requests.remove(&id);
        }
        let bytes = request.encoded_len() as u64;
        count(&mut self.request_bytes, bytes, present);
    }

    fn mark_result(&mut self, statement: &StatementRecord, present: bool) {
        let inline = statement.result.as_ref().map_or(0, |it| it.inline.len());
        count(&mut self.inline_bytes, inline as u64, present);
        let holders = statement.result.iter().flat_map(|result| &result.holders);
        for holder in holders {
            edit_at(&mut self.held, holder.node_id, |held| {
                put(held, JobId(statement.job), present);
            });
        }
    }

    fn mark_slot(&mut self, endpoint: &str, pool: &str, present: bool) {
        self.with_lane(endpoint, pool, |taken, lane| {
            let step = |n: u32| {
                if present {
                    n.saturating_add(1)
                } else {
                    n.saturating_sub(1)
                }
            };
            *taken = step(*taken);
            lane.taken = step(lane.taken);
        });
    }

    fn with_session(&mut self, id: &str, change: impl FnOnce(&mut SessionJobs)) {
        edit(&mut self.sessions, id, change);
    }

    fn with_pool(&mut self, name: &str, change: impl FnOnce(&mut PoolJobs)) {
        edit(&mut self.pools, name, change);
    }

    fn with_lane(&mut self, endpoint: &str, pool: &str, change: impl FnOnce(&mut u32, &mut Lane)) {
        edit(&mut self.endpoints, endpoint, |at| {
            let taken = &mut at.taken;
            edit(&mut at.lanes, pool, |lane| change(taken, lane));
        });
    }
}

/// Changes the entry of that key, which is absent exactly while it is empty.
fn edit<T: Default + PartialEq>(
    map: &mut BTreeMap<String, T>,
    key: &str,
    change: impl FnOnce(&mut T),
) {
    if let Some(entry) = map.get_mut(key) {
        change(entry);
        if *entry == T::default() {
            map.remove(key);
        }
        return;
    }
    let mut entry = T::default();
    change(&mut entry);
    if entry != T::default() {
        map.insert(key.to_owned(), entry);
    }
}

/// The same of the set at a node's id.
fn edit_at<T>(
    map: &mut BTreeMap<u64, BTreeSet<T>>,
    node: u64,
    change: impl FnOnce(&mut BTreeSet<T>),
) {
    let set = map.entry(node).or_default();
    change(set);
    if set.is_empty() {
        map.remove(&node);
    }
}

fn put<T: Ord>(set: &mut BTreeSet<T>, item: T, present: bool) {
    if present {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, key: &str, value: T, present: bool) {
    if present {
        map.insert(key.to_owned(), value);
    } else {
        map.remove(key);
    }
}

fn count(total: &mut u64, amount: u64, present: bool) {
    *total = if present {
        total.saturating_add(amount)
    } else {
        total.saturating_sub(amount)
    };
}
