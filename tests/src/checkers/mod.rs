//! What is wrong with a run, from [`Evidence`] alone.
//!
//! - [`works`]: nothing acknowledged is lost, nothing runs twice, all ends as it must (I2, I3, I8).
//! - [`states`]: states and epochs only go forward, and an epoch has one owner (I1, I4). [`log`]: nothing
//!   comes of what is said under an older epoch (I1).
//! - [`reads`] by [`linearizable`]: no read is stale (I6). [`bytes`]: results stay as they are (I5).
//! - [`slots`] and [`pools`]: never too many at once, no slot leaked, shares are kept (I7).
//! - [`agreement`]: in the end all nodes hold the same and serve (I9). [`rates`]: whether there was
//!   enough to see.
//!
//! PURE: no I/O, no clock.
//!
//! **Invariant:** nothing is forgiven: whatever cannot be explained is a violation, and what cannot
//! be told is unknown, never a pass.

mod agreement;
mod bytes;
mod linearizable;
mod log;
mod pools;
mod rates;
mod reads;
mod slots;
mod states;
mod verdict;
mod works;

#[cfg(test)]
mod tests;

pub(crate) use rates::{Least, gaps};
pub(crate) use reads::FIRST;
#[cfg(test)]
pub(crate) use tests::sample;
pub(crate) use verdict::{Check, Finding};
pub use verdict::{Class, Verdict, Violation};

use std::collections::BTreeMap;

use crate::evidence::{Answer, Evidence, History, Micros};

/// All that is wrong with what was promised to clients.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = works::check(evidence);
    violations.extend(states::check(evidence));
    violations.extend(log::check(&evidence.log));
    violations.extend(bytes::check(evidence));
    violations.extend(slots::check(evidence));
    for text in &evidence.history.oddities {
        violations.push(Violation::new(Class::Odd, None, text.clone()));
    }
    violations
}

/// The verdict of every check over a run in which several nodes had to agree.
pub(crate) fn findings(evidence: &Evidence, least: &Least) -> Vec<Finding> {
    let all = judge(evidence);
    let of = |check: Check| {
        let violations = all.iter().filter(|v| v.class.check() == check);
        Finding::of(check, violations.cloned().collect())
    };
    let mut findings = vec![
        of(Check::Lost),
        of(Check::Doubled),
        of(Check::Ends),
        of(Check::States).unless(evidence.log.is_empty(), "nothing was read of the log"),
        of(Check::Bytes),
    ];
    let unseen = evidence.slots_whole.is_none();
    findings.push(of(Check::Slots).unless(unseen, "not tried whether a slot was leaked"));
    findings.push(reads::check(evidence));
    if !evidence.shares.is_empty() {
        findings.push(pools::check(evidence));
    }
    findings.push(agreement::check(evidence));
    findings.push(rates::check(evidence, least));
    findings
}

/// Jobs that clients knew of, each with when its submit began.
pub(crate) fn acknowledged(history: &History) -> BTreeMap<&str, Micros> {
    let mut jobs = BTreeMap::new();
    for submit in &history.submits {
        if let Answer::Ok(job) = &submit.answer {
            jobs.entry(job.as_str()).or_insert(submit.span.began);
        }
    }
    jobs
}
