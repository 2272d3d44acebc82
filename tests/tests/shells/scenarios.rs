//! What happens to the three nodes.

use std::time::Duration;

use anyhow::{Result, ensure};
use libra_coordinator::service::ServiceError;
use tokio::time::sleep;

use super::spark;
use super::world::{NODES, World, host};

/// As long as the statement that must not notice takes.
const LASTS: Duration = Duration::from_secs(5);
/// Longer than a lease and an election.
const A_WHILE: Duration = Duration::from_secs(4);

fn others(than: u64) -> Vec<u64> {
    NODES.into_iter().filter(|id| *id != than).collect()
}

/// Which way a node is cut off from the other nodes; Spark it reaches.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Both,
    ItIsNotHeard,
    ItDoesNotHear,
}

fn cut(world: &World, id: u64, cut: Cut) {
    world.tell(format!("node {id} is cut off: {cut:?}"));
    for other in others(id) {
        let (it, other) = (host(id), host(other));
        match cut {
            Cut::Both => turmoil::partition(it, other),
            Cut::ItIsNotHeard => turmoil::partition_oneway(it, other),
            Cut::ItDoesNotHear => turmoil::partition_oneway(other, it),
        }
    }
}

fn heal(world: &World, id: u64) {
    world.tell(format!("node {id} is back"));
    for other in others(id) {
        turmoil::repair(host(id), host(other));
    }
}

/// Three nodes form; writes through each; the leader is cut off and comes back.
pub(crate) async fn the_leader_is_cut_off(world: World) -> Result<()> {
    let leader = world.ready().await?;
    for id in NODES {
        world.runs(id, &format!("s-{id}"), "SELECT 1").await?;
    }
    sleep(world.moment(Duration::from_secs(1))).await;
    cut(&world, leader, Cut::Both);
    let rest = others(leader);
    let next = world.leader_among(&rest).await?;
    ensure!(next != leader, "{next} leads although nobody hears it");
    for id in &rest {
        world.runs(*id, &format!("t-{id}"), "SELECT 2").await?;
    }
    let refused = world.submit(leader, "t-0", "SELECT 3").await?;
    ensure!(
        matches!(refused, Err(ServiceError::NoLeader { .. })),
        "a node that is cut off accepted: {refused:?}"
    );
    heal(&world, leader);
    world.all_hold_the_same(&NODES).await?;
    world.runs(leader, "s-1", "SELECT 4").await?;
    world.all_hold_the_same(&NODES).await?;
    ensure!(world.ran_twice().is_empty(), "{:?}", world.ran_twice());
    Ok(())
}

/// The owner of a session dies while a statement runs: another goes on with it.
pub(crate) async fn the_owner_crashes(world: World) -> Result<()> {
    let leader = world.ready().await?;
    let owner = others(leader)[0];
    let session = world.session_of(owner).await?;
    let code = World::long("outlives", LASTS);
    let job = world.accepted(leader, &session, &code).await?;
    world.begun("outlives").await?;
    sleep(world.moment(A_WHILE)).await;
    world.crash(owner).await;
    let record = world.succeeds(leader, job).await?;
    ensure!(record.ended_on_node != owner, "{record:?}");
    world.ran_once("outlives")?;
    world.bounce(owner).await;
    world.all_hold_the_same(&NODES).await?;
    world.holders_give_the_same(job).await?;
    world.runs(owner, &session, "SELECT 5").await?;
    Ok(())
}

/// The owner of a session is cut off from the other nodes and not from Spark: it stops by itself.
async fn the_owner_is_cut_off(world: World, how: Cut) -> Result<()> {
    let leader = world.ready().await?;
    let owner = others(leader)[0];
    let session = world.session_of(owner).await?;
    let before = world.owner(leader, &session).await?;
    let code = World::long("moves", LASTS);
    let job = world.accepted(leader, &session, &code).await?;
    world.begun("moves").await?;
    sleep(world.moment(Duration::from_secs(1))).await;
    cut(&world, owner, how);
    let moved = || async {
        let at = world.leader_among(&others(owner)).await?;
        let (now, epoch) = world.owner(at, &session).await?;
        Ok(now != owner && epoch > before.1)
    };
    world.until("the session has moved", moved).await?;
    let at = world.leader_among(&others(owner)).await?;
    let meanwhile = World::long("meanwhile", Duration::from_millis(500));
    let second = world.accepted(at, &session, &meanwhile).await?;
    let record = world.succeeds(at, second).await?;
    ensure!(record.ended_on_node != owner, "{record:?}");
    let record = world.succeeds(at, job).await?;
    ensure!(record.ended_on_node != owner, "{record:?}");
    heal(&world, owner);
    world.all_hold_the_same(&NODES).await?;
    world.ran_once("moves")?;
    world.ran_once("meanwhile")?;
    world.runs(owner, &session, "SELECT 6").await?;
    world.all_hold_the_same(&NODES).await
}

pub(crate) async fn the_owner_is_cut_off_both_ways(world: World) -> Result<()> {
    the_owner_is_cut_off(world, Cut::Both).await
}

pub(crate) async fn the_owner_is_not_heard(world: World) -> Result<()> {
    the_owner_is_cut_off(world, Cut::ItIsNotHeard).await
}

pub(crate) async fn the_owner_does_not_hear(world: World) -> Result<()> {
    the_owner_is_cut_off(world, Cut::ItDoesNotHear).await
}

/// The owner of a session loses Spark and not the other nodes, for a while: nothing is sent twice.
pub(crate) async fn spark_is_cut_off(world: World) -> Result<()> {
    let leader = world.ready().await?;
    let owner = others(leader)[0];
    let session = world.session_of(owner).await?;
    let code = World::long("goes on", LASTS);
    let job = world.accepted(leader, &session, &code).await?;
    world.begun("goes on").await?;
    world.tell("the owner loses Spark");
    turmoil::partition(host(owner), spark::HOST);
    sleep(world.moment(A_WHILE)).await;
    turmoil::repair(host(owner), spark::HOST);
    world.tell("the owner has Spark again");
    world.succeeds(leader, job).await?;
    world.ran_once("goes on")?;
    world.all_hold_the_same(&NODES).await
}

/// The power fails everywhere at once: what was acknowledged is there afterwards.
pub(crate) async fn the_power_fails(world: World) -> Result<()> {
    let leader = world.ready().await?;
    world.runs(leader, "before", "SELECT 1").await?;
    let code = World::long("through the night", LASTS);
    let job = world.accepted(leader, "before", &code).await?;
    world.begun("through the night").await?;
    let mut accepted = vec![job];
    for turn in 0..5 {
        let session = format!("night-{turn}");
        accepted.push(world.accepted(leader, &session, "SELECT 7").await?);
    }
    for id in NODES {
        world.crash(id).await;
    }
    sleep(world.moment(Duration::from_secs(1))).await;
    for id in NODES {
        world.bounce(id).await;
    }
    let leader = world.leader_among(&NODES).await?;
    for job in accepted {
        world.succeeds(leader, job).await?;
    }
    world.ran_once("through the night")?;
    ensure!(world.ran_twice().is_empty(), "{:?}", world.ran_twice());
    world.all_hold_the_same(&NODES).await
}
