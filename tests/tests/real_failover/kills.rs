//! kill -9 at second 5 of a statement of 20 seconds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Marker, SharedSpark, Submit, passed, until};
use serde_json::json;

use super::{SOON, session_of, succeeded, three};

const LASTS: Duration = Duration::from_secs(20);
const KILLED_AFTER: Duration = Duration::from_secs(5);
/// What a move, and the machine, may add to it.
const LATE: Duration = Duration::from_secs(4);

async fn killed(owner_leads: bool, victim_leads: bool) -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut cluster = three(&spark).start().await?;
    let leader = cluster.leader().await?;
    let follower = cluster.others(leader)[0];
    let owner = if owner_leads { leader } else { follower };
    let session = session_of(&cluster, owner).await?;
    let victim = if victim_leads { leader } else { owner };
    let marker = Marker::new();
    let submit = Submit::sql(marker.sleeping(u64::try_from(LASTS.as_millis())?));
    let job = cluster.any()?.submit(&session, &submit).await?.job_id;
    spark.rest.until_running(marker, SOON).await?;
    let began = Instant::now();
    passed(KILLED_AFTER).await;
    cluster.kill9(victim)?;

    // The others go on: what they had, and what is new in sessions of theirs and in this one.
    let ids = cluster.running();
    for (n, id) in ids.iter().enumerate() {
        let api = cluster.api(*id)?;
        until("an answer", LATE, || async {
            let reply = api.get("statements?limit=10").await?;
            Ok(reply.status.is_success())
        })
        .await?;
        let other = Marker::new();
        let in_session = if n == 0 {
            session.clone()
        } else {
            format!("new-{id}")
        };
        let submit = Submit::sql(other.sleeping(1));
        succeeded(&api.run(&in_session, &submit, SOON).await?)?;
        spark.rest.ran(other, 1).await?;
    }
    for id in &ids {
        let ended = cluster.api(*id)?.ended(&job, SOON).await?;
        succeeded(&ended)?;
        ensure!(ended.rows()[0][0] == json!(marker.number()), "{ended:?}");
    }
    let took = began.elapsed();
    println!("ended at second {:.1}", took.as_secs_f64());
    ensure!(took < LASTS + LATE, "{took:?}");
    spark.rest.ran(marker, 1).await?;
    cluster.restart(victim).await?;
    succeeded(&cluster.api(victim)?.statement(&job).await?)?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_statement_outlives_the_owner_of_its_session() -> Result<()> {
    killed(false, false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_statement_outlives_the_leader() -> Result<()> {
    killed(false, true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_statement_outlives_an_owner_that_leads() -> Result<()> {
    killed(true, true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_statement_outlives_two_owners_with_a_restart_between() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut cluster = three(&spark).start().await?;
    let mut victim = cluster.leader().await?;
    let session = session_of(&cluster, victim).await?;
    let marker = Marker::new();
    let submit = Submit::sql(marker.sleeping(25_000));
    let job = cluster.any()?.submit(&session, &submit).await?.job_id;
    spark.rest.until_running(marker, SOON).await?;
    for _ in 0..2 {
        cluster.kill9(victim)?;
        let next = cluster.others(victim);
        until("the session to move", SOON, || async {
            let reply = cluster
                .api(next[0])?
                .get(&format!("sessions/{session}"))
                .await?;
            let seen = reply.json::<libra_tests::harness::Session>(&[200]).ok();
            Ok(seen.is_some_and(|seen| seen.owner.node_id != victim))
        })
        .await?;
        cluster.restart(victim).await?;
        victim = cluster.owner_of(&session).await?;
    }
    for id in cluster.ids() {
        succeeded(&cluster.api(id)?.ended(&job, SOON).await?)?;
    }
    spark.rest.ran(marker, 1).await
}
