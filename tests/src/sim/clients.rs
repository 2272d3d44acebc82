//! Clients: they submit, read, cancel and list through any node, and remember what they were told.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::StatementState;
use libra_raft::simulation::Runtime;

use super::dice::Dice;
use super::net::CLIENTS;
use super::node::Refused;
use super::trace::note;
use super::world::World;

/// How long a client waits for an answer.
const LIMIT: Duration = Duration::from_secs(4);
/// How often it submits the same again before it gives up.
const ATTEMPTS: u32 = 6;

/// The sessions that clients use.
pub const SESSIONS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const POOLS: [&str; 5] = [
    "default",
    "default",
    "high-priority",
    "high-priority",
    "narrow",
];

/// One client; it goes on until the world stops.
pub async fn client(world: Arc<World>, number: u64) {
    let dice = Dice::new(world.seed, 10 + number);
    let mut submitted = 0;
    while !world.is_stopping() {
        Runtime::pause(dice.millis(5..260)).await;
        match dice.within(0..100) {
            0..50 => {
                submitted += 1;
                let what = Wanted::draw(&dice, number, submitted);
                submit(&world, &dice, &what).await;
            }
            50..75 => read(&world, &dice).await,
            75..85 => cancel(&world, &dice).await,
            85..92 => list(&world, &dice).await,
            _ => result(&world, &dice).await,
        }
    }
}

/// A statement that a client wants to run.
#[derive(Debug, Clone)]
pub struct Wanted {
    session: &'static str,
    code: String,
    pool: &'static str,
    timeout_ms: u64,
    key: String,
}

impl Wanted {
    fn draw(dice: &Dice, client: u64, number: u64) -> Self {
        let rows = dice.within(1..6);
        let delay = match dice.within(0..10) {
            0..6 => dice.within(0..80),
            6..9 => dice.within(80..600),
            _ => dice.within(600..1_800),
        };
        let fails = if dice.chance(8) {
            " error=DIVIDE_BY_ZERO"
        } else {
            ""
        };
        let timeout_ms = if dice.chance(10) {
            dice.within(200..2_000)
        } else {
            0
        };
        Self {
            session: dice.pick(&SESSIONS).unwrap_or(SESSIONS[0]),
            code: format!(
                "/* stub: rows={rows} row_bytes=2 batch_rows=1 delay_ms={delay} \
                 batch_delay_ms=3{fails} */ SELECT '{client}-{number}'"
            ),
            pool: dice.pick(&POOLS).unwrap_or(POOLS[0]),
            timeout_ms,
            key: format!("key-{client}-{number}"),
        }
    }

    /// Its Idempotency-Key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// One that ends at once, for a cluster that has healed.
    #[must_use]
    pub fn simple(session: &'static str, name: &str) -> Self {
        Self {
            session,
            code: format!(
                "/* stub: rows=2 row_bytes=2 batch_rows=1 delay_ms=5 batch_delay_ms=1 */ \
                 SELECT '{name}'"
            ),
            pool: "default",
            timeout_ms: 0,
            key: format!("key-{name}"),
        }
    }
}

fn any_node(world: &World, dice: &Dice) -> Option<u64> {
    let serving: Vec<u64> = world
        .nodes()
        .iter()
        .filter(|node| node.serves())
        .map(|node| node.id())
        .collect();
    dice.pick(&serving)
}

/// Submits until it is accepted or refused, each time at any node.
async fn submit(world: &Arc<World>, dice: &Dice, wanted: &Wanted) {
    for _ in 0..ATTEMPTS {
        let Some(to) = any_node(world, dice) else {
            Runtime::pause(dice.millis(50..200)).await;
            continue;
        };
        if submit_at(world, to, wanted).await != Some(false) {
            return;
        }
        Runtime::pause(dice.millis(10..150)).await;
    }
    world.tally.count("submits given up");
}

