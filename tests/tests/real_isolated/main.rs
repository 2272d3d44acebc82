//! ISOLATED mode on a real Spark: a Spark session for each id, with its own settings and views, a
//! limit, an end by idleness, and a data directory that was used in the other mode before.
//!
//! Needs what `tests/run real` provides: `LIBRA_TEST_SPARK`, `LIBRA_TEST_SPARK_UI` and the built
//! binary `libra`.
//!
//! **Invariant:** sessions are told apart by what Spark answers in them, not by what Libra says.

mod apart;
mod ends;
mod limit;
mod modes;

use std::time::Duration;

use anyhow::{Result, ensure};
use libra_tests::harness::{Api, Libra, LibraBuilder, Reply, Session, SharedSpark, until_some};
use libra_tests::harness::{State, Statement, Submit};
use reqwest::Method;
use serde_json::Value;

/// Long enough for a statement of a second on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(60);
const MODE: &str = "LIBRA_SESSION_MODE";

fn isolated() -> Result<LibraBuilder> {
    Ok(Libra::on(&SharedSpark::find()?.endpoint).env(MODE, "ISOLATED"))
}

/// Runs one statement, which must succeed.
async fn run(api: &Api, session: &str, sql: &str) -> Result<Statement> {
    let ended = api.run(session, &Submit::sql(sql), SOON).await?;
    ensure!(
        ended.state == State::Succeeded,
        "{sql} in {session}: {:?}",
        ended.error
    );
    Ok(ended)
}

async fn post_session(api: &Api, body: &Value) -> Result<Reply> {
    api.send(api.request(Method::POST, "sessions").json(body))
        .await
}

async fn delete_session(api: &Api, id: &str) -> Result<()> {
    let path = format!("sessions/{id}");
    let reply = api.send(api.request(Method::DELETE, &path)).await?;
    reply.expect(&[204]).map(drop)
}

async fn until_state(api: &Api, id: &str, state: &str) -> Result<Session> {
    until_some(&format!("{id} to be {state}"), SOON, || async {
        let session = api.session(id).await?;
        Ok((session.state == state).then_some(session))
    })
    .await
}

/// The lines of the log that say `what` of one session.
fn logged(libra: &Libra, what: &str, session: &str) -> Result<Vec<String>> {
    let id = format!("session_id=\"{session}\"");
    let log = libra.log()?;
    let lines = log
        .lines()
        .filter(|line| line.contains(&format!(": {what} ")) && line.contains(&id));
    Ok(lines.map(str::to_owned).collect())
}

/// Waits for the one line that says `what` of one session. The log may lag behind an answer.
async fn logged_once(libra: &Libra, what: &str, session: &str) -> Result<String> {
    let name = format!("the log to say {what:?} of {session}");
    let line = until_some(&name, Duration::from_secs(5), || async {
        Ok(logged(libra, what, session)?.pop())
    })
    .await?;
    let all = logged(libra, what, session)?;
    ensure!(all.len() == 1, "{all:?}");
    ensure!(line.contains(" INFO "), "{line}");
    Ok(line)
}

/// Everything that a client can read of a statement's result.
async fn result(api: &Api, statement: &Statement) -> Result<(Statement, Vec<bytes::Bytes>)> {
    let job = &statement.job_id;
    let path = format!("sessions/{}/statements/{job}", statement.session_id);
    let shown = api.get(&path).await?.json(&[200])?;
    let pages = api.pages(job, 100).await?;
    let mut all: Vec<_> = pages.into_iter().map(|(_, bytes)| bytes).collect();
    all.push(api.arrow(job).await?);
    Ok((shown, all))
}
