//! All that is simulated together.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use libra_raft::simulation::Runtime;
use tokio::sync::oneshot;

use super::dice::Dice;
use super::disk::Disk;
use super::net::Net;
use super::node::Node;
use super::spark::Spark;
use super::tally::Tally;
use super::trace::{Trace, note};
use super::truth::Truth;

/// The wall clock of a machine that is right, at the beginning: milliseconds since the Unix epoch.
const WALL_MS: i64 = 1_800_000_000_000;

/// A machine: what is left of a node while it does not run.
#[derive(Debug)]
pub struct Machine {
    /// Its disk.
    pub disk: Arc<Disk>,
    /// By how much its wall clock is wrong, in milliseconds.
    pub wrong_ms: Arc<AtomicI64>,
    /// The node that runs on it.
    pub node: Option<Node>,
    /// How often it was started.
    pub boots: u64,
    /// It was taken out of the group: it is not started again.
    pub retired: bool,
}

/// One simulation.
#[derive(Debug)]
pub struct World {
    /// What decides it.
    pub seed: u64,
    /// What happened.
    pub trace: Trace,
    /// Chance, for what has no dice of its own.
    pub dice: Dice,
    /// The network.
    pub net: Net,
    /// Spark.
    pub spark: Spark,
    /// What must be true.
    pub truth: Truth,
    /// What was done.
    pub tally: Tally,
    machines: Mutex<BTreeMap<u64, Machine>>,
    stopping: AtomicBool,
    faults_in_hand: AtomicU64,
}

/// A fault that is under way, until it is dropped.
#[derive(Debug)]
pub struct InHand(Arc<World>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.faults_in_hand.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    /// A world without machines.
    #[must_use]
    pub fn new(seed: u64, shown: bool) -> Arc<Self> {
        Arc::new(Self {
            seed,
            trace: Trace::new(shown),
            dice: Dice::new(seed, 2),
            net: Net::new(seed),
            spark: Spark::new(seed),
            truth: Truth::default(),
            tally: Tally::default(),
            machines: Mutex::default(),
            stopping: AtomicBool::new(false),
            faults_in_hand: AtomicU64::new(0),
        })
    }

    /// Puts up a machine with an empty disk.
    ///
    /// # Errors
    /// When there is no place for its files.
    pub fn add_machine(&self, id: u64) -> anyhow::Result<()> {
        let disk = Disk::new(self.seed, id).context("a place for simulated disks")?;
        let machine = Machine {
            disk: Arc::new(disk),
            wrong_ms: Arc::default(),
            node: None,
            boots: 0,
            retired: false,
        };
        self.machines().insert(id, machine);
        Ok(())
    }

    /// All machines.
    pub fn machines(&self) -> MutexGuard<'_, BTreeMap<u64, Machine>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of the machines that are not retired.
    #[must_use]
    pub fn machine_ids(&self) -> Vec<u64> {
        let machines = self.machines();
        let kept = machines.iter().filter(|(_, machine)| !machine.retired);
        kept.map(|(id, _)| *id).collect()
    }

    /// The node that runs on that machine.
    #[must_use]
    pub fn node(&self, id: u64) -> Option<Node> {
        self.machines().get(&id)?.node.clone()
    }

    /// All nodes that run.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let machines = self.machines();
        let running = machines.values().filter_map(|machine| machine.node.clone());
        running.collect()
    }

    /// The disk of that machine.
    #[must_use]
    pub fn disk(&self, id: u64) -> Option<Arc<Disk>> {
        Some(Arc::clone(&self.machines().get(&id)?.disk))
    }

    /// What a machine's wall clock says that is wrong by so much, milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall_ms(wrong_ms: &AtomicI64) -> u64 {
        let passed = i64::try_from(Runtime::now().as_millis()).unwrap_or(i64::MAX);
        let says = WALL_MS + passed + wrong_ms.load(Ordering::Relaxed);
        u64::try_from(says).unwrap_or(0)
    }

    /// Starts the node of a machine.
    pub fn boot(self: &Arc<Self>, id: u64, forms: Option<Vec<u64>>) {
        let node = {
            let mut machines = self.machines();
            let Some(machine) = machines.get_mut(&id) else {
                return;
            };
            if machine.node.is_some() || machine.retired {
                return;
            }
            machine.boots += 1;
            let node = Node::new(self, id, machine);
            machine.node = Some(node.clone());
            node
        };
        note!(self, "n{id} starts");
        node.boot(forms);
    }

    /// Kills the node of a machine; with `power` the machine's power goes too.
    pub fn kill(&self, id: u64, power: bool) {
        let (node, disk) = {
            let mut machines = self.machines();
            let Some(machine) = machines.get_mut(&id) else {
                return;
            };
            (machine.node.take(), Arc::clone(&machine.disk))
        };
        let Some(node) = node else { return };
        node.end();
        drop(node);
        if power {
            let lost = disk.cut_power();
            note!(self, "n{id} loses its power, {lost} batches not synced");
        } else {
            note!(self, "n{id} is killed");
        }
    }

    /// Asks node `to` from `from`: `work` runs there, as part of it. `None`: no answer in time, or
    /// nobody there.
    pub async fn ask<T, W, F>(&self, from: u64, to: u64, limit: Duration, work: W) -> Option<T>
    where
        T: Send + 'static,
        W: FnOnce(Node) -> F + Send,
        F: Future<Output = T> + Send + 'static,
    {
        let asked = async {
            if !self.net.travel(from, to).await {
                return pending().await;
            }
            let node = self.node(to)?;
            let (answer, heard) = oneshot::channel();
            let work = work(node.clone());
            node.life().spawn(async move {
                // Whoever asked may have left.
                let _ = answer.send(work.await);
            });
            drop(node);
            let answer = heard.await.ok()?;
            if !self.net.travel(to, from).await {
                return pending().await;
            }
            Some(answer)
        };
        Runtime::within(limit, Box::pin(asked)).await.flatten()
    }

    /// A fault is under way from now on.
    #[must_use]
    pub fn fault_in_hand(self: &Arc<Self>) -> InHand {
        self.faults_in_hand.fetch_add(1, Ordering::Relaxed);
        InHand(Arc::clone(self))
    }

    /// Whether a fault is under way: it may still end something, or start it.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        self.faults_in_hand.load(Ordering::Relaxed) > 0
    }

    /// Whether everybody is to come to an end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Lets everybody come to an end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Ends all that runs, so that nothing keeps anything alive.
    pub fn tear_down(&self) {
        self.stop();
        let nodes: Vec<Node> = {
            let mut machines = self.machines();
            machines
                .values_mut()
                .filter_map(|m| m.node.take())
                .collect()
        };
        for node in &nodes {
            node.end();
        }
        self.machines().clear();
    }
}
