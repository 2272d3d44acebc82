//! Sessions: who makes them, who may speak for them, when they are dead.

use anyhow::{Result, ensure};
use libra_proto::spark::config_request::{GetAll, operation::OpType};

use super::probe::{Probe, new_id};
use super::reading::{failed, failed_either, refused};
use super::{Scenario, Target, UNTIL_STOPPED};
use crate::harness::Marker;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("a session is made by the first call that names it", |t| {
        Box::pin(made_by_first_call(t))
    }),
    Scenario::new(
        "another user's session of the same id is another session",
        |t| Box::pin(user_is_part_of_the_key(t)),
    ),
    Scenario::new("any channel may speak for a session", |t| {
        Box::pin(any_channel(t))
    }),
    Scenario::new("a wrong observed id is refused with SESSION_CHANGED", |t| {
        Box::pin(wrong_observed_id(t))
    }),
    Scenario::new(
        "a wrong observed id makes an unknown session, then is refused",
        |t| Box::pin(wrong_observed_id_makes_session(t)),
    ),
    Scenario::new("reattach, release and status do not make a session", |t| {
        Box::pin(not_made_by_all(t))
    }),
    Scenario::new(
        "a released session is closed for good, and what ran in it is cut off",
        |t| Box::pin(closed_for_good(t)),
    ),
    Scenario::new(
        "a session released with allow_reconnect can be made anew",
        |t| Box::pin(reconnect(t)),
    ),
    Scenario::new("an id that is no UUID is refused", |t| Box::pin(no_uuid(t))),
];

async fn made_by_first_call(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (server_id, version) = probe.spark_version().await?;
    ensure!(version.starts_with("4."), "version {version}");
    ensure!(server_id != probe.session, "the server's id is its own");
    let read = probe.observing(&server_id).run("SELECT 1").await?;
    ensure!(read.is_complete(), "{read:?}");
    let all_same = |r: &libra_proto::spark::ExecutePlanResponse| {
        r.server_side_session_id == server_id && r.session_id == probe.session
    };
    ensure!(read.responses.iter().all(all_same), "ids differ: {read:?}");
    ensure!(probe.status(&new_id()).await?.0 == server_id, "another id");
    Ok(())
}

async fn user_is_part_of_the_key(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let operation = new_id();
    let read = probe.execute(&operation, "SELECT 1").await.rest().await;
    ensure!(read.is_complete(), "{read:?}");
    let mut other = probe.clone();
    other.user = "somebody-else".into();
    let read = other.reattach(&operation, None).await.rest().await;
    failed(&read, "INVALID_HANDLE.SESSION_NOT_FOUND")?;
    ensure!(
        other.server_id().await? != probe.server_id().await?,
        "the same session"
    );
    Ok(())
}

async fn any_channel(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    probe.set("libra.conformance", "here").await?;
    let read = probe
        .run("CREATE TEMPORARY VIEW conformance AS SELECT 5 AS five")
        .await?;
    ensure!(read.is_complete(), "{read:?}");
    let other = probe.elsewhere(target).await?;
    drop(probe);
    ensure!(
        other.get("libra.conformance").await?.as_deref() == Some("here"),
        "conf lost"
    );
    let read = other.run("SELECT * FROM conformance").await?;
    ensure!(
        read.is_complete() && read.rows() == 1,
        "view lost: {read:?}"
    );
    Ok(())
}

async fn wrong_observed_id(target: &Target) -> Result<()> {
    let changed = "INVALID_HANDLE.SESSION_CHANGED";
    let probe = Probe::open(target).await?;
    probe.server_id().await?;
    let operation = new_id();
    let read = probe.execute(&operation, "SELECT 1").await.rest().await;
    ensure!(read.is_complete(), "{read:?}");
    let wrong = probe.observing(&new_id());
    failed(
        &wrong.execute(&new_id(), "SELECT 1").await.rest().await,
        changed,
    )?;
    failed(
        &wrong.reattach(&operation, None).await.rest().await,
        changed,
    )?;
    refused(wrong.status(&operation).await, changed)?;
    refused(wrong.interrupt(&operation).await, changed)?;
    refused(
        wrong.config(OpType::GetAll(GetAll::default())).await,
        changed,
    )?;
    refused(wrong.spark_version().await, changed)?;
    ensure!(
        wrong.release(&operation).await?,
        "release does not look at the observed id"
    );
    Ok(())
}

async fn wrong_observed_id_makes_session(target: &Target) -> Result<()> {
    let changed = "INVALID_HANDLE.SESSION_CHANGED";
    for call in 0..4 {
        let probe = Probe::open(target).await?;
        let wrong = probe.observing(&new_id());
        match call {
            0 => failed(
                &wrong.execute(&new_id(), "SELECT 1").await.rest().await,
                changed,
            )?,
            1 => refused(wrong.interrupt(&new_id()).await, changed)?,
            2 => refused(
                wrong.config(OpType::GetAll(GetAll::default())).await,
                changed,
            )?,
            _ => refused(wrong.spark_version().await, changed)?,
        }
        // It exists now: a call that makes none finds it.
        probe.status(&new_id()).await?;
        let read = probe.run("SELECT 1").await?;
        ensure!(read.is_complete(), "{read:?}");
    }
    Ok(())
}

async fn not_made_by_all(target: &Target) -> Result<()> {
    let missing = "INVALID_HANDLE.SESSION_NOT_FOUND";
    let probe = Probe::open(target).await?;
    for probe in [probe.clone(), probe.observing(&new_id())] {
        let read = probe.reattach(&new_id(), None).await.rest().await;
        failed(&read, missing)?;
        refused(probe.release(&new_id()).await, missing)?;
        refused(probe.status(&new_id()).await, missing)?;
    }
    Ok(())
}

async fn closed_for_good(target: &Target) -> Result<()> {
    let closed = "INVALID_HANDLE.SESSION_CLOSED";
    let probe = Probe::open(target).await?;
    let server_id = probe.server_id().await?;
    let operation = new_id();
    let sql = Marker::new().sleeping(UNTIL_STOPPED);
    let mut running = probe.execute(&operation, &sql).await;
    running.first().await?;
    ensure!(probe.close(false).await? == server_id, "another id");
    let cut = ["INVALID_CURSOR.DISCONNECTED", "OPERATION_CANCELED"];
    failed_either(&running.rest().await, cut)?;
    failed(
        &probe.execute(&new_id(), "SELECT 1").await.rest().await,
        closed,
    )?;
    failed(&probe.reattach(&operation, None).await.rest().await, closed)?;
    refused(probe.status(&operation).await, closed)?;
    refused(probe.release(&operation).await, closed)?;
    refused(probe.interrupt(&operation).await, closed)?;
    refused(probe.observing(&server_id).get("x").await, closed)?;
    ensure!(
        probe.close(false).await?.is_empty(),
        "releasing twice is no error"
    );
    Ok(())
}

async fn reconnect(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let server_id = probe.server_id().await?;
    probe.close(true).await?;
    ensure!(probe.server_id().await? != server_id, "the same session");
    let old = probe.observing(&server_id);
    refused(old.spark_version().await, "INVALID_HANDLE.SESSION_CHANGED")
}

async fn no_uuid(target: &Target) -> Result<()> {
    let format = "INVALID_HANDLE.FORMAT";
    let probe = Probe::open(target).await?;
    failed(
        &probe.execute("no-uuid", "SELECT 1").await.rest().await,
        format,
    )?;
    let mut other = probe.clone();
    other.session = "no-uuid".into();
    refused(other.spark_version().await, format)
}
