//! Breaks a cluster of real processes in every way that this machine allows, and says what its
//! users saw: see [`Fault`].
//!
//! - [`place`]: where the nodes run: network namespaces, loop devices, clocks of their own.
//! - [`rig`]: the cluster under test. [`act`], [`draw`], [`strike`]: what is done to it.
//! - [`clients`]: who works meanwhile and notes every call.
//! - [`row`]: one fault, again and again, to its row of the table; [`closing`]: what is known then;
//!   [`log`]: what the log says meanwhile.
//! - [`report`]: the table, for people and as JSON. [`prove`]: that the checkers can see.
//!
//! **Invariant:** what could not be done, or not be seen, is said and is never a pass.

mod act;
mod clients;
mod closing;
mod delay;
mod draw;
mod fault;
mod log;
mod options;
mod place;
mod prove;
mod report;
mod rig;
mod row;
mod strike;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub use crate::checkers::Verdict;
pub use delay::Delay;
pub use fault::Fault;
pub use options::Options;
pub use prove::{Proof, Prove};
pub use report::{Report, Row};

use crate::evidence::Evidence;
use crate::evidence::file::{self, Head};
use place::Place;
use place::hosts::Hosts;
use report::Machine;

/// One call of the program, where it runs.
#[derive(Debug)]
pub struct Session {
    place: Place,
    seed: u64,
    hosts: Option<Hosts>,
}

/// Where a program runs that has been let in.
#[derive(Debug)]
pub struct Entrance(Place);

/// Decides where to run, and starts the program anew in namespaces of its own where it may: then
/// this does not return. To be called before any thread is started.
///
/// # Errors
/// When the program cannot be started anew.
pub fn enter(options: &Options) -> Result<Entrance> {
    place::inside::enter(options.loopback()).map(Entrance)
}

impl Session {
    /// Sets everything up that nodes need.
    ///
    /// # Errors
    /// When a tool fails.
    pub async fn open(entrance: Entrance, options: &Options) -> Result<Self> {
        let Entrance(place) = entrance;
        let hosts = match place {
            Place::Namespaces => {
                place::inside::settle().await?;
                Some(Hosts::open().await?)
            }
            Place::Loopback(_) => None,
        };
        Ok(Self {
            seed: row::seed(options)?,
            place,
            hosts,
        })
    }

    /// Does all that is wanted. `told` hears of every row as soon as it stands; the report is
    /// written after each.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub async fn run(&mut self, options: &Options, mut told: impl FnMut(&Row)) -> Result<Report> {
        let real = options.spark.is_some();
        let spark = if real {
            "a real Spark"
        } else {
            "a stub of Spark Connect with a ledger"
        };
        let mut report = Report {
            machine: Machine::here(self.place.to_string(), spark.to_owned()),
            nodes: options.nodes,
            command: self.command(options),
            rows: Vec::new(),
            not_run: BTreeMap::new(),
        };
        for fault in options.chosen() {
            if let Some(why) = draw::hindrance(fault, &self.place, real) {
                report.not_run.insert(fault.to_string(), why);
                continue;
            }
            let row = match self.row(fault, options, self.seed).await {
                Ok(row) => row,
                Err(error) => self.not_begun(fault, options, &error),
            };
            told(&row);
            report.rows.push(row);
            write(&options.report, &report)?;
        }
        write(&options.report, &report)?;
        Ok(report)
    }

    /// Takes one safety off after the other, and sees whether that is found out.
    ///
    /// # Errors
    /// When a report cannot be written.
    pub async fn prove(
        &mut self,
        options: &Options,
        what: &Prove,
        told: impl FnMut(&str),
    ) -> Result<Vec<Proof>> {
        prove::prove(self, options, what, told).await
    }

    /// One fault; its history and, where it is no pass or too slow, the logs of the nodes go to the
    /// report.
    async fn row(&mut self, fault: Fault, options: &Options, seed: u64) -> Result<Row> {
        let hosts = match (self.hosts.take(), &self.place) {
            // A run that was broken off took them with it.
            (None, Place::Namespaces) => {
                let mut hosts = Hosts::reopened();
                hosts.heal_all().await?;
                Some(hosts)
            }
            (hosts, _) => hosts,
        };
        let (done, hosts) = row::run(fault, options, &self.place, seed, hosts).await?;
        self.hosts = hosts;
        let dir = &options.report;
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        file::write(
            &dir.join(format!("{fault}.jsonl")),
            &done.head,
            &done.evidence,
        )?;
        let row = Row::of(&done.head, &done.evidence);
        if row.verdict != Verdict::Pass || row.in_time == Some(false) {
            for (node, log) in &done.logs {
                fs::write(dir.join(format!("{fault}-node-{node}.log")), log)?;
            }
        }
        Ok(row)
    }

    /// The row of a run that could not be begun: nothing is known, which is no pass.
    fn not_begun(&self, fault: Fault, options: &Options, why: &anyhow::Error) -> Row {
        let head = Head {
            fault: fault.to_string(),
            seed: self.seed,
            nodes: options.nodes,
            wanted: options.times(),
            broken: Some(format!("not begun: {why:#}")),
            ..Head::default()
        };
        Row::of(&head, &Evidence::default())
    }

    fn command(&self, options: &Options) -> String {
        let faults: Vec<String> = options.chosen().iter().map(Fault::to_string).collect();
        format!(
            "libra-chaos --faults {} --injections {} --nodes {} --seed {}",
            faults.join(","),
            options.times(),
            options.nodes,
            self.seed
        )
    }
}

fn write(dir: &Path, report: &Report) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    fs::write(dir.join("report.md"), report.to_string())?;
    let json = serde_json::to_string_pretty(report)?;
    fs::write(dir.join("report.json"), json)?;
    Ok(())
}

/// Checks a history file again; gives the row that it makes.
///
/// # Errors
/// When it is no history.
pub fn check(path: &Path) -> Result<Row> {
    let (head, evidence) = file::read(path)?;
    Ok(Row::of(&head, &evidence))
}
