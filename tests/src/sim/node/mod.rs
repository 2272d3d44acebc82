//! One node: the group's real member, and thin shells around the pure cores that production uses.
//!
//! - `registry`: proposing and reading, as `libra_raft::Handle` does it.
//! - `lease`: renewing and losing the node's lease; the fence.
//! - `reign`: what runs where the leader is: detector, arbiter, reaper.
//! - `session`, `runner`: the session actor and its statements' runners.
//! - `results`: result files and their copies.
//! - `service`: what clients are answered.
//!
//! **Invariant:** what decides is production's; what is written anew here only waits, sends and
//! stores, in production's order.

mod lease;
mod registry;
mod reign;
mod results;
mod runner;
mod service;
mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_actors::Estimate;
use libra_actors::lease::{Options as LeaseOptions, OwnerLease};
use libra_proto::registry::{NodeRecord, RegisterNode, command};
use libra_raft::registry::FEATURE_LEVEL;
use libra_raft::simulation::{Answer, Carrier, Life, Member, Message, Runtime, Setup, Witness};

use super::dice::Dice;
use super::disk::Disk;
use super::trace::note;
use super::world::{Machine, World};

pub use registry::Proposed;
pub use service::{Accepted, Refused, Seen};

use reign::Reign;

/// For openraft's own messages; it has its own limits too.
const CARRY_LIMIT: Duration = Duration::from_secs(2);
/// Between two attempts to join.
const JOIN_PAUSE: Duration = Duration::from_millis(100);

/// One life of one node; clones are the same.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    id: u64,
    world: Arc<World>,
    life: Life,
    disk: Arc<Disk>,
    wrong_ms: Arc<AtomicI64>,
    dice: Dice,
    began: Duration,
    lease_options: LeaseOptions,
    state: Mutex<State>,
}

struct State {
    member: Option<Member>,
    boot_id: String,
    lease: OwnerLease,
    /// The node has joined: what it is asked is answered.
    serves: bool,
    reign: Option<Reign>,
    sessions: BTreeMap<String, session::Handle>,
    estimate: Option<Estimate>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0.id)
    }
}

impl Node {
    /// A node that is about to start.
    #[must_use]
    pub fn new(world: &Arc<World>, id: u64, machine: &Machine) -> Self {
        let lease_options = LeaseOptions::default();
        let boot = machine.boots;
        Self(Arc::new(Inner {
            id,
            world: Arc::clone(world),
            life: Life::new(),
            disk: Arc::clone(&machine.disk),
            wrong_ms: Arc::clone(&machine.wrong_ms),
            dice: Dice::new(world.seed, 1_000 * id + boot),
            began: Runtime::now(),
            lease_options,
            state: Mutex::new(State {
                member: None,
                boot_id: format!("boot-{id}-{boot}"),
                lease: OwnerLease::new(lease_options.length),
                serves: false,
                reign: None,
                sessions: BTreeMap::new(),
                estimate: None,
            }),
        }))
    }

    /// Which node it is.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// All that it runs.
    #[must_use]
    pub fn life(&self) -> &Life {
        &self.0.life
    }

    /// Its part of the group, once its store is open.
    #[must_use]
    pub fn member(&self) -> Option<Member> {
        self.state().member.clone()
    }

    fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it; with `forms` it forms the group of those.
    pub fn boot(&self, forms: Option<Vec<u64>>) {
        let node = self.clone();
        self.0.life.spawn(async move { node.run(forms).await });
    }

    /// Ends all that it runs.
    pub fn end(&self) {
        self.0.life.end();
        let mut state = self.state();
        state.sessions.clear();
        state.member = None;
        state.serves = false;
    }

