//! `libra admin doctor`: asks every node, and says in words what is wrong.
//!
//! Exit codes: 0 all well (or no more than notes), 1 there are findings, 2 it could not check.
//!
//! [`gather`] collects [`facts`], [`judge`] makes findings of them, [`report`] shows them.
//!
//! **Invariant:** it only reads; what it says follows from the facts alone, and the judgement asks
//! nobody and reads no clock.

mod facts;
mod gather;
mod judge;
mod report;

use crate::cli::admin::arguments::DoctorArguments;
use crate::cli::admin::client::Client;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::Sink;
use crate::cli::admin::watch::watch;
use crate::cli::report::Failure;
use crate::cli::{FAILED, USAGE};

pub(super) use judge::Check;
use report::Report;

/// Checks the cluster.
pub(super) async fn doctor(
    client: &mut Client,
    sink: &Sink,
    arguments: &DoctorArguments,
) -> Result<(), Failure> {
    let mut well = true;
    let shown = watch(
        sink,
        arguments.watch.every(),
        "libra admin doctor",
        async || {
            let report = examine(client, &arguments.ignore).await?;
            well = report.is_well();
            Ok(report)
        },
    )
    .await;
    match shown {
        Ok(()) if well => Ok(()),
        Ok(()) => Err(Failure::silent(FAILED)),
        Err(error) if error.reader_has_gone() => Ok(()),
        // Whatever kept it from checking.
        Err(error) => {
            let next = error.next_step();
            Err(Failure::advised(USAGE, &error, next.as_deref()))
        }
    }
}

async fn examine(client: &mut Client, ignored: &[Check]) -> Result<Report, AdminError> {
    let facts = gather::gather(client).await?;
    let findings = judge::judge(&facts);
    Ok(Report::new(&facts, findings, ignored))
}
