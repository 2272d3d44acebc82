//! Gives a pool always one statement more.

use std::time::{Duration, Instant};

use super::pause;
use crate::evidence::{Answer, Dialect, Work};
use crate::kill::calls::{Calls, Look};
use crate::kill::client::Signals;

/// How long each statement takes in Spark.
const LASTS_MS: u64 = 300;
const AGAIN_MS: u64 = 50;
const GIVEN_UP_AFTER: Duration = Duration::from_secs(90);

pub(super) async fn run(calls: Calls, pool: String, signals: Signals) {
    while !signals.stopped() {
        let work = Work::probe(Dialect::Stub, LASTS_MS).in_pool(&pool);
        let deadline = Instant::now() + GIVEN_UP_AFTER;
        let mut job = None;
        while Instant::now() < deadline {
            match &job {
                None => match calls.submit(&work).await {
                    Answer::Ok(accepted) => job = Some(accepted),
                    Answer::Refused(_) | Answer::Unknown(_) => pause(AGAIN_MS).await,
                },
                Some(job) => match calls.look(job, 2).await {
                    Look::Found(statement) if statement.state.ended() => break,
                    Look::Found(_) => {}
                    Look::Missing => break,
                    Look::Nothing => pause(AGAIN_MS).await,
                },
            }
        }
    }
}
