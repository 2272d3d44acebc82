//! A node that is about to leave hands its sessions over.

use std::time::Duration;

use libra_actors::supervisor::Drained;

use crate::node::Setting;
use crate::until;

#[tokio::test]
async fn it_waits_until_its_sessions_are_others() {
    let setting = Setting::with_session(1).await;
    let node = setting.start(None).await;
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
    let drained = node.drain(Duration::from_secs(20));
    let moved = async {
        // It is run on until it is moved.
        setting.registry.run(2);
        until("the next is sent", || setting.spark.is_attached(2)).await;
        setting.registry.move_to(2);
    };
    let (drained, ()) = tokio::join!(drained, moved);
    assert_eq!(drained, Drained { left: 0 });
    until("nobody is attached", || !setting.spark.is_attached(1)).await;
}

#[tokio::test]
async fn it_takes_none_that_come() {
    let setting = Setting::with_session(2).await;
    setting.registry.run(1);
    setting.spark.know(1);
    let node = setting.start(None).await;
    assert_eq!(
        node.drain(Duration::from_secs(20)).await,
        Drained { left: 0 }
    );
    setting.registry.move_to(1);
    let drained = node.drain(Duration::from_millis(300)).await;
    assert_eq!(drained, Drained { left: 1 });
    assert_eq!(setting.spark.calls(), []);
}

#[tokio::test]
async fn it_does_not_wait_for_ever() {
    let setting = Setting::with_session(1).await;
    let node = setting.start(None).await;
    let drained = node.drain(Duration::from_millis(100)).await;
    assert_eq!(drained, Drained { left: 1 });
    // What could not be handed over is run on.
    setting.registry.run(1);
    until("it is attached", || setting.spark.is_attached(1)).await;
}
