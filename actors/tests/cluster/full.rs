//! The disk of the owner refuses a result that Spark has: another node stores it.

use libra_proto::registry::command::Kind;
use libra_proto::registry::{Finish, NodeState, StatementRecord, StatementState};

use crate::node::Setting;
use crate::registry::operation;
use crate::spark::Call;
use crate::store::Step;
use crate::until;

/// Node 1, which owns the session, and others that are UP.
async fn among(others: &[u64]) -> Setting {
    let setting = Setting::with_session(1).await;
    setting.registry.put_node(1, "boot-1");
    for node in others {
        setting.registry.put_node(*node, "boot");
    }
    setting.spark.know(1);
    setting
}

fn moves(setting: &Setting) -> Vec<(u64, u64, u64)> {
    setting.registry.proposed(|kind| match kind {
        Kind::MoveSession(moved) => Some((moved.epoch, moved.to_node, moved.not_stored)),
        _ => None,
    })
}

fn ends(setting: &Setting) -> Vec<Finish> {
    setting.registry.proposed(|kind| match kind {
        Kind::Finish(finish) => Some(finish.clone()),
        _ => None,
    })
}

/// The error class of the only end that was committed.
fn class(setting: &Setting) -> String {
    let ends = ends(setting);
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0].error.clone().unwrap_or_default().error_class
}

/// Changes the record of the running statement.
fn record(setting: &Setting, change: impl FnOnce(&mut StatementRecord)) {
    setting.registry.change(|view| {
        let mut statement = (*view.running[0]).clone();
        change(&mut statement);
        view.running[0] = statement.into();
    });
}

/// Spark has two responses for whoever is attached.
async fn responds(setting: &Setting) {
    until("it is attached", || setting.spark.is_attached(1)).await;
    setting.spark.batch(1, "r1");
    setting.spark.complete(1, "r2");
}

/// What must not be said to Spark of an operation that another node goes on with.
fn meddles(call: &Call) -> bool {
    match call {
        Call::Interrupt | Call::Release(_) | Call::ReleaseSession => true,
        Call::Execute(..) | Call::Reattach(..) | Call::Status(_) | Call::Greet => false,
    }
}

#[tokio::test]
async fn a_result_that_this_disk_refuses_is_stored_by_another_node() {
    for step in [Step::Open, Step::Append, Step::Sync, Step::Seal] {
        let setting = among(&[2, 3]).await;
        setting.store.fill(Some(step));
        let _node = setting.start(None).await;
        setting.registry.run(1);
        if step > Step::Open {
            responds(&setting).await;
        }
        until("its session is given away", || !moves(&setting).is_empty()).await;
        assert_eq!(moves(&setting), [(1, 2, 1)], "{step:?}");
        until("nobody is attached", || !setting.spark.is_attached(1)).await;
        assert_eq!(ends(&setting), [], "{step:?}");
        let calls = setting.spark.calls();
        assert!(!calls.iter().any(meddles), "{step:?}: {calls:?}");

        // The next owner's part, played by this node with room.
        setting.store.fill(None);
        let sent = setting.spark.executions().len();
        setting.registry.move_to(1);
        responds(&setting).await;
        until("it has ended", || !ends(&setting).is_empty()).await;
        let end = &ends(&setting)[0];
        let state = (end.epoch, end.state());
        assert_eq!(state, (3, StatementState::Succeeded), "{step:?}");
        assert_eq!(setting.spark.executions().len(), sent, "sent again");
    }
}

#[tokio::test]
async fn a_result_that_was_sent_for_before_its_file_could_be_opened_is_left_running() {
    let setting = among(&[2]).await;
    let _node = setting.start(None).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    setting.store.fill(Some(Step::Open));
    // It becomes `running` under the actor: it is sent while the file is opened.
    setting.registry.run(2);
    until("its session is given away", || !moves(&setting).is_empty()).await;
    assert_eq!(moves(&setting), [(1, 2, 2)]);
    let sent = Call::Execute(operation(2), "SELECT 2".to_owned());
    assert_eq!(setting.spark.count(&sent), 1);
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    assert!(!setting.spark.calls().iter().any(meddles));
    assert_eq!(ends(&setting), []);
}

