//! The verdict over one run, from what clients noted, what the API shows at the end, and what the
//! referee counted.
//!
//! PURE: no I/O, no clock.
//!
//! **Invariant:** nothing is forgiven: whatever cannot be explained is a violation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Instant;

use super::history::{Answer, History, Submitted};
use super::referee::Executions;
use super::work::{Rows, Wants, Work};
use crate::harness::{State, Statement};

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Acknowledged, and not found or not ended.
    Lost,
    /// Ran more than once, or is there more than once.
    Doubled,
    /// A state that went back.
    Back,
    /// Ended otherwise than it had to.
    WrongEnd,
    /// A result that is not what it must be, or not the same when read again.
    Bytes,
    /// More ran at once than there are slots.
    Slots,
    /// An Idempotency-Key that stands for more than one statement.
    Key,
    /// There, although it was refused.
    Phantom,
    /// An answer that no client should get.
    Odd,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "run twice",
            Self::Back => "state back",
            Self::WrongEnd => "wrong end",
            Self::Bytes => "bytes",
            Self::Slots => "slots",
            Self::Key => "key",
            Self::Phantom => "phantom",
            Self::Odd => "odd answer",
        })
    }
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What was broken.
    pub class: Class,
    /// The statement, where it is known.
    pub job: Option<String>,
    /// The evidence.
    pub text: String,
}

/// Everything that is known at the end.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) history: History,
    /// Every statement that the API shows.
    pub(super) finals: Vec<Statement>,
    pub(super) executions: Executions,
    /// Statements that may run at once.
    pub(super) slots: usize,
}

/// All that is wrong.
pub(super) fn judge(evidence: &Evidence) -> Vec<Violation> {
    let mut judge = Judge::new(evidence);
    judge.works();
    judge.operations();
    judge.states();
    judge.readings();
    judge.slots();
    for text in &evidence.history.oddities {
        judge.note(Class::Odd, None, text.clone());
    }
    judge.violations
}

/// Jobs that clients knew of, each with when its submit began.
pub(super) fn acknowledged(history: &History) -> BTreeMap<&str, Instant> {
    let mut jobs = BTreeMap::new();
    for submit in &history.submits {
        if let Answer::Ok(job) = &submit.answer {
            jobs.entry(job.as_str()).or_insert(submit.span.began);
        }
    }
    jobs
}

