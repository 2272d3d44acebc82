//! What time brings: deadlines, idle sessions, history that is no longer kept.

use libra_proto::registry::{Mode, SessionRecord};
use libra_proto::types::{JobId, SessionId};

use super::state::{Registry, SHARED_SESSION};

impl Registry {
    /// Statements whose timeout has passed and that nobody has asked to end yet, the longest
    /// overdue first, at most `limit`.
    #[must_use]
    pub fn overdue(&self, now_ms: u64, limit: usize) -> Vec<JobId> {
        let due = self
            .index
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now_ms);
        due.take(limit).map(|(_, job)| *job).collect()
    }

    /// When the next timeout passes, milliseconds since the Unix epoch.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.index.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Sessions in which nothing is queued or running, and nothing happened for their idle timeout,
    /// each with the time of its last activity. Never the shared session.
    #[must_use]
    pub fn idle_sessions(&self, now_ms: u64) -> Vec<(SessionId, u64)> {
        let live = self.index.live_sessions.iter();
        live.filter_map(|id| self.records.sessions.get(id))
            .filter(|session| self.is_idle(session, now_ms))
            .filter_map(|session| {
                Some((session.session_id.parse().ok()?, session.last_activity_ms))
            })
            .collect()
    }

    fn is_idle(&self, session: &SessionRecord, now_ms: u64) -> bool {
        let shared = session.mode() == Mode::Shared && session.session_id == SHARED_SESSION;
        let over = session
            .last_activity_ms
            .saturating_add(session.idle_timeout_ms)
            <= now_ms;
        session.state().is_live()
            && !shared
            && session.idle_timeout_ms != 0
            && over
            && !self.is_busy(&session.session_id)
    }

    /// Whether a statement of the session is queued or running.
    pub(super) fn is_busy(&self, session: &str) -> bool {
        self.index
            .sessions
            .get(session)
            .is_some_and(|jobs| !jobs.active.is_empty())
    }

    /// History past its retention: statements beyond the time or the number kept, and ended
    /// sessions likewise of which no statement is left; what ended first comes first, at most
    /// `limit` of each. A setting of 0 sets no such bound.
    #[must_use]
    pub fn retirable(&self, now_ms: u64, limit: usize) -> (Vec<JobId>, Vec<SessionId>) {
        let is_due = self.past_retention(self.index.ended.len(), now_ms);
        let ended = self.index.ended.iter().enumerate();
        let jobs = ended
            .take_while(|(position, (at, _))| is_due(*position, *at))
            .map(|(_, (_, job))| *job)
            .filter(|job| !self.records.cleanups.contains_key(job))
            .take(limit)
            .collect();
        let is_due = self.past_retention(self.index.ended_sessions.len(), now_ms);
        let ended = self.index.ended_sessions.iter().enumerate();
        let sessions = ended
            .take_while(|(position, (at, _))| is_due(*position, *at))
            .filter(|(_, (_, id))| !self.index.sessions.contains_key(id))
            .filter_map(|(_, (_, id))| id.parse().ok())
            .take(limit)
            .collect();
        (jobs, sessions)
    }

    /// Says of the entity at a position among `n_ended` ended ones, oldest first, whether it may go.
    fn past_retention(&self, n_ended: usize, now_ms: u64) -> impl Fn(usize, u64) -> bool + use<> {
        let settings = self.records.settings.unwrap_or_default();
        let kept = settings.retention_statements as usize;
        let excess = if kept == 0 {
            0
        } else {
            n_ended.saturating_sub(kept)
        };
        move |position, ended_at_ms| {
            let over = ended_at_ms.saturating_add(settings.retention_ms) <= now_ms;
            position < excess || (settings.retention_ms != 0 && over)
        }
    }
}
