//! Clients that try everything a second time, at another coordinator, and never a third time.
//!
//! **Invariant:** a request that failed twice is counted, whatever the reason; so is a statement
//! that did not end as it had to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::calls::outcome;
use super::targets::Targets;
use crate::evidence::{Book, Call};
use crate::harness::{Api, Marker, PageView, Reply, State, Statement, Submit, until};

/// Longer than a request may take by the contract.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pause before the second try where the answer names none.
const PAUSE: Duration = Duration::from_millis(150);
/// The longest pause that an answer can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How long the last statements may take to end.
const FINISH_WITHIN: Duration = Duration::from_secs(60);
/// How many of what went wrong are kept.
const KEPT: usize = 50;
const ROWS: u64 = 20;

/// What clients met.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Requests, a second try not counted.
    pub requests: usize,
    /// Those that were tried a second time.
    pub retried: usize,
    /// Those that failed twice, the first few of them with why.
    pub failed: Vec<String>,
    /// How many there are of those.
    pub n_failed: usize,
    /// Statements that ended as they had to.
    pub succeeded: usize,
    /// Others, the first few of them.
    pub wrong: Vec<String>,
    /// What each request took with its second try, in the order of their ends.
    pub took: Vec<Duration>,
    /// Statements that each client has ended, well or not.
    ended: Vec<usize>,
}

impl Tally {
    /// What most of the requests stayed below, `share` of all.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let seconds: Vec<f64> = self.took.iter().map(Duration::as_secs_f64).collect();
        Duration::from_secs_f64(crate::bench::quantile(&seconds, share))
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Once {
    clients: JoinSet<()>,
    stop: watch::Sender<bool>,
    tally: Arc<Mutex<Tally>>,
}

impl Once {
    /// Sets so many clients to work, each in a session of its own, `client-N`, or all in `default`.
    #[must_use]
    pub fn begin(apis: &[Api], clients: usize, own_sessions: bool) -> Self {
        let sessions = own_sessions.then_some("client");
        Self::noting(
            &Targets::all(apis),
            clients,
            sessions,
            &Book::default(),
            ANSWER_WITHIN,
        )
    }

    /// The same, in sessions `SESSIONS-N` or in `default`, with every call noted.
    pub(crate) fn noting(
        targets: &Targets,
        clients: usize,
        sessions: Option<&str>,
        book: &Book,
        patience: Duration,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Mutex::new(Tally {
            ended: vec![0; clients],
            ..Tally::default()
        }));
        let mut running = JoinSet::new();
        for number in 1..=clients {
            let client = Client {
                number,
                targets: targets.beginning_at(number),
                session: sessions.map_or_else(
                    || "default".to_owned(),
                    |sessions| format!("{sessions}-{number}"),
                ),
                book: book.clone(),
                patience,
                tally: Arc::clone(&tally),
                stop: stopped.clone(),
            };
            running.spawn(client.run());
        }
        Self {
            clients: running,
            stop,
            tally,
        }
    }

    /// What they have met so far.
    #[must_use]
    pub fn so_far(&self) -> Tally {
        locked(&self.tally).clone()
    }

    /// Waits until each of them has ended two more statements: the second was begun after the call,
    /// so that nothing is under way any more that has met what was done before it. Whoever does
    /// one harm after the other waits so in between: a second try is good for one.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub async fn come_round(&self, limit: Duration) -> Result<()> {
        let before = self.so_far().ended;
        until("all clients to come round", limit, || async {
            let now = self.so_far().ended;
            Ok(now
                .iter()
                .zip(&before)
                .all(|(now, before)| *now >= before + 2))
        })
        .await
    }

    /// Lets them finish their last statement, and says what they met.
    ///
    /// # Errors
    /// When they do not finish within a minute.
    pub async fn finish(mut self) -> Result<Tally> {
        self.stop.send_replace(true);
        let finished = async { while self.clients.join_next().await.is_some() {} };
        timeout(FINISH_WITHIN, finished).await?;
        Ok(locked(&self.tally).clone())
    }
}

