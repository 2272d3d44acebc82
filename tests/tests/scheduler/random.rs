//! 10 000 random events, with an outside model of slots that agrees at every step.

use libra_proto::registry::command::Kind;
use libra_proto::registry::{OpenSession, PoolRecord, ResetSession, SchedulingMode};
use libra_proto::types::SessionId;
use libra_tests::sandbox::{
    MemoryRegistry, cancel, cleanup_done, finish, open_session, pool, put_pool, settings, submit,
};
use tokio::task::yield_now;

use crate::dice::Dice;
use crate::model::{Is, Model};
use crate::{ENDPOINT, scheduler, until};

const EVENTS: u32 = 10_000;
const ELSEWHERE: &str = "sc://spark-2:15002";
const POOLS: [&str; 4] = ["default", "fifo", "heavy", "narrow"];
const SESSIONS: [&str; 4] = ["s", "t", "u", "v"];
/// Commands are many, as every event is; the outcome of one of the scheduler's in so many is lost.
const UNKNOWN_EVERY: u64 = 7;

#[tokio::test]
async fn ten_thousand_random_events() {
    for seed in [1, 2, 3, 4] {
        run(seed, EVENTS / 4).await;
    }
}

async fn run(seed: u64, events: u32) {
    let mut dice = Dice(seed);
    let registry = MemoryRegistry::new();
    registry.apply(settings(6, SchedulingMode::Fair, 0));
    for name in POOLS {
        registry.apply(put_pool(some_pool(name, &mut dice)));
    }
    for (n, session) in SESSIONS.iter().enumerate() {
        let endpoint = [ENDPOINT, ELSEWHERE][n % 2];
        for command in open_session(session, endpoint) {
            registry.apply(command);
        }
    }
    registry.unknown_every(UNKNOWN_EVERY);
    let drill = scheduler(&registry).await;
    let mut model = Model::default();
    for n in 0..events {
        event(&registry, &drill, &model, &mut dice);
        for _ in 0..dice.from(0, 6) {
            yield_now().await;
        }
        model.follow(registry.journal());
        model.agrees_with(&registry);
        if n % 25 == 0 {
            until("every free slot is given away", || {
                model.follow(registry.journal());
                model.is_conserving()
            })
            .await;
            registry
                .view(|registry| registry.check_invariants())
                .unwrap();
        }
    }
    assert!(drill.runs(), "seed {seed}: the scheduler is alive");
    assert!(
        model.submitted > u64::from(events) / 4 && model.granted > u64::from(events) / 10,
        "seed {seed}: {} submitted, {} granted",
        model.submitted,
        model.granted
    );
}

fn event(
    registry: &MemoryRegistry,
    drill: &libra_actors::scheduler::Drill,
    model: &Model,
    dice: &mut Dice,
) {
    match dice.from(0, 99) {
        0..42 => {
            let session = dice.one_of(&SESSIONS).unwrap();
            let user = format!("user-{}", dice.from(1, 3));
            registry.apply(submit(session, &user, dice.one_of(&POOLS).unwrap()));
        }
        42..82 => {
            if let Some(job) = dice.one_of(&model.all(Is::Running)) {
                let succeeded = dice.from(0, 2) > 0;
                let left_behind = !succeeded && dice.from(0, 2) == 0;
                registry.apply(finish(*job, succeeded, left_behind));
            }
        }
        82..86 => {
            let jobs = [model.all(Is::Queued), model.all(Is::Running)].concat();
            if let Some(job) = dice.one_of(&jobs) {
                registry.apply(cancel(*job));
            }
        }
        86..90 => {
            if let Some(job) = dice.one_of(&model.all(Is::LeftBehind)) {
                registry.apply(cleanup_done(*job));
            }
        }
        90 => drill.crash_arbiter(dice.one_of(&[ENDPOINT, ELSEWHERE]).unwrap()),
        91..95 => {
            let endpoint = dice.one_of(&[ENDPOINT, ELSEWHERE]).unwrap();
            drill.crash_pool(endpoint, dice.one_of(&POOLS).unwrap());
        }
        95..97 => {
            let name = dice.one_of(&POOLS).unwrap();
            registry.apply(put_pool(some_pool(name, dice)));
        }
        97..98 => lose_session(registry, dice.one_of(&SESSIONS).unwrap()),
        _ => {
            let version = registry.view(|registry| registry.settings().unwrap().version);
            let order = *dice
                .one_of(&[SchedulingMode::Fair, SchedulingMode::Fifo])
                .unwrap();
            registry.apply(settings(6, order, version));
        }
    }
}

fn some_pool(name: &str, dice: &mut Dice) -> PoolRecord {
    let inside = match name {
        "fifo" => SchedulingMode::Fifo,
        _ => SchedulingMode::Fair,
    };
    PoolRecord {
        max_running: if name == "narrow" { dice.from(1, 3) } else { 0 },
        scheduling_mode: inside.into(),
        ..pool(name, dice.from(1, 5), dice.from(0, 3))
    }
}

/// Spark has forgotten the session, and it is opened anew.
fn lose_session(registry: &MemoryRegistry, session: &str) {
    let id: SessionId = session.parse().unwrap();
    let mut incarnation = registry.view(|registry| {
        let session = registry.session(&id).unwrap();
        session.incarnation.clone().unwrap()
    });
    let old = incarnation.spark_session_id.clone();
    incarnation.spark_session_id = uuid::Uuid::new_v4().to_string();
    registry.apply(Kind::ResetSession(ResetSession {
        session_id: session.to_owned(),
        epoch: 1,
        old_spark_session_id: old,
        new_spark_session_id: incarnation.spark_session_id.clone(),
        reason: "SESSION_CHANGED".to_owned(),
        never_sent: Vec::new(),
    }));
    registry.apply(Kind::OpenSession(OpenSession {
        session_id: session.to_owned(),
        epoch: 1,
        incarnation: Some(incarnation),
    }));
}
