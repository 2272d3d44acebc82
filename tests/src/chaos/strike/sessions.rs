//! Sessions that an operator gives to other nodes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libra_proto::admin::MoveSessionRequest;
use tokio::time::Instant;

use super::super::rig::Rig;
use crate::harness::passed;

/// Between two moves: about as long as a new owner takes to begin.
const PAUSE: Duration = Duration::from_millis(100);
/// How long all of them may take.
const DONE_WITHIN: Duration = Duration::from_secs(40);

/// Moves probed sessions in turn, each from its owner to the node after that one.
///
/// # Errors
/// When a move is refused, or they take too long.
pub(super) async fn moved(rig: &Rig, moves: usize) -> Result<()> {
    let nodes = rig.cluster.running();
    let via = *nodes.first().context("nobody runs")?;
    let mut admin = rig.cluster.admin(via).await?;
    let deadline = Instant::now() + DONE_WITHIN;
    for session in rig.sessions.iter().cycle().take(moves) {
        ensure!(Instant::now() < deadline, "{moves} moves took too long");
        let owners = rig.cluster.owners().await?;
        let owns = owners.iter().find(|(_, owned)| owned.contains(session));
        let owner = owns.map_or(0, |(owner, _)| *owner);
        let next = nodes.iter().find(|node| **node > owner);
        let asked = MoveSessionRequest {
            session_id: session.clone(),
            to_node: *next.unwrap_or(&via),
            epoch: 0,
        };
        admin.move_session(asked).await?;
        passed(PAUSE).await;
    }
    Ok(())
}
