//! The node's lease, and the fence of what it does under it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_actors::lease::{Renewal, Spell};
use libra_proto::safety::{self, Safety};
use libra_raft::simulation::Runtime;

use super::Node;
use super::registry::Proposed;
use super::reign::Renewed;
use crate::sim::trace::note;

/// So many renewals may be under way.
const UNDER_WAY: usize = 4;
/// Joining anew takes at most so long.
const REJOIN_LIMIT: Duration = Duration::from_secs(5);
/// Between two attempts to learn who owns the session, and two looks at the lease.
const PAUSE: Duration = Duration::from_millis(50);

impl Node {
    /// The time by which the lease is counted.
    fn lease_now(&self) -> Duration {
        if safety::off(Safety::MonotonicLease) {
            Duration::from_millis(self.wall_ms())
        } else {
            Runtime::now()
        }
    }

    /// The spell of holding the lease that is under way.
    pub fn spell(&self) -> Option<Spell> {
        let now = self.lease_now();
        self.state().lease.spell(now)
    }

    /// Renews the lease, again and again; as production's `LeaseKeeper`.
    pub(super) async fn keep_lease(self) {
        let under_way = Arc::new(AtomicU64::new(0));
        let joined = Arc::new(Mutex::new(Runtime::now()));
        loop {
            if under_way.load(Ordering::Relaxed) < UNDER_WAY as u64 {
                under_way.fetch_add(1, Ordering::Relaxed);
                let (node, under_way) = (self.clone(), Arc::clone(&under_way));
                let joined = Arc::clone(&joined);
                Runtime::go(async move {
                    node.renew(&joined).await;
                    under_way.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Runtime::pause(self.0.lease_options.renewal()).await;
        }
    }

    async fn renew(&self, joined: &Mutex<Duration>) {
        let sent = Runtime::now();
        let limit = self.0.lease_options.length / 2;
        let answer = Runtime::within(limit, Box::pin(self.ask_renewal())).await;
        match answer.unwrap_or(Renewed::Unanswered) {
            Renewed::Yes => {
                let now = self.lease_now();
                let ago = Runtime::now().saturating_sub(sent);
                self.state().lease.renewed(now.saturating_sub(ago), now);
            }
            Renewed::Unanswered => {}
            Renewed::Refused => {
                {
                    let mut joined = lock(joined);
                    if sent < *joined {
                        return;
                    }
                    // What was sent before this is of the registration before.
                    *joined = Duration::MAX;
                }
                self.state().lease.end();
                note!(self.world(), "n{} joins anew", self.id());
                let _ = Runtime::within(REJOIN_LIMIT, Box::pin(self.rejoin())).await;
                *lock(joined) = Runtime::now();
            }
        }
    }

    /// Touches the disk, then asks the leader.
    async fn ask_renewal(&self) -> Renewed {
        Runtime::pause(self.0.disk.sync_takes()).await;
        let renewal = Renewal {
            node_id: libra_proto::types::NodeId(self.id()),
            boot_id: self.boot_id(),
            unreachable: std::collections::BTreeSet::new(),
        };
        let Some(leader) = self.member().and_then(|member| member.leader()) else {
            return Renewed::Unanswered;
        };
        if leader == self.id() {
            return self.renew_here(renewal).await;
        }
        let limit = self.0.lease_options.length / 2;
        let asked = self
            .world()
            .ask(self.id(), leader, limit, |peer| async move {
                peer.renew_here(renewal).await
            });
        asked.await.unwrap_or(Renewed::Unanswered)
    }

    async fn rejoin(&self) -> bool {
        if self.quorum_round().await.is_none() {
            return false;
        }
        let me = self.id();
        let known = self.view(|registry| registry.nodes().any(|node| node.node_id == me));
        if known != Some(true) {
            Runtime::pause(Duration::from_secs(1)).await;
            return false;
        }
        let boot_id = format!("boot-{me}-{}", self.0.dice.uuid());
        self.state().boot_id = boot_id;
        self.register().await
    }

    /// Moves a session's ownership somewhere else, or all of this node's.
    pub async fn propose_move(&self, kind: libra_proto::registry::command::Kind) -> bool {
        matches!(self.propose(kind).await, Proposed::Applied(_))
    }
}

/// Whose the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    This,
    Another,
}

/// The fence of one session actor, as production's; clones are the same.
#[derive(Clone)]
pub(super) struct Fence {
    node: Node,
    session: String,
    epoch: u64,
    /// The spell in which the epoch is known to be this actor's.
    confirmed: Arc<Mutex<Option<Spell>>>,
}

impl Fence {
    pub(super) fn new(node: Node, session: String, epoch: u64) -> Self {
        let confirmed = Arc::new(Mutex::new(node.spell()));
        Self {
            node,
            session,
            epoch,
            confirmed,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        let confirmed = *lock(&self.confirmed);
        let spell = self.node.spell();
        spell.is_some_and(|spell| Some(spell) == confirmed || safety::off(Safety::EpochCheck))
    }

    /// Waits until one may act, or it is known that one may not any more.
    pub(super) async fn pass(&self) -> Owner {
        while !self.is_open() {
            let spell = self.held().await;
            match self.confirm().await {
                Some(Owner::This) => *lock(&self.confirmed) = Some(spell),
                Some(Owner::Another) => return Owner::Another,
                None => Runtime::pause(PAUSE).await,
            }
        }
        Owner::This
    }

    async fn held(&self) -> Spell {
        loop {
            if let Some(spell) = self.node.spell() {
                return spell;
            }
            Runtime::pause(PAUSE / 10).await;
        }
    }

    pub(super) async fn confirm(&self) -> Option<Owner> {
        if safety::off(Safety::EpochCheck) {
            return Some(Owner::This);
        }
        self.node.read_index().await?;
        let id = self.session.parse().ok()?;
        let ours = self.node.view(|registry| {
            registry.session(&id).is_some_and(|session| {
                session.epoch == self.epoch && session.owner_node == self.node.id()
            })
        })?;
        Some(if ours { Owner::This } else { Owner::Another })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
