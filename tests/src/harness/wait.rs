//! Waiting for a condition, with a deadline.
//!
//! **Invariant:** the only sleep of the suites is here, between two looks, or where a given time is to pass.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks, or where a given time is to pass.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives a value, or `limit` is over.
///
/// # Errors
/// When `look` fails, or the deadline passes; names `what` was waited for.
pub async fn until_some<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain: {what}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks again and again until `look` says true, or `limit` is over.
///
/// # Errors
/// As [`until_some`].
pub async fn until<F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    until_some(what, limit, || {
        let seen = look();
        async { Ok(seen.await?.then_some(())) }
    })
    .await
}

/// Lets so much time pass: where time itself is what is waited for.
pub async fn passed(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_comes_true_is_found_and_one_that_does_not_is_named() {
        let mut looks = 0;
        until("third look", Duration::from_secs(1), || {
            looks += 1;
            let seen = looks == 3;
            async move { Ok(seen) }
        })
        .await
        .unwrap();
        assert_eq!(looks, 3);

        let error = until("the moon", Duration::from_secs(1), || async { Ok(false) })
            .await
            .unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }
}
