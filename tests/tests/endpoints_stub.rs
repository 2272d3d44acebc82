//! Several Spark Connect endpoints under one coordinator, played by stubs: new sessions go where
//! least is running, none to one that is down, and again to one that is back.

use std::time::Duration;

use anyhow::{Context, Result};
use libra_tests::harness::{Api, Libra, Marker, Submit, until};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::net::Mode;
use libra_tests::stub::server::StubSpark;
use serde_json::Value;

/// Long enough for what takes a moment, also on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(40);

/// A statement that runs until the test is over.
const HOLDS: &str = "delay_ms=600000";

/// Submits to a session that is not there yet, and says on which endpoint that is then.
async fn endpoint_of_new(api: &Api, session: &str, directive: &str) -> Result<String> {
    let code = format!("/* stub: {directive} */ SELECT {}", Marker::new());
    api.submit(session, &Submit::sql(code)).await?;
    Ok(api.session(session).await?.endpoint)
}

/// Waits until the coordinator has noticed how the endpoint is.
async fn until_seen(api: &Api, endpoint: &str, state: &str) -> Result<()> {
    until("the endpoint's state to be noticed", SOON, || async {
        let health: Value = api.get("/actuator/health").await?.json(&[200, 503])?;
        Ok(health["components"]["spark"]["details"][endpoint] == state)
    })
    .await
}

/// Waits until so many statements run in the session.
async fn until_running(api: &Api, session: &str, count: u64) -> Result<()> {
    until("the statement to run", SOON, || async {
        Ok(api.session(session).await?.statements.running == count)
    })
    .await
}

#[tokio::test]
async fn new_sessions_go_where_least_is_running_and_spark_is_up() -> Result<()> {
    let stubs = [
        StubSpark::start(Settings::default()).await?,
        StubSpark::start(Settings::default()).await?,
    ];
    let [first, second] = [0, 1].map(|n: usize| stubs[n].connection_string());
    let libra = Libra::on(&format!("{first},{second}"))
        .set("libra.session.mode", "ISOLATED")
        .start()
        .await?;
    let api = &libra.api;
    until_seen(api, &first, "UP").await?;
    until_seen(api, &second, "UP").await?;

    assert_eq!(endpoint_of_new(api, "a", HOLDS).await?, first);
    until_running(api, "a", 1).await?;
    assert_eq!(endpoint_of_new(api, "b", HOLDS).await?, second, "less runs");
    until_running(api, "b", 1).await?;
    api.submit("b", &Submit::sql(format!("/* stub: {HOLDS} */ SELECT 2")))
        .await?;
    until_running(api, "b", 2).await?;
    assert_eq!(endpoint_of_new(api, "c", HOLDS).await?, first, "less runs");
    until_running(api, "c", 1).await?;

    let down = stubs.first().context("two stubs")?.net();
    down.set_mode(Mode::Refuse);
    until_seen(api, &first, "DOWN").await?;
    for session in ["d", "e", "f"] {
        let endpoint = endpoint_of_new(api, session, HOLDS).await?;
        assert_eq!(endpoint, second, "{session}: the other is down");
        until_running(api, session, 1).await?;
    }

    down.set_mode(Mode::Open);
    until_seen(api, &first, "UP").await?;
    assert_eq!(endpoint_of_new(api, "g", HOLDS).await?, first, "it is back");
    until_running(api, "g", 1).await
}