#[tokio::test]
async fn who_holds_a_copy_is_asked_first_and_the_next_where_it_refuses() {
    let setting = among(&[2, 3, 4]).await;
    setting.store.fill(Some(Step::Append));
    let _node = setting.start(None).await;
    setting.registry.run(1);
    record(&setting, |statement| statement.replicas = vec![1, 3]);
    until("it is attached", || setting.spark.is_attached(1)).await;
    // Nobody knows yet whether what is proposed is applied.
    setting.registry.set_leaderless(true);
    setting.spark.batch(1, "r1");
    until("it was proposed", || moves(&setting).len() > 2).await;
    assert!(moves(&setting).iter().all(|moved| *moved == (1, 3, 1)));
    assert_eq!(ends(&setting), [], "an answer that is lost is no refusal");
    setting.registry.set_node_state(3, NodeState::Down);
    setting.registry.set_leaderless(false);
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    until("its session is another's", || {
        moves(&setting).last() == Some(&(1, 2, 1))
    })
    .await;
    assert_eq!(ends(&setting), []);
}

#[tokio::test]
async fn where_nobody_else_can_store_it_the_result_is_lost() {
    // Alone; with one that is down; with one that could not store it; and after many rounds.
    let cases: [(&[u64], bool, &[u64]); 4] = [
        (&[], false, &[]),
        (&[2], true, &[]),
        (&[2], false, &[2]),
        (&[2], false, &[1; 8]),
    ];
    for (others, down, before) in cases {
        let setting = among(others).await;
        if down {
            setting.registry.set_node_state(2, NodeState::Down);
        }
        setting.store.fill(Some(Step::Append));
        let _node = setting.start(None).await;
        setting.registry.run(1);
        record(&setting, |statement| {
            statement.not_stored_on = before.to_vec()
        });
        responds(&setting).await;
        until("it has ended", || !ends(&setting).is_empty()).await;
        assert_eq!(
            class(&setting),
            "LIBRA_RESULT_LOST",
            "{others:?} {before:?}"
        );
        assert_eq!(moves(&setting), []);
        assert!(ends(&setting)[0].needs_cleanup);
    }
}

/// Two nodes, both full: it does not go to and fro between them.
#[tokio::test]
async fn a_result_goes_to_no_node_for_the_second_time() {
    let setting = among(&[2]).await;
    setting.store.fill(Some(Step::Append));
    let _node = setting.start(None).await;
    setting.registry.run(1);
    responds(&setting).await;
    until("its session is given away", || moves(&setting).len() == 1).await;
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    // Node 2 could not store it either, and somebody moves the session back here.
    record(&setting, |statement| {
        assert_eq!(statement.not_stored_on, [1]);
        statement.not_stored_on.push(2);
    });
    setting.registry.move_to(1);
    responds(&setting).await;
    until("it has ended", || !ends(&setting).is_empty()).await;
    assert_eq!(class(&setting), "LIBRA_RESULT_LOST");
    assert_eq!(moves(&setting).len(), 1);
}

/// Whoever goes on after a crash in between would find it cancelled, and not know what for.
#[tokio::test]
async fn a_statement_is_not_stopped_in_spark_before_its_end_is_committed() {
    let setting = among(&[]).await;
    setting.store.fill(Some(Step::Append));
    let _node = setting.start(None).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    setting.registry.set_leaderless(true);
    setting.spark.batch(1, "r1");
    until("its end is proposed", || ends(&setting).len() > 1).await;
    assert!(ends(&setting).iter().all(|end| end.needs_cleanup));
    let calls = setting.spark.calls();
    assert!(!calls.iter().any(meddles), "{calls:?}");
}
