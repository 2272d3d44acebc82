//! One client: submits a work, follows it to its end, reads its result, and begins again.
//!
//! **Invariant:** a work without a key is submitted once, whatever the answer; one with a key is
//! submitted again and again until there is an answer, and sometimes once more after it.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::calls::{Calls, Look};
use crate::evidence::{Answer, Dialect, Dice, Kind, Wants, Work};
use crate::harness::State;

/// Pause after a call without an answer, so that a dead coordinator is not asked in a frenzy.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest wait for a coordinator that is down before it is tried anyhow.
const DOWN: Duration = Duration::from_secs(5);
/// Pause between two looks of the watcher at all statements.
const WATCH: Duration = Duration::from_millis(150);
/// How many times a work with a key is submitted before it is left unknown.
const ATTEMPTS: usize = 200;
/// How long a client asks for one thing before it leaves it at that: what is not there by then is
/// for the verdict to tell.
const ASKED_FOR: Duration = Duration::from_secs(60);

/// What the clients are told of the run.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    /// The coordinator is ready.
    pub(crate) up: watch::Receiver<bool>,
    /// No more work is to be begun.
    pub(crate) stop: watch::Receiver<bool>,
}

impl Signals {
    pub(crate) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits a moment, and then until the coordinator is up again.
    pub(crate) async fn recover(&mut self) {
        sleep(PAUSE).await;
        // Neither a closed channel nor the limit is a failure: the next call shows how it stands.
        let _ = timeout(DOWN, self.up.wait_for(|up| *up)).await;
    }
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) calls: Calls,
    pub(crate) dice: Dice,
    pub(crate) dialect: Dialect,
    pub(crate) signals: Signals,
}

impl Client {
    /// Works until it is told to stop, and then finishes what it has begun.
    pub(crate) async fn run(mut self) {
        while !self.signals.stopped() {
            let work = Work::draw(self.dialect, &mut self.dice);
            if let Some(job) = self.submit(&work).await {
                self.see_through(&work, &job).await;
            }
        }
    }

    async fn submit(&mut self, work: &Work) -> Option<String> {
        if work.key.is_none() {
            let answer = self.calls.submit(work).await;
            return self.accepted(answer).await;
        }
        for _ in 0..ATTEMPTS {
            let answer = if self.dice.once_in(8) {
                let (first, second) = (self.calls.submit(work), self.calls.submit(work));
                let (first, second) = tokio::join!(first, second);
                if matches!(first, Answer::Ok(_)) {
                    first
                } else {
                    second
                }
            } else {
                self.calls.submit(work).await
            };
            let Some(job) = self.accepted(answer).await else {
                continue;
            };
            if self.dice.once_in(5) {
                self.calls.submit(work).await;
            }
            return Some(job);
        }
        None
    }

    async fn accepted(&mut self, answer: Answer) -> Option<String> {
        match answer {
            Answer::Ok(job) => Some(job),
            Answer::Refused(_) | Answer::Unknown(_) => {
                self.signals.recover().await;
                None
            }
        }
    }

    async fn see_through(&mut self, work: &Work, job: &str) {
        if work.kind == Kind::Cancelled {
            sleep(Duration::from_millis(self.dice.below(700))).await;
            let deadline = Instant::now() + ASKED_FOR;
            while !self.calls.cancel(job).await && Instant::now() < deadline {
                self.signals.recover().await;
            }
        }
        if self.follow(job).await == Some(State::Succeeded) {
            self.read(job, &work.wants).await;
            if self.dice.once_in(4) {
                self.read(job, &work.wants).await;
            }
        }
        if self.dice.once_in(6) && self.dialect == Dialect::Stub && work.key.is_some() {
            // Long after its end, the key still stands for it.
            self.calls.submit(work).await;
        }
    }

    async fn follow(&mut self, job: &str) -> Option<State> {
        let deadline = Instant::now() + ASKED_FOR;
        while Instant::now() < deadline {
            match self.calls.look(job, 1).await {
                Look::Found(statement) if statement.state.ended() => return Some(statement.state),
                Look::Found(_) => {}
                Look::Missing => return None,
                Look::Nothing => self.signals.recover().await,
            }
        }
        None
    }

    async fn read(&mut self, job: &str, wants: &Wants) {
        let deadline = Instant::now() + ASKED_FOR;
        while !self.calls.read(job, Some(wants)).await {
            if Instant::now() > deadline {
                self.calls.cannot_be_read(job);
                return;
            }
            self.signals.recover().await;
        }
    }
}

/// Looks at the newest statements of all clients again and again, until it is told to stop.
pub(crate) async fn watch_all(calls: Calls, mut signals: Signals) {
    while !signals.stopped() {
        if calls.look_at_all().await {
            sleep(WATCH).await;
        } else {
            signals.recover().await;
        }
    }
}
