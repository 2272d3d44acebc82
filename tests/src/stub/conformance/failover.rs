//! The failover table of spark-connect.md: ids that come twice, streams that change hands,
//! interrupts, releases, and what is known of an operation afterwards.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use libra_proto::spark::get_status_response::operation_status::OperationState as State;

use super::probe::{Probe, new_id};
use super::reading::{Read, failed, failed_either, refused};
use super::{RUNS_ON, Scenario, Target, UNTIL_STOPPED};
use crate::harness::{Marker, until};

/// How long an operation may take to come to rest.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

const ABANDONED: &str = "INVALID_HANDLE.OPERATION_ABANDONED";
const CANCELED: &str = "OPERATION_CANCELED";
const DISCONNECTED: &str = "INVALID_CURSOR.DISCONNECTED";
const EXISTS: &str = "INVALID_HANDLE.OPERATION_ALREADY_EXISTS";
const ORPHANED: &str = "SPARK_CONNECT_ILLEGAL_STATE.EXECUTION_STATE_OPERATION_ORPHANED";
const NOT_FOUND: &str = "INVALID_HANDLE.OPERATION_NOT_FOUND";

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("an operation outlives the channel that sent it", |t| {
        Box::pin(channel_dies(t))
    }),
    Scenario::new("the newer reader wins, the older is disconnected", |t| {
        Box::pin(two_readers(t))
    }),
    Scenario::new(
        "the same id and plan again is a reattach, nothing runs twice",
        |t| Box::pin(same_plan(t)),
    ),
    Scenario::new(
        "eight at once: one stream and one execution, or the operation is lost, never run twice",
        |t| Box::pin(eight_at_once(t)),
    ),
    Scenario::new("the same id with another plan is refused", |t| {
        Box::pin(other_plan(t))
    }),
    Scenario::new(
        "a released id is abandoned for ExecutePlan, not found for reattach",
        |t| Box::pin(released(t)),
    ),
    Scenario::new("an id that never arrived is not found", |t| {
        Box::pin(never_arrived(t))
    }),
    Scenario::new(
        "releasing what runs cancels it and cuts its reader off",
        |t| Box::pin(released_running(t)),
    ),
    Scenario::new(
        "an interrupt cancels what runs; what ended is left alone",
        |t| Box::pin(interrupted(t)),
    ),
    Scenario::new("a tag, or all, can be interrupted", |t| {
        Box::pin(by_tag_and_all(t))
    }),
    Scenario::new("an interrupt before its operation leaves no mark", |t| {
        Box::pin(interrupt_before_arrival(t))
    }),
    Scenario::new("a poisoned id never runs", |t| Box::pin(poisoned(t))),
    Scenario::new(
        "GetStatus: running, terminating until released, then how it ended",
        |t| Box::pin(status(t)),
    ),
    Scenario::new(
        "another driver: SESSION_CHANGED where a session is made, else not found",
        |t| Box::pin(restarted(t)),
    )
    .needing(super::Needs::Restart),
];

/// Waits for one of some states: Spark sets it when the statement's thread has ended, a little later
/// than it answers the call that ended it.
async fn comes_to(probe: &Probe, operation: &str, states: &[State]) -> Result<()> {
    let waited = until("the state to be as expected", SETTLED_WITHIN, || async {
        Ok(states.contains(&probe.state(operation).await?))
    });
    if let Err(error) = waited.await {
        let found = probe.state(operation).await?;
        bail!("{found:?} instead of {states:?}: {error:#}");
    }
    Ok(())
}

async fn channel_dies(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let probe = Probe::open(target).await?;
    let other = probe.elsewhere(target).await?;
    let mut running = probe.execute(&operation, &marker.sleeping(RUNS_ON)).await;
    running.first().await?;
    drop((running, probe));
    ensure!(other.state(&operation).await? == State::Running, "it ended");
    let read = other.reattach(&operation, None).await.rest().await;
    ensure!(read.is_complete() && read.rows() == 1, "{read:?}");
    target.ran(marker, 1).await
}

async fn two_readers(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let probe = Probe::open(target).await?;
    let mut older = probe.execute(&operation, &marker.sleeping(RUNS_ON)).await;
    older.first().await?;
    let newer = probe
        .elsewhere(target)
        .await?
        .reattach(&operation, None)
        .await;
    failed(&older.rest().await, DISCONNECTED)?;
    let read = newer.rest().await;
    ensure!(read.is_complete() && read.rows() == 1, "{read:?}");
    Ok(())
}

