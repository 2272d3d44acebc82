//! What runs where the leader is: the failure detector, the arbiter, the reaper; and the renewals
//! that it counts.
//!
//! **Invariant:** it proposes in its term only, and what it counts ends with its term.

use std::collections::BTreeSet;
use std::time::Duration;

use libra_actors::fair::model::Order;
use libra_actors::fair::queue::Queue;
use libra_actors::lease::{Clocks, Down, Member as Counted, Refusal, Renewal};
use libra_actors::scheduler::Round;
use libra_proto::registry::{NodeDown, NodeState, StartBatch, TimeOut, command};
use libra_proto::safety::{self, Safety};
use libra_proto::types::{NodeId, Place};
use libra_raft::simulation::Runtime;

use super::Node;
use super::registry::Proposed;
use crate::sim::spark::ENDPOINT;
use crate::sim::trace::note;

/// Between two proposals that the same node is down.
const DECLARE_PAUSE: Duration = Duration::from_millis(200);
/// After a batch of which nothing was started, or nothing is known.
const GRANT_PAUSE: Duration = Duration::from_millis(100);
/// How often deadlines are looked at.
const DEADLINES: Duration = Duration::from_millis(200);
/// How many deadlines one command takes.
const BATCH: usize = 500;

/// What is counted in one term.
pub(super) struct Reign {
    term: u64,
    clocks: Clocks,
    counts: bool,
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewed {
    Yes,
    Unanswered,
    Refused,
}

impl Node {
    /// Starts a reign with every term that this node leads, and ends it.
    pub(super) async fn watch_leadership(self) {
        let Some(member) = self.member() else { return };
        let mut changes = member.leadership_changes();
        let mut reigning = None;
        loop {
            let led = member.leadership();
            if led != reigning {
                if let Some(reign) = &mut self.state().reign {
                    reign.counts = false;
                }
                reigning = led;
                if let Some(term) = led {
                    note!(self.world(), "n{} leads term {term}", self.id());
                    self.world().tally.count("terms led");
                    self.begin(term);
                }
            }
            if !changes.heard().await {
                return;
            }
        }
    }

    /// The reign of a term begins, or goes on after a gap.
    fn begin(&self, term: u64) {
        let members = self.counted();
        let predecessor = self.member().and_then(|member| member.predecessor(term));
        let now = Runtime::now();
        {
            let mut state = self.state();
            let earlier = state.reign.take().filter(|reign| reign.term == term);
            let clocks = match earlier {
                Some(reign) => {
                    let mut clocks = reign.clocks;
                    clocks.admit(&members, now);
                    clocks
                }
                None => {
                    let mut clocks = Clocks::new(self.0.lease_options.patience(), now);
                    clocks.admit(&members, now);
                    if let Some(before) = predecessor {
                        clocks.was_silent(before.node_id, before.silent_for, now);
                    }
                    clocks
                }
            };
            state.reign = Some(Reign {
                term,
                clocks,
                counts: true,
            });
        }
        Runtime::go(self.clone().detect(term));
        Runtime::go(self.clone().arbitrate(term));
        Runtime::go(self.clone().reap(term));
    }

    fn reigns(&self, term: u64) -> bool {
        let reign = self.state();
        let reign = reign.reign.as_ref();
        reign.is_some_and(|reign| reign.term == term && reign.counts)
    }

    /// The nodes whose leases count.
    fn counted(&self) -> Vec<Counted> {
        let counts = |state: NodeState| match state {
            NodeState::Unspecified | NodeState::Up | NodeState::Draining => true,
            NodeState::Down => false,
        };
        let members = self.view(|registry| {
            let nodes = registry.nodes().filter(|node| counts(node.state()));
            let nodes = nodes.map(|node| Counted {
                node_id: NodeId(node.node_id),
                boot_id: node.boot_id.clone(),
            });
            nodes.collect()
        });
        members.unwrap_or_default()
    }

    /// Renews a lease here, as production's `LeaseTerms::renew`.
    pub(super) async fn renew_here(&self, renewal: Renewal) -> Renewed {
        let received = Runtime::now();
        let leads = self.member().and_then(|member| member.leadership());
        if leads.is_none() {
            return Renewed::Unanswered;
        }
        let gone_on = leads.map_or((0, 0), |term| self.gone_on(term));
        if !safety::off(Safety::QuorumRenewal) && self.quorum_round().await.is_none() {
            return Renewed::Unanswered;
        }
        let members = self.counted();
        let mut state = self.state();
        let Some(reign) = state.reign.as_mut().filter(|reign| reign.counts) else {
            return Renewed::Unanswered;
        };
        reign.clocks.admit(&members, Runtime::now());
        match reign.clocks.renewed(renewal, received) {
            Ok(()) => {
                let truth = &self.world().truth;
                truth.renewed(self.id(), reign.term, gone_on);
                Renewed::Yes
            }
            Err(Refusal::NotLeading) => Renewed::Unanswered,
            Err(Refusal::NotRegistered | Refusal::Over) => Renewed::Refused,
        }
    }

