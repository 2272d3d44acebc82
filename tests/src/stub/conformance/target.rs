//! Which server the scenarios are played against.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::Mutex;

use crate::harness::{Marker, SharedSpark, SparkRest, SparkServer, until};
use crate::stub::engine::Settings;
use crate::stub::server::StubSpark;

use super::probe::Probe;

/// How far a server's record of what it ran may be behind.
const RECORDED_WITHIN: Duration = Duration::from_secs(30);
/// How long a restarted server may take to answer.
const BACK_WITHIN: Duration = Duration::from_secs(180);

/// What a real server must be started with for [`super::Needs::ShortTimeouts`].
pub const SHORT_CONFS: &[(&str, &str)] = &[
    (
        "spark.connect.execute.reattachable.senderMaxStreamDuration",
        "4s",
    ),
    (
        "spark.connect.execute.reattachable.senderMaxStreamSize",
        "20m",
    ),
    ("spark.connect.execute.manager.detachedTimeout", "3s"),
    ("spark.connect.execute.manager.maintenanceInterval", "1s"),
    ("spark.connect.session.manager.defaultSessionTimeout", "12s"),
    ("spark.connect.session.manager.maintenanceInterval", "1s"),
];

/// The stub's settings that say the same as [`SHORT_CONFS`].
#[must_use]
pub fn short_settings() -> Settings {
    Settings {
        sender_max_stream_ms: 4_000,
        sender_max_stream_bytes: 20 << 20,
        detached_timeout_ms: 3_000,
        maintenance_interval_ms: 1_000,
        session_timeout_ms: 12_000,
        ..Settings::default()
    }
}

#[derive(Debug)]
enum Server {
    Stub(StubSpark),
    Shared(SparkRest),
    Own(Mutex<SparkServer>),
}

/// A server to play against.
#[derive(Debug)]
pub struct Target {
    endpoint: String,
    server: Server,
}

impl Target {
    /// The stub.
    #[must_use]
    pub fn stub(stub: StubSpark) -> Self {
        Self {
            endpoint: stub.endpoint(),
            server: Server::Stub(stub),
        }
    }

    /// A real Spark that others use too.
    #[must_use]
    pub fn shared(spark: SharedSpark) -> Self {
        Self {
            endpoint: spark.endpoint.replacen("sc://", "http://", 1),
            server: Server::Shared(spark.rest),
        }
    }

    /// A real Spark of one's own.
    #[must_use]
    pub fn own(spark: SparkServer) -> Self {
        Self {
            endpoint: spark.endpoint().replacen("sc://", "http://", 1),
            server: Server::Own(Mutex::new(spark)),
        }
    }

    /// Where it listens, `http://host:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How often the statement with this marker ran, by the server's own record.
    async fn recorded(&self, marker: Marker) -> Result<usize> {
        match &self.server {
            Server::Stub(stub) => {
                Ok(stub.ledger(|ledger| ledger.count_containing(&marker.to_string())))
            }
            Server::Shared(rest) => rest.executions(marker).await,
            Server::Own(server) => server.lock().await.rest()?.executions(marker).await,
        }
    }

    /// Makes sure that the statement with this marker ran exactly so often.
    pub(super) async fn ran(&self, marker: Marker, times: usize) -> Result<()> {
        // The record is written behind the statement: once it holds a later one, it is complete.
        let fence = Marker::new();
        let probe = Probe::open(self).await?;
        let sql = format!("SELECT id FROM {}", fence.relation());
        let read = probe.run(&sql).await?;
        ensure!(read.is_complete(), "the fence statement failed");
        until("the record to catch up", RECORDED_WITHIN, || async {
            Ok(self.recorded(fence).await? > 0)
        })
        .await?;
        let counted = self.recorded(marker).await?;
        ensure!(counted == times, "ran {counted} times instead of {times}");
        Ok(())
    }

    /// Kills the driver and waits until another one answers.
    pub(super) async fn restart(&self) -> Result<()> {
        match &self.server {
            Server::Stub(stub) => stub.restart_driver(),
            Server::Own(server) => {
                let mut server = server.lock().await;
                server.kill()?;
                server.restart().await?;
            }
            Server::Shared(_) => anyhow::bail!("a shared Spark is not restarted"),
        }
        until("the server to be back", BACK_WITHIN, || async {
            let Ok(probe) = Probe::open(self).await else {
                return Ok(false);
            };
            Ok(probe.spark_version().await.is_ok())
        })
        .await
        .context("after the restart")
    }
}
