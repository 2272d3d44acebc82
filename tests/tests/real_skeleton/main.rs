//! The skeleton on a real Spark: one coordinator in SHARED mode, from REST to Spark and back.
//!
//! Needs what `tests/run real` provides: `LIBRA_TEST_SPARK`, `LIBRA_TEST_SPARK_UI`, `SPARK_HOME`
//! and the built binary `libra`. Tests named `long_*` run only by `tests/run long`.
//!
//! **Invariant:** every statement that must have run once is counted in Spark's own record.

mod cancel;
mod errors;
mod guide;
mod recovery;
mod results;
mod slots;
mod stream_end;

use std::time::Duration;

use anyhow::Result;
use libra_tests::harness::{Libra, SharedSpark, State, Statement};

/// Long enough for a statement of a second on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(90);

/// A coordinator with default settings on the shared Spark.
async fn skeleton() -> Result<(SharedSpark, Libra)> {
    let spark = SharedSpark::find()?;
    let libra = Libra::on(&spark.endpoint).start().await?;
    Ok((spark, libra))
}

/// Fails unless the statement ended `succeeded`.
#[track_caller]
fn assert_succeeded(statement: &Statement) {
    assert_eq!(
        statement.state,
        State::Succeeded,
        "{} ended {:?}",
        statement.job_id,
        statement.error
    );
}
