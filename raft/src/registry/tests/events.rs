//! What operators are told of each command.

use libra_proto::admin::{self, event};
use libra_proto::registry::command::Kind;
use libra_proto::registry::*;

use super::bench::*;
use super::nodes_bench::*;
use super::pauses::pause;

/// The last command's events, in short.
fn told(bench: &Bench) -> Vec<String> {
    let index = bench.registry.applied_index();
    let short = |(ordinal, event): (u32, &admin::Event)| {
        let place = admin::Position { index, ordinal };
        assert_eq!(event.position, Some(place));
        assert_eq!(event.at_ms, bench.registry.clock_ms());
        in_short(event.kind.as_ref().unwrap())
    };
    (0..).zip(&bench.events).map(short).collect()
}

fn in_short(kind: &event::Kind) -> String {
    use event::Kind as Told;
    match kind {
        Told::LeaderElected(e) => format!("node {} leads term {}", e.node_id, e.term),
        Told::MembersChanged(e) => format!("members {:?} {:?}", e.voters, e.learners),
        Told::NodeRegistered(e) => format!("node {} registered as {}", e.node_id, e.boot_id),
        Told::NodeStateChanged(e) => {
            format!("node {} {:?} -> {:?}", e.node_id, e.before(), e.after())
        }
        Told::NodeRemoved(e) => format!("node {} removed", e.node_id),
        Told::FailedOver(e) => format!(
            "node {} failed over: {} moved, {} left",
            e.node_id, e.sessions_moved, e.sessions_left
        ),
        Told::SessionCreated(e) => format!("{} created in epoch {}", e.session_id, e.epoch),
        Told::SessionOpened(e) => format!("{} opened as {}", e.session_id, e.spark_session_id),
        Told::SessionMoved(e) => format!(
            "{} moved {} -> {}, epoch {}, {} running",
            e.session_id, e.from_node, e.to_node, e.epoch, e.running
        ),
        Told::SessionReset(e) => format!("{} reset from {}", e.session_id, e.old_spark_session_id),
        Told::SessionEnded(e) => format!("{} ended: {} ({})", e.session_id, e.reason, e.failed),
        Told::StatementEnded(e) => format!("{} {:?} {}", e.job_id, e.state(), e.error_class),
        Told::PoolChanged(e) => format!("pool {} paused {} made {}", e.name, e.paused, e.made),
        Told::PoolRemoved(e) => format!("pool {} removed", e.name),
        Told::SettingsChanged(e) => format!("settings {}", e.version),
        Told::FeatureLevelRaised(e) => format!("level {}", e.level),
        Told::Restored(e) => format!("restored {} of {}", e.statements, e.cluster_name),
    }
}

#[test]
fn the_life_of_a_session_and_its_statements_is_told() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    bench.done(create("a", "spark-a"));
    assert_eq!(told(&bench), ["a created in epoch 1"]);
    bench.done(open("a", 1, "spark-a"));
    assert_eq!(told(&bench), ["a opened as spark-a"]);
    bench.now += 100;
    bench.run("op-1");
    bench.run("op-2");
    assert_eq!(told(&bench), [""; 0], "what begins is not");
    bench.now += 50;
    bench.done(ends(1, StatementState::Succeeded));
    assert_eq!(told(&bench), ["job-1 Succeeded "]);
    let Some(event::Kind::StatementEnded(ended)) = &bench.events[0].kind else {
        panic!("no end");
    };
    assert_eq!((ended.queue_time_ms, ended.execution_time_ms), (0, 50));
    assert_eq!(ended.epoch, 1, "of the owner that said so");
    bench.done(reset("a", 1, "spark-a", "spark-b"));
    assert_eq!(
        told(&bench),
        ["a reset from spark-a", "job-2 Failed LIBRA_SESSION_RESET"]
    );
    assert!(
        matches!(&bench.events[1].kind, Some(event::Kind::StatementEnded(it)) if it.epoch == 0),
        "no owner said so"
    );
    bench.done(close("a"));
    assert_eq!(told(&bench), ["a ended: asked (false)"]);
    bench.done(reopen("a", "spark-c"));
    assert_eq!(told(&bench), ["a created in epoch 2"]);
    bench.done(fail("a", 2, "LIBRA_SPARK_UNREACHABLE"));
    assert_eq!(told(&bench).len(), 1);
    assert!(told(&bench)[0].starts_with("a ended: LIBRA_SPARK_UNREACHABLE"));
}

#[test]
fn a_failover_is_told_before_what_it_moves() {
    let mut bench = Bench::new(Mode::Isolated, 3);
    bench.done(register(1, "boot-1"));
    assert_eq!(told(&bench), ["node 1 registered as boot-1"]);
    bench.done(register(2, "boot-2"));
    for id in ["a", "b", "c"] {
        bench.open(id, &format!("spark-{id}"));
    }
    bench.done(move_to("b", 1, 2));
    bench.run("op-1");
    bench.done(down(1, "boot-1"));
    assert_eq!(
        told(&bench),
        [
            "node 1 Up -> Down",
            "node 1 failed over: 2 moved, 0 left",
            "a moved 1 -> 2, epoch 2, 1 running",
            "c moved 1 -> 2, epoch 2, 0 running",
        ]
    );
    bench.done(down(1, "boot-1"));
    assert_eq!(told(&bench), [""; 0], "once");
    bench.done(register(1, "boot-1b"));
    assert_eq!(
        told(&bench),
        ["node 1 registered as boot-1b", "node 1 Down -> Up"]
    );
    bench.done(move_to("b", 2, 1));
    assert_eq!(told(&bench), ["b moved 2 -> 1, epoch 3, 0 running"]);
    bench.done(drain(1, true));
    assert_eq!(
        told(&bench),
        [
            "node 1 Up -> Draining",
            "b moved 1 -> 2, epoch 4, 0 running"
        ]
    );
    bench.done(remove(1));
    assert_eq!(told(&bench), ["node 1 removed"]);
    bench.done(down(2, "boot-2"));
    assert_eq!(
        told(&bench),
        ["node 2 Up -> Down", "node 2 failed over: 0 moved, 3 left"]
    );
}

#[test]
fn pools_settings_and_leaders_are_told() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    bench.done(pause("default", true));
    assert_eq!(told(&bench), ["pool default paused true made false"]);
    bench.done(pause("default", true));
    assert_eq!(told(&bench), [""; 0]);
    let put = Kind::PutPool(PutPool {
        pool: Some(pool("p", 1)),
    });
    bench.done(put.clone());
    assert_eq!(told(&bench), ["pool p paused false made true"]);
    bench.done(put);
    assert_eq!(told(&bench), [""; 0], "as it was");
    bench.done(Kind::DeletePool(DeletePool {
        name: "p".to_owned(),
    }));
    assert_eq!(told(&bench), ["pool p removed"]);
    bench.done(put_settings(settings(Mode::Isolated, 5), 1));
    assert_eq!(told(&bench), ["settings 2"]);
    let leads = |term| Command {
        leader_term: term,
        proposer_node: 3,
        ..Command {
            kind: Some(Kind::NoteLeader(NoteLeader {})),
            ..Command::default()
        }
    };
    bench.apply_command(&leads(TERM));
    assert_eq!(told(&bench), ["node 3 leads term 1"]);
    bench.apply_command(&leads(TERM + 1));
    assert_eq!(told(&bench), [""; 0], "of another term: refused");
    bench.apply_command(&leads(0));
    assert_eq!(told(&bench), [""; 0], "of no role");
}
