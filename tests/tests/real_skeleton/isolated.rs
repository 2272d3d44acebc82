//! ISOLATED mode: a Spark session for each id.

use anyhow::Result;
use futures::future::try_join_all;
use libra_tests::harness::{Libra, LibraBuilder, SharedSpark, State, Submit};
use serde_json::json;

use super::{SOON, assert_succeeded};

fn isolated() -> Result<LibraBuilder> {
    Ok(Libra::on(&SharedSpark::find()?.endpoint).env("LIBRA_SESSION_MODE", "ISOLATED"))
}

#[tokio::test]
async fn real_alice_and_bob_do_not_see_each_others_views() -> Result<()> {
    let libra = isolated()?.start().await?;
    let api = &libra.api;
    let users = ["user-alice", "user-bob"];
    let made = try_join_all(users.map(|user| async move {
        let code = format!("CREATE TEMPORARY VIEW mydata AS SELECT '{user}' AS who");
        api.run(user, &Submit::sql(code), SOON).await
    }))
    .await?;
    made.iter().for_each(assert_succeeded);

    let select = Submit::sql("SELECT * FROM mydata");
    for user in users {
        let statement = api.run(user, &select, SOON).await?;
        assert_succeeded(&statement);
        assert_eq!(statement.session_id, user);
        assert_eq!(statement.rows(), [vec![json!(user)]]);
    }
    let other = api.run("user-carol", &select, SOON).await?;
    assert_eq!(other.state, State::Failed);
    let class = other.error.and_then(|error| error.error_class);
    assert_eq!(class.as_deref(), Some("TABLE_OR_VIEW_NOT_FOUND"));

    let (alice, bob) = (api.session(users[0]).await?, api.session(users[1]).await?);
    assert_eq!(
        (alice.mode.as_str(), bob.mode.as_str()),
        ("ISOLATED", "ISOLATED")
    );
    assert!(alice.spark_session_id.is_some());
    assert_ne!(alice.spark_session_id, bob.spark_session_id);
    Ok(())
}

#[tokio::test]
async fn real_a_session_too_many_is_refused() -> Result<()> {
    let libra = isolated()?
        .set("libra.session.max-sessions", 2)
        .start()
        .await?;
    let api = &libra.api;
    let select = Submit::sql("SELECT 1");
    for user in ["one", "two"] {
        assert_succeeded(&api.run(user, &select, SOON).await?);
    }
    let refused = api.try_submit("three", &select, 0).await?;
    refused.problem(429)?;
    let retry: u64 = refused.header("retry-after").unwrap_or_default().parse()?;
    assert!(retry >= 1);
    assert_succeeded(&api.run("one", &select, SOON).await?);
    Ok(())
}
