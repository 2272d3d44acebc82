//! What lies on disk after many statements: the log and its store, snapshots, results.
//!
//! History is bounded by settings; what is shown is that the log and the snapshots follow that
//! bound and not the number of statements.

use std::time::Instant;

use anyhow::{Context, Result};

use super::super::clients::all;
use super::super::process;
use super::super::report::{Goal, Report};
use super::latency::through;
use super::{Options, SMALL, THREE};
use crate::harness::{Cluster, bytes_below};
use crate::scene::{stub, three};

/// Statements that are run at a time.
const AT_ONCE: usize = 128;
/// Looks at the sizes, evenly over all statements.
const LOOKS: usize = 10;
/// Of what is kept, so many statements at most: a tenth of the default, so that the bound is
/// reached early.
const KEPT: usize = 10_000;
/// What the log may have grown by from the middle to the end, once history is full.
const GROWN: Goal = Goal::AtMost(1.5);
/// The log of one node, whatever it has seen.
const LOG_MB: Goal = Goal::AtMost(256.0);

const LOG: &str = "log and registry";
const SNAPSHOTS: &str = "snapshots";
const RESULTS: &str = "results";

/// Runs so many statements on three nodes, and looks at the disk on the way.
pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub)
        .set("libra.scheduler.slots", AT_ONCE)
        .set("libra.results.retention-statements", KEPT)
        .start()
        .await?;
    let asked = through(&cluster.apis());
    let step = options.statements.div_ceil(LOOKS);
    let begun = Instant::now();
    for look in 0..LOOKS {
        all(step, AT_ONCE, |n| {
            let through = &asked[n % asked.len()];
            async move { through.run(SMALL).await.map(drop) }
        })
        .await?;
        sizes(&cluster, look, report)?;
    }
    let total = step * LOOKS;
    let took = begun.elapsed().as_secs_f64();
    report.figure(format!("{total} statements took"), took, "s");
    for measure in [LOG, SNAPSHOTS, RESULTS] {
        let values = report.values(measure, THREE);
        // Three nodes a look: the largest of each.
        let at = |look: usize| {
            let nodes = values.iter().skip(look * 3).take(3);
            nodes.copied().fold(0.0, f64::max)
        };
        let (middle, end) = (at(LOOKS / 2), at(LOOKS - 1));
        if measure == LOG {
            report.judge(format!("{measure} after {total}"), end, "MB", LOG_MB);
        } else {
            report.figure(format!("{measure} after {total}"), end, "MB");
        }
        let grown = end / middle.max(0.001);
        let name = format!("{measure}, from half of them to all");
        if measure == RESULTS || total < 5 * KEPT {
            // Too few for what is kept to be full in the middle.
            report.figure(name, grown, "");
        } else {
            report.judge(name, grown, "", GROWN);
        }
    }
    for id in cluster.ids() {
        let pid = cluster.node(id)?.pid().context("it ended")?;
        let peak = process::memory(pid)?.peak;
        report.figure(format!("peak memory of node {id}"), peak, "MB");
    }
    Ok(())
}

/// Notes what each node has on disk.
fn sizes(cluster: &Cluster, look: usize, report: &mut Report) -> Result<()> {
    for id in cluster.ids() {
        let data = cluster.node(id)?.data_dir();
        let of = |folder: &str| bytes_below(&data.join(folder));
        for (measure, bytes) in [
            (LOG, of("raft/log")),
            (SNAPSHOTS, of("raft/snapshots")),
            (RESULTS, of("results")),
        ] {
            #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
            report.row(measure, look, THREE, bytes as f64 / 1e6, "MB");
        }
    }
    Ok(())
}