async fn same_plan(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let sql = marker.sleeping(RUNS_ON);
    let probe = Probe::open(target).await?;
    let mut first = probe.execute(&operation, &sql).await;
    let seen = first.first().await?;
    let second = probe
        .elsewhere(target)
        .await?
        .execute(&operation, &sql)
        .await;
    failed(&first.rest().await, DISCONNECTED)?;
    let read = second.rest().await;
    ensure!(read.is_complete() && read.rows() == 1, "{read:?}");
    ensure!(
        read.ids().first() == Some(&seen.as_str()),
        "not from the first response"
    );
    let third = probe.execute(&operation, &sql).await.rest().await;
    ensure!(
        third.responses == read.responses,
        "not the same once it ended"
    );
    target.ran(marker, 1).await
}

async fn eight_at_once(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let sql = marker.sleeping(RUNS_ON);
    let mut probes = vec![Probe::open(target).await?];
    for _ in 0..7 {
        probes.push(probes[0].elsewhere(target).await?);
    }
    let reads = probes
        .iter()
        .map(|probe| async { probe.execute(&operation, &sql).await.rest().await });
    let reads = futures::future::join_all(reads).await;
    let complete = reads.iter().filter(|read| read.is_complete()).count();
    let others = |allowed: &[&str]| {
        let cut = reads.iter().filter(|read| !read.is_complete());
        cut.map(Read::class).all(|class| allowed.contains(&class))
    };
    let classes: Vec<_> = reads.iter().map(Read::class).collect();
    if complete == 1 {
        ensure!(others(&[DISCONNECTED, EXISTS]), "{classes:?}");
        return target.ran(marker, 1).await;
    }
    // One that came before the thread had started took the operation for an orphan and removed it.
    ensure!(complete == 0, "{complete} complete");
    ensure!(classes.contains(&ORPHANED), "{classes:?}");
    ensure!(
        others(&[DISCONNECTED, ORPHANED, ABANDONED, CANCELED, EXISTS]),
        "{classes:?}"
    );
    comes_to(&probes[0], &operation, &[State::Cancelled]).await?;
    target.ran(marker, 0).await
}

async fn other_plan(target: &Target) -> Result<()> {
    let operation = new_id();
    let probe = Probe::open(target).await?;
    let mut running = probe
        .execute(&operation, &Marker::new().sleeping(RUNS_ON))
        .await;
    running.first().await?;
    failed(
        &probe.execute(&operation, "SELECT 2").await.rest().await,
        EXISTS,
    )?;
    let read = running.rest().await;
    ensure!(read.is_complete(), "the first was cut off: {read:?}");
    failed(
        &probe.execute(&operation, "SELECT 2").await.rest().await,
        EXISTS,
    )
}

async fn released(target: &Target) -> Result<()> {
    let marker = Marker::new();
    let good = format!("SELECT id FROM {}", marker.relation());
    let probe = Probe::open(target).await?;
    for sql in [good.as_str(), "SELECT 1/0"] {
        let operation = new_id();
        probe.execute(&operation, sql).await.rest().await;
        ensure!(probe.release(&operation).await?, "it was there");
        ensure!(
            !probe.release(&operation).await?,
            "releasing twice is no error"
        );
        failed(
            &probe.execute(&operation, sql).await.rest().await,
            ABANDONED,
        )?;
        failed(
            &probe.execute(&operation, "SELECT 5").await.rest().await,
            ABANDONED,
        )?;
        failed(
            &probe.reattach(&operation, None).await.rest().await,
            NOT_FOUND,
        )?;
    }
    target.ran(marker, 1).await
}

async fn never_arrived(target: &Target) -> Result<()> {
    let operation = new_id();
    let probe = Probe::open(target).await?;
    probe.server_id().await?;
    failed(
        &probe.reattach(&operation, None).await.rest().await,
        NOT_FOUND,
    )?;
    ensure!(probe.state(&operation).await? == State::Unknown, "known");
    ensure!(!probe.release(&operation).await?, "there");
    let read = probe.execute(&operation, "SELECT 1").await.rest().await;
    ensure!(read.is_complete(), "asking left a mark: {read:?}");
    Ok(())
}

async fn released_running(target: &Target) -> Result<()> {
    let operation = new_id();
    let sql = Marker::new().sleeping(UNTIL_STOPPED);
    let probe = Probe::open(target).await?;
    let mut running = probe.execute(&operation, &sql).await;
    running.first().await?;
    ensure!(probe.release(&operation).await?, "it was there");
    failed_either(&running.rest().await, [DISCONNECTED, CANCELED])?;
    comes_to(&probe, &operation, &[State::Cancelled]).await?;
    failed(
        &probe.reattach(&operation, None).await.rest().await,
        NOT_FOUND,
    )?;
    failed(
        &probe.execute(&operation, &sql).await.rest().await,
        ABANDONED,
    )
}

