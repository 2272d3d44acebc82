//! A node that joins and gets a vote, and one that is taken out.

use std::time::Duration;

use anyhow::{Context, Result};

use super::super::rig::Rig;
use crate::harness::{until, until_some};

/// How long each step may take.
const DONE_WITHIN: Duration = Duration::from_secs(40);

/// Adds a node with a new id, gives it a vote, takes `old` out and ends it.
///
/// # Errors
/// When a step fails, or takes too long.
pub(super) async fn replace(rig: &mut Rig, old: u64) -> Result<()> {
    let id = rig.cluster.ids().last().copied().unwrap_or(0) + 1;
    let seat = rig.ground.seat(id).await?;
    let new = rig.cluster.one_more_at(|_| Ok(seat)).await?;
    rig.cluster.spawn(new)?;
    let via = *rig
        .cluster
        .ids()
        .iter()
        .find(|id| **id != old && **id != new)
        .context("nobody is left")?;
    let cluster = &rig.cluster;
    // An operator asks again, too, where an answer says "not now".
    again("a node to be added", || cluster.add(via, new)).await?;
    again("a node to get a vote", || cluster.promote(via, new)).await?;
    cluster.until_voter(new).await?;
    again("a node to be taken out", || cluster.remove(via, old)).await?;
    until("the members to be the new ones", DONE_WITHIN, || async {
        let members = cluster.status(via).await?.members;
        Ok(members.iter().all(|member| member.node_id != old))
    })
    .await?;
    rig.cluster.forget(old)
}

async fn again<T, F, Fut>(what: &str, ask: F) -> Result<T>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    until_some(what, DONE_WITHIN, || {
        let answer = ask();
        async { Ok(answer.await.ok()) }
    })
    .await
}
