//! A node that lost its disk, and comes back with its old id and nothing else.

use anyhow::{Result, ensure};
use libra_tests::kill::Once;

use super::{SOON, assert_succeeded, nothing_ran_twice, sql, stub, three};

const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_rejoins_under_load_and_nobody_notices() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let api = cluster.api(1)?;
    let kept = api
        .run("default", &sql("rows=3000 row_bytes=50"), SOON)
        .await?;
    assert_succeeded(&kept);
    let bytes = api.arrow(&kept.job_id).await?;
    let leader = cluster.leader().await?;
    let wiped = cluster.others(leader)[0];

    let load = Once::begin(&cluster.apis(), CLIENTS, false);
    cluster.wipe(wiped)?;
    cluster.remove(leader, wiped).await?;
    cluster.restart(wiped).await?;
    cluster.until_voter(wiped).await?;
    let met = load.finish().await?;
    println!(
        "{} requests, {} retried, {} statements",
        met.requests, met.retried, met.succeeded
    );
    assert_eq!(met.failed, Vec::<String>::new());
    assert_eq!(met.wrong, Vec::<String>::new());
    ensure!(met.succeeded >= CLIENTS, "too little load");

    ensure!(
        cluster.api(wiped)?.arrow(&kept.job_id).await? == bytes,
        "other bytes"
    );
    cluster.same_everywhere("statements?limit=1000").await?;
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await?;

    // It counts again: with it and without another there is a quorum.
    let other = cluster.others(wiped)[0];
    cluster.kill9(other)?;
    let ended = cluster
        .api(wiped)?
        .run("default", &sql("rows=1"), SOON)
        .await?;
    assert_succeeded(&ended);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_that_is_still_a_member_does_not_vote_as_its_old_self() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let leader = cluster.leader().await?;
    let others = cluster.others(leader);
    let (wiped, third) = (others[0], others[1]);
    let acknowledged = cluster.any()?.submit("default", &sql("rows=1")).await?;
    // A majority without the wiped one is gone: what it says must not make one.
    cluster.kill9(third)?;
    cluster.kill9(leader)?;
    cluster.wipe(wiped)?;
    cluster.spawn(wiped)?;
    cluster.spawn(third)?;
    let api = cluster.api(third)?.clone();
    libra_tests::harness::passed(std::time::Duration::from_secs(3)).await;
    ensure!(!api.ready().await, "an emptied node was counted as a voter");
    cluster.spawn(leader)?;
    libra_tests::harness::until("the two whole nodes to serve", SOON, || async {
        Ok(api.ready().await)
    })
    .await?;
    api.statement(&acknowledged.job_id).await?;
    Ok(())
}