struct Judge<'a> {
    evidence: &'a Evidence,
    /// Executions by marker.
    ran: BTreeMap<u64, usize>,
    violations: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let submits = evidence.history.submits.iter();
        let markers = submits.map(|s| s.work.marker.number()).collect();
        Self {
            evidence,
            ran: evidence.executions.by_marker(&markers),
            violations: Vec::new(),
        }
    }

    fn note(&mut self, class: Class, job: Option<&str>, text: String) {
        let job = job.map(str::to_owned);
        self.violations.push(Violation { class, job, text });
    }

    /// Each work with all its submits and all statements that came of it.
    fn works(&mut self) {
        let mut submits: BTreeMap<u64, Vec<&Submitted>> = BTreeMap::new();
        for submit in &self.evidence.history.submits {
            let marker = submit.work.marker.number();
            submits.entry(marker).or_default().push(submit);
        }
        let mut finals: HashMap<&str, Vec<&Statement>> = HashMap::new();
        for statement in &self.evidence.finals {
            finals.entry(&statement.code).or_default().push(statement);
        }
        for attempts in submits.values() {
            let Some(first) = attempts.first() else {
                continue;
            };
            let found = finals.get(first.work.code.as_str());
            self.work(&first.work, attempts, found.map_or(&[], Vec::as_slice));
        }
    }

    fn work(&mut self, work: &Work, attempts: &[&Submitted], found: &[&Statement]) {
        let acknowledged: BTreeSet<&str> = attempts
            .iter()
            .filter_map(|attempt| match &attempt.answer {
                Answer::Ok(job) => Some(job.as_str()),
                Answer::Refused(_) | Answer::Unknown(_) => None,
            })
            .collect();
        for job in &acknowledged {
            match found.iter().find(|statement| statement.job_id == *job) {
                None => self.note(Class::Lost, Some(job), "acknowledged, not found".into()),
                Some(statement) if !statement.state.ended() => {
                    let text = format!("still {} at the end", statement.state);
                    self.note(Class::Lost, Some(job), text);
                }
                Some(_) => {}
            }
        }
        let jobs: BTreeSet<&str> = found.iter().map(|s| s.job_id.as_str()).collect();
        let all: BTreeSet<&str> = jobs.union(&acknowledged).copied().collect();
        if all.len() > 1 {
            let class = if work.key.is_some() {
                Class::Key
            } else {
                Class::Doubled
            };
            let text = format!("{all:?} of one work {:?}", work.code);
            self.note(class, all.first().copied(), text);
        }
        let refused = |attempt: &&Submitted| matches!(attempt.answer, Answer::Refused(_));
        if attempts.iter().all(refused) && !jobs.is_empty() {
            let text = format!("{jobs:?}: every submit was refused");
            self.note(Class::Phantom, jobs.first().copied(), text);
        }
        self.ends(work, found);
    }

    fn ends(&mut self, work: &Work, found: &[&Statement]) {
        let ran = self.ran.get(&work.marker.number()).copied().unwrap_or(0);
        let job = found.first().map(|statement| statement.job_id.as_str());
        if ran > 1 {
            let text = format!("{ran} executions of {:?}", work.code);
            self.note(Class::Doubled, job, text);
        }
        if found.is_empty() && ran > 0 {
            let text = format!("{ran} executions of {:?}, no statement", work.code);
            self.note(Class::Phantom, None, text);
        }
        for statement in found.iter().filter(|statement| statement.state.ended()) {
            if let Some(text) = self.wrong_end(work, statement, ran) {
                self.note(Class::WrongEnd, Some(&statement.job_id), text);
            }
        }
    }

    fn wrong_end(&self, work: &Work, statement: &Statement, ran: usize) -> Option<String> {
        let class = statement
            .error
            .as_ref()
            .and_then(|e| e.error_class.as_deref());
        let state = statement.state;
        let told = format!("{state}, error class {class:?}, executions {ran}");
        let right = match &work.wants {
            Wants::Rows(rows) => state == State::Succeeded && ran == 1 && whole(rows, statement),
            Wants::Error(wanted) => state == State::Failed && class == Some(*wanted) && ran == 1,
            Wants::Stop => {
                let asked = self.evidence.history.cancels.contains(&statement.job_id);
                state == State::Cancelled && asked
            }
        };
        (!right).then(|| format!("{:?} wanted; {told}", work.wants))
    }

    /// Where the referee knows operations: each ran once at most.
    fn operations(&mut self) {
        let evidence = self.evidence;
        let jobs: HashMap<&str, &str> = evidence
            .finals
            .iter()
            .map(|statement| (statement.operation_id.as_str(), statement.job_id.as_str()))
            .collect();
        for (id, times) in &evidence.executions.operations {
            if *times > 1 {
                let text = format!("{times} executions of operation {id}");
                self.note(Class::Doubled, jobs.get(id.as_str()).copied(), text);
            }
        }
    }

    /// Counted from what ran and when, by nobody's books but Spark's.
    fn slots(&mut self) {
        let (most, slots) = (self.evidence.executions.most_at_once(), self.evidence.slots);
        if most > slots {
            self.note(
                Class::Slots,
                None,
                format!("{most} ran at once on {slots} slots"),
            );
        }
    }

    /// No answer that began after another was complete may show an earlier state.
    fn states(&mut self) {
        let mut sights: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let evidence = self.evidence;
        for seen in &evidence.history.seen {
            sights.entry(&seen.job).or_default().push(seen);
        }
        for (job, seen) in sights {
            let mut by_end = seen.clone();
            by_end.sort_by_key(|seen| seen.span.ended);
            let mut by_begin = seen;
            by_begin.sort_by_key(|seen| seen.span.began);
            let mut complete = by_end.iter().peekable();
            let mut furthest: Option<State> = None;
            for now in by_begin {
                while let Some(before) = complete.next_if(|s| s.span.ended <= now.span.began) {
                    furthest = furthest.max(before.state);
                }
                match (furthest, now.state) {
                    (_, None) => self.note(Class::Lost, Some(job), "answered 404".into()),
                    (Some(before), Some(after)) if !may_follow(before, after) => {
                        let text = format!("{after} seen after {before}");
                        self.note(Class::Back, Some(job), text);
                    }
                    (Some(_) | None, Some(_)) => {}
                }
            }
        }
    }

    fn readings(&mut self) {
        let mut first: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let evidence = self.evidence;
        for reading in &evidence.history.readings {
            if let Some(wrong) = &reading.wrong {
                let text = format!("{}: {wrong}", reading.form);
                self.note(Class::Bytes, Some(&reading.job), text);
            }
            let known = *first
                .entry((&reading.job, reading.form))
                .or_insert(reading.hash);
            if known != reading.hash {
                let text = format!("{} differs when read again", reading.form);
                self.note(Class::Bytes, Some(&reading.job), text);
            }
        }
    }
}

/// Whether the statement says itself that it has all of its rows.
fn whole(rows: &Rows, statement: &Statement) -> bool {
    let result = statement.result.as_ref();
    result.is_some_and(|result| result.row_count == rows.count && !result.truncated)
}

/// The order of states, and that an end is for ever.
fn may_follow(before: State, after: State) -> bool {
    if before.ended() {
        return before == after;
    }
    after >= before
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
