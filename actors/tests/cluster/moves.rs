//! A session comes to this node, or leaves it.

use std::time::{Duration, Instant};

use libra_actors::supervisor::Node;
use libra_proto::registry::command::Kind;
use libra_proto::registry::{Finish, NodeState, OpenSession, SessionState, StatementState};

use crate::node::{Setting, options};
use crate::registry::{Pretended, STARTED_MS, operation};
use crate::spark::Call;
use crate::until;

fn ends(setting: &Setting) -> Vec<Finish> {
    setting.registry.proposed(|kind| match kind {
        Kind::Finish(finish) => Some(finish.clone()),
        _ => None,
    })
}

fn openings(setting: &Setting) -> Vec<OpenSession> {
    setting.registry.proposed(|kind| match kind {
        Kind::OpenSession(open) => Some(open.clone()),
        _ => None,
    })
}

/// What an owner must not say any more to Spark once it is none.
fn meddles(call: &Call) -> bool {
    match call {
        Call::Interrupt | Call::Release(_) | Call::ReleaseSession => true,
        Call::Execute(..) | Call::Reattach(..) | Call::Status(_) | Call::Greet => false,
    }
}

#[tokio::test]
async fn what_runs_in_a_session_that_comes_is_reattached_and_never_sent() {
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    setting.spark.know(1);
    let _node = setting.start(None).await;
    setting.registry.move_to(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    assert!(setting.spark.batch(1, "r1") && setting.spark.complete(1, "r2"));
    until("its end is committed", || !ends(&setting).is_empty()).await;
    let end = &ends(&setting)[0];
    assert_eq!(
        (end.job, end.epoch, end.state()),
        (1, 2, StatementState::Succeeded)
    );
    let written = [(2, "r1".to_owned()), (2, "r2".to_owned())];
    assert_eq!(setting.store.appended(1), written);
    until("it is released", || {
        setting.spark.has(&Call::Release(operation(1)))
    })
    .await;
    assert_eq!(setting.spark.executions(), []);
    assert!(
        !setting.spark.has(&Call::Greet),
        "its Spark session is as it was"
    );
}

#[tokio::test]
async fn one_that_never_arrived_is_sent_with_its_own_id() {
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    setting
        .registry
        .set_clocks(STARTED_MS + 239_000, STARTED_MS);
    let _node = setting.start(None).await;
    setting.registry.move_to(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    let sent = Call::Execute(operation(1), "SELECT 1".to_owned());
    let asked = Call::Status(operation(1));
    let reattach = Call::Reattach(operation(1), None);
    assert_eq!(setting.spark.calls(), [reattach, asked, sent]);
}

/// Nothing is stored as far as anybody says, but one of the replicas is down: Spark is asked for
/// all of it, and the statement is not sent again where Spark does not know it.
#[tokio::test]
async fn what_is_perhaps_stored_where_nobody_answers_is_had_from_spark_or_not_at_all() {
    for known in [true, false] {
        let setting = Setting::with_session(2).await;
        setting.registry.run(1);
        setting.store.silence_a_replica();
        if known {
            setting.spark.know(1);
        }
        let _node = setting.start(None).await;
        setting.registry.move_to(1);
        if known {
            until("it is attached", || setting.spark.is_attached(1)).await;
            assert!(setting.spark.batch(1, "r1") && setting.spark.complete(1, "r2"));
        }
        until("its end is committed", || !ends(&setting).is_empty()).await;
        let class = ends(&setting)[0].error.clone().unwrap_or_default();
        let expected = if known { "" } else { "LIBRA_OUTCOME_UNKNOWN" };
        assert_eq!(class.error_class, expected);
        let calls = setting.spark.calls();
        assert_eq!(calls[0], Call::Reattach(operation(1), None));
        let sql = Call::Execute(operation(1), "SELECT 1".to_owned());
        assert!(
            !calls.contains(&sql) && !calls.contains(&Call::Interrupt),
            "{calls:?}"
        );
    }
}

/// By the registry's clock it has been running for four minutes, although this node's own is
/// behind: it is not sent again.
#[tokio::test]
async fn one_that_is_too_old_ends_unknown_whatever_this_nodes_clock_says() {
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    setting
        .registry
        .set_clocks(STARTED_MS + 240_000, STARTED_MS - 600_000);
    let _node = setting.start(None).await;
    setting.registry.move_to(1);
    until("its end is committed", || !ends(&setting).is_empty()).await;
    let end = &ends(&setting)[0];
    let class = end.error.clone().unwrap_or_default().error_class;
    assert_eq!((end.epoch, class.as_str()), (2, "LIBRA_OUTCOME_UNKNOWN"));
    let sent = setting.spark.executions();
    assert!(
        matches!(&sent[..], [Call::Execute(_, sql)] if sql.contains("libra-seal-")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn what_starts_after_the_move_is_sent_at_once() {
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    setting.spark.know(1);
    let _node = setting.start(None).await;
    setting.registry.move_to(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    setting.registry.run(2);
    until("the next is sent", || setting.spark.is_attached(2)).await;
    let sent = Call::Execute(operation(2), "SELECT 2".to_owned());
    assert_eq!(setting.spark.executions(), [sent]);
    assert_eq!(setting.spark.reattaches(), 1);
}

#[tokio::test]
async fn an_owner_that_is_none_any_more_lets_everything_go_as_it_is() {
    let setting = Setting::with_session(1).await;
    let _node = setting.start(None).await;
    setting.registry.run(1);
    // What was running when the actor began is reattached to; either will do here.
    setting.spark.know(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    assert!(setting.spark.batch(1, "r1"));
    until("its first rows are stored", || {
        setting.store.appended(1).len() == 1
    })
    .await;
    // A cancel is wanted by now, and the session is closing: both are the next owner's.
    setting.registry.change(|view| {
        view.session.owner_node = 2;
        view.session.epoch += 1;
        view.session.set_state(SessionState::Closing);
        let statement = view.running.remove(0);
        let mut statement = (*statement).clone();
        statement.cancel_requested_at_ms = 1;
        view.running.insert(0, statement.into());
    });
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    until("its live signs are taken back", || {
        setting.board.was_cleared(1)
    })
    .await;
    setting.spark.batch(1, "r2");
    setting.registry.run(2);
    // Whatever the actor would do, it would do before the next one of another session has begun.
    setting.registry.move_to(1);
    until("it comes back", || setting.spark.is_attached(1)).await;
    let calls = setting.spark.calls();
    let back = calls
        .iter()
        .rposition(|call| *call == Call::Reattach(operation(1), Some("r1".to_owned())))
        .unwrap();
    assert!(!calls[..back].iter().any(meddles), "{calls:?}");
    assert_eq!(setting.store.appended(1), [(1, "r1".to_owned())]);
    assert_eq!(ends(&setting), []);
}

#[tokio::test]
async fn a_session_that_leaves_while_it_is_opened_is_opened_by_the_next_owner() {
    let setting = Setting::with_session(1).await;
    setting.registry.change(|view| {
        view.session.set_state(SessionState::Starting);
        view.session.incarnation = None;
    });
    setting.spark.open_gate(false);
    let _node = setting.start(None).await;
    until("it is being opened", || setting.spark.has(&Call::Greet)).await;
    setting.registry.move_to(2);
    setting.registry.move_to(1);
    until("it is being opened anew", || {
        let greetings = setting.spark.calls().into_iter();
        greetings.filter(|call| *call == Call::Greet).count() > 1
    })
    .await;
    setting.spark.open_gate(true);
    until("it is open", || !openings(&setting).is_empty()).await;
    let epochs: Vec<u64> = openings(&setting).iter().map(|open| open.epoch).collect();
    assert_eq!(epochs, [3]);
}

#[tokio::test]
async fn a_closed_session_that_is_reopened_elsewhere_stays_there() {
    let setting = Setting::with_session(1).await;
    let _node = setting.start(None).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    setting.registry.change(|view| {
        view.running.clear();
        view.session.set_state(SessionState::Closed);
    });
    let reopen = |node| {
        setting.registry.change(|view| {
            view.session.owner_node = node;
            view.session.epoch += 1;
            view.session.set_state(SessionState::Starting);
            view.session.incarnation = None;
        });
    };
    reopen(2);
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    reopen(1);
    until("it is open", || !openings(&setting).is_empty()).await;
    let epochs: Vec<u64> = openings(&setting).iter().map(|open| open.epoch).collect();
    assert_eq!(epochs, [3], "never for the node that it was not on");
}

type Pick = fn(&Kind) -> Option<()>;

/// A registry without a leader answers at once: neither it nor Spark is asked without a pause.
#[tokio::test]
async fn proposals_that_nobody_answers_are_repeated_with_growing_pauses() {
    let closed = |kind: &Kind| matches!(kind, Kind::SessionClosed(_)).then_some(());
    let reset = |kind: &Kind| matches!(kind, Kind::ResetSession(_)).then_some(());
    let cases: [(SessionState, Pick); 2] =
        [(SessionState::Closing, closed), (SessionState::Open, reset)];
    for (session, pick) in cases {
        let setting = Setting::with_session(1).await;
        setting.registry.set_leaderless(true);
        if session == SessionState::Open {
            setting.registry.run(1);
            setting.spark.lose_session();
        }
        setting
            .registry
            .change(|view| view.session.set_state(session));
        let begun = Instant::now();
        let _node = setting.start(None).await;
        until("it was proposed three times", || {
            setting.registry.proposed(pick).len() == 3
        })
        .await;
        // 200 and 400 ms.
        assert!(begun.elapsed() >= Duration::from_millis(600), "{session:?}");
        let calls = setting.spark.calls();
        assert!(calls.len() <= 9, "{calls:?}");
    }
}

/// This node's spark.remote lacks its endpoint; that of another may have it.
#[tokio::test]
async fn a_session_whose_endpoint_is_not_here_goes_on_to_another_node() {
    let moves = |registry: &Pretended| {
        registry.proposed(|kind| match kind {
            Kind::MoveSession(moved) => Some((moved.epoch, moved.to_node)),
            _ => None,
        })
    };
    let is_failed = |registry: &Pretended| {
        let failed = |kind: &Kind| matches!(kind, Kind::FailSession(_)).then_some(());
        !registry.proposed(failed).is_empty()
    };
    let registry = Pretended::new();
    registry.put_node(1, "boot-1");
    registry.put_node(2, "boot-2");
    registry.open_session("sc://elsewhere:15002", 1);
    let _node = Node::start(options(&registry, None)).await.unwrap();
    registry.run(1);
    until("it is moved", || moves(&registry) == [(1, 2)]).await;
    assert!(!is_failed(&registry));
    // Nor has node 2 its endpoint: it comes back again and again.
    for times in 2..=5 {
        registry.move_to(1);
        until("it is moved again", || moves(&registry).len() == times).await;
    }
    registry.move_to(1);
    until("it is failed", || is_failed(&registry)).await;
    assert_eq!(moves(&registry).len(), 5);

    // Where there is no other node it has nowhere to go.
    let alone = Pretended::new();
    alone.put_node(1, "boot-1");
    alone.put_node(2, "boot-2");
    alone.set_node_state(2, NodeState::Down);
    alone.open_session("sc://elsewhere:15002", 1);
    let _alone = Node::start(options(&alone, None)).await.unwrap();
    alone.run(1);
    until("it is failed", || is_failed(&alone)).await;
    assert_eq!(moves(&alone), []);
}

/// The next owner's writer is known to the store before the move is known here.
#[tokio::test]
async fn a_result_that_another_writes_is_left_alone() {
    let setting = Setting::with_session(1).await;
    let _node = setting.start(None).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    setting.registry.set_truth(Some(None));
    setting.store.supersede();
    assert!(setting.spark.batch(1, "r1"));
    until("the owner is asked for", || {
        setting.registry.confirmed() > 2
    })
    .await;
    setting.registry.set_truth(Some(Some(false)));
    setting.registry.move_to(2);
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    until("its live signs are taken back", || {
        setting.board.was_cleared(1)
    })
    .await;
    assert!(!setting.spark.calls().iter().any(meddles));
    assert_eq!(ends(&setting), []);
    assert_eq!(setting.store.appended(1), []);
}

/// It may be the old owner who attached, or the new one: nobody knows before the registry is asked.
#[tokio::test]
async fn who_was_cut_off_does_not_attach_again_before_it_is_known_to_be_the_owner() {
    let setting = Setting::with_session(1).await;
    let _node = setting.start(None).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    let reattaches = setting.spark.reattaches();
    setting.registry.set_truth(Some(None));
    setting.spark.disconnect(1);
    until("the owner is asked for", || {
        setting.registry.confirmed() > 2
    })
    .await;
    assert_eq!(setting.spark.reattaches(), reattaches);
    setting.registry.set_truth(None);
    until("it is attached again", || setting.spark.is_attached(1)).await;
    // A question without an answer is not asked without a pause.
    let asked = setting.registry.confirmed();
    assert!(asked < 20, "{asked}");
}

#[cfg(feature = "safety-switches")]
#[tokio::test]
async fn without_the_id_first_spark_knows_nothing_of_the_committed_operation() {
    use libra_proto::safety::{Safety, take_off};

    take_off(&[Safety::OperationIdFirst]);
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    let _node = setting.start(None).await;
    setting.registry.move_to(1);
    until("it is sent", || !setting.spark.executions().is_empty()).await;
    let sent = setting.spark.executions();
    assert!(
        matches!(&sent[0], Call::Execute(id, sql) if sql == "SELECT 1" && *id != operation(1)),
        "{sent:?}"
    );
}
