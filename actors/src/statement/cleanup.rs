//! Winds up an operation whose statement ended without word from Spark, so that it cannot go on
//! in secret, and gives its slot back.

use libra_proto::registry::CleanupRecord;

use crate::spark::{Poisoned, SparkErrorKind, SparkSession};

/// What became of a clean-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cleaned {
    /// The operation does not run and never will.
    Done,
    /// Its Spark session is gone, and it with it.
    SessionLost(String),
    /// Spark cannot be reached yet.
    NotYet,
}

/// Interrupts, poisons and releases the operation of `record`.
///
/// # Cancel safety
/// Every step may be repeated.
pub(crate) async fn clean_up(spark: &SparkSession, record: &CleanupRecord) -> Cleaned {
    let operation = &record.operation_id;
    let wound_up = async {
        spark.interrupt(operation).await?;
        if spark.poison(operation).await? == Poisoned::Arrived {
            spark.interrupt(operation).await?;
        }
        spark.release(operation).await
    };
    match wound_up.await {
        Ok(()) => Cleaned::Done,
        Err(error) => match error.kind {
            SparkErrorKind::SessionChanged
            | SparkErrorKind::SessionNotFound
            | SparkErrorKind::SessionClosed => Cleaned::SessionLost(error.error.message),
            SparkErrorKind::OperationNotFound | SparkErrorKind::OperationAbandoned => Cleaned::Done,
            _ => Cleaned::NotYet,
        },
    }
}