async fn interrupted(target: &Target) -> Result<()> {
    let operation = new_id();
    let sql = Marker::new().sleeping(UNTIL_STOPPED);
    let probe = Probe::open(target).await?;
    let mut running = probe.execute(&operation, &sql).await;
    let first = running.first().await?;
    ensure!(
        probe.interrupt(&operation).await? == [operation.clone()],
        "not running"
    );
    failed(&running.rest().await, CANCELED)?;
    comes_to(&probe, &operation, &[State::Cancelled]).await?;
    for last in [None, Some(first.as_str())] {
        let read = probe.reattach(&operation, last).await.rest().await;
        failed(&read, CANCELED)?;
        ensure!(read.responses.is_empty(), "responses left: {read:?}");
    }
    failed(
        &probe.execute(&operation, &sql).await.rest().await,
        CANCELED,
    )?;
    ensure!(
        probe.interrupt(&operation).await?.is_empty(),
        "interrupted twice"
    );
    probe.release(&operation).await?;
    failed(
        &probe.execute(&operation, &sql).await.rest().await,
        ABANDONED,
    )?;
    let ended = new_id();
    let read = probe.execute(&ended, "SELECT 1").await.rest().await;
    ensure!(read.is_complete(), "{read:?}");
    ensure!(probe.interrupt(&ended).await?.is_empty(), "it had ended");
    let again = probe.reattach(&ended, None).await.rest().await;
    ensure!(again.is_complete(), "{again:?}");
    Ok(())
}

async fn by_tag_and_all(target: &Target) -> Result<()> {
    let (tagged, other) = (new_id(), new_id());
    let sql = Marker::new().sleeping(UNTIL_STOPPED);
    let probe = Probe::open(target).await?;
    let mut first = probe.execute_with(&tagged, &sql, true, &["mine"]).await;
    let mut second = probe.execute(&other, &sql).await;
    first.first().await?;
    second.first().await?;
    ensure!(probe.interrupt_tag("mine").await? == [tagged], "another");
    failed(&first.rest().await, CANCELED)?;
    ensure!(probe.interrupt_all().await? == [other], "another");
    failed(&second.rest().await, CANCELED)
}

async fn interrupt_before_arrival(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let probe = Probe::open(target).await?;
    ensure!(
        probe.interrupt(&operation).await?.is_empty(),
        "what is this?"
    );
    let sql = format!("SELECT id FROM {}", marker.relation());
    let read = probe.execute(&operation, &sql).await.rest().await;
    ensure!(read.is_complete() && read.rows() == 1, "{read:?}");
    target.ran(marker, 1).await
}

async fn poisoned(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let probe = Probe::open(target).await?;
    let read = probe.execute(&operation, "SELECT 0").await.rest().await;
    ensure!(read.is_complete(), "{read:?}");
    probe.release(&operation).await?;
    let sql = format!("SELECT id FROM {}", marker.relation());
    let late = probe
        .elsewhere(target)
        .await?
        .execute(&operation, &sql)
        .await;
    failed(&late.rest().await, ABANDONED)?;
    target.ran(marker, 0).await
}

async fn status(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let slow = Marker::new().sleeping(RUNS_ON);
    // The thread of what has failed may still be there when the error is: a release then cancels it.
    let cases: [(&str, &[State]); 2] = [
        (&slow, &[State::Succeeded]),
        ("SELECT 1/0", &[State::Failed, State::Cancelled]),
    ];
    for (sql, ends) in cases {
        let operation = new_id();
        let mut running = probe.execute(&operation, sql).await;
        if sql == slow {
            running.first().await?;
            ensure!(
                probe.state(&operation).await? == State::Running,
                "not running"
            );
        }
        running.rest().await;
        comes_to(&probe, &operation, &[State::Terminating]).await?;
        probe.release(&operation).await?;
        comes_to(&probe, &operation, ends).await?;
    }
    Ok(())
}

async fn restarted(target: &Target) -> Result<()> {
    let operation = new_id();
    let probe = Probe::open(target).await?;
    let server_id = probe.server_id().await?;
    let mut running = probe
        .execute(&operation, &Marker::new().sleeping(UNTIL_STOPPED))
        .await;
    running.first().await?;
    target.restart().await?;
    let cut = running.rest().await;
    ensure!(cut.failure.is_some(), "the stream ended well: {cut:?}");
    let probe = probe.elsewhere(target).await?.observing(&server_id);
    let missing = "INVALID_HANDLE.SESSION_NOT_FOUND";
    failed(
        &probe.reattach(&operation, None).await.rest().await,
        missing,
    )?;
    refused(probe.status(&operation).await, missing)?;
    let changed = "INVALID_HANDLE.SESSION_CHANGED";
    failed(
        &probe.execute(&operation, "SELECT 1").await.rest().await,
        changed,
    )?;
    // That call has made the session: now the others find it changed as well.
    failed(
        &probe.reattach(&operation, None).await.rest().await,
        changed,
    )
}
