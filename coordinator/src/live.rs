//! Live signs of running statements: how many tasks are done, whether Spark is being sought again.
//! Those of this node's statements come from its actors, those of all others from the nodes that
//! run them. Shown to users, never replicated, gone with the process.
//!
//! **Invariant:** bounded: a statement beyond the bound has no live signs, nothing else suffers.
//! What was heard of another node is never told on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_actors::ports::LiveBoard;
use libra_proto::types::{JobId, NodeId};
use tokio::sync::broadcast;

/// How far a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Spark tasks done.
    pub completed_tasks: u64,
    /// Spark tasks known so far.
    pub total_tasks: u64,
}

/// The live signs of one statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveSigns {
    /// How far it is, once Spark has said so.
    pub progress: Option<Progress>,
    /// Whether the connection to Spark is lost.
    pub reconnecting: bool,
}

// More statements than any endpoint has slots for.
const MAX_STATEMENTS: usize = 10_000;
const SIGNAL_BUFFER: usize = 1_024;

/// The board: actors and other nodes write, the API reads.
#[derive(Debug, Clone)]
pub struct Live {
    signs: Arc<Mutex<Signs>>,
    changed: broadcast::Sender<JobId>,
    own_changed: broadcast::Sender<JobId>,
}

#[derive(Debug, Default)]
struct Signs {
    /// Of statements that run here.
    own: HashMap<JobId, LiveSigns>,
    /// Of statements that run on another node, and on which.
    others: HashMap<JobId, (NodeId, LiveSigns)>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            signs: Arc::default(),
            changed: broadcast::Sender::new(SIGNAL_BUFFER),
            own_changed: broadcast::Sender::new(SIGNAL_BUFFER),
        }
    }
}

impl Live {
    /// The live signs of a statement, wherever it runs.
    #[must_use]
    pub fn signs(&self, job: JobId) -> LiveSigns {
        let signs = self.lock();
        let own = signs.own.get(&job);
        let others = || signs.others.get(&job).map(|(_, signs)| signs);
        own.or_else(others).copied().unwrap_or_default()
    }