    /// How many of the voters have gone on to a newer term, and how many voters there are.
    fn gone_on(&self, term: u64) -> (usize, usize) {
        let voters = self.member().map(|member| member.status().voters);
        let voters = voters.unwrap_or_default();
        let terms = voters
            .iter()
            .filter_map(|id| self.world().node(*id)?.member());
        let newer = terms.filter(|member| member.status().term > term).count();
        (newer, voters.len())
    }

    async fn detect(self, term: u64) {
        let declaring = std::sync::Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        loop {
            let members = self.counted();
            let now = Runtime::now();
            let down = {
                let mut state = self.state();
                let Some(reign) = state
                    .reign
                    .as_mut()
                    .filter(|reign| reign.term == term && reign.counts)
                else {
                    return;
                };
                reign.clocks.admit(&members, now);
                reign.clocks.tick(now)
            };
            for down in down {
                let lock = || {
                    declaring
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                };
                if lock().insert(down.node_id) {
                    let (node, declaring) = (self.clone(), std::sync::Arc::clone(&declaring));
                    Runtime::go(async move {
                        let id = down.node_id;
                        node.declare(term, down).await;
                        declaring
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .remove(&id);
                    });
                }
            }
            Runtime::pause(self.0.lease_options.tick).await;
        }
    }

    async fn declare(&self, term: u64, down: Down) {
        note!(
            self.world(),
            "n{} declares n{} down ({})",
            self.id(),
            down.node_id,
            down.boot_id
        );
        self.world().tally.count("nodes declared down");
        let command = NodeDown {
            node_id: down.node_id.0,
            boot_id: down.boot_id,
            unreachable: Vec::new(),
        };
        self.propose_as_leader(term, command::Kind::NodeDown(command))
            .await;
        Runtime::pause(DECLARE_PAUSE).await;
    }

    /// Grants slots, as production's arbiter with its pool actors.
    async fn arbitrate(self, term: u64) {
        let Some(member) = self.member() else { return };
        let mut applied = member.applied();
        while self.reigns(term) {
            let demand = self.view(|registry| registry.demand(ENDPOINT));
            let Some(mut round) = demand.and_then(Round::of) else {
                // Also when nothing is applied a reign may end.
                let _ = Runtime::within(GRANT_PAUSE, applied.heard()).await;
                continue;
            };
            for (pool, most) in round.asked() {
                round.await_pool(&pool.name);
                let place = Place {
                    endpoint: ENDPOINT.to_owned(),
                    pool: pool.name.clone(),
                };
                // Pool actors answer when they have heard the news.
                Runtime::pause(self.0.dice.micros(10..400)).await;
                let standings = self.view(|registry| registry.backlog(&place));
                let mut queue = Queue::of(&standings.unwrap_or_default());
                round.offered(&pool.name, queue.head(Order::from(pool.order), most));
            }
            let jobs: Vec<u64> = round.grants().jobs.iter().map(|job| job.0).collect();
            if jobs.is_empty() {
                let _ = Runtime::within(GRANT_PAUSE, applied.heard()).await;
                continue;
            }
            let batch = command::Kind::StartBatch(StartBatch { jobs });
            match self.propose_as_leader(term, batch).await {
                Proposed::Applied(_) => {}
                Proposed::Rejected(_) | Proposed::Unknown(_) => Runtime::pause(GRANT_PAUSE).await,
            }
        }
    }

    async fn reap(self, term: u64) {
        while self.reigns(term) {
            let now_ms = self.registry_now_ms().min(self.now_ms());
            let overdue = self.view(|registry| registry.overdue(now_ms, BATCH));
            let jobs: Vec<u64> = overdue.into_iter().flatten().map(|job| job.0).collect();
            if !jobs.is_empty() {
                let time_out = command::Kind::TimeOut(TimeOut { jobs });
                self.propose_as_leader(term, time_out).await;
            }
            Runtime::pause(DEADLINES).await;
        }
    }
}
