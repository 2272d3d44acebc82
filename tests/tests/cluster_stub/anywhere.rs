//! Any coordinator: submitted at one, run by another, read at a third.

use anyhow::Result;
use libra_tests::harness::{State, until_some};

use super::{SOON, assert_succeeded, begun, nothing_ran_twice, session_of, sql, stub, three};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitted_at_one_owned_by_two_read_at_three_and_cancelled_at_one() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(20).start().await?;
    let (one, three) = (cluster.api(1)?, cluster.api(3)?);
    let session = session_of(&cluster, 2).await?;

    let submitted = one
        .submit(&session, &sql("rows=2500 row_bytes=20 batch_rows=500"))
        .await?;
    // Read-your-writes: whoever is asked, and however early, knows it.
    for id in cluster.ids() {
        let seen = cluster.api(id)?.statement(&submitted.job_id).await?;
        assert_eq!((seen.code, seen.owner_node_id), (submitted.code.clone(), 2));
    }
    let ended = three.ended(&submitted.job_id, SOON).await?;
    assert_succeeded(&ended);
    let pages = three.pages(&submitted.job_id, 400).await?;
    let rows: usize = pages.iter().map(|(page, _)| page.rows.len()).sum();
    assert_eq!((pages.len(), rows), (7, 2500));
    for id in cluster.ids() {
        let api = cluster.api(id)?;
        let again = api.pages(&submitted.job_id, 400).await?;
        let same = again.iter().zip(&pages).all(|((_, a), (_, b))| a == b);
        assert!(same && again.len() == pages.len(), "node {id}");
        assert_eq!(
            api.arrow(&submitted.job_id).await?,
            three.arrow(&submitted.job_id).await?
        );
        assert_eq!(
            api.csv(&submitted.job_id).await?,
            three.csv(&submitted.job_id).await?
        );
    }

    let hanging = three.submit(&session, &sql("hang")).await?;
    begun(&stub, &hanging).await?;
    let cancel = one.cancel(&session, &hanging.job_id).await?;
    assert!(cancel.statement.cancel_requested_at.is_some() || cancel.statement.state.ended());
    let ended = cluster.api(2)?.ended(&hanging.job_id, SOON).await?;
    assert_eq!(ended.state, State::Cancelled, "{:?}", ended.error);

    cluster.same_everywhere("statements?limit=100").await?;
    cluster
        .same_everywhere(&format!("sessions/{session}/statements"))
        .await?;
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_acknowledged_the_next_one_shows_every_time() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).start().await?;
    for turn in 0..60_u64 {
        let (at, read) = (turn % 3 + 1, (turn + 1) % 3 + 1);
        let submitted = cluster.api(at)?.submit("default", &sql("rows=1")).await?;
        let seen = cluster.api(read)?.statement(&submitted.job_id).await?;
        assert!(
            seen.state >= submitted.state,
            "{seen:?} after {submitted:?}"
        );
        let newest = cluster.api(read)?.statements("limit=1").await?;
        assert_eq!(newest.statements[0].job_id, submitted.job_id);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_statement_shows_progress_on_every_node() -> Result<()> {
    let stub = stub().await?;
    stub.configure(serde_json::json!({"progress_interval_ms": 100}))
        .await?;
    let cluster = three(&stub).start().await?;
    let owner = cluster.owner_of("default").await?;
    let running = cluster.api(owner)?.submit("default", &sql("hang")).await?;
    begun(&stub, &running).await?;
    for id in cluster.ids() {
        let api = cluster.api(id)?;
        until_some(&format!("progress at node {id}"), SOON, || async {
            Ok(api.statement(&running.job_id).await?.progress)
        })
        .await?;
    }
    cluster
        .api(owner)?
        .cancel("default", &running.job_id)
        .await?;
    Ok(())
}
