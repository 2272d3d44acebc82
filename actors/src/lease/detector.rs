//! The failure detector: while this node leads it counts the renewals of all nodes, and commits
//! that a node is down whose lease is over.
//!
//! **Invariant:** it proposes in its term only, and what it has counted ends with its term.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_proto::registry::{NodeDown, NodeRecord, NodeState, Unreachable, command};
use libra_proto::types::NodeId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::mandate::Mandate;
use crate::ports::{Proposed, RegistryPort};
use crate::pump::Attached;

use super::clocks::{Clocks, Down, Member, Observed, Refusal, Renewal};
use super::options::Options;

/// Between two proposals that the same node is down.
const PAUSE: Duration = Duration::from_millis(200);

/// The way to this node's detector, whether one runs or not; cheap to clone.
#[derive(Clone)]
pub struct DetectorHandle(Arc<Inner>);

struct Inner {
    registry: Arc<dyn RegistryPort>,
    began: Instant,
    reign: Mutex<Option<Reign>>,
}

/// What is counted in one term.
struct Reign {
    term: u64,
    clocks: Clocks,
    /// A detector runs.
    counts: bool,
}

impl fmt::Debug for DetectorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectorHandle").finish_non_exhaustive()
    }
}

impl DetectorHandle {
    pub(crate) fn new(registry: Arc<dyn RegistryPort>) -> Self {
        Self(Arc::new(Inner {
            registry,
            began: Instant::now(),
            reign: Mutex::new(None),
        }))
    }

    /// Counts a renewal that came in at `received`, the moment before the quorum round that its
    /// answer waits for was begun. To be called after that round, and answered as renewed only if
    /// this is `Ok`.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn renewed(&self, renewal: Renewal, received: Instant) -> Result<(), Refusal> {
        let received = received.saturating_duration_since(self.0.began);
        let mut reign = self.lock();
        let clocks = &mut counting(reign.as_mut()).ok_or(Refusal::NotLeading)?.clocks;
        self.admit(clocks);
        clocks.renewed(renewal, received)
    }

    /// That start of the node runs nothing any more and says so: its sessions need not wait.
    ///
    /// # Errors
    /// [`Refusal::NotLeading`].
    pub fn gave_up(&self, node_id: NodeId, boot_id: &str) -> Result<(), Refusal> {
        let mut reign = self.lock();
        let clocks = &mut counting(reign.as_mut()).ok_or(Refusal::NotLeading)?.clocks;
        clocks.gave_up(node_id, boot_id);
        Ok(())
    }

    /// Who said that they cannot reach which endpoint; empty where no detector runs.
    #[must_use]
    pub fn unreachable(&self) -> Vec<Unreachable> {
        let mut reign = self.lock();
        let said = counting(reign.as_mut()).map(|reign| reign.clocks.unreachable());
        on_wire(said.unwrap_or_default())
    }

    /// What is known of each node; `None` where no detector runs.
    #[must_use]
    pub fn observe(&self) -> Option<Vec<Observed>> {
        let now = self.0.began.elapsed();
        let mut reign = self.lock();
        counting(reign.as_mut()).map(|reign| reign.clocks.observe(now))
    }

    /// Begins to count in that term, or goes on after a crash: what was decided in a term may be
    /// committed, and stays decided. Ends when the guard is dropped.
    fn begin(&self, term: u64, options: &Options) -> Counting {
        let mut reign = self.lock();
        let earlier = reign.take().filter(|reign| reign.term == term);
        let clocks = match earlier {
            Some(reign) => {
                let mut clocks = reign.clocks;
                self.admit(&mut clocks);
                clocks
            }
            None => self.first_clocks(term, options),
        };
        *reign = Some(Reign {
            term,
            clocks,
            counts: true,
        });
        Counting {
            handle: self.clone(),
            term,
        }
    }

    /// Of a leader's term. Only the leader before is credited with what has passed: the others were
    /// renewed as long ago, but need time to find the new leader.
    fn first_clocks(&self, term: u64, options: &Options) -> Clocks {
        let now = self.0.began.elapsed();
        let mut clocks = Clocks::new(options.patience(), now);
        self.admit(&mut clocks);
        if let Some((node_id, time)) = self.0.registry.predecessor(term) {
            clocks.was_silent(node_id, time, now);
        }
        clocks
    }

    fn tick(&self) -> Vec<Down> {
        let mut reign = self.lock();
        let Some(reign) = counting(reign.as_mut()) else {
            return Vec::new();
        };
        self.admit(&mut reign.clocks);
        reign.clocks.tick(self.0.began.elapsed())
    }

    /// The registry is read with the lock held: what was read earlier might let a node in again
    /// that was declared down meanwhile.
    fn admit(&self, clocks: &mut Clocks) {
        let members = members(&self.0.registry.nodes());
        clocks.admit(&members, self.0.began.elapsed());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reign>> {
        self.0.reign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts until dropped.
struct Counting {
    handle: DetectorHandle,
    term: u64,
}

impl Drop for Counting {
    fn drop(&mut self) {
        let mut reign = self.handle.lock();
        if let Some(reign) = reign.as_mut().filter(|reign| reign.term == self.term) {
            reign.counts = false;
        }
    }
}

fn counting(reign: Option<&mut Reign>) -> Option<&mut Reign> {
    reign.filter(|reign| reign.counts)
}

/// The nodes whose leases count.
fn members(nodes: &[NodeRecord]) -> Vec<Member> {
    let counts = |node: &&NodeRecord| match node.state() {
        NodeState::Unspecified | NodeState::Up | NodeState::Draining => true,
        NodeState::Down => false,
    };
    let members = nodes.iter().filter(counts).map(|node| Member {
        node_id: NodeId(node.node_id),
        boot_id: node.boot_id.clone(),
    });
    members.collect()
}

fn on_wire(said: Vec<(NodeId, String)>) -> Vec<Unreachable> {
    let said = said.into_iter().map(|(node, endpoint)| Unreachable {
        node_id: node.0,
        endpoint,
    });
    said.collect()
}

/// The actor.
pub(crate) struct Detector;

/// What a detector is started with.
pub(crate) struct DetectorArguments {
    pub(crate) mandate: Mandate,
    pub(crate) handle: DetectorHandle,
    pub(crate) options: Options,
}

/// What the detector is told.
pub(crate) enum Message {
    /// Its loop has ended, which it never does by itself.
    Ended,
}

impl Actor for Detector {
    type Msg = Message;
    type State = Attached;
    type Arguments = DetectorArguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: DetectorArguments,
    ) -> Result<Attached, ActorProcessingErr> {
        let task = tokio::spawn(async move {
            // A panic ends the loop too, and the guard tells.
            let _ended = Ended(me);
            detect(arguments).await;
        });
        Ok(Attached(task.abort_handle()))
    }

    async fn handle(
        &self,
        _me: ActorRef<Message>,
        message: Message,
        _state: &mut Attached,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ended => Err("the detector's loop has ended".into()),
        }
    }
}

