//! Several coordinators, each a process of its own, one Spark behind them.
//!
//! [`layout`] decides where each of them is and what it is told, [`nodes`] runs them under guards,
//! [`follow`] brings their log lines here.
//!
//! **Invariant:** a node that dies is said and not started again: what the others make of it is
//! what there is to see. Nothing that was started here outlives this process.

mod follow;
mod layout;
mod nodes;

use std::future::Future;

use super::DevError;
use super::console::Console;
use super::first_steps::{FirstSteps, first_steps};
use super::prepare::Prepared;
use super::session::spark_ended;
use super::spark::Server;
pub(super) use layout::{Member, members};
use nodes::{Ended, Nodes};

/// Runs the coordinators until `shutdown`, or until all of them or Spark have ended.
pub(super) async fn coordinate(
    prepared: &Prepared,
    mut server: Option<&mut Server>,
    console: Console,
    mut shutdown: impl Future<Output = ()> + Unpin,
) -> Result<(), DevError> {
    for warning in &prepared.loaded.warnings {
        console.say(warning);
    }
    let mut nodes = Nodes::start(prepared, console).await?;
    let hinted = nodes.hinted();
    let steps = FirstSteps {
        config: &prepared.loaded.config,
        base: hinted.first().map(|n| n.base.clone()).unwrap_or_default(),
        nodes: &hinted,
        tables: prepared.tables,
        spark_ui: prepared.behind.ui(),
        spark_log: server.as_ref().map(|server| server.log().to_owned()),
    };
    let mut steps = Box::pin(first_steps(steps, console));
    let mut is_set_up = false;
    let result = loop {
        tokio::select! {
            ended = nodes.next_end() => {
                if let Err(e) = after(&ended, is_set_up, &nodes, console) {
                    break Err(e);
                }
            }
            e = spark_ended(&mut server) => break Err(e),
            () = &mut shutdown => break Ok(()),
            result = &mut steps, if !is_set_up => match result {
                Ok(()) => is_set_up = true,
                Err(e) => break Err(e),
            },
        }
    };
    console.say("stopping …");
    nodes.stop().await;
    result
}

/// A node has ended: at its start that is a failure, later the others go on.
fn after(ended: &Ended, is_set_up: bool, nodes: &Nodes, console: Console) -> Result<(), DevError> {
    if !is_set_up {
        return Err(ended.at_its_start());
    }
    let left = nodes.left();
    if left == 0 {
        return Err(DevError::NoNodes);
    }
    let (id, status) = (ended.id, &ended.status);
    console.say(&format!(
        "node {id} has ended ({status}); {left} of {} go on",
        nodes.count()
    ));
    Ok(())
}
