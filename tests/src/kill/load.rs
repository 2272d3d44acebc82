//! Clients that work while something is done to the coordinators, and what is said of it at the
//! end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::calls::{ANSWER_WITHIN, Calls};
use super::client::{Client, Signals, watch_all};
use super::closing;
use super::lives::Killed;
use super::plan::Cause;
use super::referee::Referee;
use super::report::{Kill, Report};
use super::targets::Targets;
use crate::checkers::{Verdict, acknowledged, judge};
use crate::evidence::{Answer, Book, Dialect, Dice, Evidence, History, Micros};
use crate::harness::{Api, Marker, State, until};

/// How long clients may take to finish what they have begun.
const FINISH_WITHIN: Duration = Duration::from_secs(90);

/// How much work there is.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Decides the work.
    pub seed: u64,
    /// How many clients work at once.
    pub clients: usize,
    /// Statements that may run at once.
    pub slots: usize,
    /// Fewer acknowledged statements are too little load to say anything.
    pub least: usize,
    /// Each client works in a session of its own, `client-N`, instead of `default`.
    pub own_sessions: bool,
}

/// A run under way.
#[derive(Debug)]
pub struct Load {
    setup: Setup,
    calls: Calls,
    pub(super) referee: Referee,
    clients: JoinSet<()>,
    stop: watch::Sender<bool>,
    pub(super) kills: Vec<Killed>,
    began: Instant,
}

impl Load {
    /// Sets clients to work, each of which asks another of `apis` every time.
    #[must_use]
    pub fn begin(apis: &[Api], referee: Referee, setup: Setup) -> Self {
        Self::begin_when(apis, referee, setup, &watch::channel(true).1)
    }

    /// The same, with clients that pause while `up` says that nobody is there to answer.
    pub(super) fn begin_when(
        apis: &[Api],
        referee: Referee,
        setup: Setup,
        up: &watch::Receiver<bool>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut load = Self {
            calls: Calls {
                targets: Targets::all(apis),
                session: "default".into(),
                book: Book::default(),
                patience: ANSWER_WITHIN,
            },
            referee,
            clients: JoinSet::new(),
            stop,
            kills: Vec::new(),
            began: Instant::now(),
            setup,
        };
        let signals = Signals {
            up: up.clone(),
            stop: stopped,
        };
        let watching = load.calls.beginning_at(0);
        load.clients.spawn(watch_all(watching, signals.clone()));
        for number in 1..=load.setup.clients {
            let mut calls = load.calls.beginning_at(number);
            if load.setup.own_sessions {
                calls.session = format!("client-{number}").into();
            }
            let client = Client {
                calls,
                dice: Dice::new(load.setup.seed, number as u64),
                dialect: load.referee.dialect(),
                signals: signals.clone(),
            };
            load.clients.spawn(client.run());
        }
        load
    }

    /// Notes that something was done, at this moment, that statements in flight must survive.
    pub fn done_to_it(&mut self, what: &'static str) {
        self.kills.push(Killed {
            cause: Cause::Fault(what),
            at: Instant::now(),
            recovery: None,
        });
    }

    /// Waits until so many more statements have been acknowledged.
    ///
    /// # Errors
    /// When they are not within `limit`.
    pub async fn acknowledges(&self, more: usize, limit: Duration) -> Result<()> {
        let count = || self.calls.book.look(|history| acknowledged(history).len());
        let wanted = count() + more;
        until(&format!("{more} more statements"), limit, || async {
            Ok(count() >= wanted)
        })
        .await
    }

    /// Lets clients finish what they have begun, looks at everything once more, and judges.
    pub async fn finish(self) -> Report {
        self.conclude().await.0
    }

    /// The same with all that was noted.
    pub(super) async fn conclude(mut self) -> (Report, History) {
        let evidence = self.evidence().await;
        let history = self.calls.book.look(History::clone);
        let mut report = self.report(&history);
        match evidence {
            Ok(evidence) => self.close(&mut report, &evidence),
            Err(error) => report.verdict = Verdict::Unknown(format!("{error:#}")),
        }
        (report, history)
    }