    /// Says which statement has new signs; a receiver that lags reads all it cares for.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<JobId> {
        self.changed.subscribe()
    }

    /// Says which statement of this node has new signs, or none any more.
    pub(crate) fn subscribe_own(&self) -> broadcast::Receiver<JobId> {
        self.own_changed.subscribe()
    }

    /// All signs of this node's own statements.
    pub(crate) fn own(&self) -> Vec<(JobId, LiveSigns)> {
        let signs = self.lock();
        signs.own.iter().map(|(job, own)| (*job, *own)).collect()
    }

    /// The signs of one of this node's own statements.
    pub(crate) fn own_signs(&self, job: JobId) -> Option<LiveSigns> {
        self.lock().own.get(&job).copied()
    }

    /// Takes in what another node says of its statements, `None` of one that has no signs any more.
    /// If that is the `whole`, it has none of what is not named.
    pub(crate) fn heard(
        &self,
        from: NodeId,
        whole: bool,
        news: impl IntoIterator<Item = (JobId, Option<LiveSigns>)>,
    ) {
        let news: HashMap<JobId, Option<LiveSigns>> = news.into_iter().collect();
        let mut changed = HashSet::new();
        {
            let mut signs = self.lock();
            if whole {
                changed.extend(signs.drop_others(from, |job| !news.contains_key(&job)));
            }
            for (job, now) in news {
                if signs.hear(from, job, now) {
                    changed.insert(job);
                }
            }
        }
        self.tell(changed);
    }

    /// Forgets what was heard of a node.
    pub(crate) fn forget(&self, from: NodeId) {
        let dropped = self.lock().drop_others(from, |_| true);
        self.tell(dropped);
    }

    fn tell(&self, jobs: impl IntoIterator<Item = JobId>) {
        for job in jobs {
            // Nobody listening is fine.
            let _ = self.changed.send(job);
        }
    }

    fn change(&self, job: JobId, change: impl FnOnce(&mut LiveSigns)) {
        {
            let own = &mut self.lock().own;
            if own.len() >= MAX_STATEMENTS && !own.contains_key(&job) {
                return;
            }
            let entry = own.entry(job).or_default();
            let before = *entry;
            change(entry);
            if *entry == before {
                return;
            }
        }
        let _ = self.own_changed.send(job);
        self.tell([job]);
    }

    fn lock(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signs {
    /// Takes in the news of one statement and says whether they are any.
    fn hear(&mut self, from: NodeId, job: JobId, now: Option<LiveSigns>) -> bool {
        let Some(now) = now else {
            let theirs = self.others.get(&job).is_some_and(|(node, _)| *node == from);
            return theirs && self.others.remove(&job).is_some();
        };
        if self.others.len() >= MAX_STATEMENTS && !self.others.contains_key(&job) {
            return false;
        }
        // It has moved: what this node last saw of it is old.
        let ours = self.own.remove(&job);
        let before = self.others.insert(job, (from, now));
        ours.or(before.map(|(_, signs)| signs)) != Some(now)
    }

    fn drop_others(&mut self, from: NodeId, which: impl Fn(JobId) -> bool) -> Vec<JobId> {
        let theirs = self.others.iter();
        let gone = theirs.filter(|(job, (node, _))| *node == from && which(**job));
        let gone: Vec<JobId> = gone.map(|(job, _)| *job).collect();
        for job in &gone {
            self.others.remove(job);
        }
        gone
    }
}

impl LiveBoard for Live {
    fn progress(&self, job: JobId, completed_tasks: u64, total_tasks: u64) {
        let progress = Progress {
            completed_tasks,
            total_tasks,
        };
        self.change(job, |signs| signs.progress = Some(progress));
    }

    fn reconnecting(&self, job: JobId, reconnecting: bool) {
        self.change(job, |signs| signs.reconnecting = reconnecting);
    }

    fn clear(&self, job: JobId) {
        if self.lock().own.remove(&job).is_some() {
            let _ = self.own_changed.send(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_kept_until_cleared_and_changes_are_told_once() {
        let live = Live::default();
        let mut changed = live.subscribe();
        let job = JobId(1);
        live.progress(job, 1, 2);
        live.progress(job, 1, 2);
        live.reconnecting(job, true);
        assert_eq!(changed.try_recv(), Ok(job));
        assert_eq!(changed.try_recv(), Ok(job));
        assert!(changed.try_recv().is_err(), "an equal sign is no change");
        let progress = Some(Progress {
            completed_tasks: 1,
            total_tasks: 2,
        });
        assert_eq!(
            live.signs(job),
            LiveSigns {
                progress,
                reconnecting: true
            }
        );
        live.clear(job);
        assert_eq!(live.signs(job), LiveSigns::default());
    }

    #[test]
    fn the_board_is_bounded() {
        let live = Live::default();
        for job in 0..=MAX_STATEMENTS as u64 {
            live.progress(JobId(job), 1, 2);
        }
        assert_eq!(
            live.signs(JobId(MAX_STATEMENTS as u64)),
            LiveSigns::default()
        );
        assert_ne!(live.signs(JobId(0)), LiveSigns::default());
    }

    fn signs(completed_tasks: u64) -> LiveSigns {
        LiveSigns {
            progress: Some(Progress {
                completed_tasks,
                total_tasks: 9,
            }),
            reconnecting: false,
        }
    }

    const NONE: LiveSigns = LiveSigns {
        progress: None,
        reconnecting: false,
    };

    #[test]
    fn what_others_say_is_shown_and_not_told_on() {
        let live = Live::default();
        let (mut changed, mut own) = (live.subscribe(), live.subscribe_own());
        let told = |whole, news: &[(u64, Option<LiveSigns>)]| {
            let news = news.iter().map(|(job, now)| (JobId(*job), *now));
            live.heard(NodeId(2), whole, news);
        };
        told(true, &[(1, Some(signs(1))), (2, Some(signs(2)))]);
        assert!(changed.try_recv().is_ok() && changed.try_recv().is_ok());
        assert_eq!(live.signs(JobId(1)), signs(1));
        told(false, &[(1, Some(signs(1)))]);
        assert!(changed.try_recv().is_err(), "an equal sign is no change");
        told(false, &[(1, None)]);
        assert_eq!(changed.try_recv(), Ok(JobId(1)));
        assert_eq!(live.signs(JobId(1)), NONE);
        told(true, &[(3, Some(signs(3)))]);
        assert_eq!(live.signs(JobId(2)), NONE, "the whole says nothing of it");
        live.forget(NodeId(3));
        assert_eq!(live.signs(JobId(3)), signs(3));
        live.forget(NodeId(2));
        assert_eq!(live.signs(JobId(3)), NONE);
        assert!(own.try_recv().is_err() && live.own().is_empty());
    }

    #[test]
    fn a_statement_that_moves_shows_the_signs_of_where_it_runs() {
        let live = Live::default();
        let job = JobId(1);
        live.progress(job, 1, 9);
        live.heard(NodeId(2), false, [(job, Some(signs(2)))]);
        assert_eq!(live.signs(job), signs(2), "it went to node 2");
        live.heard(NodeId(3), false, [(job, Some(signs(3)))]);
        live.heard(NodeId(2), true, []);
        assert_eq!(live.signs(job), signs(3), "node 2 lost it before");
        live.progress(job, 4, 9);
        assert_eq!(live.signs(job), signs(4), "it came back");
    }
}
