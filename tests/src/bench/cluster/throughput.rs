//! How many statements per second many clients get, at one node and over three.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::clients::per_second;
use super::super::figures::{median, quantile};
use super::super::process;
use super::super::report::{Goal, Report};
use super::super::sides::Through;
use super::latency::through;
use super::{ONE, Options, SMALL, THREE};
use crate::harness::Libra;
use crate::scene::{stub, three};

/// Statements per second on three nodes.
const LEAST: Goal = Goal::AtLeast(2_000.0);
const WARM_UP: Duration = Duration::from_secs(1);

/// Coordinators of one side, and their processes.
struct Side {
    name: &'static str,
    asked: Arc<[Through]>,
    pids: Vec<u32>,
}

impl Side {
    /// Clients spread over all of the side's nodes, one statement each at a time.
    async fn reached(&self, clients: usize, span: Duration) -> Result<f64> {
        let (asked, next) = (Arc::clone(&self.asked), Arc::new(AtomicUsize::new(0)));
        per_second(clients, span, move || {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let through = asked[turn % asked.len()].clone();
            async move { through.run(SMALL).await.map(drop) }
        })
        .await
    }

    fn cpu_seconds(&self) -> Result<f64> {
        self.pids.iter().map(|pid| process::cpu_seconds(*pid)).sum()
    }
}

/// Measures both sides in turns, with each number of clients.
pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let stub = stub().await?;
    let slots = options.clients.iter().copied().max().unwrap_or(1);
    let single = Libra::on(stub.connection_string())
        .set("libra.scheduler.slots", slots)
        .start()
        .await?;
    let cluster = three(&stub)
        .set("libra.scheduler.slots", slots)
        .start()
        .await?;
    let pids = cluster
        .ids()
        .into_iter()
        .map(|id| cluster.node(id)?.pid().context("it ended"));
    let sides = [
        Side {
            name: ONE,
            asked: through(std::slice::from_ref(&single.api)).into(),
            pids: vec![single.pid().context("it ended")?],
        },
        Side {
            name: THREE,
            asked: through(&cluster.apis()).into(),
            pids: pids.collect::<Result<_>>()?,
        },
    ];
    for side in &sides {
        side.reached(slots, WARM_UP).await?;
    }
    let mut best = 0.0_f64;
    for clients in &options.clients {
        best = best.max(with(*clients, &sides, options, report).await?);
    }
    report.judge(
        format!("throughput, {THREE}, best"),
        best,
        "statements/s",
        LEAST,
    );
    Ok(())
}

/// The median of three nodes at so many clients.
async fn with(
    clients: usize,
    sides: &[Side; 2],
    options: &Options,
    report: &mut Report,
) -> Result<f64> {
    let measure = format!("throughput at {clients} clients");
    let cpu = format!("processor time per statement at {clients} clients");
    for turn in 0..options.turns {
        for n in 0..sides.len() {
            // Another one is first in every turn.
            let side = &sides[(n + turn) % sides.len()];
            let (begun, used) = (Instant::now(), side.cpu_seconds()?);
            let reached = side.reached(clients, options.span).await?;
            let used = side.cpu_seconds()? - used;
            let statements = reached * begun.elapsed().as_secs_f64();
            report.row(&measure, turn, side.name, reached, "statements/s");
            report.row(&cpu, turn, side.name, used * 1e3 / statements, "ms");
        }
    }
    let (one, three) = (report.values(&measure, ONE), report.values(&measure, THREE));
    let ratios: Vec<f64> = three.iter().zip(&one).map(|(t, o)| t / o).collect();
    for (word, share) in [("least", 0.0), ("median", 0.5), ("most", 1.0)] {
        let name = format!("{measure}, {THREE} to {ONE}, {word}");
        report.figure(name, quantile(&ratios, share), "");
    }
    for (side, values) in [(ONE, &one), (THREE, &three)] {
        report.figure(format!("{measure}, {side}"), median(values), "statements/s");
        let used = median(&report.values(&cpu, side));
        report.figure(format!("{cpu}, {side}"), used, "ms");
    }
    Ok(median(&three))
}
