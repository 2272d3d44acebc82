//! All clients of one run: they work, note every call, and end when they are told to.
//!
//! - [`prober`]: one for each probed session, which shows when it serves.
//! - [`watcher`]: reads sessions and lists of statements on any node.
//! - [`register`]: writes and reads numbers that mean nothing.
//! - [`pools`]: gives pools more to do than there are slots.
//! - Works of all kinds and clients that try everything twice are those of [`crate::kill`].
//!
//! **Invariant:** every client has chance of its own, from the seed, and every wait of one is
//! bounded.

mod pools;
mod prober;
mod register;
mod watcher;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::evidence::{Book, Dialect, Dice, History, Micros};
use crate::harness::{Api, passed, until};
use crate::kill::Once;
use crate::kill::calls::Calls;
use crate::kill::client::{Client, Signals};
use crate::kill::targets::Targets;

/// How long one attempt of a client that wants an answer soon may take.
const SOON: Duration = Duration::from_millis(1_500);
/// The same of others.
const PATIENT: Duration = Duration::from_secs(5);
/// How long clients may take to finish what they have begun.
const FINISH_WITHIN: Duration = Duration::from_secs(150);
/// How long a session may take to be made.
const MADE_WITHIN: Duration = Duration::from_secs(30);
/// Clients that submit works of all kinds, and those that try everything twice.
const WORKERS: usize = 2;
const ONCE: usize = 2;
/// Between two operations of a probing client, ms.
const RESTS_MS: u64 = 100;
const RESTS_LONG_MS: u64 = 500;
/// Clients of each register.
const WRITERS: usize = 2;

/// What is wanted of the clients.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) seed: u64,
    pub(super) dialect: Dialect,
    /// Sessions that are probed.
    pub(super) sessions: Vec<String>,
    /// Pools that are to have more to do than there are slots, and nothing else.
    pub(super) pools: Vec<String>,
    pub(super) slots: usize,
    /// As few results as will do: after each fault all of them are copied.
    pub(super) few_results: bool,
}

/// All clients.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) calls: Calls,
    clients: JoinSet<()>,
    once: Option<Once>,
    stop: watch::Sender<bool>,
    wanted: Wanted,
}

impl Crew {
    /// Makes the sessions and sets all clients to work.
    ///
    /// # Errors
    /// When a session or a register cannot be made.
    pub(super) async fn begin(apis: &[Api], wanted: Wanted) -> Result<Self> {
        let book = Book::default();
        let targets = Targets::all(apis);
        let (stop, stopped) = watch::channel(false);
        let mut crew = Self {
            calls: Calls {
                targets: targets.clone(),
                session: "probe-1".into(),
                book: book.clone(),
                patience: SOON,
            },
            clients: JoinSet::new(),
            once: None,
            stop,
            wanted,
        };
        crew.make_sessions().await?;
        register::make(&crew.calls).await?;
        // Nobody is told that nobody is up: clients try, whatever happens.
        let up = watch::channel(true).1;
        let signals = Signals { up, stop: stopped };
        if crew.wanted.pools.is_empty() {
            crew.work(&signals);
            let twice = crew.wanted.dialect == Dialect::Stub && !crew.wanted.few_results;
            crew.once = twice.then(|| Once::noting(&targets, ONCE, Some("once"), &book, PATIENT));
        } else {
            crew.fill_pools(&signals);
        }
        crew.probe(&signals);
        Ok(crew)
    }

    async fn make_sessions(&self) -> Result<()> {
        for session in &self.wanted.sessions {
            until("a session to be made", MADE_WITHIN, || async {
                let api = self.calls.targets.next();
                let body = serde_json::json!({ "sessionId": session });
                let request = api.request(reqwest::Method::POST, "sessions").json(&body);
                let reply = api.send(request.timeout(PATIENT)).await;
                // Taken: an attempt without an answer has made it.
                Ok(reply.is_ok_and(|reply| [201, 409].contains(&reply.status.as_u16())))
            })
            .await?;
        }
        Ok(())
    }

    fn client(&self, session: &str, number: usize, patience: Duration) -> Calls {
        let mut calls = self.calls.beginning_at(number);
        calls.session = session.into();
        calls.patience = patience;
        calls
    }

    fn dice(&self, stream: usize) -> Dice {
        Dice::new(self.wanted.seed, stream as u64)
    }

    fn probe(&mut self, signals: &Signals) {
        for (n, session) in self.wanted.sessions.clone().iter().enumerate() {
            let calls = self.client(session, n, SOON);
            let rest_ms = if self.wanted.few_results {
                RESTS_LONG_MS
            } else {
                RESTS_MS
            };
            let probing = prober::run(calls, self.wanted.dialect, rest_ms, signals.clone());
            self.clients.spawn(probing);
        }
        let watching = watcher::run(
            self.client("probe-1", 1, SOON),
            self.wanted.sessions.clone(),
            self.dice(900),
            signals.clone(),
        );
        self.clients.spawn(watching);
        for n in 0..WRITERS {
            let calls = self.client("probe-1", n, SOON);
            let writing = register::run(calls, n as u64, self.dice(800 + n), signals.clone());
            self.clients.spawn(writing);
        }
    }

    fn work(&mut self, signals: &Signals) {
        for n in 1..=WORKERS {
            let client = Client {
                calls: self.client(&format!("worker-{n}"), n, PATIENT),
                dice: self.dice(n),
                dialect: self.wanted.dialect,
                signals: signals.clone(),
            };
            self.clients.spawn(client.run());
        }
    }

    fn fill_pools(&mut self, signals: &Signals) {
        for pool in self.wanted.pools.clone() {
            // As many as there are slots, and some that wait in line.
            for n in 0..self.wanted.slots + 2 {
                let calls = self.client(&format!("pool-{}", n % 4), n, PATIENT);
                let filling = pools::run(calls, pool.clone(), signals.clone());
                self.clients.spawn(filling);
            }
        }
    }

    /// The book that all of them write.
    pub(super) fn book(&self) -> &Book {
        &self.calls.book
    }

    /// Requests of clients that try everything twice, and failed both times so far.
    pub(super) fn failed_after_retry(&self) -> usize {
        self.once.as_ref().map_or(0, |once| once.so_far().n_failed)
    }

    /// Tells all clients whom to ask from now on.
    pub(super) fn ask(&self, apis: &[Api]) {
        self.calls.targets.become_these(apis);
    }

    /// Waits until every probed session has served something that was asked for after `since`;
    /// false if one has not within `limit`.
    pub(super) async fn all_served(&self, since: Micros, limit: Duration) -> bool {
        let served = |history: &History| {
            self.wanted.sessions.iter().all(|session| {
                // The newest are at the end.
                let mut newest = history.served.iter().rev();
                newest.any(|s| s.session == *session && s.span.began >= since)
            })
        };
        let all = || async { Ok(self.book().look(served)) };
        until("all sessions to serve", limit, all).await.is_ok()
    }

    /// Lets them finish what they have begun, and gives what went wrong with those that try
    /// everything twice.
    ///
    /// # Errors
    /// When they do not finish.
    pub(super) async fn finish(&mut self) -> Result<Vec<String>> {
        self.stop.send_replace(true);
        let wrong = match self.once.take() {
            Some(once) => once.finish().await?.wrong,
            None => Vec::new(),
        };
        let finished = async { while self.clients.join_next().await.is_some() {} };
        timeout(FINISH_WITHIN, finished)
            .await
            .context("clients did not finish what they had begun")?;
        Ok(wrong)
    }
}

/// A pause between two calls of one client.
async fn pause(millis: u64) {
    passed(Duration::from_millis(millis)).await;
}
