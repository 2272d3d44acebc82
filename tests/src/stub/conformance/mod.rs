//! One suite for the stub and for real Spark: what holds for one must hold for the other, so the
//! stub cannot drift.
//!
//! A [`Scenario`] is one fact about Spark Connect, played over the raw protocol against a
//! [`Target`]. [`run`] plays all that the target can play and reports every failure at once.
//! Where the two differ, real Spark is right.
//!
//! Scenarios with [`Needs::ShortTimeouts`] want a server started with [`SHORT_CONFS`].
//!
//! **Invariant:** scenarios see the wire only; they know nothing of either server's inside.

mod errors;
mod failover;
pub(in crate::stub) mod probe;
pub(in crate::stub) mod reading;
mod replay;
mod sessions;
mod statements;
mod target;
mod timeouts;

use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt;
use futures::future::BoxFuture;

pub use target::{SHORT_CONFS, Target, short_settings};

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How many are played at a time.
const AT_A_TIME: usize = 4;

/// How long a statement runs that is to be met running and then waited for, in milliseconds: far
/// longer than a busy server takes for the calls in between.
const RUNS_ON: u64 = 5_000;

/// How long a statement would run that is stopped, in milliseconds.
const UNTIL_STOPPED: u64 = 20_000;

/// What a server must offer for a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but Spark Connect with Spark's defaults.
    Nothing,
    /// The time limits of [`SHORT_CONFS`].
    ShortTimeouts,
    /// That its driver can be killed and started again.
    Restart,
}

type Play = for<'a> fn(&'a Target) -> BoxFuture<'a, Result<()>>;

/// One fact, played.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it shows.
    pub name: &'static str,
    /// What it needs.
    pub needs: Needs,
    play: Play,
}

impl Scenario {
    const fn new(name: &'static str, play: Play) -> Self {
        Self {
            name,
            needs: Needs::Nothing,
            play,
        }
    }

    const fn needing(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }
}

/// All scenarios.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    [
        sessions::SCENARIOS,
        statements::SCENARIOS,
        errors::SCENARIOS,
        replay::SCENARIOS,
        failover::SCENARIOS,
        timeouts::SCENARIOS,
    ]
    .concat()
}

/// Plays every scenario whose needs are among `offered`: some at a time, and one by one those that
/// restart the server. Gives the number that was played.
///
/// # Errors
/// The names of all that failed, with their reasons.
///
/// # Cancel safety
/// Dropping the future leaves sessions behind on the server, nothing else.
pub async fn run(target: &Target, offered: &[Needs]) -> Result<usize> {
    let (alone, together): (Vec<_>, Vec<_>) = scenarios()
        .into_iter()
        .filter(|scenario| offered.contains(&scenario.needs))
        .partition(|scenario| scenario.needs == Needs::Restart);
    let played = alone.len() + together.len();
    let mut failures: Vec<String> = futures::stream::iter(together)
        .map(|scenario| play(target, scenario))
        .buffer_unordered(AT_A_TIME)
        .filter_map(std::future::ready)
        .collect()
        .await;
    for scenario in alone {
        failures.extend(play(target, scenario).await);
    }
    if !failures.is_empty() {
        let failed = failures.len();
        bail!(
            "{failed} of {played} scenarios failed:{}",
            failures.concat()
        );
    }
    Ok(played)
}

/// Plays a scenario; what went wrong, if it did.
async fn play(target: &Target, scenario: Scenario) -> Option<String> {
    let reason = match tokio::time::timeout(LIMIT, (scenario.play)(target)).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("not done within {LIMIT:?}"),
    };
    Some(format!("\n- {}: {reason}", scenario.name))
}