struct Ended(ActorRef<Message>);

impl Drop for Ended {
    fn drop(&mut self) {
        // The actor may be the one that ended it.
        let _ = self.0.cast(Message::Ended);
    }
}

async fn detect(arguments: DetectorArguments) {
    let DetectorArguments {
        mandate,
        handle,
        options,
    } = arguments;
    let _counting = handle.begin(mandate.term(), &options);
    let mut clock = interval(options.tick);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut declaring: BTreeSet<NodeId> = BTreeSet::new();
    let mut proposals: JoinSet<NodeId> = JoinSet::new();
    loop {
        tokio::select! {
            _ = clock.tick() => {
                for down in handle.tick() {
                    if declaring.insert(down.node_id) {
                        proposals.spawn(declare(mandate.clone(), down));
                    }
                }
            }
            Some(declared) = proposals.join_next() => match declared {
                Ok(node_id) => drop(declaring.remove(&node_id)),
                // It crashed, whichever it was: let each be declared again.
                Err(_) => declaring.clear(),
            },
        }
    }
}

/// Commits that a node is down. Whatever comes of it, the registry says the rest at a later tick.
async fn declare(mandate: Mandate, down: Down) -> NodeId {
    let Down {
        node_id,
        boot_id,
        unreachable,
    } = down;
    tracing::debug!(
        node_id = node_id.0,
        boot_id,
        "lease is over: declaring the node down"
    );
    let command = command::Kind::NodeDown(NodeDown {
        node_id: node_id.0,
        boot_id,
        unreachable: on_wire(unreachable),
    });
    match mandate.propose(command).await {
        Proposed::Applied(_) => {}
        Proposed::Rejected(rejection) => {
            tracing::info!(node_id = node_id.0, ?rejection, "not declared down");
        }
        Proposed::Unknown(reason) => {
            tracing::debug!(node_id = node_id.0, reason, "declared down without answer");
        }
    }
    sleep(PAUSE).await;
    node_id
}
