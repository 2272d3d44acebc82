//! A world of three coordinators, one Spark and a script, all in one simulation.
//!
//! **Invariant:** whatever the script does to a node it does inside that node, on its runtime and
//! in its network; nodes share nothing but the network.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::future::BoxFuture;
use libra_coordinator::service::Service;
use libra_proto::types::NodeId;
use libra_raft::Handle;
use libra_raft::registry::Registry;
use libra_raft::store::backing::MemoryBacking;
use libra_tests::stub::engine::Execution;
use libra_tests::stub::server::StubSpark;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use turmoil::Sim;

use super::{node, spark};

/// The coordinators.
pub(crate) const NODES: [u64; 3] = [1, 2, 3];
/// Of simulated time, for what takes a moment.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How long a call inside a node may take before its outcome is given up.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What is done inside a node.
pub(crate) type Work = Box<dyn FnOnce(Inside) -> BoxFuture<'static, ()> + Send>;

/// A node, from inside.
#[derive(Clone)]
pub(crate) struct Inside {
    pub(crate) raft: Handle,
    pub(crate) service: Service,
}

/// What only the outside of the simulation can do.
enum Order {
    Crash(u64),
    Bounce(u64),
}

/// The world, as the script and the hosts see it; clones are the same.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    seed: u64,
    dice: AtomicU64,
    dir: TempDir,
    orders: Mutex<Vec<Order>>,
    desks: Mutex<BTreeMap<u64, mpsc::UnboundedSender<Work>>>,
    logs: Mutex<BTreeMap<u64, Arc<MemoryBacking>>>,
    spark: Mutex<Option<Arc<StubSpark>>>,
    story: Mutex<Vec<String>>,
    /// Who led when last asked, so that it is told once.
    leader: Mutex<Option<u64>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host of a node.
pub(crate) fn host(id: u64) -> String {
    format!("node-{id}")
}

/// Runs a script in a world of that seed; its story, one line for each thing that happened.
pub(crate) fn simulate<F>(seed: u64, script: fn(World) -> F) -> Result<Vec<String>>
where
    F: Future<Output = Result<()>> + 'static,
{
    libra_proto::safety::from_environment()?;
    let world = World::new(seed)?;
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(180))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(4))
        .tcp_capacity(1 << 16)
        .build();
    let for_spark = world.clone();
    sim.host(spark::HOST, move || spark::run(for_spark.clone()));
    for id in NODES {
        let for_node = world.clone();
        sim.host(host(id), move || node::run(for_node.clone(), id));
    }
    let for_script = world.clone();
    sim.client("script", async move {
        let ended = script(for_script.clone()).await;
        for_script.tell("the script has ended");
        ended.map_err(|error| format!("{error:?}").into())
    });
    let ended = run(&mut sim, &world);
    let story = std::mem::take(&mut *locked(&world.0.story));
    ended.map_err(|error| anyhow!("seed {seed}: {error}\n{}", story.join("\n")))?;
    Ok(story)
}

