//! That the checkers can see: with one safety taken off, a run has to be found false.
//!
//! Needs a build that allows it (the feature `safety-switches`, which `failpoints` brings along).
//!
//! **Invariant:** "not found out" and "not run" are told as what they are: neither is a proof.

use std::fmt::{self, Display, Formatter};

use clap::Args;

use super::options::Options;
use super::place::Place;
use super::report::Row;
use super::{Fault, Session};
use crate::checkers::Verdict;

/// What is to be proven.
#[derive(Debug, Clone, Args)]
#[group(id = "proof")]
pub struct Prove {
    /// Safeties to take off, by name, and `fsync`; all if not given.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Within how many runs each has to be found out, if not as the table says.
    #[arg(long)]
    pub runs: Option<usize>,
}

/// One safety, the fault that needs it, and within how many runs of so many injections it has to
/// be found out.
struct Case {
    off: &'static str,
    fault: Fault,
    injections: usize,
    runs: usize,
    /// Statements that may run at once, where the usual number would hide it.
    slots: Option<u64>,
}

/// So few that clients want a little more now and a little less then.
const SCARCE_SLOTS: u64 = 4;

/// What stands for the fsync itself, beside the safeties of the product.
const FSYNC: &str = "fsync";

const CASES: &[Case] = &[
    Case {
        off: FSYNC,
        fault: Fault::PowerCutAll,
        injections: 2,
        runs: 2,
        slots: None,
    },
    Case {
        off: "sync-before-ack",
        fault: Fault::PowerCutAll,
        injections: 4,
        runs: 3,
        slots: None,
    },
    Case {
        off: "copies-before-end",
        fault: Fault::DiskLoss,
        injections: 4,
        runs: 3,
        slots: None,
    },
    Case {
        off: "read-index",
        fault: Fault::LeaderKill,
        injections: 2,
        runs: 2,
        slots: None,
    },
    Case {
        off: "operation-id-first",
        fault: Fault::OwnerKill,
        injections: 5,
        runs: 3,
        slots: None,
    },
    Case {
        off: "monotonic-lease",
        fault: Fault::ClockCut,
        injections: 4,
        runs: 3,
        slots: None,
    },
    Case {
        off: "quorum-renewal",
        fault: Fault::RaftCut,
        injections: 5,
        runs: 3,
        slots: None,
    },
    Case {
        off: "epoch-check",
        fault: Fault::SessionMoves,
        injections: 3,
        runs: 3,
        slots: None,
    },
    Case {
        off: "slot-referee",
        fault: Fault::OwnerKill,
        injections: 2,
        runs: 2,
        slots: Some(SCARCE_SLOTS),
    },
];

/// What came of one case.
#[derive(Debug, Clone)]
pub struct Proof {
    off: &'static str,
    fault: Fault,
    runs: usize,
    came: Came,
}

#[derive(Debug, Clone)]
enum Came {
    /// In which run, and by which checks.
    FoundOut(usize, Vec<String>),
    /// In none; what the last one said.
    NotFoundOut(String),
    /// Why not.
    NotRun(String),
}

impl Proof {
    /// Whether it was found out.
    #[must_use]
    pub fn found_out(&self) -> bool {
        matches!(self.came, Came::FoundOut(..))
    }
}

impl Display for Proof {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (off, fault, runs) = (self.off, self.fault, self.runs);
        write!(f, "{off} off, {fault}: ")?;
        match &self.came {
            Came::FoundOut(run, by) => {
                write!(f, "found out in run {run} of {runs}, by {}", by.join(", "))
            }
            Came::NotFoundOut(last) => write!(f, "NOT found out in {runs} runs; {last}"),
            Came::NotRun(why) => write!(f, "not run: {why}"),
        }
    }
}

/// Takes one safety off after the other.
///
/// # Errors
/// When a report cannot be written.
pub(super) async fn prove(
    session: &mut Session,
    options: &Options,
    what: &Prove,
    mut told: impl FnMut(&str),
) -> anyhow::Result<Vec<Proof>> {
    let mut proofs = Vec::new();
    let wanted = |off: &str| what.only.is_empty() || what.only.iter().any(|name| name == off);
    for case in CASES.iter().filter(|case| wanted(case.off)) {
        let runs = what.runs.unwrap_or(case.runs);
        let proof = Proof {
            off: case.off,
            fault: case.fault,
            runs,
            came: try_case(session, options, case, runs).await?,
        };
        told(&proof.to_string());
        proofs.push(proof);
    }
    Ok(proofs)
}

async fn try_case(
    session: &mut Session,
    options: &Options,
    case: &Case,
    runs: usize,
) -> anyhow::Result<Came> {
    if let Some(why) = missing(case, &session.place) {
        return Ok(Came::NotRun(why));
    }
    let mut last = String::new();
    for run in 1..=runs {
        let mut options = options.clone();
        options.injections = case.injections;
        options.short = false;
        options.slots = case.slots.or(options.slots);
        options.report = options.report.join(format!("without-{}", case.off));
        if case.off == FSYNC {
            options.no_fsync = true;
        } else {
            options.safety_off = Some(case.off.to_owned());
        }
        let seed = session.seed.wrapping_add(run as u64 - 1);
        match session.row(case.fault, &options, seed).await {
            Ok(row) if row.verdict == Verdict::Violated => {
                return Ok(Came::FoundOut(run, seen_by(&row)));
            }
            Ok(row) => last = format!("the last: {}", row.verdict),
            Err(error) => last = format!("the last: {error:#}"),
        }
    }
    Ok(Came::NotFoundOut(last))
}

fn seen_by(row: &Row) -> Vec<String> {
    let broken = row.findings.iter();
    let broken = broken.filter(|finding| finding.verdict == Verdict::Violated);
    broken.map(|finding| finding.check.to_string()).collect()
}

fn missing(case: &Case, place: &Place) -> Option<String> {
    let here = super::draw::hindrance(case.fault, place, false);
    let tool = || {
        let gone = case.off == FSYNC && !super::place::tool::exists("eatmydata");
        gone.then(|| "eatmydata is not installed".to_owned())
    };
    here.or_else(tool)
}

#[cfg(test)]
mod tests {
    use libra_proto::safety::Safety;

    use super::*;

    #[test]
    fn every_safety_has_a_case_that_finds_it_out() {
        for safety in Safety::ALL {
            let name = safety.name();
            assert!(CASES.iter().any(|case| case.off == name), "{name}");
        }
    }
}
