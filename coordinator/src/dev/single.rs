//! One coordinator, in this process.

use std::future::Future;

use tokio::sync::oneshot;

use super::DevError;
use super::console::Console;
use super::first_steps::{FirstSteps, first_steps};
use super::prepare::Prepared;
use super::session::spark_ended;
use super::spark::Server;
use crate::run::run;

/// Runs the coordinator until `shutdown`, or until it or Spark ends.
pub(super) async fn coordinate(
    prepared: &Prepared,
    mut server: Option<&mut Server>,
    console: Console,
    mut shutdown: impl Future<Output = ()> + Unpin,
) -> Result<(), DevError> {
    let mut config = prepared.loaded.config.clone();
    config.spark.remote = prepared.behind.remote().parse().into_iter().collect();
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async {
        // A sender that is gone asks for the same.
        let _ = stopped.await;
    };
    let mut running = Box::pin(run(config, prepared.loaded.warnings.clone(), until));
    let steps = FirstSteps {
        config: &prepared.loaded.config,
        base: format!("http://{}", prepared.loaded.config.node.http),
        nodes: &[],
        tables: prepared.tables,
        spark_ui: prepared.behind.ui(),
        spark_log: server.as_ref().map(|server| server.log().to_owned()),
    };
    let mut steps = Box::pin(first_steps(steps, console));
    let mut is_set_up = false;
    let ended = loop {
        tokio::select! {
            result = &mut running => return result.map_err(DevError::from),
            e = spark_ended(&mut server) => break Err(e),
            () = &mut shutdown => break Ok(()),
            result = &mut steps, if !is_set_up => match result {
                Ok(()) => is_set_up = true,
                Err(e) => break Err(e),
            },
        }
    };
    console.say("stopping …");
    // It may have ended by itself in this moment.
    let _ = stop.send(());
    let result = running.await.map_err(DevError::from);
    ended.and(result)
}
