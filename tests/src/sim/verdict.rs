//! After all faults: the cluster must agree, serve, and have kept every promise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{StatementRecord, StatementState};
use libra_proto::types::JobId;
use libra_raft::registry::Registry;
use libra_raft::simulation::{Runtime, Status};

use super::clients::{SESSIONS, Wanted, read_at, result_at, submit_at};
use super::disk::Part;
use super::node::Node;
use super::trace::note;
use super::world::World;
use crate::stub::engine::{Execution, Outcome};

/// How long a healed cluster may take until all agree and nothing is left to do.
const CONVERGE: Duration = Duration::from_secs(25);
/// How long a statement may take on a healed cluster.
const SERVE: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(50);
/// Executions that are no statement's.
const POISON: &str = "SELECT 0 AS `libra-seal-";

/// What the result of a statement consists of.
#[must_use]
pub fn expected(code: &str) -> Vec<Part> {
    let rows = code
        .split_whitespace()
        .find_map(|word| word.strip_prefix("rows="))
        .and_then(|rows| rows.parse::<usize>().ok())
        .unwrap_or(0);
    let mut parts = vec![Part::Schema];
    parts.extend((0..rows).map(Part::Batch));
    parts.push(Part::Complete);
    parts
}

/// Mends everything and starts everybody.
pub fn heal(world: &Arc<World>) {
    note!(world, "all faults end");
    world.net.heal();
    for id in world.machine_ids() {
        if let Some(disk) = world.disk(id) {
            disk.set_slow(None);
        }
        match world.node(id) {
            Some(node) => node.life().resume(),
            None => world.boot(id, None),
        }
    }
}

/// The leader, and the nodes that have a vote.
fn group(world: &World) -> Option<(Node, Vec<Node>)> {
    let leads = |node: &&Node| {
        let member = node.member();
        member.is_some_and(|member| member.leadership().is_some())
    };
    let nodes = world.nodes();
    let leader = nodes.iter().find(leads)?.clone();
    let voters = leader.member()?.status().voters;
    let voters: Option<Vec<Node>> = voters.iter().map(|id| world.node(*id)).collect();
    Some((leader, voters?))
}

/// Why the cluster is not yet as it should be; nothing when it is.
fn unrest(world: &World) -> Option<String> {
    if world.has_faults() {
        return Some("a fault is still under way".to_owned());
    }
    let Some((leader, voters)) = group(world) else {
        return Some("nobody leads, or a voter does not run".to_owned());
    };
    if let Some(node) = voters.iter().find(|node| !node.serves()) {
        return Some(format!("{node:?} does not serve"));
    }
    let Some(totals) = leader.view(Registry::totals) else {
        return Some(format!("{leader:?} has no registry"));
    };
    if totals.queued + totals.running + totals.cleanups > 0 {
        return Some(format!("there is work left: {totals:?}"));
    }
    let heads: Vec<(u64, u64)> = voters
        .iter()
        .filter_map(|node| node.view(|r| (r.applied_index(), r.state_hash())))
        .collect();
    let same = heads.windows(2).all(|pair| pair[0] == pair[1]);
    (!same || heads.len() != voters.len())
        .then(|| format!("registries differ, by index and hash: {heads:?}"))
}

/// Waits until the cluster agrees and is at rest. I9.
async fn converge(world: &Arc<World>) -> bool {
    let mut until = Runtime::now() + CONVERGE;
    loop {
        if world.has_faults() {
            // An operator who waits for an answer gives up by himself.
            until = Runtime::now() + CONVERGE;
        }
        let Some(why) = unrest(world) else {
            note!(world, "all agree and nothing is left to do");
            return true;
        };
        if world.truth.is_broken() {
            return false;
        }
        if Runtime::now() >= until {
            let stands: Vec<(u64, Option<Status>)> = world
                .nodes()
                .iter()
                .map(|node| (node.id(), node.member().map(|member| member.status())))
                .collect();
            let text = format!("{CONVERGE:?} after all faults have ended: {why}; {stands:#?}");
            world.truth.violation("I9", text);
            return false;
        }
        Runtime::pause(LOOK).await;
    }
}

