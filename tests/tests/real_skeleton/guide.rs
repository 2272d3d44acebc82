//! The guide's three terminals.

use anyhow::Result;
use futures::future::try_join_all;
use libra_tests::harness::{Api, Marker, State, Statement, Submit, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::{SOON, assert_succeeded, skeleton};

/// Submits a body as it stands in the guide, without any parameter, and waits for the end.
async fn terminal(api: &Api, body: Value) -> Result<Statement> {
    let path = "/api/v1/sessions/default/statements";
    let reply = api
        .send(api.request(Method::POST, path).json(&body))
        .await?;
    let accepted: Statement = reply.json(&[200, 202])?;
    api.ended(&accepted.job_id, SOON).await
}

#[tokio::test]
async fn real_guide_three_terminals_answer_rightly_in_their_pools() -> Result<()> {
    let (_spark, libra) = skeleton().await?;
    let api = &libra.api;
    let cases = [
        (
            "SELECT COUNT(*) FROM range(1000000000)",
            "low-priority",
            json!(1_000_000_000),
        ),
        ("SELECT 1", "interactive", json!(1)),
        (
            "SELECT AVG(id) FROM range(1000000)",
            "high-priority",
            json!(499_999.5),
        ),
    ];
    let ended =
        try_join_all(cases.iter().map(|(code, pool, _)| {
            terminal(api, json!({"code": code, "kind": "sql", "pool": pool}))
        }))
        .await?;

    for (statement, (code, pool, value)) in ended.iter().zip(&cases) {
        assert_succeeded(statement);
        assert_eq!(statement.session_id, "default");
        assert_eq!(
            (statement.code.as_str(), statement.pool.as_str()),
            (*code, *pool)
        );
        assert_eq!(statement.rows(), [vec![value.clone()]], "{code}");
        let listed = api
            .statements(&format!("session=default&pool={pool}"))
            .await?;
        let ids: Vec<&str> = listed
            .statements
            .iter()
            .map(|s| s.job_id.as_str())
            .collect();
        assert_eq!(ids, [statement.job_id.as_str()], "statements in {pool}");
    }
    Ok(())
}

#[tokio::test]
async fn real_three_statements_in_three_pools_run_side_by_side() -> Result<()> {
    let (spark, libra) = skeleton().await?;
    let api = &libra.api;
    // Two, so that a Spark with two cores has begun both when the third comes.
    let pools = ["low-priority", "high-priority"];
    let markers = pools.map(|_| Marker::new());
    let mut long = Vec::new();
    for (pool, marker) in pools.iter().zip(&markers) {
        let submit = Submit::sql(marker.sleeping(6000)).pool(pool);
        long.push(api.submit("default", &submit).await?);
    }
    for marker in markers {
        spark.rest.until_running(marker, SOON).await?;
    }
    let quick = api
        .submit("default", &Submit::sql("SELECT 1").pool("interactive"))
        .await?;
    until("all three to run at once", SOON, || async {
        let session = api.session("default").await?;
        let mut pools: Vec<_> = session
            .active_statements
            .iter()
            .map(|s| s.pool.clone())
            .collect();
        pools.sort();
        let all = pools == ["high-priority", "interactive", "low-priority"];
        Ok(all
            && session
                .active_statements
                .iter()
                .all(|s| s.state == State::Running)
            || api.statement(&quick.job_id).await?.state.ended())
    })
    .await?;

    let quick = api.ended(&quick.job_id, SOON).await?;
    assert_succeeded(&quick);
    for (statement, marker) in long.iter().zip(markers) {
        let statement = api.ended(&statement.job_id, SOON).await?;
        assert_succeeded(&statement);
        assert!(
            statement.started_at < quick.started_at,
            "{statement:?} and {quick:?}"
        );
        assert!(
            quick.started_at < statement.completed_at,
            "{statement:?} and {quick:?}"
        );
        assert_eq!(statement.rows()[0][0], json!(marker.number()));
        spark.rest.ran(marker, 1).await?;
    }
    Ok(())
}
