//! A leader that dies or is cut off is replaced, and nothing that was answered is lost.

use crate::support::{Cut, Group, Load, pools, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_loses_nothing_that_was_acknowledged() {
    let mut group = Group::formed(3).await;
    for _ in 0..3 {
        let killed = group.leader().await;
        let others: Vec<_> = (1..=3).filter(|id| *id != killed).collect();
        let handles: Vec<_> = others.iter().map(|id| group.handle(*id)).collect();
        let load = Load::start(&handles);
        load.progress(20).await;
        group.kill(killed).await;
        load.progress(50).await;
        let report = load.finish().await;
        assert_eq!(report.refused, 0, "{report:?}");
        // Each writer has one command under way when the leader dies.
        assert!(report.unknown <= 4, "{} unknown", report.unknown);
        group.start(killed).await;
        group.wait_formed([killed]).await;
        for id in 1..=3 {
            let handle = group.handle(id);
            handle.read_index().await.unwrap();
            let missing: Vec<_> = report
                .acknowledged
                .difference(&pools(&handle))
                .cloned()
                .collect();
            assert!(missing.is_empty(), "node {id}: {missing:?}");
        }
        group.agree().await;
    }
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_in_a_black_hole_is_replaced_and_comes_back() {
    let group = Group::formed(3).await;
    let old = group.leader().await;
    let others: Vec<_> = (1..=3).filter(|id| *id != old).collect();
    let handles: Vec<_> = others.iter().map(|id| group.handle(*id)).collect();
    let load = Load::start(&handles);
    load.progress(10).await;
    group.net.isolate(old, Cut::BlackHole);
    load.progress(20).await;
    let report = load.finish().await;
    let led = |id: &u64| group.handle(*id).leadership().borrow().is_some();
    assert!(others.iter().any(led) && !led(&old));
    group.net.heal();
    let handle = group.handle(old);
    until("the old leader has caught up", || {
        report.acknowledged.is_subset(&pools(&handle))
    })
    .await;
    handle.read_index().await.unwrap();
    group.agree().await;
    group.shutdown().await;
}
