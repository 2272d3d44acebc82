//! Recovery on one node, against the stub, where every step can be controlled: a coordinator
//! killed at a chosen point, a driver that forgets or dies, a connection that is lost.
//!
//! **Invariant:** whatever happens, the stub's ledger has each operation once at most.

mod driver;
mod keep_alive;
mod memory;
mod network;
mod retention;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Libra, Marker, State, Statement, Submit, until, until_some};
use libra_tests::stub::engine::{Outcome, Settings};
use libra_tests::stub::server::StubSpark;

/// Long enough for what takes a moment, also on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(40);
/// Within so long a statement is told that its Spark is gone.
const TOLD: Duration = Duration::from_secs(5);
const FAILPOINTS: &str = "FAILPOINTS";

/// A stub, and a coordinator on it that is not started yet.
async fn apart(settings: Settings, slots: usize) -> Result<(StubSpark, Libra)> {
    let stub = StubSpark::start(settings).await?;
    let libra = Libra::on(&stub.connection_string())
        .set("libra.scheduler.slots", slots)
        .prepare()?;
    Ok((stub, libra))
}

/// A stub, and a coordinator that is ready on it.
async fn together(settings: Settings, slots: usize) -> Result<(StubSpark, Libra)> {
    let (stub, mut libra) = apart(settings, slots).await?;
    libra.start().await?;
    Ok((stub, libra))
}

/// A statement that does what `directive` says, told apart by a marker.
fn sql(directive: &str) -> Submit {
    Submit::sql(format!("/* stub: {directive} */ SELECT {}", Marker::new()))
}

async fn accepted(libra: &Libra, directive: &str) -> Result<Statement> {
    libra.api.submit("default", &sql(directive)).await
}

/// The first statement of a coordinator that was killed by it, perhaps before it was answered.
struct Doomed {
    job: String,
    code: String,
}

/// Starts the coordinator, submits a statement, and waits until it has killed the coordinator at a
/// fail point, which is off from then on.
async fn killed_at(point: &str, libra: &mut Libra, directive: &str) -> Result<Doomed> {
    libra.set_env(FAILPOINTS, Some(&format!("{point}=return(kill)")));
    libra.start().await?;
    let submit = sql(directive);
    // The answer may be overtaken by the kill.
    let _ = libra.api.try_submit("default", &submit, 0).await;
    dead(libra).await?;
    libra.set_env(FAILPOINTS, None);
    Ok(Doomed {
        job: "job-1".to_owned(),
        code: submit.code,
    })
}

/// The same, after the statement is in Spark and before the coordinator has heard of that.
async fn killed_unanswered(stub: &StubSpark, libra: &mut Libra, directive: &str) -> Result<Doomed> {
    let doomed = killed_at("sent-not-answered", libra, directive).await?;
    ensure!(ran(stub, &doomed.code) == 1, "it never reached Spark");
    Ok(doomed)
}

/// Waits until the coordinator has ended at a fail point.
async fn dead(libra: &mut Libra) -> Result<()> {
    until("the coordinator to die", SOON, || {
        let exited = libra.exited();
        async move { Ok(exited?.is_some()) }
    })
    .await
}

/// Waits until a statement is `running`, and then as long as sending it can take.
async fn on_its_way(libra: &Libra, statement: &Statement) -> Result<()> {
    until("the statement to run", SOON, || async {
        let seen = libra.api.statement(&statement.job_id).await?;
        Ok(seen.state == State::Running)
    })
    .await?;
    passed(Duration::from_millis(500)).await
}

/// Waits so long.
async fn passed(time: Duration) -> Result<()> {
    let began = Instant::now();
    until("time to pass", SOON, || async {
        Ok(began.elapsed() > time)
    })
    .await
}

/// How often the stub ran a statement.
fn ran(stub: &StubSpark, code: &str) -> usize {
    stub.ledger(|ledger| ledger.count_of_code(code))
}

/// How the stub's only run of a statement ended.
fn outcome(stub: &StubSpark, code: &str) -> Option<Outcome> {
    let executions = stub.executions();
    let run = executions.iter().find(|run| run.code == code);
    run.and_then(|run| run.outcome)
}

/// Waits until the stub has begun to run a statement.
async fn begun(stub: &StubSpark, statement: &Statement) -> Result<()> {
    until("Spark to run the statement", SOON, || async {
        Ok(ran(stub, &statement.code) > 0)
    })
    .await
}

/// Waits until a statement shows that its connection is lost, or found again.
async fn reconnecting(libra: &Libra, statement: &Statement, wanted: bool) -> Result<Statement> {
    let what = format!("reconnecting: {wanted}");
    until_some(&what, SOON, || async {
        let seen = libra.api.statement(&statement.job_id).await?;
        ensure!(seen.state == State::Running, "{seen:?}");
        Ok((seen.reconnecting == wanted).then_some(seen))
    })
    .await
}

async fn ended(libra: &Libra, job: &str) -> Result<Statement> {
    libra.api.ended(job, SOON).await
}

/// The error class of a statement that failed; fails itself if it ended otherwise.
#[track_caller]
fn class(statement: &Statement) -> &str {
    assert_eq!(statement.state, State::Failed, "{statement:?}");
    let error = statement.error.as_ref();
    error
        .and_then(|e| e.error_class.as_deref())
        .unwrap_or_default()
}

#[track_caller]
fn assert_succeeded(statement: &Statement) {
    assert_eq!(statement.state, State::Succeeded, "{:?}", statement.error);
}