/// Submits once; true if it was accepted, false if it may be tried again.
pub async fn submit_at(world: &Arc<World>, to: u64, wanted: &Wanted) -> Option<bool> {
    let w = wanted.clone();
    let answer = world.ask(CLIENTS, to, LIMIT, |node| {
        node.submit(w.session.to_owned(), w.code, w.pool, w.timeout_ms, w.key)
    });
    match answer.await {
        Some(Ok(accepted)) => {
            note!(
                world,
                "n{to} accepts {} as job-{} ({}{})",
                wanted.key,
                accepted.job,
                accepted.state.label(),
                if accepted.replayed { ", again" } else { "" }
            );
            world.tally.count("statements accepted");
            world
                .truth
                .accepted(accepted.job, &wanted.code, &wanted.key, accepted.state);
            Some(true)
        }
        Some(Err(Refused::NoLeader | Refused::Unknown)) | None => Some(false),
        Some(Err(Refused::NotFound)) => {
            let text = format!("n{to} accepts {} and does not show it", wanted.key);
            world.truth.violation("I6", text);
            None
        }
        Some(Err(refused @ (Refused::Rejected(_) | Refused::NoResult))) => {
            note!(world, "n{to} refuses {}: {refused:?}", wanted.key);
            None
        }
    }
}

fn any_job(world: &World, dice: &Dice) -> Option<u64> {
    let jobs: Vec<u64> = world.truth.promises().into_keys().collect();
    // The newest are the most interesting.
    let from = jobs.len().saturating_sub(12);
    let newest = jobs.get(from..).unwrap_or_default();
    if dice.chance(70) {
        dice.pick(newest)
    } else {
        dice.pick(&jobs)
    }
}

async fn read(world: &Arc<World>, dice: &Dice) {
    if let (Some(job), Some(to)) = (any_job(world, dice), any_node(world, dice)) {
        read_at(world, to, job).await;
    }
}

/// Reads a statement that was promised; its state, if it was answered.
pub async fn read_at(world: &Arc<World>, to: u64, job: u64) -> Option<StatementState> {
    let floor = world.truth.floor(job)?;
    let answer = world.ask(CLIENTS, to, LIMIT, |node| node.read(job));
    match answer.await? {
        Ok(seen) => {
            world.truth.saw(to, floor, &seen.statement);
            Some(seen.statement.state())
        }
        Err(Refused::NotFound) => {
            world.truth.not_found(to, job);
            None
        }
        Err(_) => {
            world.tally.count("reads refused");
            None
        }
    }
}

async fn cancel(world: &Arc<World>, dice: &Dice) {
    let (Some(job), Some(to)) = (any_job(world, dice), any_node(world, dice)) else {
        return;
    };
    let Some(floor) = world.truth.floor(job) else {
        return;
    };
    let answer = world.ask(CLIENTS, to, LIMIT, |node| node.cancel(job));
    match answer.await {
        Some(Ok(seen)) => {
            note!(
                world,
                "n{to} cancels job-{job} ({})",
                seen.statement.state().label()
            );
            world.tally.count("cancels");
            world.truth.saw(to, floor, &seen.statement);
            world.truth.cancelled(&seen.statement);
        }
        Some(Err(Refused::NotFound)) => world.truth.not_found(to, job),
        Some(Err(_)) | None => {}
    }
}

async fn list(world: &Arc<World>, dice: &Dice) {
    let Some(to) = any_node(world, dice) else {
        return;
    };
    let promised: Vec<u64> = world.truth.promises().into_keys().collect();
    let answer = world.ask(CLIENTS, to, LIMIT, |node| node.list());
    if let Some(Ok(listed)) = answer.await {
        for job in promised {
            if !listed.contains(&job) {
                world.truth.not_found(to, job);
            }
        }
    }
}

async fn result(world: &Arc<World>, dice: &Dice) {
    if let (Some(job), Some(to)) = (any_job(world, dice), any_node(world, dice)) {
        let _ = result_at(world, to, job).await;
    }
}

/// Reads a result; `None` when it cannot be had now. I5: it is what the statement gives.
pub async fn result_at(world: &Arc<World>, to: u64, job: u64) -> Option<()> {
    let promise = world.truth.promises().remove(&job)?;
    let answer = world.ask(CLIENTS, to, LIMIT, |node| node.result(job));
    let parts = answer.await?.ok()?;
    let expected = super::verdict::expected(&promise.code);
    let got: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    if got != expected {
        let text = format!("n{to} gives job-{job} as {got:?} instead of {expected:?}");
        world.truth.violation("I5", text);
    }
    Some(())
}
