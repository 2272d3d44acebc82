//! Many clients at once, each of which begins its next statement when its last has ended.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::task::JoinSet;

/// Runs `statement` from `clients` clients until `span` has passed, and says how many ended per
/// second.
pub(super) async fn per_second<F>(
    clients: usize,
    span: Duration,
    statement: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let statement = statement.clone();
        running.spawn(async move {
            let mut ended = 0_u32;
            while begun.elapsed() < span {
                statement().await?;
                ended += 1;
            }
            Ok::<_, anyhow::Error>(ended)
        });
    }
    let mut ended = 0_u32;
    while let Some(client) = running.join_next().await {
        ended += client??;
    }
    Ok(f64::from(ended) / begun.elapsed().as_secs_f64())
}

/// Reads a span of time from the command line.
pub(super) fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

/// Does `work` for every number below `count`, `at_once` at a time, and gives all that came of it.
pub(super) async fn all<T, F>(
    count: usize,
    at_once: usize,
    work: impl Fn(usize) -> F,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>>,
{
    stream::iter((0..count).map(work))
        .buffer_unordered(at_once)
        .try_collect()
        .await
}