fn locked(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Client {
    /// From 1.
    number: usize,
    targets: Targets,
    session: String,
    book: Book,
    /// How long one answer may take.
    patience: Duration,
    tally: Arc<Mutex<Tally>>,
    stop: watch::Receiver<bool>,
}

impl Client {
    async fn run(self) {
        while !*self.stop.borrow() {
            let outcome = self.statement().await;
            let mut tally = locked(&self.tally);
            match outcome {
                // It is counted as a failed request.
                None => {}
                Some(Ok(())) => tally.succeeded += 1,
                Some(Err(wrong)) => keep(&mut tally.wrong, wrong),
            }
            tally.ended[self.number - 1] += 1;
        }
    }

    /// One statement from its submit to its rows; `None` if a request failed twice.
    async fn statement(&self) -> Option<Result<(), String>> {
        let marker = Marker::new();
        let body = Submit::sql(format!(
            "/* stub: rows={ROWS} delay_ms=40 */ SELECT id, {marker} AS marker FROM range({ROWS})"
        ));
        let key = format!("once-{marker}");
        let path = format!("sessions/{}/statements?wait=1", self.session);
        let reply = self
            .twice(|api| {
                let request = api.request(Method::POST, &path).json(&body);
                request.header("Idempotency-Key", &key)
            })
            .await?;
        let mut seen: Statement = match reply.json(&[200, 202]) {
            Ok(seen) => seen,
            Err(error) => return Some(Err(format!("{error:#}"))),
        };
        while !seen.state.ended() {
            let path = format!("statements/{}?wait=5", seen.job_id);
            let reply = self.twice(|api| api.request(Method::GET, &path)).await?;
            seen = match reply.json(&[200]) {
                Ok(seen) => seen,
                Err(error) => return Some(Err(format!("{error:#}"))),
            };
        }
        if seen.state != State::Succeeded {
            return Some(Err(format!(
                "{}: {} {:?}",
                seen.job_id, seen.state, seen.error
            )));
        }
        let path = format!("statements/{}/result", seen.job_id);
        let reply = self.twice(|api| api.request(Method::GET, &path)).await?;
        Some(match reply.json::<PageView>(&[200]) {
            Ok(page) if page.row_count == ROWS => Ok(()),
            Ok(page) => Err(format!("{}: {} rows", seen.job_id, page.row_count)),
            Err(error) => Err(format!("{error:#}")),
        })
    }

    /// Sends a request, and once more to the next coordinator if there was no answer or one that
    /// asks for that.
    async fn twice(&self, request: impl Fn(&Api) -> reqwest::RequestBuilder) -> Option<Reply> {
        let began = Instant::now();
        let mut why = Vec::new();
        for _ in 0..2 {
            let api = self.targets.next();
            let asked = self.book.now();
            let built = request(&api).timeout(self.patience);
            let sent = api.send(built).await;
            let call = Call {
                at: api.base().to_owned(),
                what: format!("{} of client {}", self.session, self.number),
                span: self.book.since(asked),
                outcome: outcome(&sent),
                status: sent.as_ref().ok().map(|reply| reply.status.as_u16()),
            };
            self.book.note(|history| history.calls.push(call));
            let pause = match sent {
                Ok(reply) if !is_refusal(&reply) => {
                    let mut tally = locked(&self.tally);
                    tally.requests += 1;
                    tally.retried += why.len();
                    tally.took.push(began.elapsed());
                    return Some(reply);
                }
                Ok(reply) => {
                    why.push(format!("{}: {} {}", api.base(), reply.status, reply.text()));
                    asked_for(&reply)
                }
                Err(error) => {
                    why.push(format!("{}: {error:#}", api.base()));
                    PAUSE
                }
            };
            sleep(pause).await;
        }
        let mut tally = locked(&self.tally);
        tally.requests += 1;
        tally.n_failed += 1;
        keep(&mut tally.failed, why.join("; then "));
        None
    }
}

fn is_refusal(reply: &Reply) -> bool {
    reply.status.is_server_error() || reply.status.as_u16() == 429
}

fn asked_for(reply: &Reply) -> Duration {
    let seconds = reply
        .header("retry-after")
        .and_then(|text| text.parse().ok());
    seconds
        .map_or(PAUSE, Duration::from_secs)
        .min(LONGEST_PAUSE)
}

fn keep(list: &mut Vec<String>, text: String) {
    if list.len() < KEPT {
        list.push(text);
    }
}
