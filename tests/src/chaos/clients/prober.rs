//! One client of one session: a small statement after the other, each from its submit to its good
//! end, at whichever node answers. How long that takes is how long the session does not serve.

use std::time::{Duration, Instant};

use super::pause;
use crate::evidence::{Answer, Dialect, Served, Work};
use crate::harness::State;
use crate::kill::calls::{Calls, Look};
use crate::kill::client::Signals;

/// How long a statement takes in Spark.
const LASTS_MS: u64 = 10;
/// Pause before the next attempt.
const AGAIN_MS: u64 = 20;
/// When an operation is given up: there is no service.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

pub(super) async fn run(calls: Calls, dialect: Dialect, rest_ms: u64, signals: Signals) {
    while !signals.stopped() {
        operation(&calls, dialect).await;
        pause(rest_ms).await;
    }
}

async fn operation(calls: &Calls, dialect: Dialect) {
    let work = Work::probe(dialect, LASTS_MS);
    let (began, deadline) = (calls.book.now(), Instant::now() + GIVEN_UP_AFTER);
    let (mut attempts, mut job) = (0, None);
    while Instant::now() < deadline {
        attempts += 1;
        let ended = match &job {
            None => {
                if let Answer::Ok(accepted) = calls.submit(&work).await {
                    job = Some(accepted);
                    continue;
                }
                None
            }
            Some(job) => match calls.look(job, 1).await {
                Look::Found(statement) if statement.state.ended() => Some(statement.state),
                Look::Found(_) => continue,
                // It is noted, and the verdict will say so.
                Look::Missing => return,
                Look::Nothing => None,
            },
        };
        if let Some(state) = ended {
            if state == State::Succeeded {
                let served = Served {
                    session: calls.session.to_string(),
                    span: calls.book.since(began),
                    attempts,
                };
                calls.book.note(|history| history.served.push(served));
            }
            return;
        }
        pause(AGAIN_MS).await;
    }
}
