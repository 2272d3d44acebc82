//! What the runs came to: one row for each fault, for people and as JSON.
//!
//! **Invariant:** every number of a row is made of its evidence alone, so that a history file gives
//! the same row again.

mod machine;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::Fault;
use super::fault::{From, Whose};
use crate::bench::quantile;
use crate::checkers::{Class, Finding, Least, Verdict, findings, gaps};
use crate::evidence::file::Head;
use crate::evidence::{Evidence, Injection, Micros, Outcome};

pub(super) use machine::Machine;

/// Below these a run says nothing.
const LEAST_SERVED: usize = 20;
const LEAST_ACKNOWLEDGED: usize = 25;
const LEAST_CALLS_PER_SECOND: usize = 8;

/// Times, in ms.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// How many.
    pub samples: usize,
    /// The middle one.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub most: f64,
}

/// What one fault came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its name.
    pub fault: String,
    /// Decides all of it.
    pub seed: u64,
    /// How often it was done.
    pub injections: usize,
    /// How often it was to be done.
    pub wanted: usize,
    /// From where times run: the fault, or its end.
    pub from: &'static str,
    /// Whose sessions they are of: the victim's, all others, all.
    pub whose: &'static str,
    /// Until a session serves again.
    pub served_again: Times,
    /// From the end of the fault until every session serves.
    pub after_its_end: Times,
    /// Whether the times that were to be met were met; none if there were none.
    pub in_time: Option<bool>,
    /// The slowest answer of a node without a majority, ms, and whether all of them were 503.
    pub refused: Option<(f64, bool)>,
    /// Calls that were done, refused, or of unknown outcome.
    pub calls: [usize; 3],
    /// Statements that were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged statements on their way when the fault came, all injections together.
    pub in_flight: usize,
    /// Acknowledged statements that are not there.
    pub lost: usize,
    /// Statements that ran or are there twice.
    pub doubled: usize,
    /// Reads that nothing explains, and states that went back.
    pub stale: usize,
    /// Statements that failed because of the fault, and may.
    pub failed: usize,
    /// Requests of clients that try once more, and failed twice.
    pub failed_after_retry: usize,
    /// What every check says.
    pub findings: Vec<Finding>,
    /// Why the run was broken off, if it was.
    pub broken: Option<String>,
    /// The verdict over all of it.
    pub verdict: Verdict,
}

/// What a whole run came to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// Nodes of the cluster.
    pub nodes: u64,
    /// How to do it again.
    pub command: String,
    /// One for each fault.
    pub rows: Vec<Row>,
    /// Faults that were not done, and why.
    pub not_run: BTreeMap<String, String>,
}

impl Report {
    /// The verdict over all rows. A fault that was not run is no part of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let rows = self.rows.iter().map(|row| &row.verdict);
        if self.rows.is_empty() {
            return Verdict::Unknown("nothing was run".to_owned());
        }
        rows.fold(Verdict::Pass, Verdict::and)
    }

    /// Whether all times were met that were to be met.
    #[must_use]
    pub fn in_time(&self) -> bool {
        self.rows.iter().all(|row| row.in_time != Some(false))
    }
}

