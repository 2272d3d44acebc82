use std::collections::BTreeMap;

use super::*;
use crate::evidence::{
    Call, Dialect, Dice, Execution, Executions, Injection, Kept, Kind, LastWords, LeaseSeen,
    Logged, LoggedWhat, Newest, Outcome, Owned, Reading, Seen, Served, Share, Span, Submitted,
    Wants, Work, Wrote,
};
use crate::harness::{State, Statement};
use crate::stub::speakers::Turn;

/// A run with one short work that went well, to be spoilt.
struct Run {
    evidence: Evidence,
    work: Work,
}

/// The evidence of such a run.
pub(crate) fn sample() -> Evidence {
    let mut run = Run::well();
    run.read(1, None);
    run.evidence
}

fn short_work() -> Work {
    let mut dice = Dice::new(1, 1);
    loop {
        let work = Work::draw(Dialect::Stub, &mut dice);
        if work.kind == Kind::Short && work.key.is_some() {
            return work;
        }
    }
}

fn span(began: u64, ended: u64) -> Span {
    Span { began, ended }
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
        let work = short_work();
        let mut run = Self {
            evidence: Evidence {
                finals: vec![statement("job-1", &work.code, "op", "succeeded")],
                slots: 2,
                log: vec![Logged {
                    index: 1,
                    ordinal: 0,
                    session: "default".to_owned(),
                    epoch: 1,
                    what: LoggedWhat::Owned,
                }],
                ..Evidence::default()
            },
            work,
        };
        run.submit(Answer::Ok("job-1".into()));
        run.see(1, 2, Some(State::Queued));
        run.see(3, 4, Some(State::Succeeded));
        run.execute();
        run
    }

    fn submit(&mut self, answer: Answer) {
        let submit = Submitted {
            work: self.work.clone(),
            session: "default".to_owned(),
            span: span(0, 1),
            answer,
        };
        self.evidence.history.submits.push(submit);
    }

    fn see(&mut self, began: u64, ended: u64, state: Option<State>) {
        let seen = Seen {
            job: "job-1".into(),
            span: span(began, ended),
            state,
        };
        self.evidence.history.seen.push(seen);
    }

    fn execute(&mut self) {
        self.evidence.executions.0.push(Execution {
            text: self.work.code.clone(),
            operation: Some("op".to_owned()),
            span: None,
        });
    }

    fn read(&mut self, hash: u64, wrong: Option<&str>) {
        let reading = Reading {
            job: "job-1".into(),
            form: "arrow".to_owned(),
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
    run.work.wants = Wants::Stop;
    run.evidence.history = History::default();
    run.submit(Answer::Ok("job-1".into()));
    run.evidence.finals = vec![statement("job-1", &run.work.code, "op", "cancelled")];
    assert_eq!(run.classes(), [Class::WrongEnd]);
    run.evidence.history.cancels.push("job-1".into());
    run.evidence.executions.0.clear();
    assert_eq!(run.classes(), []);
    // It was cancelled in the queue, and ran all the same.
    run.execute();
    assert_eq!(run.classes(), [Class::WrongEnd]);
}

fn lasting(text: &str, began: u64, ended: Option<u64>) -> Execution {
    Execution {
        text: text.to_owned(),
        operation: None,
        span: Some((began, ended)),
    }
}

#[test]
fn more_at_once_than_slots_are_too_many() {
    let mut run = Run::well();
    let executions = [lasting("a", 0, Some(10)), lasting("b", 5, None)];
    run.evidence.executions.0.extend(executions);
    assert_eq!(run.classes(), []);
    run.evidence.executions.0.push(lasting("c", 9, Some(11)));
    assert_eq!(run.classes(), [Class::Slots]);
}

#[test]
fn a_slot_that_is_gone_at_the_end_was_leaked() {
    let mut run = Run::well();
    run.evidence.slots_whole = Some(Ok(()));
    assert_eq!(run.classes(), []);
    run.evidence.slots_whole = Some(Err("2 of 3 ran".to_owned()));
    assert_eq!(run.classes(), [Class::Slots]);
}

#[test]
fn an_end_that_a_dead_spark_explains_is_tolerated() {
    let mut run = Run::well();
    let mut failed = statement("job-1", &run.work.code, "op", "failed");
    failed.error = serde_json::from_value(serde_json::json!({
        "errorClass": "LIBRA_OUTCOME_UNKNOWN", "message": "gone",
    }))
    .unwrap();
    run.evidence.finals = vec![failed];
    run.evidence.history.seen.clear();
    assert_eq!(run.classes(), [Class::WrongEnd]);
    run.evidence.tolerated = vec!["LIBRA_OUTCOME_UNKNOWN".to_owned()];
    assert_eq!(run.classes(), []);
    run.execute();
    assert_eq!(run.classes(), [Class::Doubled, Class::Doubled]);
}

fn owned(epoch: u64, owner: u64, began: u64, ended: u64) -> Owned {
    Owned {
        session: "s".to_owned(),
        epoch,
        owner,
        span: span(began, ended),
    }
}

#[test]
fn who_is_cut_off_lets_its_lease_go_before_its_sessions_are_anothers() {
    let of = |held: bool, node: u64, began: u64| {
        let mut run = Run::well();
        run.evidence.history.owned = vec![owned(1, 1, 90, 95), owned(2, 2, 140, 150)];
        run.evidence.injections = vec![Injection {
            owners: BTreeMap::from([("s".to_owned(), 1)]),
            began: 100,
            healed: 200,
            leases: vec![LeaseSeen {
                node,
                span: span(began, began + 5),
                held,
            }],
            ..Injection::default()
        }];
        run.classes()
    };
    assert_eq!(of(true, 1, 151), [Class::Owners]);
    assert_eq!(of(false, 1, 151), []);
    assert_eq!(of(true, 1, 149), []);
    assert_eq!(of(true, 2, 151), []);
    assert_eq!(of(true, 1, 199), []);
}

#[test]
fn who_is_cut_off_holds_no_lease_longer_than_one_lasts() {
    let of = |last: u64| {
        let mut run = Run::well();
        let said = [(1_000, true), (last, true), (last + 50_000, false)];
        let said = said.iter().map(|(began, held)| LeaseSeen {
            node: 1,
            span: span(*began, began + 5),
            held: *held,
        });
        run.evidence.injections = vec![Injection {
            began: 100,
            healed: 9_000_000,
            leases: said.collect(),
            ..Injection::default()
        }];
        run.classes()
    };
    assert_eq!(of(1_201_000), []);
    assert_eq!(of(1_500_000), [Class::Owners]);
}

#[test]
fn spark_hears_nobody_under_an_older_epoch() {
    let of = |turns: &[(u64, u64, u64, u64)]| {
        let mut run = Run::well();
        let turns = turns.iter().map(|(node, epoch, from_ms, until_ms)| Turn {
            session_id: "s".to_owned(),
            node: *node,
            epoch: *epoch,
            call: "ReattachExecute".to_owned(),
            from_ms: *from_ms,
            until_ms: *until_ms,
        });
        run.evidence.turns = turns.collect();
        run.classes()
    };
    assert_eq!(
        of(&[(1, 1, 0, 500), (2, 2, 510, 900), (1, 3, 910, 950)]),
        []
    );
    // On its way when the other began.
    assert_eq!(of(&[(1, 1, 0, 5), (2, 2, 10, 20), (1, 1, 30, 200)]), []);
    let again = [
        (1, 1, 0, 5),
        (2, 2, 10, 20),
        (1, 1, 30, 40),
        (2, 2, 50, 400),
        (1, 1, 401, 402),
    ];
    assert_eq!(of(&again), [Class::Owners]);
    assert_eq!(of(&[(1, 1, 0, 5), (2, 1, 6, 7)]), [Class::Owners]);
}

#[test]
fn epochs_rise_and_have_one_owner() {
    let of = |sights: &[Owned]| {
        let mut run = Run::well();
        run.evidence.history.owned = sights.to_vec();
        run.classes()
    };
    assert_eq!(of(&[owned(1, 1, 0, 1), owned(2, 2, 2, 3)]), []);
    assert_eq!(of(&[owned(2, 2, 0, 5), owned(1, 1, 4, 9)]), []);
    assert_eq!(of(&[owned(2, 2, 0, 1), owned(1, 1, 2, 3)]), [Class::Back]);
    assert_eq!(of(&[owned(1, 1, 0, 1), owned(1, 2, 2, 3)]), [Class::Owners]);
}

fn newest(job: u64, began: u64, ended: u64) -> Newest {
    Newest {
        session: "default".to_owned(),
        job,
        span: span(began, ended),
    }
}

#[test]
fn a_session_that_does_not_show_its_newest_statement_is_stale() {
    let verdict = |reads: &[Newest]| {
        let mut run = Run::well();
        run.evidence.history.newest = reads.to_vec();
        reads::check(&run.evidence).verdict
    };
    assert!(matches!(verdict(&[]), Verdict::Unknown(_)));
    assert_eq!(verdict(&[newest(0, 0, 1), newest(1, 2, 3)]), Verdict::Pass);
    assert_eq!(verdict(&[newest(0, 2, 3)]), Verdict::Violated);
    assert_eq!(verdict(&[newest(2, 2, 3)]), Verdict::Violated);
}

#[test]
fn a_submit_without_an_answer_may_show_late_or_never() {
    let verdict = |found: bool, reads: &[Newest]| {
        let mut run = Run::well();
        run.evidence.history.submits.clear();
        run.submit(Answer::Unknown("reset".into()));
        if !found {
            run.evidence.finals.clear();
        }
        run.evidence.history.newest = reads.to_vec();
        reads::check(&run.evidence).verdict
    };
    let late = [newest(0, 5, 6), newest(1, 7, 8)];
    assert_eq!(verdict(true, &late), Verdict::Pass);
    assert_eq!(verdict(false, &late[..1]), Verdict::Pass);
    assert_eq!(verdict(false, &late), Verdict::Violated);
}

#[test]
fn a_register_is_read_as_it_was_written() {
    let wrote = |value, began, ended, outcome| Wrote {
        key: "k".to_owned(),
        value,
        span: span(began, ended),
        outcome,
    };
    let kept = |value, began, ended| Kept {
        key: "k".to_owned(),
        value,
        span: span(began, ended),
    };
    let verdict = |writes: &[Wrote], reads: &[Kept]| {
        let mut run = Run::well();
        run.evidence.history.wrote = writes.to_vec();
        run.evidence.history.kept = reads.to_vec();
        reads::check(&run.evidence).verdict
    };
    let one = [wrote(5, 1, 2, Outcome::Ok)];
    assert_eq!(verdict(&one, &[kept(5, 3, 4)]), Verdict::Pass);
    assert_eq!(verdict(&one, &[kept(1, 3, 4)]), Verdict::Violated);
    let refused = [wrote(5, 1, 2, Outcome::Refused)];
    assert_eq!(verdict(&refused, &[kept(5, 3, 4)]), Verdict::Violated);
    let open = [wrote(5, 1, 2, Outcome::Unknown)];
    for value in [1, 5] {
        assert_eq!(verdict(&open, &[kept(value, 3, 4)]), Verdict::Pass);
    }
}

/// Three slots in use all the time, of which `first` go to the pool `a` and the rest to `b`.
fn shared(first: u64) -> Evidence {
    let mut run = Run::well();
    run.evidence.slots = 3;
    run.evidence.executions.0.clear();
    run.evidence.history.submits.clear();
    let share = |pool: &str, slots| Share {
        pool: pool.to_owned(),
        slots,
    };
    run.evidence.shares = vec![share("a", 2), share("b", 1)];
    for n in 0..3 {
        let pool = if n < first { "a" } else { "b" };
        run.work = Work::probe(Dialect::Stub, 10).in_pool(pool);
        run.submit(Answer::Ok(format!("job-{}", n + 2)));
        let text = run.work.code.clone();
        let long = lasting(&text, 0, Some(5_000));
        run.evidence.executions.0.push(long);
    }
    run.evidence
}

#[test]
fn a_pool_that_gets_another_share_is_seen() {
    let verdict = |first| pools::check(&shared(first)).verdict;
    assert_eq!(verdict(2), Verdict::Pass);
    assert_eq!(verdict(1), Verdict::Pass);
    assert_eq!(verdict(0), Verdict::Violated);
    let mut short = shared(2);
    short.executions.0.clear();
    let seen = pools::check(&short).verdict;
    assert!(matches!(seen, Verdict::Unknown(_)));
}

fn last(node: u64, index: u64, hash: u64) -> LastWords {
    LastWords {
        node,
        index,
        hash,
        answered: 3,
        same_statements: true,
    }
}

#[test]
fn nodes_that_differ_at_the_end_are_seen() {
    let verdict = |nodes: &[LastWords]| {
        let mut run = Run::well();
        run.evidence.nodes = nodes.to_vec();
        agreement::check(&run.evidence).verdict
    };
    assert!(matches!(verdict(&[]), Verdict::Unknown(_)));
    assert_eq!(verdict(&[last(1, 9, 7), last(2, 9, 7)]), Verdict::Pass);
    assert_eq!(verdict(&[last(1, 9, 7), last(2, 9, 8)]), Verdict::Violated);
    assert_eq!(verdict(&[last(1, 9, 7), last(2, 8, 7)]), Verdict::Violated);
    for spoil in [
        |last: &mut LastWords| last.answered = 2,
        |last: &mut LastWords| last.same_statements = false,
    ] {
        let mut nodes = [last(1, 9, 7)];
        spoil(&mut nodes[0]);
        assert_eq!(verdict(&nodes), Verdict::Violated);
    }
}

fn served(session: &str, began: u64, ended: u64) -> Served {
    Served {
        session: session.to_owned(),
        span: span(began, ended),
        attempts: 1,
    }
}

#[test]
fn a_gap_lasts_until_a_session_serves_what_is_asked_after_the_fault() {
    let injection = Injection {
        began: 100,
        healed: 500,
        well: Some(900),
        ..Injection::default()
    };
    let ops = [
        served("a", 80, 110),
        served("a", 120, 400),
        served("a", 410, 420),
        served("b", 95, 800),
        served("b", 1_000, 9_000),
        served("c", 130, 140),
    ];
    let found = gaps(&ops, &injection, 100);
    let wanted = [("a", 300), ("b", 700), ("c", 40)];
    let wanted: BTreeMap<String, u64> = wanted.map(|(s, gap)| (s.to_owned(), gap)).into();
    assert_eq!(found, wanted);
    let never = Injection {
        well: None,
        ..injection
    };
    assert_eq!(gaps(&ops, &never, 100), BTreeMap::new());
}

#[test]
fn too_little_is_unknown_and_no_service_is_a_violation() {
    let least = Least {
        injections: 2,
        served: 1,
        acknowledged: 1,
        calls_per_second: 1,
    };
    let mut run = Run::well();
    let mut injection = Injection {
        well: Some(9),
        in_flight: 1,
        ..Injection::default()
    };
    run.evidence.injections = vec![injection.clone()];
    let verdict = |evidence: &Evidence| rates::check(evidence, &least).verdict;
    assert!(matches!(verdict(&run.evidence), Verdict::Unknown(_)));
    run.evidence.injections.push(injection.clone());
    run.evidence.history.served = vec![served("a", 0, 1), served("a", 2, 3)];
    run.submit(Answer::Ok("job-2".into()));
    run.evidence.history.calls = vec![Call {
        at: "n".to_owned(),
        what: "GET x".to_owned(),
        span: span(0, 1),
        outcome: Outcome::Ok,
        status: Some(200),
    }];
    assert_eq!(verdict(&run.evidence), Verdict::Pass);
    injection.well = None;
    run.evidence.injections.push(injection);
    assert_eq!(verdict(&run.evidence), Verdict::Violated);
}

#[test]
fn an_end_that_an_older_owner_said_behind_a_move_is_seen() {
    let logged = |index, ordinal, session: &str, epoch, what| Logged {
        index,
        ordinal,
        session: session.to_owned(),
        epoch,
        what,
    };
    let ended = || LoggedWhat::Ended("job-1".to_owned());
    let mut run = Run::well();
    run.evidence.log = vec![
        logged(9, 0, "a", 1, ended()),
        logged(10, 0, "a", 2, LoggedWhat::Owned),
        logged(10, 1, "b", 2, LoggedWhat::Owned),
        // By no owner, by the newest, by that of another session.
        logged(11, 0, "a", 0, ended()),
        logged(12, 0, "a", 2, ended()),
        logged(13, 0, "c", 1, ended()),
    ];
    run.evidence.log.reverse();
    assert_eq!(run.classes(), []);
    for (index, ordinal) in [(10, 2), (14, 0)] {
        let mut late = run.evidence.log.clone();
        late.push(logged(index, ordinal, "a", 1, ended()));
        let found = log::check(&late);
        assert_eq!(found.len(), 1, "{index}/{ordinal}");
        assert_eq!(found[0].class, Class::Owners);
        assert!(found[0].text.contains("epoch 1"), "{}", found[0].text);
    }
}

#[test]
fn a_log_of_which_nothing_was_read_is_no_pass() {
    let least = Least {
        injections: 0,
        served: 0,
        acknowledged: 0,
        calls_per_second: 0,
    };
    let states = |evidence: &Evidence| {
        let found = findings(evidence, &least);
        let of_states = found.into_iter().find(|f| f.check == Check::States);
        of_states.map(|finding| finding.verdict)
    };
    let mut run = Run::well();
    assert_eq!(states(&run.evidence), Some(Verdict::Pass));
    run.evidence.log.clear();
    assert!(matches!(states(&run.evidence), Some(Verdict::Unknown(_))));
}
