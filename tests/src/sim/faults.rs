//! What is done to the cluster, as the seed decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use libra_proto::registry::{DrainNode, MoveSession, RemoveNode, command};
use libra_raft::simulation::Runtime;

use super::clients::SESSIONS;
use super::dice::Dice;
use super::net::{CLIENTS, SPARK};
use super::trace::note;
use super::world::World;

/// How long an operator waits for an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Isolate,
    Split,
    OneWay,
    CutFromSpark,
    Slow,
    Loss,
    Heal,
    Kill,
    PowerCut,
    PowerCutAll,
    Pause,
    ClockJump,
    SlowDisk,
    SparkRestart,
    Join,
    Leave,
    HandOver,
    Drain,
    Move,
}

/// Each kind as often as it is named.
const DRAWN: [Fault; 32] = [
    Fault::Isolate,
    Fault::Isolate,
    Fault::Isolate,
    Fault::Isolate,
    Fault::Split,
    Fault::Split,
    Fault::OneWay,
    Fault::OneWay,
    Fault::CutFromSpark,
    Fault::Slow,
    Fault::Slow,
    Fault::Loss,
    Fault::Heal,
    Fault::Heal,
    Fault::Heal,
    Fault::Heal,
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::PowerCutAll,
    Fault::Pause,
    Fault::Pause,
    Fault::ClockJump,
    Fault::ClockJump,
    Fault::SlowDisk,
    Fault::SparkRestart,
    Fault::Join,
    Fault::HandOver,
    Fault::Drain,
    Fault::Move,
];

/// Injects faults until `until`; the last may end later.
pub async fn inject(world: Arc<World>, until: Duration) {
    let _in_hand = world.fault_in_hand();
    let dice = Dice::new(world.seed, 3);
    // Leaving is for those who have joined.
    loop {
        Runtime::pause(dice.millis(40..700)).await;
        if Runtime::now() >= until {
            return;
        }
        let fault = dice.pick(&DRAWN).unwrap_or(Fault::Heal);
        let fault = match fault {
            Fault::Join if world.machine_ids().len() > 3 && dice.chance(60) => Fault::Leave,
            fault => fault,
        };
        one(&world, &dice, fault).await;
    }
}

/// A node; the leader, if there is one, half of the time.
fn victim(world: &World, dice: &Dice) -> Option<u64> {
    let nodes = world.nodes();
    let leads = |id: &u64| {
        let node = world.node(*id);
        let member = node.and_then(|node| node.member());
        member.is_some_and(|member| member.leadership().is_some())
    };
    let ids: Vec<u64> = nodes.iter().map(|node| node.id()).collect();
    let leader = ids.iter().copied().find(leads);
    match leader {
        Some(leader) if dice.chance(50) => Some(leader),
        Some(_) | None => dice.pick(&ids),
    }
}