/// Every voter accepts a statement, which every voter shows as succeeded.
async fn serve(world: &Arc<World>) {
    let Some((_, voters)) = group(world) else {
        return;
    };
    let until = Runtime::now() + SERVE;
    for node in &voters {
        let session = SESSIONS[node.id() as usize % SESSIONS.len()];
        // Its Spark session may be gone, which is noticed by the first statement and said.
        for attempt in 0.. {
            let name = format!("last-{}-{attempt}", node.id());
            let Some(job) = accept(world, node, &Wanted::simple(session, &name), until).await
            else {
                let text = format!("{node:?} accepts nothing after all faults have ended");
                return world.truth.violation("I9", text);
            };
            let statement = ended(node, job, until).await;
            let class = statement.error.as_ref().map(|e| e.error_class.as_str());
            match statement.state() {
                StatementState::Succeeded => {
                    show(world, &voters, job).await;
                    break;
                }
                StatementState::Failed
                    if matches!(class, Some("LIBRA_SESSION_RESET" | "LIBRA_OUTCOME_UNKNOWN"))
                        && attempt < 2 => {}
                state => {
                    let state = state.label();
                    let text = format!(
                        "{node:?} shows job-{job} as {state} long after the faults: {:?}",
                        statement.error
                    );
                    return world.truth.violation("I9", text);
                }
            }
        }
    }
}

/// Submits until it is accepted; its id.
async fn accept(world: &Arc<World>, node: &Node, wanted: &Wanted, until: Duration) -> Option<u64> {
    loop {
        if submit_at(world, node.id(), wanted).await == Some(true) {
            return world.truth.job_of(wanted.key());
        }
        if Runtime::now() >= until {
            return None;
        }
        Runtime::pause(LOOK).await;
    }
}

/// The statement as that node has it, once it has ended, or at the end of the time.
async fn ended(node: &Node, job: u64, until: Duration) -> StatementRecord {
    loop {
        let found = node.view(|registry| registry.statement(JobId(job)).cloned());
        if let Some(Some(statement)) = found
            && (statement.state().has_ended() || Runtime::now() >= until)
        {
            return Arc::unwrap_or_clone(statement);
        }
        if Runtime::now() >= until {
            return StatementRecord::default();
        }
        Runtime::pause(LOOK).await;
    }
}

/// Every voter shows the statement, linearizably, as succeeded.
async fn show(world: &Arc<World>, voters: &[Node], job: u64) {
    for node in voters {
        let state = read_at(world, node.id(), job).await;
        if state != Some(StatementState::Succeeded) {
            let text = format!("{node:?} shows job-{job} as {state:?}, which has succeeded");
            world.truth.violation("I9", text);
        }
    }
}

/// Heals the cluster and checks what must be true then.
pub async fn judge(world: &Arc<World>) {
    heal(world);
    if !converge(world).await {
        return;
    }
    serve(world).await;
    if world.truth.is_broken() || !converge(world).await {
        return;
    }
    check_promises(world).await;
    check_ledger(world);
    for node in world.nodes() {
        if let Some(failure) = node.member().and_then(|member| member.status().failure) {
            let text = format!("{node:?} has stopped: {failure}");
            world.truth.violation("registry", text);
        }
        if let Some(Err(contradiction)) = node.view(Registry::check_invariants) {
            let text = format!("{node:?}: {contradiction}");
            world.truth.violation("registry", text);
        }
    }
}

/// I2, I5: every statement that was acknowledged is there, has ended, and its result is readable.
async fn check_promises(world: &Arc<World>) {
    let Some((_, voters)) = group(world) else {
        return;
    };
    let retired: Vec<u64> = {
        let machines = world.machines();
        let retired = machines.iter().filter(|(_, machine)| machine.retired);
        retired.map(|(id, _)| *id).collect()
    };
    for (at, (job, promise)) in world.truth.promises().into_iter().enumerate() {
        for node in &voters {
            let found = node.view(|registry| registry.statement(JobId(job)).cloned());
            match found.flatten() {
                None => world.truth.not_found(node.id(), job),
                Some(statement) if statement.code != promise.code => {
                    let text = format!("{node:?} has another statement as job-{job}");
                    world.truth.violation("I2", text);
                }
                Some(_) => {}
            }
        }
        let node = &voters[at % voters.len()];
        let Some(Some(statement)) = node.view(|r| r.statement(JobId(job)).cloned()) else {
            continue;
        };
        let holders = statement.result.iter().flat_map(|result| &result.holders);
        let lost = holders.clone().count() > 0
            && holders
                .clone()
                .all(|holder| retired.contains(&holder.node_id));
        let readable = statement.state() == StatementState::Succeeded && !lost;
        if readable && result_at(world, node.id(), job).await.is_none() {
            let text = format!(
                "{node:?} cannot give the result of job-{job}: {:?}",
                statement.result
            );
            world.truth.violation("I5", text);
        }
    }
}

