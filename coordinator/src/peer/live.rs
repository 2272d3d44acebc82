//! The live signs of this node's statements, for another node.
//!
//! **Invariant:** nothing is gathered for a slow reader: it is told of what changed, as it is when
//! it reads, and when it has missed too much it is told everything anew.

use std::collections::BTreeSet;

use futures::{Stream, stream};
use libra_proto::peer::{LiveSigns as Wire, LiveUpdate};
use libra_proto::types::JobId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tonic::Status;

use crate::live::{Live, LiveSigns, Progress};

/// Statements in one message.
const MOST_AT_ONCE: usize = 512;

struct Telling {
    live: Live,
    changes: Receiver<JobId>,
    begun: bool,
}

/// All signs, then what changes.
pub(super) fn updates(live: Live) -> impl Stream<Item = Result<LiveUpdate, Status>> + Send {
    let changes = live.subscribe_own();
    let telling = Telling {
        live,
        changes,
        begun: false,
    };
    stream::unfold(telling, |mut telling| async {
        let update = telling.next().await?;
        Some((Ok(update), telling))
    })
}

impl Telling {
    async fn next(&mut self) -> Option<LiveUpdate> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(self.whole());
        }
        let mut jobs = BTreeSet::new();
        match self.changes.recv().await {
            Ok(job) => jobs.insert(job),
            Err(RecvError::Lagged(_)) => return Some(self.whole()),
            Err(RecvError::Closed) => return None,
        };
        while jobs.len() < MOST_AT_ONCE {
            match self.changes.try_recv() {
                Ok(job) => jobs.insert(job),
                Err(TryRecvError::Lagged(_)) => return Some(self.whole()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
        }
        let signs = jobs.into_iter();
        let signs = signs.map(|job| to_wire(job, self.live.own_signs(job)));
        Some(LiveUpdate {
            whole: false,
            signs: signs.collect(),
        })
    }

    fn whole(&mut self) -> LiveUpdate {
        // What changes from here on is told after it.
        self.changes = self.changes.resubscribe();
        let own = self.live.own().into_iter();
        LiveUpdate {
            whole: true,
            signs: own.map(|(job, signs)| to_wire(job, Some(signs))).collect(),
        }
    }
}

fn to_wire(job: JobId, signs: Option<LiveSigns>) -> Wire {
    let cleared = signs.is_none();
    let signs = signs.unwrap_or_default();
    let progress = signs.progress;
    Wire {
        job: job.0,
        has_progress: progress.is_some(),
        completed_tasks: progress.map_or(0, |progress| progress.completed_tasks),
        total_tasks: progress.map_or(0, |progress| progress.total_tasks),
        reconnecting: signs.reconnecting,
        cleared,
    }
}

/// What another node says of one of its statements.
pub(super) fn from_wire(wire: &Wire) -> (JobId, Option<LiveSigns>) {
    let progress = wire.has_progress.then_some(Progress {
        completed_tasks: wire.completed_tasks,
        total_tasks: wire.total_tasks,
    });
    let signs = LiveSigns {
        progress,
        reconnecting: wire.reconnecting,
    };
    (JobId(wire.job), (!wire.cleared).then_some(signs))
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use libra_actors::ports::LiveBoard;

    use super::*;

    #[tokio::test]
    async fn tells_all_then_changes_and_all_again_to_one_that_lags() {
        let live = Live::default();
        live.progress(JobId(1), 1, 2);
        let mut updates = Box::pin(updates(live.clone()));
        let mut next = async || updates.next().await.unwrap().unwrap();
        let first = next().await;
        assert_eq!((first.whole, first.signs.len()), (true, 1));

        live.progress(JobId(1), 2, 2);
        live.reconnecting(JobId(1), true);
        live.progress(JobId(2), 0, 4);
        live.clear(JobId(2));
        let second = next().await;
        assert!(!second.whole);
        let told: Vec<_> = second.signs.iter().map(from_wire).collect();
        assert_eq!(told[0].1, Some(live.signs(JobId(1))));
        assert_eq!(told[1], (JobId(2), None));
        assert_eq!(next().now_or_never(), None, "nothing more to tell");

        for tasks in 0..5_000 {
            live.progress(JobId(3), tasks, 5_000);
        }
        let whole = next().await;
        assert_eq!((whole.whole, whole.signs.len()), (true, 2));
    }
}
