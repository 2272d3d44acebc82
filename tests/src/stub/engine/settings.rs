//! What can be set: Spark's own limits by their meaning, and which server is played.

use serde::{Deserialize, Serialize};

use super::Millis;

/// Which server the stub plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Spark 4.2 and later: remembers ended operations, answers `GetStatus`.
    #[serde(rename = "spark_4_3")]
    Spark43,
    /// Spark 4.1: remembers ended operations, has no `GetStatus`.
    #[serde(rename = "spark_4_1")]
    Spark41,
    /// Spark 4.0: a released operation is forgotten, its id runs again.
    #[serde(rename = "spark_4_0")]
    Spark40,
    /// Spark 3.5: as 4.0, and a repeated id of a living operation is refused, same plan or not.
    #[serde(rename = "spark_3_5")]
    Spark35,
    /// An engine like Sail: runs a repeated id again, drops an operation whose client left.
    Sail,
}

impl Profile {
    /// Whether a session remembers the ids of operations that ended and were released.
    #[must_use]
    pub fn remembers_operations(self) -> bool {
        matches!(self, Self::Spark43 | Self::Spark41)
    }

    /// Whether `GetStatus` is there.
    #[must_use]
    pub fn has_get_status(self) -> bool {
        matches!(self, Self::Spark43)
    }

    /// Whether `ExecutePlan` with a living id and the same plan reattaches.
    #[must_use]
    pub fn reattaches_same_plan(self) -> bool {
        matches!(self, Self::Spark43 | Self::Spark41 | Self::Spark40)
    }

    /// Whether an operation outlives its client and its id is looked at at all.
    #[must_use]
    pub fn keeps_operations(self) -> bool {
        !matches!(self, Self::Sail)
    }
}

/// Limits and switches, with Spark's defaults. 0 switches a limit off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which server is played.
    pub profile: Profile,
    /// `spark.connect.progress.reportInterval`, ms.
    pub progress_interval_ms: Millis,
    /// `spark.connect.execute.reattachable.senderMaxStreamDuration`, ms.
    pub sender_max_stream_ms: Millis,
    /// `spark.connect.execute.reattachable.senderMaxStreamSize`, bytes.
    pub sender_max_stream_bytes: u64,
    /// `spark.connect.execute.reattachable.observerRetryBufferSize`, bytes.
    pub retry_buffer_bytes: u64,
    /// `spark.connect.execute.manager.detachedTimeout`, ms.
    pub detached_timeout_ms: Millis,
    /// `spark.connect.{execute,session}.manager.maintenanceInterval`, ms.
    pub maintenance_interval_ms: Millis,
    /// `spark.connect.session.manager.defaultSessionTimeout`, ms.
    pub session_timeout_ms: Millis,
    /// `spark.connect.session.inactiveOperations.cacheExpiration`, ms since last looked at.
    pub operation_memory_ms: Millis,
    /// `spark.connect.execute.manager.abandonedTombstonesSize`, operations.
    pub tombstones: usize,
    /// `spark.connect.session.manager.closedSessionsTombstonesSize`, sessions.
    pub closed_sessions: usize,
    /// What `AnalyzePlan(spark_version)` answers.
    pub spark_version: String,
    /// Added to the time every statement takes, ms.
    pub statement_delay_ms: Millis,
    /// From a statement's arrival to the start of its thread, ms. A second reader that comes in
    /// between kills it: Spark takes it for an orphan. Not 0 in Spark either, only short.
    pub start_delay_ms: Millis,
    /// How long the port refuses connections after the driver died, ms.
    pub restart_ms: Millis,
    /// Tables that exist from the start.
    pub tables: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            profile: Profile::Spark43,
            progress_interval_ms: 2_000,
            sender_max_stream_ms: 120_000,
            sender_max_stream_bytes: 1 << 30,
            retry_buffer_bytes: 10 << 20,
            detached_timeout_ms: 300_000,
            maintenance_interval_ms: 30_000,
            session_timeout_ms: 3_600_000,
            operation_memory_ms: 1_800_000,
            tombstones: 10_000,
            closed_sessions: 1_000,
            spark_version: "4.3.0".into(),
            statement_delay_ms: 0,
            start_delay_ms: 0,
            restart_ms: 500,
            tables: vec!["mydata".into(), "large_table".into()],
        }
    }
}
