//! A session that nobody uses is not dropped by Spark, however short Spark's own patience is.

use std::time::Duration;

use anyhow::Result;
use libra_tests::stub::engine::Settings;

use super::{SOON, assert_succeeded, passed, sql, together};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_outlives_sparks_own_timeout() -> Result<()> {
    let impatient = Settings {
        session_timeout_ms: 2_000,
        maintenance_interval_ms: 50,
        ..Settings::default()
    };
    let (_stub, libra) = together(impatient, 2).await?;
    let first = libra.api.run("default", &sql("rows=3"), SOON).await?;
    assert_succeeded(&first);
    passed(Duration::from_secs(5)).await?;
    let second = libra.api.run("default", &sql("rows=3"), SOON).await?;
    assert_succeeded(&second);
    assert_eq!(second.spark_session_id, first.spark_session_id);
    assert!(libra.api.session("default").await?.resets.is_empty());
    Ok(())
}
