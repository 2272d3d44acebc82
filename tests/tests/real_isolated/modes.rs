//! A data directory that is used in one mode, then in the other, then in the first again.

use anyhow::Result;
use libra_tests::harness::{State, Submit};

use super::{MODE, SOON, isolated, logged_once, result, run, until_state};

#[tokio::test]
async fn real_switching_the_mode_closes_the_others_sessions_and_keeps_results() -> Result<()> {
    let mut libra = isolated()?.prepare()?;
    libra.set_env(MODE, Some("SHARED"));
    libra.start().await?;
    let view = "CREATE TEMPORARY VIEW kept AS SELECT 42 AS answer";
    run(&libra.api, "default", view).await?;
    let shared = run(&libra.api, "default", "SELECT answer, uuid() FROM kept").await?;
    let of_shared = result(&libra.api, &shared).await?;
    let before = libra.api.session("default").await?;
    libra.stop().await?;

    libra.set_env(MODE, Some("ISOLATED"));
    libra.start().await?;
    let closed = until_state(&libra.api, "default", "closed").await?;
    assert_eq!(
        (closed.mode.as_str(), closed.epoch),
        ("SHARED", before.epoch)
    );
    let line = logged_once(&libra, "session closed", "default").await?;
    assert!(
        line.contains("reason=\"the session mode was changed\""),
        "{line}"
    );
    assert_eq!(result(&libra.api, &shared).await?, of_shared);
    let alice = run(&libra.api, "user-alice", "SELECT 'alice', uuid()").await?;
    let of_alice = result(&libra.api, &alice).await?;
    libra.stop().await?;

    libra.set_env(MODE, Some("SHARED"));
    libra.start().await?;
    until_state(&libra.api, "user-alice", "closed").await?;
    assert_eq!(result(&libra.api, &shared).await?, of_shared);
    assert_eq!(result(&libra.api, &alice).await?, of_alice);
    let refused = libra
        .api
        .try_submit("user-alice", &Submit::sql("SELECT 1"), 0)
        .await?;
    assert_eq!(refused.problem(404)?.code, "session-not-found");
    let gone = Submit::sql("SELECT answer FROM kept");
    let gone = libra.api.run("default", &gone, SOON).await?;
    assert_eq!(gone.state, State::Failed, "a new Spark session: {gone:?}");
    let default = libra.api.session("default").await?;
    assert_eq!(
        (default.mode.as_str(), default.epoch),
        ("SHARED", before.epoch + 1)
    );
    assert_ne!(default.spark_session_id, before.spark_session_id);
    Ok(())
}