/// I3, I7, I8: what Spark really ran.
fn check_ledger(world: &Arc<World>) {
    let Some((leader, _)) = group(world) else {
        return;
    };
    let executions: Vec<Execution> = world.spark.with_engine(|engine, now| {
        let ledger = engine.ledger(now).executions().iter();
        ledger
            .filter(|run| !run.code.starts_with(POISON))
            .cloned()
            .collect()
    });
    let mut by_code: BTreeMap<&str, Vec<&Execution>> = BTreeMap::new();
    for run in &executions {
        by_code.entry(&run.code).or_default().push(run);
    }
    let statements: Vec<Arc<StatementRecord>> = leader
        .view(|registry| registry.statements_before(None, None).cloned().collect())
        .unwrap_or_default();
    let promises = world.truth.promises();
    for statement in &statements {
        let runs = by_code.remove(statement.code.as_str()).unwrap_or_default();
        check_runs(world, statement, &runs);
        if let Some(promise) = promises.get(&statement.job) {
            if promise.never_runs && !runs.is_empty() {
                let text = format!("job-{} ran although it was cancelled before", statement.job);
                world.truth.violation("I8", text);
            }
            if promise.cancelled {
                check_cancelled(world, statement);
            }
        }
        count_end(world, statement);
    }
    for (code, runs) in by_code {
        let text = format!(
            "Spark ran {code} {} times, which nobody accepted",
            runs.len()
        );
        world.truth.violation("I3", text);
    }
    let slots = leader.view(|r| r.settings().map_or(0, |settings| settings.slots));
    check_slots(world, &executions, slots.unwrap_or(0) as usize);
}

/// I3: at most once; exactly once if it succeeded.
fn check_runs(world: &World, statement: &StatementRecord, runs: &[&Execution]) {
    let (job, state) = (statement.job, statement.state());
    let outcomes: Vec<Option<Outcome>> = runs.iter().map(|run| run.outcome).collect();
    if runs.len() > 1 {
        let text = format!("job-{job} ran {} times: {runs:#?}", runs.len());
        world.truth.violation("I3", text);
    }
    let ran = outcomes == [Some(Outcome::Succeeded)];
    if state == StatementState::Succeeded && !ran {
        let text = format!("job-{job} succeeded, and in Spark it {outcomes:?}");
        world.truth.violation("I3", text);
    }
}

/// I8: a cancel is honoured unless Spark ended the statement first.
fn check_cancelled(world: &World, statement: &StatementRecord) {
    let class = statement.error.as_ref().map(|e| e.error_class.as_str());
    let honoured = match statement.state() {
        StatementState::Cancelled | StatementState::Succeeded => true,
        // Its own failure, or Spark is gone and nobody can know.
        StatementState::Failed => !matches!(class, Some("LIBRA_INTERRUPTED") | None),
        StatementState::Queued | StatementState::Running | StatementState::Unspecified => false,
    };
    if !honoured {
        let text = format!(
            "job-{} was cancelled and ended {} ({class:?})",
            statement.job,
            statement.state().label()
        );
        world.truth.violation("I8", text);
    }
}

fn count_end(world: &World, statement: &StatementRecord) {
    let class = statement.error.as_ref().map(|e| e.error_class.as_str());
    world.tally.count(match (statement.state(), class) {
        (StatementState::Succeeded, _) => "ended succeeded",
        (StatementState::Cancelled, _) => "ended cancelled",
        (StatementState::Failed, Some("LIBRA_OUTCOME_UNKNOWN")) => "ended unknown",
        (StatementState::Failed, Some("LIBRA_SESSION_RESET")) => "ended by a session reset",
        (StatementState::Failed, Some("LIBRA_RESULT_LOST")) => "ended result lost",
        (StatementState::Failed, Some("LIBRA_TIMEOUT")) => "ended by timeout",
        (StatementState::Failed, _) => "ended failed",
        (StatementState::Unspecified | StatementState::Queued | StatementState::Running, _) => {
            "not ended"
        }
    });
}

/// I7: Spark never runs more at once than there are slots.
fn check_slots(world: &World, executions: &[Execution], slots: usize) {
    let mut moments: Vec<(u64, i64)> = Vec::new();
    for run in executions {
        moments.push((run.started_ms, 1));
        if let Some(ended) = run.ended_ms {
            moments.push((ended, -1));
        }
    }
    // What ends at a moment has ended before something begins then.
    moments.sort_unstable();
    let mut running = 0_i64;
    for (at, change) in moments {
        running += change;
        if running > slots as i64 {
            let text = format!("Spark ran {running} statements at {at} ms, in {slots} slots");
            return world.truth.violation("I7", text);
        }
    }
}