async fn one(world: &Arc<World>, dice: &Dice, fault: Fault) {
    let ids = world.machine_ids();
    match fault {
        Fault::Isolate => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            note!(world, "FAULT n{id} is cut off from all nodes");
            world.tally.count("isolations");
            for other in ids.iter().filter(|other| **other != id) {
                world.net.cut(id, *other);
            }
            later_heal(world, dice);
        }
        Fault::Split => {
            let side: Vec<u64> = ids.iter().copied().filter(|_| dice.chance(50)).collect();
            note!(world, "FAULT {side:?} are cut off from the others");
            world.tally.count("partitions");
            for one in &side {
                for other in ids.iter().filter(|id| !side.contains(id)) {
                    world.net.cut(*one, *other);
                }
            }
            later_heal(world, dice);
        }
        Fault::OneWay => {
            let (Some(from), Some(to)) = (victim(world, dice), dice.pick(&ids)) else {
                return;
            };
            note!(world, "FAULT nothing arrives from n{from} at n{to}");
            world.tally.count("one-way cuts");
            world.net.cut_one_way(from, to);
        }
        Fault::CutFromSpark => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            note!(world, "FAULT n{id} is cut off from Spark");
            world.tally.count("cuts from Spark");
            if dice.chance(50) {
                world.net.cut(id, SPARK);
            } else {
                world.net.cut_one_way(SPARK, id);
            }
            later_heal(world, dice);
        }
        Fault::Slow => {
            let (Some(from), Some(to)) = (dice.pick(&ids), dice.pick(&ids)) else {
                return;
            };
            note!(world, "FAULT n{from} -> n{to} is slow");
            world.tally.count("delays");
            world.net.slow(from, to, 5_000..120_000);
            world.net.slow(from, SPARK, 5_000..60_000);
        }
        Fault::Loss => {
            let percent = dice.within(2..25);
            note!(world, "FAULT {percent} % of all messages are lost");
            world.tally.count("losses");
            world.net.lose(percent);
        }
        Fault::Heal => {
            note!(world, "the network heals");
            world.net.heal();
        }
        Fault::Kill | Fault::PowerCut => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            let power = fault == Fault::PowerCut;
            world
                .tally
                .count(if power { "power cuts" } else { "kills" });
            world.kill(id, power);
            later_boot(world, id, dice.millis(50..2_500));
        }
        Fault::PowerCutAll => {
            note!(world, "FAULT the power is cut");
            world.tally.count("power cuts of all");
            for id in ids {
                world.kill(id, true);
                later_boot(world, id, dice.millis(50..600));
            }
        }
        Fault::Pause => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            let Some(node) = world.node(id) else { return };
            let time = dice.millis(100..3_000);
            note!(world, "FAULT n{id} stands still for {time:?}");
            world.tally.count("pauses");
            let life = node.life().clone();
            life.pause();
            let world = Arc::clone(world);
            Runtime::go(async move {
                Runtime::pause(time).await;
                note!(world, "n{id} goes on");
                life.resume();
            });
        }
        Fault::ClockJump => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            let far = dice.within(200..600_000) as i64;
            let jump = if dice.chance(50) { far } else { -far };
            note!(world, "FAULT the wall clock of n{id} jumps by {jump} ms");
            world.tally.count("clock jumps");
            if let Some(machine) = world.machines().get(&id) {
                machine.wrong_ms.fetch_add(jump, Ordering::Relaxed);
            }
        }
        Fault::SlowDisk => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            let most = dice.millis(20..800);
            note!(world, "FAULT syncs of n{id} take up to {most:?}");
            world.tally.count("slow disks");
            if let Some(disk) = world.disk(id) {
                disk.set_slow(Some(most));
                let time = dice.millis(200..2_000);
                Runtime::go(async move {
                    Runtime::pause(time).await;
                    disk.set_slow(None);
                });
            }
        }
        Fault::SparkRestart => {
            let down = dice.millis(20..1_200);
            note!(world, "FAULT Spark's driver dies, and is back in {down:?}");
            world.tally.count("Spark restarts");
            world.spark.restart(down);
        }
        Fault::Join => join(world, &ids).await,
        Fault::Leave => leave(world, dice, &ids).await,
        Fault::HandOver => {
            let Some(to) = dice.pick(&ids) else { return };
            for node in world.nodes() {
                if let Some(member) = node.member()
                    && member.leadership().is_some()
                {
                    note!(world, "FAULT n{} hands over to n{to}", node.id());
                    world.tally.count("hand-overs");
                    node.life().spawn(async move { member.hand_over(to).await });
                }
            }
        }
        Fault::Drain => {
            let Some(id) = victim(world, dice) else {
                return;
            };
            note!(world, "FAULT n{id} is drained, then ends");
            world.tally.count("drains");
            drain(world, id, true).await;
            Runtime::pause(dice.millis(0..300)).await;
            world.kill(id, false);
            later_boot(world, id, dice.millis(50..1_000));
        }
        Fault::Move => {
            let Some(id) = dice.pick(&SESSIONS) else {
                return;
            };
            world.tally.count("moves");
            move_session(world, dice, id).await;
        }
    }
}

