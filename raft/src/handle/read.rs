//! Linearizable reads: the leader's read index, then applied here.
//!
//! On a follower, callers share what the leader is asked: one request is under way, and whoever
//! comes meanwhile is in the next.
//!
//! **Invariant:** a caller is only ever answered by a request that began after its call did.

use std::sync::Arc;

use libra_proto::safety::{self, Safety};
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant, timeout_at};

use super::{Attempt, Handle, Inner, pause};
use crate::error::ReadError;
use crate::network::forward;
use crate::network::peers::Peers;
use crate::registry::Registry;
use crate::type_config::MetricsReceiver;

/// Callers that may wait for the next request; more wait for a place.
const QUEUE: usize = 1024;

/// Told the read index, or nothing when the leader gave none.
type Caller = oneshot::Sender<Option<u64>>;

/// Where callers wait for the leader to be asked.
#[derive(Debug, Clone)]
pub(crate) struct ReadQueue {
    sender: mpsc::Sender<Caller>,
}

/// The other end of a [`ReadQueue`].
pub(crate) type ReadCallers = mpsc::Receiver<Caller>;

impl ReadQueue {
    pub(crate) fn new() -> (Self, ReadCallers) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender }, receiver)
    }

    async fn ask(&self, deadline: Instant) -> Option<u64> {
        let (caller, answer) = oneshot::channel();
        let asked = async {
            self.sender.send(caller).await.ok()?;
            answer.await.ok().flatten()
        };
        timeout_at(deadline, asked).await.ok().flatten()
    }
}

/// Where a read index comes from.
trait Source {
    /// The read index as of some moment during the call, or nothing.
    fn ask(&mut self) -> impl Future<Output = Option<u64>> + Send;
}

/// The leader, as long as it is another node.
struct Leader {
    metrics: MetricsReceiver,
    peers: Arc<Peers>,
    patience: Duration,
}

impl Source for Leader {
    async fn ask(&mut self) -> Option<u64> {
        let me = self.peers.me.node_id.0;
        let leader = self.metrics.borrow_watched().current_leader;
        let leader = leader.filter(|leader| *leader != me)?;
        tokio::select! {
            index = forward::read_index(&self.peers, leader, self.patience) => index,
            () = another_leader(&mut self.metrics, leader) => None,
        }
    }
}

/// Asks the leader for those who wait, again and again; ends with the last [`ReadQueue`].
pub(crate) async fn serve_reads(
    callers: ReadCallers,
    metrics: MetricsReceiver,
    peers: Arc<Peers>,
    patience: Duration,
) {
    let leader = Leader {
        metrics,
        peers,
        patience,
    };
    serve(callers, leader).await;
}

/// One request after the other, each for those who waited when it began.
async fn serve(mut callers: ReadCallers, mut source: impl Source) {
    while let Some(first) = callers.recv().await {
        let mut batch = vec![first];
        while let Ok(caller) = callers.try_recv() {
            batch.push(caller);
        }
        let index = source.ask().await;
        for caller in batch {
            // It may have left.
            let _ = caller.send(index);
        }
    }
}

/// Waits until this node takes another for the leader: the old one need not be waited for.
async fn another_leader(metrics: &mut MetricsReceiver, leader: u64) {
    while metrics.borrow_watched().current_leader == Some(leader) {
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

impl Handle {
    /// Returns once the registry here has everything that was committed before the call, and the
    /// index that it has reached at least. A follower asks the leader.
    ///
    /// Switch [`Safety::ReadIndex`]: off, it returns at once, whatever is missing here.
    ///
    /// # Errors
    /// See [`ReadError`]: never an old state as a new one.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        if safety::off(Safety::ReadIndex) {
            return Ok(self.view(Registry::applied_index));
        }
        self.quorum_round().await
    }

    /// As [`Handle::read_index`], for whoever needs that a quorum has answered during the call.
    ///
    /// # Errors
    /// See [`ReadError`].
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn quorum_round(&self) -> Result<u64, ReadError> {
        let inner = &*self.inner;
        let limit = inner.limit;
        let deadline = Instant::now() + limit;
        loop {
            if inner.is_stopped() {
                return Err(ReadError::Stopped);
            }
            let index = match inner.other_leader() {
                Some(_) => inner.reads.ask(deadline).await,
                None => match inner.read_here(deadline).await? {
                    Attempt::Answer(index) => Some(index),
                    Attempt::NotLeading(_) => None,
                },
            };
            if let Some(index) = index {
                return inner.wait_applied_by(index, deadline).await.map(|()| index);
            }
            if !pause(deadline).await {
                return Err(ReadError::TimedOut { limit });
            }
        }
    }
}

impl Inner {
    /// Asks the quorum whether this node leads; answers with the index to wait for.
    pub(crate) async fn read_here(&self, deadline: Instant) -> Result<Attempt<u64>, ReadError> {
        let limit = self.limit;
        let attempt = Box::pin(self.raft.get_read_linearizer(ReadPolicy::ReadIndex));
        match timeout_at(deadline, attempt).await {
            Err(_elapsed) => Err(ReadError::TimedOut { limit }),
            Ok(Ok(linearizer)) => Ok(Attempt::Answer(linearizer.read_log_id().index())),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                Ok(self.detour(&forward))
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                Ok(Attempt::NotLeading(None))
            }
            Ok(Err(RaftError::Fatal(_))) => Err(ReadError::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    /// Enough for whoever can go on to have gone on.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Asks the test.
    struct Asked(mpsc::Sender<Caller>);

    impl Source for Asked {
        async fn ask(&mut self) -> Option<u64> {
            let (answer, index) = oneshot::channel();
            self.0.send(answer).await.ok()?;
            index.await.ok().flatten()
        }
    }

    #[tokio::test]
    async fn who_comes_during_a_request_is_in_the_next() {
        let (queue, callers) = ReadQueue::new();
        let (begun, mut requests) = mpsc::channel(8);
        let serving = tokio::spawn(serve(callers, Asked(begun)));
        let call = || {
            let queue = queue.clone();
            let deadline = Instant::now() + LIMIT;
            tokio::spawn(async move { queue.ask(deadline).await })
        };

        let first = call();
        let request = requests.recv().await.unwrap();
        let others = [call(), call(), call()];
        settle().await;
        request.send(Some(1)).unwrap();
        assert_eq!(first.await.unwrap(), Some(1));
        let request = requests.recv().await.unwrap();
        settle().await;
        assert!(others.iter().all(|other| !other.is_finished()));
        request.send(Some(2)).unwrap();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(2));
        }
        assert!(
            requests.try_recv().is_err(),
            "two requests for four callers"
        );

        // A request that fails, and one that is never answered.
        let failed = call();
        requests.recv().await.unwrap().send(None).unwrap();
        assert_eq!(failed.await.unwrap(), None);
        let late = call();
        let _unanswered = requests.recv().await.unwrap();
        assert_eq!(late.await.unwrap(), None);
        drop(queue);
        serving.abort();
    }
}