fn run(sim: &mut Sim<'_>, world: &World) -> Result<(), Box<dyn std::error::Error>> {
    while !sim.step()? {
        let orders = std::mem::take(&mut *locked(&world.0.orders));
        for order in orders {
            match order {
                Order::Crash(id) => {
                    sim.crash(host(id));
                    world.lose_power(id);
                }
                Order::Bounce(id) => sim.bounce(host(id)),
            }
        }
    }
    Ok(())
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let log = || Arc::new(MemoryBacking::default());
        Ok(Self(Arc::new(Shared {
            seed,
            dice: AtomicU64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            dir: tempfile::tempdir()?,
            orders: Mutex::default(),
            desks: Mutex::default(),
            logs: Mutex::new(NODES.into_iter().map(|id| (id, log())).collect()),
            spark: Mutex::default(),
            story: Mutex::default(),
            leader: Mutex::default(),
        })))
    }

    pub(crate) fn seed(&self) -> u64 {
        self.0.seed
    }

    /// A time below that one, drawn from the world's seed.
    pub(crate) fn moment(&self, below: Duration) -> Duration {
        let drawn = self.0.dice.fetch_add(1, Ordering::Relaxed);
        let mixed = (drawn ^ (drawn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let below_ms = u64::try_from(below.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis((mixed ^ (mixed >> 31)) % below_ms)
    }

    pub(crate) fn data_dir(&self, id: u64) -> std::path::PathBuf {
        self.0.dir.path().join(host(id))
    }

    /// What the node's log lies on now.
    pub(crate) fn log(&self, id: u64) -> Result<Arc<MemoryBacking>> {
        let logs = locked(&self.0.logs);
        logs.get(&id).cloned().context("a node without a log")
    }

    /// What was not durable is gone.
    fn lose_power(&self, id: u64) {
        locked(&self.0.desks).remove(&id);
        if let Some(log) = locked(&self.0.logs).get_mut(&id) {
            *log = Arc::new(log.after_power_cut());
        }
    }

    /// The node can be called from now on.
    pub(crate) fn open_desk(&self, id: u64) -> mpsc::UnboundedReceiver<Work> {
        let (desk, work) = mpsc::unbounded_channel();
        locked(&self.0.desks).insert(id, desk);
        work
    }

    pub(crate) fn set_spark(&self, stub: Arc<StubSpark>) {
        *locked(&self.0.spark) = Some(stub);
    }

    /// What Spark really ran of statements with that text in them.
    pub(crate) fn ran(&self, text: &str) -> Vec<Execution> {
        let stub = locked(&self.0.spark).clone();
        let all = stub.map(|stub| stub.executions()).unwrap_or_default();
        all.into_iter()
            .filter(|run| run.code.contains(text))
            .collect()
    }

    /// Operations that ran more than once; none in a world that is as it should be.
    pub(crate) fn ran_twice(&self) -> Vec<String> {
        let stub = locked(&self.0.spark).clone();
        let twice = stub.map(|stub| {
            stub.ledger(|ledger| {
                let twice = ledger.repeated_operations().into_iter();
                twice.map(|(id, _)| id.to_owned()).collect()
            })
        });
        twice.unwrap_or_default()
    }

    /// Adds a line to the story.
    pub(crate) fn tell(&self, line: impl AsRef<str>) {
        let at = turmoil::sim_elapsed().unwrap_or_default().as_millis();
        let line = format!("{at:>6} ms  {}", line.as_ref());
        tracing::info!("{line}");
        locked(&self.0.story).push(line);
    }

    /// Ends a node as a power cut would.
    pub(crate) async fn crash(&self, id: u64) {
        self.tell(format!("node {id} crashes"));
        locked(&self.0.orders).push(Order::Crash(id));
        sleep(LOOK).await;
    }

    /// Starts a node again that has crashed, on what was durable.
    pub(crate) async fn bounce(&self, id: u64) {
        self.tell(format!("node {id} starts again"));
        locked(&self.0.orders).push(Order::Bounce(id));
        sleep(LOOK).await;
    }

    /// Does something inside a node.
    pub(crate) async fn at<T, F>(
        &self,
        id: u64,
        work: impl FnOnce(Inside) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |inside| {
            Box::pin(async move {
                // Whoever asked may have given up.
                let _ = answer.send(work(inside).await);
            })
        });
        let desk = locked(&self.0.desks).get(&id).cloned();
        let desk = desk.with_context(|| format!("node {id} does not run"))?;
        desk.send(work)
            .map_err(|_| anyhow!("node {id} has stopped"))?;
        let answered = timeout(CALL_LIMIT, answered).await;
        answered
            .with_context(|| format!("node {id} does not answer"))?
            .with_context(|| format!("node {id} died over the answer"))
    }

    /// Looks into a node's registry as it is applied there.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        id: u64,
        look: impl FnOnce(&Registry) -> T + Send + 'static,
    ) -> Result<T> {
        self.at(id, |inside| async move { inside.raft.view(look) })
            .await
    }

    /// Whom a node takes for the leader.
    pub(crate) async fn leader_for(&self, id: u64) -> Result<Option<u64>> {
        let leader = self.at(id, |inside| async move { inside.raft.leader() });
        Ok(leader.await?.map(|NodeId(leader)| leader))
    }

    /// Waits until `is_so` of what is asked.
    pub(crate) async fn until<F: Future<Output = Result<bool>>>(
        &self,
        what: &str,
        mut is_so: impl FnMut() -> F,
    ) -> Result<()> {
        let found = || {
            let found = is_so();
            async { Ok(found.await?.then_some(())) }
        };
        self.until_some(what, found).await?;
        self.tell(what);
        Ok(())
    }

    /// Waits until there is what is looked for.
    async fn until_some<T, F: Future<Output = Result<Option<T>>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> Result<T> {
        let deadline = Instant::now() + SOON;
        loop {
            let found = look().await;
            if let Ok(Some(found)) = found {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let what = format!("waited in vain: {what}");
                return Err(found
                    .err()
                    .unwrap_or_else(|| anyhow!("nothing"))
                    .context(what));
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until these nodes agree that one of them leads.
    pub(crate) async fn leader_among(&self, ids: &[u64]) -> Result<u64> {
        let agreed = || async {
            let mut named = BTreeSet::new();
            for id in ids {
                named.insert(self.leader_for(*id).await?);
            }
            let leader = named.pop_first().flatten();
            Ok(leader.filter(|leader| named.is_empty() && ids.contains(leader)))
        };
        let leader = self
            .until_some(&format!("a leader of {ids:?}"), agreed)
            .await?;
        if locked(&self.0.leader).replace(leader) != Some(leader) {
            self.tell(format!("node {leader} leads {ids:?}"));
        }
        Ok(leader)
    }

    /// Waits until all nodes are members, registered and at work; who leads them.
    pub(crate) async fn ready(&self) -> Result<u64> {
        let at_work = || async {
            let mut ready = true;
            for id in NODES {
                ready &= self
                    .look(id, |registry| {
                        registry.settings().is_some() && registry.nodes().count() == NODES.len()
                    })
                    .await?;
            }
            Ok(ready)
        };
        self.until("all are registered", at_work).await?;
        self.leader_among(&NODES).await
    }

    /// Waits until all these nodes serve, then checks that their registries are the same.
    pub(crate) async fn all_hold_the_same(&self, ids: &[u64]) -> Result<()> {
        let same = || async {
            let mut states = Vec::new();
            for id in ids {
                let read = self.at(*id, |inside| async move { inside.raft.read_index().await });
                read.await??;
                let state = |registry: &Registry| {
                    let index = registry.applied_index();
                    (index, registry.state_hash())
                };
                states.push(self.look(*id, state).await?);
            }
            let (first, hash) = states[0];
            let at_first: Vec<_> = states.iter().filter(|(at, _)| *at == first).collect();
            ensure!(
                at_first.iter().all(|(_, other)| *other == hash),
                "two registries at index {first} differ: {states:?}"
            );
            Ok(at_first.len() == ids.len())
        };
        self.until(&format!("{ids:?} hold the same"), same).await
    }
}
