//! What happens once the coordinators run: waits for them, makes the guide's tables, says what can
//! be done now.

use std::path::PathBuf;

use futures::future::try_join_all;
use libra_proto::registry::Mode;

use super::DevError;
use super::console::Console;
use super::hints::{Hints, NodeHint, hints};
use super::tables::Rest;
use crate::config::Config;

/// The session that the tables are made in where there is no shared one.
const TABLES_SESSION: &str = "libra-dev";

/// What runs.
pub(super) struct FirstSteps<'a> {
    pub(super) config: &'a Config,
    /// REST of the first coordinator, or the only one.
    pub(super) base: String,
    /// All coordinators that are processes of their own.
    pub(super) nodes: &'a [NodeHint],
    /// Whether tables are made.
    pub(super) tables: bool,
    /// Spark's own pages, if it is known where they are.
    pub(super) spark_ui: Option<String>,
    /// The log of a Spark that was started here.
    pub(super) spark_log: Option<PathBuf>,
}

/// Takes them.
///
/// # Errors
/// When a coordinator does not become ready, or a table cannot be made.
pub(super) async fn first_steps(of: FirstSteps<'_>, console: Console) -> Result<(), DevError> {
    let rest = Rest::new(&of.base)?;
    let step = console.step("starting the coordinator");
    rest.until_ready().await?;
    let others = of.nodes.iter().skip(1).map(|node| Rest::new(&node.base));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    try_join_all(others.iter().map(Rest::until_ready)).await?;
    let mode = of.config.session.mode;
    if of.tables {
        match mode {
            Mode::Isolated => {
                rest.make_tables(TABLES_SESSION, &step).await?;
                rest.close(TABLES_SESSION).await;
            }
            Mode::Shared | Mode::Unspecified => rest.make_tables("default", &step).await?,
        }
    }
    step.done(&ready(&of));
    console.show(&hints(&Hints {
        base: &of.base,
        mode,
        tables: of.tables,
        spark_ui: of.spark_ui.as_deref(),
        libra: &program(),
        nodes: of.nodes,
    }));
    Ok(())
}

fn ready(of: &FirstSteps<'_>) -> String {
    let who = match of.nodes.len() {
        0 => format!("the coordinator is ready at {}", of.base),
        nodes => format!("{nodes} coordinators are ready, the first at {}", of.base),
    };
    let data = of.config.node.data_dir.display();
    match &of.spark_log {
        Some(log) => format!("{who}; data in {data}, Spark's log in {}", log.display()),
        None => format!("{who}; data in {data}"),
    }
}

/// How this program was called, for a line to paste.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_else(|| "libra".into());
    path.to_string_lossy().into_owned()
}
