//! What three nodes add to one statement.

use std::time::Instant;

use anyhow::Result;

use super::super::figures::{median, quantile};
use super::super::report::{Goal, Report};
use super::super::sides::Through;
use super::{ONE, Options, SMALL, THREE};
use crate::harness::{Api, Libra};
use crate::scene::{stub, three};

/// Added at the median, in ms.
const ADDED: Goal = Goal::AtMost(10.0);
const MEASURE: &str = "submit to rows";
const LED: &str = "3 nodes, at the leader";

/// Measures statements one at a time: at one node alone, and at each of three in turn.
pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let stub = stub().await?;
    let single = Libra::on(stub.connection_string()).start().await?;
    let cluster = three(&stub).start().await?;
    let alone = [Through::new(&single.api, "default")];
    let all: Vec<_> = through(&cluster.apis());
    // The first turn is for warming up.
    for turn in 0..=options.turns {
        let leader = [Through::new(
            cluster.api(cluster.leader().await?)?,
            "default",
        )];
        let mut sides = [(ONE, &alone[..]), (THREE, &all[..]), (LED, &leader[..])];
        sides.rotate_left(turn % 3);
        for (side, asked) in sides {
            let mut taken = Vec::with_capacity(options.samples);
            for n in 0..options.samples {
                let begun = Instant::now();
                asked[n % asked.len()].run(SMALL).await?;
                taken.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            let Some(turn) = turn.checked_sub(1) else {
                continue;
            };
            for (word, share) in [("p50", 0.5), ("p99", 0.99)] {
                let value = quantile(&taken, share);
                report.row(&format!("{MEASURE}, {word}"), turn, side, value, "ms");
            }
        }
    }
    for word in ["p50", "p99"] {
        let measure = format!("{MEASURE}, {word}");
        let of = |side: &str, report: &Report| report.values(&measure, side);
        for side in [ONE, THREE, LED] {
            let value = median(&of(side, report));
            report.figure(format!("{measure}, {side}"), value, "ms");
        }
        let (one, three) = (of(ONE, report), of(THREE, report));
        let added: Vec<f64> = three.iter().zip(&one).map(|(t, o)| t - o).collect();
        let ratios: Vec<f64> = three.iter().zip(&one).map(|(t, o)| t / o).collect();
        report.figure(format!("{measure}, {THREE} to {ONE}"), median(&ratios), "");
        let name = format!("{measure}, added by {THREE}");
        if word == "p50" {
            report.judge(name, median(&added), "ms", ADDED);
        } else {
            report.figure(name, median(&added), "ms");
        }
    }
    Ok(())
}

pub(super) fn through(apis: &[Api]) -> Vec<Through> {
    apis.iter()
        .map(|api| Through::new(api, "default"))
        .collect()
}