    /// The report of a run that could not be brought to its end.
    pub(super) fn broken_off(&self, why: &anyhow::Error) -> Report {
        let mut report = self.report(&self.calls.book.look(History::clone));
        report.verdict = Verdict::Unknown(format!("{why:#}"));
        report
    }

    /// Everything that can be known once all is quiet.
    async fn evidence(&mut self) -> Result<Evidence> {
        self.stop.send_replace(true);
        let finished = async { while self.clients.join_next().await.is_some() {} };
        timeout(FINISH_WITHIN, finished)
            .await
            .context("clients did not finish what they had begun")?;
        let calls = &self.calls;
        let api = calls.targets.next();
        closing::all_ended(&api).await?;
        let finals = closing::all_statements(&api).await?;
        for other in calls.targets.each() {
            closing::says_the_same(&other, &finals).await?;
        }
        let noted = calls.book.look(History::clone);
        for at in 0..calls.targets.each().len() {
            let calls = calls.beginning_at(at);
            closing::read_again(&calls, &noted, &finals).await?;
        }
        let executions = self.referee.executions().await?;
        let code = match self.referee.dialect() {
            Dialect::Stub => |marker: Marker| format!("/* stub: hang */ SELECT {marker}"),
            Dialect::Spark => |marker: Marker| marker.sleeping(60_000),
        };
        let session = if self.setup.own_sessions {
            "client-1"
        } else {
            "default"
        };
        closing::slots_are_whole(&api, session, self.setup.slots, code).await?;
        Ok(Evidence {
            history: calls.book.look(History::clone),
            finals,
            executions,
            slots: self.setup.slots,
            slots_whole: Some(Ok(())),
            ..Evidence::default()
        })
    }

    fn report(&self, history: &History) -> Report {
        let mut answers = [0; 3];
        for submit in &history.submits {
            answers[match submit.answer {
                Answer::Ok(_) => 0,
                Answer::Refused(_) => 1,
                Answer::Unknown(_) => 2,
            }] += 1;
        }
        Report {
            seed: self.setup.seed,
            took: self.began.elapsed(),
            answers,
            acknowledged: acknowledged(history).len(),
            executions: 0,
            readings: history.readings.len(),
            violations: Vec::new(),
            verdict: Verdict::Unknown("not judged".to_owned()),
            kills: self.in_flight(history),
        }
    }

    fn in_flight(&self, history: &History) -> Vec<Kill> {
        let kill = |killed: &Killed| Kill {
            cause: killed.cause,
            recovery: killed.recovery,
            in_flight: in_flight(history, self.calls.book.at(killed.at)),
        };
        self.kills.iter().map(kill).collect()
    }

    fn close(&self, report: &mut Report, evidence: &Evidence) {
        report.violations = judge(evidence);
        report.executions = executions(evidence);
        report.readings = evidence.history.readings.len();
        let (acknowledged, wanted) = (report.acknowledged, self.setup.least);
        report.verdict = if !report.violations.is_empty() {
            Verdict::Violated
        } else if acknowledged < wanted {
            Verdict::Unknown(format!(
                "{acknowledged} statements acknowledged, {wanted} wanted"
            ))
        } else {
            Verdict::Pass
        };
    }
}

/// Acknowledged statements whose end nobody had seen at a moment.
pub(crate) fn in_flight(history: &History, at: Micros) -> BTreeSet<String> {
    let mut ended: BTreeMap<&str, Micros> = BTreeMap::new();
    for seen in &history.seen {
        if seen.state.is_some_and(State::ended) {
            let first = ended.entry(&seen.job).or_insert(seen.span.ended);
            *first = seen.span.ended.min(*first);
        }
    }
    acknowledged(history)
        .into_iter()
        .filter(|(job, begun)| *begun < at && ended.get(job).is_none_or(|end| *end > at))
        .map(|(job, _)| job.to_owned())
        .collect()
}

/// Executions of the works of this run; a real Spark also ran things for others.
fn executions(evidence: &Evidence) -> usize {
    let submits = evidence.history.submits.iter();
    let markers = submits.map(|submit| submit.work.marker.number()).collect();
    evidence.executions.by_marker(&markers).values().sum()
}
