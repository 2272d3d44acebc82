//! Each work with all its submits, all statements that came of it, and how often Spark ran it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Class, Violation};
use crate::evidence::{Answer, Evidence, Rows, Submitted, Wants, Work};
use crate::harness::{State, Statement};

pub(super) fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut judge = Judge::new(evidence);
    judge.works();
    judge.operations();
    judge.violations
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
        self.violations.push(Violation::new(class, job, text));
    }

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
            Wants::Error(wanted) => {
                state == State::Failed && class == Some(wanted.as_str()) && ran == 1
            }
            Wants::Stop => {
                let asked = self.evidence.history.cancels.contains(&statement.job_id);
                // Cancelled in the queue means that it never reached Spark.
                let kept = statement.started_at.is_some() || ran == 0;
                state == State::Cancelled && asked && kept
            }
        };
        let explained = state == State::Failed
            && class.is_some_and(|class| self.evidence.tolerated.iter().any(|t| t == class));
        (!right && !explained).then(|| format!("{:?} wanted; {told}", work.wants))
    }

    /// Where the referee knows operations: each ran once at most.
    fn operations(&mut self) {
        let evidence = self.evidence;
        let jobs: HashMap<&str, &str> = evidence
            .finals
            .iter()
            .map(|statement| (statement.operation_id.as_str(), statement.job_id.as_str()))
            .collect();
        for (id, times) in evidence.executions.operations() {
            if times > 1 {
                let text = format!("{times} executions of operation {id}");
                self.note(Class::Doubled, jobs.get(id).copied(), text);
            }
        }
    }
}

/// Whether the statement says itself that it has all of its rows.
fn whole(rows: &Rows, statement: &Statement) -> bool {
    let result = statement.result.as_ref();
    result.is_some_and(|result| result.row_count == rows.count && !result.truncated)
}
