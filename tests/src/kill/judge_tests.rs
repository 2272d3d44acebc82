use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::kill::dice::Dice;
use crate::kill::history::{Reading, Seen, Span};
use crate::kill::work::{Dialect, Kind};

/// A run with one short work that went well, to be spoilt.
struct Run {
    evidence: Evidence,
    work: Arc<Work>,
    zero: Instant,
}

fn short_work() -> Arc<Work> {
    let mut dice = Dice::new(1, 1);
    loop {
        let work = Work::draw(Dialect::Stub, &mut dice);
        if work.kind == Kind::Short && work.key.is_some() {
            return Arc::new(work);
        }
    }
}

fn statement(job: &str, code: &str, operation: &str, state: &str) -> Statement {
    let value = serde_json::json!({
        "jobId": job, "sessionId": "default", "kind": "sql", "pool": "default", "user": "a",
        "state": state, "code": code, "ownerNodeId": 1, "operationId": operation,
        "submittedAt": "2026-01-02T03:04:05.006Z",
        "result": {"schema": [], "rowCount": 1, "truncated": false},
    });
    serde_json::from_value(value).unwrap()
}

impl Run {
    fn well() -> Self {
        let (work, zero) = (short_work(), Instant::now());
        let mut run = Self {
            evidence: Evidence {
                history: History::default(),
                finals: vec![statement("job-1", &work.code, "op", "succeeded")],
                executions: Executions::default(),
                slots: 2,
            },
            work,
            zero,
        };
        run.submit(Answer::Ok("job-1".into()));
        run.see(1, 2, Some(State::Queued));
        run.see(3, 4, Some(State::Succeeded));
        run.execute();
        run
    }

    fn span(&self, began: u64, ended: u64) -> Span {
        let at = |ms| self.zero + Duration::from_millis(ms);
        Span {
            began: at(began),
            ended: at(ended),
        }
    }

    fn submit(&mut self, answer: Answer) {
        let submit = Submitted {
            work: Arc::clone(&self.work),
            span: self.span(0, 1),
            answer,
        };
        self.evidence.history.submits.push(submit);
    }

    fn see(&mut self, began: u64, ended: u64, state: Option<State>) {
        let seen = Seen {
            job: "job-1".into(),
            span: self.span(began, ended),
            state,
        };
        self.evidence.history.seen.push(seen);
    }

    fn execute(&mut self) {
        let executions = &mut self.evidence.executions;
        executions.texts.push(self.work.code.clone());
        *executions.operations.entry("op".into()).or_default() += 1;
    }

    fn read(&mut self, hash: u64, wrong: Option<&str>) {
        let reading = Reading {
            job: "job-1".into(),
            form: "arrow",
            hash,
            wrong: wrong.map(str::to_owned),
        };
        self.evidence.history.readings.push(reading);
    }

    fn classes(&self) -> Vec<Class> {
        judge(&self.evidence).into_iter().map(|v| v.class).collect()
    }
}

#[test]
fn a_run_that_went_well_is_not_blamed() {
    let mut run = Run::well();
    run.submit(Answer::Unknown("reset".into()));
    run.submit(Answer::Ok("job-1".into()));
    run.read(1, None);
    run.read(1, None);
    // Began before the end was seen: may show what was before it.
    run.see(2, 9, Some(State::Running));
    assert_eq!(run.classes(), []);
}

#[test]
fn an_acknowledged_statement_that_is_not_there_is_lost() {
    let mut run = Run::well();
    run.evidence.finals.clear();
    assert_eq!(run.classes(), [Class::Lost, Class::Phantom]);

    let mut run = Run::well();
    run.evidence.finals = vec![statement("job-1", &run.work.code, "op", "running")];
    assert_eq!(run.classes(), [Class::Lost]);

    let mut run = Run::well();
    run.see(5, 6, None);
    assert_eq!(run.classes(), [Class::Lost]);
}

#[test]
fn a_second_execution_is_seen_by_code_and_by_operation() {
    let mut run = Run::well();
    run.execute();
    assert_eq!(
        run.classes(),
        [Class::Doubled, Class::WrongEnd, Class::Doubled]
    );
}

#[test]
fn succeeded_without_an_execution_is_a_wrong_end() {
    let mut run = Run::well();
    run.evidence.executions = Executions::default();
    assert_eq!(run.classes(), [Class::WrongEnd]);
}

#[test]
fn a_state_that_goes_back_is_seen_across_clients() {
    for back in [State::Running, State::Failed] {
        let mut run = Run::well();
        run.see(4, 5, Some(back));
        assert_eq!(run.classes(), [Class::Back], "{back}");
    }
}

#[test]
fn two_statements_of_one_key_are_seen() {
    let mut run = Run::well();
    run.submit(Answer::Ok("job-2".into()));
    let second = statement("job-2", &run.work.code, "op-2", "succeeded");
    run.evidence.finals.push(second);
    assert_eq!(run.classes(), [Class::Key]);
}

#[test]
fn what_was_refused_must_not_be_there() {
    let mut run = Run::well();
    run.evidence.history.submits.clear();
    run.submit(Answer::Refused("429".into()));
    assert_eq!(run.classes(), [Class::Phantom]);
}

#[test]
fn bytes_that_change_and_rows_that_are_wrong_are_seen() {
    let mut run = Run::well();
    run.read(1, None);
    run.read(2, None);
    assert_eq!(run.classes(), [Class::Bytes]);

    let mut run = Run::well();
    run.read(1, Some("a row is missing"));
    assert_eq!(run.classes(), [Class::Bytes]);
}

#[test]
fn a_cancel_that_nobody_acknowledged_is_a_wrong_end() {
    let mut run = Run::well();
    let mut work = Work::clone(&run.work);
    work.wants = Wants::Stop;
    run.work = Arc::new(work);
    run.evidence.history = History::default();
    run.submit(Answer::Ok("job-1".into()));
    run.evidence.finals = vec![statement("job-1", &run.work.code, "op", "cancelled")];
    assert_eq!(run.classes(), [Class::WrongEnd]);
    run.evidence.history.cancels.push("job-1".into());
    assert_eq!(run.classes(), []);
}

#[test]
fn more_at_once_than_slots_are_too_many() {
    let mut run = Run::well();
    run.evidence.executions.spans = vec![(0, Some(10)), (5, None)];
    assert_eq!(judge(&run.evidence), []);
    run.evidence.executions.spans.push((9, Some(11)));
    let found = judge(&run.evidence);
    assert_eq!(found.first().map(|v| v.class), Some(Class::Slots));
}
