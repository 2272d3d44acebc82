//! While this node's lease is over its sessions stand still; and once it was over, nothing is done
//! before the epoch is confirmed.

use std::sync::Arc;
use std::time::Duration;

use libra_actors::lease::{Options, Setup};
use libra_actors::supervisor::Node;
use libra_proto::registry::SessionState;
use libra_proto::registry::command::Kind;

use crate::keeper::{Leader, Port};
use crate::node::Setting;
use crate::registry::operation;
use crate::spark::Call;
use crate::until;

async fn start(setting: &Setting) -> (Arc<Port>, Node) {
    let port = Port::new();
    let options = Options {
        length: Duration::from_millis(500),
        margin: Duration::from_millis(100),
        ..Options::default()
    };
    let lease = Setup {
        port: Arc::clone(&port) as _,
        options,
    };
    let node = setting.start(Some(lease)).await;
    until("the lease is held", || node.lease().spell().is_some()).await;
    (port, node)
}

async fn lose(port: &Port, node: &Node) {
    port.set(Leader::Hangs);
    until("the lease is over", || node.lease().spell().is_none()).await;
}

fn ends(setting: &Setting) -> usize {
    let ends = setting.registry.proposed(|kind| match kind {
        Kind::Finish(finish) => Some(finish.job),
        _ => None,
    });
    ends.len()
}

#[tokio::test]
async fn nothing_is_sent_stored_or_committed_while_it_is_over() {
    let setting = Setting::with_session(1).await;
    let (port, node) = start(&setting).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    assert!(setting.spark.batch(1, "r1"));
    until("its first rows are stored", || {
        setting.store.appended(1).len() == 1
    })
    .await;
    lose(&port, &node).await;
    let sent = setting.spark.executions().len();
    let reattaches = setting.spark.reattaches();
    assert!(setting.spark.batch(1, "r2") && setting.spark.complete(1, "r3"));
    setting.registry.run(2);
    setting
        .registry
        .change(|view| view.session.set_state(SessionState::Closing));
    // The lease comes back, and the owner is not known yet: that is no better.
    setting.registry.set_truth(Some(None));
    port.set(Leader::Renews);
    until("the lease is held", || node.lease().spell().is_some()).await;
    until("the owner is asked for", || {
        setting.registry.confirmed() > 5
    })
    .await;
    assert_eq!(setting.store.appended(1).len(), 1);
    assert_eq!(setting.spark.executions().len(), sent);
    assert_eq!(ends(&setting), 0);
    setting.registry.set_truth(None);
    until("its end is committed", || ends(&setting) == 1).await;
    assert_eq!(setting.store.appended(1).len(), 3);
    until("the next is sent", || setting.spark.is_attached(2)).await;
    let now = setting.spark.reattaches();
    assert_eq!(now, reattaches, "its stream was held");
}

/// Between two attempts at Spark it waits for longer than a lease: what it was allowed before the
/// wait it may not do afterwards.
#[tokio::test]
async fn a_wait_that_outlasts_the_lease_ends_at_the_fence() {
    let setting = Setting::with_session(1).await;
    setting.registry.change(|view| {
        view.session.set_state(SessionState::Starting);
        view.session.incarnation = None;
    });
    setting.spark.refuse_greetings();
    let (port, node) = start(&setting).await;
    // The next one is due 1.6 s after this one.
    until("it was tried four times", || {
        setting.spark.count(&Call::Greet) >= 4
    })
    .await;
    let tried = setting.spark.count(&Call::Greet);
    let confirmed = setting.registry.confirmed();
    lose(&port, &node).await;
    setting.registry.set_truth(Some(None));
    port.set(Leader::Renews);
    until("the owner is asked for", || {
        setting.registry.confirmed() > confirmed + 1
    })
    .await;
    assert_eq!(setting.spark.count(&Call::Greet), tried);
}

/// It wakes up, its own registry is behind, and the session has gone.
#[tokio::test]
async fn an_owner_that_has_slept_finds_out_before_it_does_anything() {
    let setting = Setting::with_session(1).await;
    let (port, node) = start(&setting).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    lose(&port, &node).await;
    assert!(setting.spark.batch(1, "r1") && setting.spark.complete(1, "r2"));
    setting.registry.set_truth(Some(Some(false)));
    setting.registry.run(2);
    setting.registry.change(|view| {
        let statement = view.running.remove(0);
        let mut statement = (*statement).clone();
        statement.cancel_requested_at_ms = 1;
        view.running.insert(0, statement.into());
    });
    port.set(Leader::Renews);
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
    until("the owner was asked for", || {
        setting.registry.confirmed() > 0
    })
    .await;
    assert_eq!(setting.store.appended(1), []);
    assert_eq!(ends(&setting), 0);
    let second = Call::Execute(operation(2), "SELECT 2".to_owned());
    assert!(!setting.spark.has(&second));
    assert!(!setting.spark.has(&Call::Interrupt));
}

/// A session that comes while the lease is over waits too.
#[tokio::test]
async fn a_session_that_comes_waits_for_the_lease() {
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    setting.spark.know(1);
    let (port, node) = start(&setting).await;
    lose(&port, &node).await;
    setting.registry.set_truth(Some(None));
    setting.registry.move_to(1);
    port.set(Leader::Renews);
    until("the owner is asked for", || {
        setting.registry.confirmed() > 2
    })
    .await;
    assert_eq!(setting.spark.calls(), []);
    setting.registry.set_truth(None);
    until("it is attached", || setting.spark.is_attached(1)).await;
    assert_eq!(setting.spark.executions(), []);
}

/// Nobody knows whose the session is now, and the owner of before goes on.
#[cfg(feature = "safety-switches")]
#[tokio::test]
async fn without_the_epoch_check_an_owner_goes_on_unconfirmed() {
    use libra_proto::safety::{Safety, take_off};

    take_off(&[Safety::EpochCheck]);
    let setting = Setting::with_session(1).await;
    let (port, node) = start(&setting).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    lose(&port, &node).await;
    setting.registry.set_truth(Some(Some(false)));
    assert!(setting.spark.batch(1, "r1") && setting.spark.complete(1, "r2"));
    port.set(Leader::Renews);
    until("it is ended", || ends(&setting) == 1).await;
    assert_eq!(setting.registry.confirmed(), 0);
}
