//! How many statements per second many clients get, directly and through Libra, in turns.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::clients::per_second;
use super::figures::median;
use super::process;
use super::report::{Goal, Report};
use super::sides::{Direct, Through, order, ratio};

/// What is measured, and how often.
pub(super) struct Throughput<'a> {
    pub(super) direct: &'a Direct,
    pub(super) through: &'a Through,
    /// The process of Libra, if it was started here.
    pub(super) libra: Option<u32>,
    pub(super) turns: usize,
    pub(super) span: Duration,
}

impl Throughput<'_> {
    /// Measures one statement with so many clients; the ratio is held to the goal, if there is one.
    pub(super) async fn measure(
        &self,
        (name, sql): (&str, &str),
        clients: usize,
        goal: Option<Goal>,
        report: &mut Report,
    ) -> Result<()> {
        let measure = format!("throughput of {name} at {clients} clients");
        let cpu = format!("processor time of Libra per {name} at {clients} clients");
        for turn in 0..self.turns {
            for side in order(turn) {
                let (begun, used) = (Instant::now(), self.processor_time()?);
                let reached = self.reached(side, clients, sql).await?;
                report.row(&measure, turn, side, reached, "statements/s");
                let statements = reached * begun.elapsed().as_secs_f64();
                if let (Some(before), Some(after)) = (used, self.processor_time()?)
                    && side == "libra"
                {
                    report.row(&cpu, turn, side, (after - before) * 1e3 / statements, "ms");
                }
            }
        }
        for side in ["direct", "libra"] {
            let reached = median(&report.values(&measure, side));
            report.figure(format!("{measure}, {side}"), reached, "statements/s");
        }
        if self.libra.is_some() {
            let used = median(&report.values(&cpu, "libra"));
            report.figure(cpu, used, "ms");
        }
        let ratio = ratio(report, &measure);
        let name = format!("{measure}, Libra to direct");
        match goal {
            Some(goal) => report.judge(name, ratio, "", goal),
            None => report.figure(name, ratio, ""),
        }
        Ok(())
    }

    fn processor_time(&self) -> Result<Option<f64>> {
        self.libra.map(process::cpu_seconds).transpose()
    }

    async fn reached(&self, side: &str, clients: usize, sql: &str) -> Result<f64> {
        let sql: std::sync::Arc<str> = sql.into();
        if side == "direct" {
            let direct = self.direct.clone();
            let run = move || {
                let (direct, sql) = (direct.clone(), sql.clone());
                async move { direct.run(&sql).await.map(drop) }
            };
            return per_second(clients, self.span, run).await;
        }
        let through = self.through.clone();
        let run = move || {
            let (through, sql) = (through.clone(), sql.clone());
            async move { through.run(&sql).await.map(drop) }
        };
        per_second(clients, self.span, run).await
    }
}