    async fn run(self, forms: Option<Vec<u64>>) {
        let setup = Setup {
            node_id: self.0.id,
            data_dir: self.0.disk.dir(),
            backing: self.0.disk.backing(),
            disk: Arc::new({
                let disk = Arc::clone(&self.0.disk);
                move || disk.sync_takes()
            }),
            snapshot_entries: 60,
            carrier: Arc::new(Post(self.clone())),
            witness: Arc::new(Eyes(self.clone())),
        };
        let member = match Box::pin(Member::start(setup)).await {
            Ok(member) => member,
            Err(error) => {
                let text = format!("n{} does not start: {error}", self.0.id);
                self.world().truth.violation("start", text);
                return;
            }
        };
        self.state().member = Some(member.clone());
        if let Some(members) = forms
            && let Err(error) = member.form(&members).await
        {
            note!(self.world(), "n{} forms nothing: {error}", self.0.id);
        }
        self.join().await;
        Runtime::go(self.clone().keep_lease());
        Runtime::go(self.clone().watch_leadership());
        Runtime::go(self.clone().supervise_sessions());
        self.state().serves = true;
        note!(self.world(), "n{} serves", self.0.id);
    }

    /// Catches up and registers, as production's bootstrap.
    async fn join(&self) {
        while self.quorum_round().await.is_none() {
            Runtime::pause(JOIN_PAUSE).await;
        }
        self.look_at_clock();
        while !self.register().await || !self.seed().await {
            Runtime::pause(JOIN_PAUSE).await;
        }
    }

    async fn register(&self) -> bool {
        let record = NodeRecord {
            node_id: self.0.id,
            http: format!("http-{}", self.0.id),
            grpc: format!("node-{}", self.0.id),
            store_uuid: format!("store-{}", self.0.id),
            boot_id: self.boot_id(),
            feature_level: FEATURE_LEVEL,
            ..NodeRecord::default()
        };
        let register = command::Kind::RegisterNode(RegisterNode { node: Some(record) });
        matches!(self.propose(register).await, Proposed::Applied(_))
    }

    fn boot_id(&self) -> String {
        self.state().boot_id.clone()
    }

    /// This node's wall clock.
    fn wall_ms(&self) -> u64 {
        World::wall_ms(&self.0.wrong_ms)
    }

    /// The time that its commands carry.
    fn now_ms(&self) -> u64 {
        let clock = self.member().map_or(0, |m| m.view(|r| r.clock_ms()));
        self.wall_ms().max(clock)
    }

    fn uptime_ms(&self) -> u64 {
        let up = Runtime::now().saturating_sub(self.0.began);
        u64::try_from(up.as_millis()).unwrap_or(u64::MAX)
    }

    fn look_at_clock(&self) {
        let clock_ms = self.member().map_or(0, |m| m.view(|r| r.clock_ms()));
        let uptime_ms = self.uptime_ms();
        self.state().estimate = Some(Estimate {
            clock_ms,
            uptime_ms,
        });
    }

    /// What the registry's clock would say now, as production's `RegistryClock`.
    fn registry_now_ms(&self) -> u64 {
        let clock_ms = self.member().map_or(0, |m| m.view(|r| r.clock_ms()));
        let uptime_ms = self.uptime_ms();
        let mut state = self.state();
        let estimate = state.estimate.get_or_insert(Estimate {
            clock_ms,
            uptime_ms,
        });
        estimate.now_ms(clock_ms, uptime_ms)
    }

    /// Whether it has joined.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.state().serves
    }
}

/// Carries openraft's messages over the simulated network.
struct Post(Node);

impl Carrier for Post {
    fn carry(
        &self,
        to: u64,
        message: Message,
    ) -> std::pin::Pin<Box<dyn Future<Output = Option<Answer>> + Send>> {
        let node = self.0.clone();
        Box::pin(async move {
            let world = Arc::clone(node.world());
            let name = message.name();
            if name != "heartbeat" {
                note!(world, "n{} -> n{to} {name}", node.0.id);
            }
            let delivered = world.ask(node.0.id, to, CARRY_LIMIT, |peer| async move {
                let member = peer.member()?;
                member.deliver(message).await
            });
            delivered.await.flatten()
        })
    }
}

/// Shows every entry to the truth.
struct Eyes(Node);

impl Witness for Eyes {
    fn applied(
        &self,
        registry: &libra_raft::registry::Registry,
        index: u64,
        term: u64,
        command: Option<&libra_proto::registry::Command>,
    ) {
        let world = self.0.world();
        world
            .truth
            .applied(world, self.0.id(), registry, (index, term), command);
    }

    fn restored(&self, registry: &libra_raft::registry::Registry) {
        let world = self.0.world();
        world.truth.restored(self.0.id(), registry);
    }
}
