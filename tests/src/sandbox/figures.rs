//! What a long queue costs registry and scheduler, without consensus and disk: the time of a
//! submit, and memory.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libra_actors::fair::model::Order;
use libra_actors::fair::queue::Queue;
use libra_actors::ports::RegistryPort;
use libra_actors::scheduler::Drill;
use libra_actors::supervisor::Policy;
use libra_proto::registry::SchedulingMode;
use libra_proto::types::{JobId, SessionId, Stand, Standing};
use tokio::task::yield_now;

use super::{MemoryRegistry, finish, open_session, pool, put_pool, settings, submit};

const ENDPOINT: &str = "sc://spark:15002";
const POOL: &str = "default";
const SLOTS: u32 = 10;
/// So many users share the queue.
const USERS: usize = 20;
/// So many submits are timed at a time.
const TIMED: usize = 1_000;
/// So often, after some runs that do not count.
const RUNS: usize = 31;
const WARM_UP: usize = 4;
/// Turns of the runtime in which actors end what they have begun.
const SETTLE: usize = 500;
const LIMIT: Duration = Duration::from_secs(60);

/// The figures.
#[derive(Debug, Clone)]
pub struct QueueFigures {
    /// One submit while nothing was queued but what was just submitted: applied, and on its way to
    /// the pool's actor. Means of runs, each beside that of the same place in `behind`.
    pub empty: Vec<Duration>,
    /// One submit behind the whole queue.
    pub behind: Vec<Duration>,
    /// From the end of a statement to the start of the next, behind the whole queue.
    pub grant_behind: Duration,
    /// Bytes of a pool actor's queue per statement.
    pub queue_bytes: u64,
    /// Bytes of registry and scheduler together per statement, its text and record included.
    pub total_bytes: u64,
}

/// Measures with so many statements in the queue, in this process. Memory is read off the
/// process, so nothing else should run in it.
///
/// # Errors
/// When the scheduler does not keep up, or this system does not tell how much memory is in use.
pub async fn queue_figures(queued: usize) -> Result<QueueFigures> {
    let before = resident_bytes()?;
    let (registry, _scheduler) = busy().await?;
    submits(&registry, queued).await?;
    let total_bytes = resident_bytes()?.saturating_sub(before) / queued.max(1) as u64;
    let mut behind = Vec::new();
    let mut empty = Vec::new();
    for run in 0..WARM_UP + RUNS {
        let (fresh, _scheduler) = busy().await?;
        // Another one is first in every run.
        let (of_long, of_fresh) = if run % 2 == 0 {
            let of_long = submits(&registry, TIMED).await?;
            (of_long, submits(&fresh, TIMED).await?)
        } else {
            let of_fresh = submits(&fresh, TIMED).await?;
            (submits(&registry, TIMED).await?, of_fresh)
        };
        if run >= WARM_UP {
            behind.push(of_long);
            empty.push(of_fresh);
        }
    }
    let grant_behind = grants(&registry).await?;
    Ok(QueueFigures {
        empty,
        behind,
        grant_behind,
        queue_bytes: queue_bytes()?,
        total_bytes,
    })
}

/// A registry with every slot taken and nothing queued, and its scheduler.
async fn busy() -> Result<(Arc<MemoryRegistry>, Drill)> {
    let registry = MemoryRegistry::new();
    registry.apply(settings(SLOTS, SchedulingMode::Fair, 0));
    registry.apply(put_pool(pool(POOL, 1, 0)));
    for command in open_session("s", ENDPOINT) {
        registry.apply(command);
    }
    let scheduler = Drill::start(Arc::clone(&registry) as _, Policy::default()).await?;
    submits(&registry, SLOTS as usize).await?;
    Ok((registry, scheduler))
}

/// The time of one of so many submits.
async fn submits(registry: &Arc<MemoryRegistry>, count: usize) -> Result<Duration> {
    let began = Instant::now();
    for n in 0..count {
        registry.apply(submit("s", &format!("user-{}", n % USERS), POOL));
        drop(registry.journal());
        // The actors of a node work meanwhile, and so they do here.
        yield_now().await;
    }
    let took = began.elapsed();
    // What is left to do is not to fall into what is timed next.
    for _ in 0..SETTLE {
        yield_now().await;
    }
    Ok(took / u32::try_from(count.max(1))?)
}

/// The mean time from an end to the next start.
async fn grants(registry: &Arc<MemoryRegistry>) -> Result<Duration> {
    const ENDS: u32 = 100;
    let id = "s".parse()?;
    let began = Instant::now();
    for _ in 0..ENDS {
        let running = registry
            .session(&id)
            .context("the session is gone")?
            .running;
        let job = running.first().context("nothing runs")?.job;
        registry.apply(finish(job, true, false));
        let since = Instant::now();
        while registry.demand(ENDPOINT).taken < SLOTS {
            ensure!(since.elapsed() < LIMIT, "the slot is not given away");
            yield_now().await;
        }
    }
    Ok(began.elapsed() / ENDS)
}

/// Bytes per statement of a queue, measured on a long one.
fn queue_bytes() -> Result<u64> {
    const LONG: u64 = 200_000;
    let session: SessionId = "s".parse()?;
    let before = resident_bytes()?;
    let mut queue = Queue::default();
    for job in 1..=LONG {
        queue.put(&Standing {
            job: JobId(job),
            user: format!("user-{}", job % USERS as u64),
            session: session.clone(),
            stand: Stand::Waiting { open: true },
            started_at_ms: 0,
        });
    }
    let after = resident_bytes()?;
    black_box(queue.head(Order::Fair, 1));
    Ok(after.saturating_sub(before) / LONG)
}

/// Memory of this process that is in use.
fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    let kib: u64 = kib.context("/proc/self/status without VmRSS")?.parse()?;
    Ok(kib * 1024)
}