impl Row {
    /// The row of some evidence.
    pub(crate) fn of(head: &Head, evidence: &Evidence) -> Self {
        let least = Least {
            injections: head.wanted,
            served: LEAST_SERVED,
            acknowledged: LEAST_ACKNOWLEDGED,
            calls_per_second: LEAST_CALLS_PER_SECOND,
        };
        let findings = findings(evidence, &least);
        let count = |classes: &[Class]| {
            let all = findings.iter().flat_map(|finding| &finding.violations);
            all.filter(|v| classes.contains(&v.class)).count()
        };
        let history = &evidence.history;
        let calls = |outcome| {
            history
                .calls
                .iter()
                .filter(|c| c.outcome == outcome)
                .count()
        };
        let fault = Fault::from_str(&head.fault, false).ok();
        let (from, whose) = fault.map_or((From::Fault, Whose::All), Fault::measured);
        let served_again = times(evidence, |injection| match from {
            From::Fault => (injection.began, whose),
            From::Return => (injection.healed, whose),
        });
        let unknown = head.broken.clone().map_or(Verdict::Pass, Verdict::Unknown);
        let verdicts = findings.iter().map(|finding| &finding.verdict);
        let verdict = verdicts.fold(unknown, Verdict::and);
        let tolerated = |class: &Option<String>| {
            let class = class.as_deref().unwrap_or_default();
            evidence.tolerated.iter().any(|known| known == class)
        };
        let failed = evidence.finals.iter().filter_map(|s| s.error.as_ref());
        Self {
            fault: head.fault.clone(),
            seed: head.seed,
            injections: evidence.injections.len(),
            wanted: head.wanted,
            from: match from {
                From::Fault => "the fault",
                From::Return => "its end",
            },
            whose: match whose {
                Whose::Victims => "the victim's",
                Whose::Others => "all others",
                Whose::All => "all",
            },
            in_time: fault.and_then(|fault| in_time(fault, &served_again)),
            served_again,
            after_its_end: times(evidence, |injection| (injection.healed, Whose::All)),
            refused: refused(&evidence.injections),
            calls: [Outcome::Ok, Outcome::Refused, Outcome::Unknown].map(calls),
            acknowledged: crate::checkers::acknowledged(history).len(),
            in_flight: evidence.injections.iter().map(|i| i.in_flight).sum(),
            lost: count(&[Class::Lost]),
            doubled: count(&[Class::Doubled, Class::Key]),
            stale: count(&[Class::Stale, Class::Back, Class::Owners]),
            failed: failed.filter(|e| tolerated(&e.error_class)).count(),
            failed_after_retry: evidence
                .injections
                .iter()
                .map(|i| i.failed_after_retry)
                .sum(),
            findings,
            broken: head.broken.clone(),
            verdict,
        }
    }
}

fn times(evidence: &Evidence, of: impl Fn(&Injection) -> (Micros, Whose)) -> Times {
    let mut samples = Vec::new();
    for injection in &evidence.injections {
        let (from, whose) = of(injection);
        let is_victims = |session: &String| {
            let owner = injection.owners.get(session);
            owner.is_some_and(|owner| injection.victims.contains(owner))
        };
        for (session, gap) in gaps(&evidence.history.served, injection, from) {
            let wanted = match whose {
                Whose::Victims => is_victims(&session),
                Whose::Others => !is_victims(&session),
                Whose::All => true,
            };
            if wanted {
                samples.push(millis(gap));
            }
        }
    }
    Times {
        samples: samples.len(),
        p50: quantile(&samples, 0.5),
        p99: quantile(&samples, 0.99),
        most: quantile(&samples, 1.0),
    }
}

fn millis(time: Micros) -> f64 {
    Duration::from_micros(time).as_secs_f64() * 1e3
}

fn in_time(fault: Fault, times: &Times) -> Option<bool> {
    let goal = fault.goal();
    let met = |goal: Option<Duration>, is: f64| {
        goal.map(|goal| times.samples > 0 && is <= goal.as_secs_f64() * 1e3)
    };
    match (met(goal.p99, times.p99), met(goal.most, times.most)) {
        (None, None) => None,
        (p99, most) => Some(p99.unwrap_or(true) && most.unwrap_or(true)),
    }
}

fn refused(injections: &[Injection]) -> Option<(f64, bool)> {
    let refusals = injections.iter().flat_map(|injection| &injection.refusals);
    let slowest = refusals.clone().map(|refusal| refusal.took).max()?;
    let mut refusals = refusals;
    Some((
        millis(slowest),
        refusals.all(|refusal| refusal.status == Some(503)),
    ))
}