fn later_heal(world: &Arc<World>, dice: &Dice) {
    if dice.chance(60) {
        let (world, time) = (Arc::clone(world), dice.millis(200..2_500));
        Runtime::go(async move {
            Runtime::pause(time).await;
            note!(world, "the network heals");
            world.net.heal();
        });
    }
}

fn later_boot(world: &Arc<World>, id: u64, time: Duration) {
    let (world, in_hand) = (Arc::clone(world), world.fault_in_hand());
    Runtime::go(async move {
        Runtime::pause(time).await;
        world.boot(id, None);
        drop(in_hand);
    });
}

/// Asks any node that serves to have a command committed.
async fn operate(world: &Arc<World>, kind: command::Kind) {
    let serving = world.nodes().into_iter().find(|node| node.serves());
    if let Some(node) = serving {
        let asked = world.ask(CLIENTS, node.id(), LIMIT, |node| node.operate(kind));
        let _ = asked.await;
    }
}

async fn drain(world: &Arc<World>, id: u64, draining: bool) {
    let drain = DrainNode {
        node_id: id,
        boot_id: String::new(),
        draining,
        unreachable: Vec::new(),
    };
    operate(world, command::Kind::DrainNode(drain)).await;
}

async fn move_session(world: &Arc<World>, dice: &Dice, id: &str) {
    let Some(node) = world.nodes().into_iter().find(|node| node.serves()) else {
        return;
    };
    let Ok(parsed) = id.parse() else { return };
    let epoch = node.view(|registry| registry.session(&parsed).map(|s| s.epoch));
    let Some(Some(epoch)) = epoch else { return };
    let to_node = dice.pick(&world.machine_ids()).unwrap_or(0);
    note!(
        world,
        "FAULT {id} is moved out of epoch {epoch} to n{to_node}"
    );
    let kind = command::Kind::MoveSession(MoveSession {
        session_id: id.to_owned(),
        epoch,
        to_node,
        ..MoveSession::default()
    });
    operate(world, kind).await;
}

/// Changes the group at whatever node leads.
async fn change(world: &Arc<World>, id: u64, is_in: bool) -> bool {
    for node in world.nodes() {
        let leads = node.member().and_then(|member| member.leadership());
        if leads.is_none() {
            continue;
        }
        let asked = world.ask(CLIENTS, node.id(), LIMIT, |node| async move {
            let member = node.member()?;
            member.change(id, is_in, LIMIT).await.ok()
        });
        return asked.await.flatten().is_some();
    }
    false
}

/// A new machine joins the group; ids are never used again.
async fn join(world: &Arc<World>, ids: &[u64]) {
    if ids.len() >= 5 {
        return;
    }
    let id = world
        .machines()
        .keys()
        .next_back()
        .map_or(1, |last| last + 1);
    if let Err(error) = world.add_machine(id) {
        world.truth.violation("start", error.to_string());
        return;
    }
    note!(world, "FAULT n{id} joins");
    world.tally.count("joins");
    world.boot(id, None);
    let joined = change(world, id, true).await;
    note!(world, "n{id} has joined: {joined}");
}

/// A node leaves the group for good, if three stay.
async fn leave(world: &Arc<World>, dice: &Dice, ids: &[u64]) {
    let Some(id) = dice.pick(ids) else { return };
    note!(world, "FAULT n{id} leaves");
    world.tally.count("leaves");
    drain(world, id, true).await;
    if !change(world, id, false).await {
        note!(world, "n{id} has not left");
        drain(world, id, false).await;
        return;
    }
    world.kill(id, false);
    if let Some(machine) = world.machines().get_mut(&id) {
        machine.retired = true;
    }
    operate(world, command::Kind::RemoveNode(RemoveNode { node_id: id })).await;
}
