//! A node that owns something is cut off from all others, not from Spark, while its wall clock goes
//! back: only a lease by the monotonic clock is over before the others take what it owned.
//!
//!
//! Where it is the leader that is stranded, it has just handed over, and has not heard of its successor:
//! it takes itself for the leader for a while yet, and whoever renews a lease there gets an answer only
//! if a leader asks no quorum first.
//!
//! It has dice of its own, and comes in some seeds only: what other faults do does not change by it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use libra_raft::registry::Registry;
use libra_raft::simulation::Runtime;

use super::dice::Dice;
use super::node::Node;
use super::trace::note;
use super::world::World;

/// In so many seeds of a hundred.
const PERCENT: u64 = 25;

/// In so many of these it is a leader that hands over.
const LEADERS: u64 = 40;

/// Strands a node once, if the seed has it.
pub async fn strand(world: Arc<World>) {
    let dice = Dice::new(world.seed, 4);
    if !dice.chance(PERCENT) {
        return;
    }
    Runtime::pause(dice.millis(0..4_000)).await;
    let leader = leader(&world).filter(|_| dice.chance(LEADERS));
    let Some(id) = leader.or_else(|| dice.pick(&owners(&world))) else {
        return;
    };
    if leader.is_some() {
        hand_over(&world, &dice, id);
        Runtime::pause(dice.millis(10..40)).await;
    }
    let back = dice.within(5_000..600_000) as i64;
    note!(
        world,
        "FAULT n{id} is cut off from all nodes, its wall clock goes back by {back} ms"
    );
    world.tally.count("nodes stranded");
    for other in world.machine_ids() {
        if other != id {
            world.net.cut(id, other);
        }
    }
    if let Some(machine) = world.machines().get(&id) {
        machine.wrong_ms.fetch_sub(back, Ordering::Relaxed);
    }
    Runtime::pause(dice.millis(2_500..5_000)).await;
    note!(world, "the network heals");
    world.net.heal();
}

fn leader(world: &World) -> Option<u64> {
    let leads = |node: &Node| {
        let member = node.member();
        member.is_some_and(|member| member.leadership().is_some())
    };
    let nodes = world.nodes();
    nodes.iter().find(|node| leads(node)).map(Node::id)
}

/// It hands over to another, and hears nothing more from anybody.
fn hand_over(world: &World, dice: &Dice, id: u64) {
    let others: Vec<u64> = world.machine_ids();
    let others: Vec<u64> = others.into_iter().filter(|other| *other != id).collect();
    for other in &others {
        world.net.cut_one_way(*other, id);
    }
    let member = world.node(id).and_then(|node| node.member());
    if let (Some(member), Some(to), Some(node)) = (member, dice.pick(&others), world.node(id)) {
        note!(world, "FAULT n{id} hands over to n{to}, and hears nothing");
        node.life().spawn(async move { member.hand_over(to).await });
    }
}

/// The nodes that own a session, as the first that runs knows it.
fn owners(world: &World) -> Vec<u64> {
    let nodes = world.nodes();
    let owners = |registry: &Registry| -> Vec<u64> {
        let sessions = registry.sessions_after(None);
        sessions.map(|session| session.owner_node).collect()
    };
    let mut owners: Vec<u64> = nodes
        .iter()
        .find_map(|node| node.view(owners))
        .unwrap_or_default();
    owners.retain(|id| nodes.iter().any(|node| node.id() == *id));
    owners
}
