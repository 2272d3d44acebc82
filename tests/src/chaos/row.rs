//! One fault, again and again, on a cluster of its own.
//!
//! **Invariant:** each injection begins with a cluster that is well, and what it was is told even
//! if the run is broken off.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, timeout};

use super::Fault;
use super::act::{Act, Cast};
use super::clients::{Crew, Wanted};
use super::closing;
use super::draw;
use super::fault::From;
use super::log::LogReader;
use super::options::Options;
use super::place::Place;
use super::place::hosts::Hosts;
use super::rig::Rig;
use super::strike::{Begun, begin, revive};
use crate::evidence::file::Head;
use crate::evidence::{Dice, Evidence, Injection, LeaseSeen, Micros, Refusal, Span};
use crate::harness::{passed, until};
use crate::kill::Referee;
use crate::kill::in_flight;

/// Stream of the chance that decides what is done.
const STREAM: u64 = 4_711;
/// How long sessions may take to serve for the first time.
const WARM_WITHIN: Duration = Duration::from_secs(60);
/// Between the moment when all was well and the next injection.
const SETTLES: Duration = Duration::from_millis(800);
/// How long a fault waits for statements on their way; clients send them all the time.
const FLYING_WITHIN: Duration = Duration::from_secs(5);
/// Between two faults at a time.
const APART: Duration = Duration::from_millis(700);
/// The same where statements are to end between them.
const FAR_APART: Duration = Duration::from_millis(1_500);
/// How long a fault stays without hindering service for good.
const SERVES_WITHIN: Duration = Duration::from_secs(20);
/// How long all may take to be well after a fault: a restart, an election, leases.
const WELL_WITHIN: Duration = Duration::from_secs(60);
/// How long a node without a majority may take to say so; by contract 2 s.
const REFUSES_WITHIN: Duration = Duration::from_secs(10);
/// Between two questions for a metric.
const ASKS_EVERY: Duration = Duration::from_millis(50);
/// How long no copy may be seen to be missing, which is longer than the pause of whoever looks for
/// them, and how long there may be no fewer that are.
const WHOLE_FOR: Duration = Duration::from_secs(7);
const FEWER_WITHIN: Duration = Duration::from_secs(90);
/// How long it may take to say whether it is ready, or what its metrics are.
const SAYS_WITHIN: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) head: Head,
    pub(super) evidence: Evidence,
    /// What each node printed.
    pub(super) logs: BTreeMap<u64, String>,
}

/// Runs one fault to its end. Gives back the hosts for the next one.
///
/// # Errors
/// When the cluster does not come up at all.
pub(super) async fn run(
    fault: Fault,
    options: &Options,
    place: &Place,
    seed: u64,
    hosts: Option<Hosts>,
) -> Result<(Done, Option<Hosts>)> {
    let rig = Rig::start(fault, options, place, hosts).await?;
    let referee = rig.referee();
    let wanted = Wanted {
        seed,
        dialect: referee.dialect(),
        sessions: rig.sessions.clone(),
        pools: rig.shares.iter().map(|share| share.pool.clone()).collect(),
        slots: rig.slots,
        few_results: fault.copies_all_anew(),
    };
    let crew = Crew::begin(&rig.cluster.apis(), wanted).await?;
    let mut run = Run {
        fault,
        place: place.clone(),
        rig,
        crew,
        referee,
        log: LogReader::default(),
        dice: Dice::new(seed, STREAM),
        seed,
    };
    let (mut injections, mut broken) = (Vec::new(), None);
    if !run.crew.all_served(0, WARM_WITHIN).await {
        broken = Some(format!("not all sessions served within {WARM_WITHIN:?}"));
    }
    for turn in 0..options.times() {
        if broken.is_some() {
            break;
        }
        let mut injection = Injection {
            turn,
            ..Injection::default()
        };
        let done = run.inject(&mut injection).await;
        broken = done.err().map(|error| format!("{turn}: {error:#}"));
        if injection.began > 0 {
            injections.push(injection);
        }
    }
    if broken.is_some() {
        // What does not start is told by the checks.
        let _ = revive(&mut run.rig);
    }
    let Run {
        rig,
        mut crew,
        mut referee,
        mut log,
        ..
    } = run;
    let closed = closing::evidence(&rig, &mut crew, &mut referee, injections, fault).await;
    let (mut evidence, unknown) = closed;
    let unread = log.go_on(&rig.cluster).await.err();
    let unread = unread.map(|error| format!("{error:#}"));
    evidence.log = log.found();
    let logs = rig.cluster.ids().into_iter().filter_map(|id| {
        let log = rig.cluster.node(id).ok()?.log().ok()?;
        Some((id, log))
    });
    let done = Done {
        head: Head {
            fault: fault.to_string(),
            seed,
            nodes: options.nodes,
            slots: rig.slots,
            tolerated: evidence.tolerated.clone(),
            wanted: options.times(),
            broken: broken.or(unknown).or(unread),
        },
        evidence,
        logs: logs.collect(),
    };
    Ok((done, rig.end().await))
}

struct Run {
    fault: Fault,
    place: Place,
    rig: Rig,
    crew: Crew,
    referee: Referee,
    log: LogReader,
    dice: Dice,
    seed: u64,
}

impl Run {
    async fn inject(&mut self, injection: &mut Injection) -> Result<()> {
        let cast = self.cast(injection).await?;
        let acts = draw::acts(
            self.fault,
            injection.turn,
            &cast,
            &self.place,
            &mut self.dice,
        );
        ensure!(!acts.is_empty(), "nothing to do");
        let texts: Vec<String> = acts.iter().map(Act::to_string).collect();
        injection.what = texts.join(" and ");
        injection.victims = acts.iter().flat_map(Act::victims).collect();
        let failed = self.crew.failed_after_retry();
        let book = self.crew.book().clone();
        let flying = || book.look(|history| in_flight(history, book.now()).len());
        // Statements are short: the fault waits for one to hit. That there was none is said below.
        let _ = until("statements on their way", FLYING_WITHIN, || async {
            Ok(flying() > 0)
        })
        .await;
        injection.in_flight = flying();
        injection.began = book.now();
        let apart = match self.fault {
            Fault::DiskLoss => FAR_APART,
            _ => APART,
        };
        let mut begun: Vec<Begun> = Vec::new();
        for (at, act) in acts.iter().enumerate() {
            if at > 0 {
                passed(apart).await;
            }
            begun.push(begin(&mut self.rig, act, self.seed).await?);
        }
        self.hold(&acts, injection).await?;
        self.dice.shuffle(&mut begun);
        injection.healed = book.now();
        for begun in begun {
            begun.heal(&mut self.rig).await?;
        }
        self.crew.ask(&self.rig.cluster.apis());
        injection.well = self.well(injection.healed).await?;
        injection.failed_after_retry = self.crew.failed_after_retry() - failed;
        self.referee.look().await?;
        let up = |nodes: &[crate::harness::NodeView]| nodes.iter().all(|n| n.state == "up");
        self.rig.cluster.until_all_see("all nodes up", up).await?;
        if self.fault.copies_all_anew() {
            self.copied_anew().await?;
        }
        passed(SETTLES).await;
        self.log.go_on(&self.rig.cluster).await
    }

    /// Who is who now.
    async fn cast(&self, injection: &mut Injection) -> Result<Cast> {
        let leader = self.rig.cluster.leader().await?;
        let owners = until("owners", SERVES_WITHIN, || async {
            Ok(self.rig.cluster.owners().await.is_ok())
        });
        owners.await?;
        for (node, sessions) in self.rig.cluster.owners().await? {
            let probed = sessions
                .into_iter()
                .filter(|s| self.rig.sessions.contains(s));
            injection.owners.extend(probed.map(|s| (s, node)));
        }
        injection.leader = leader;
        let nodes = self.rig.cluster.running();
        let owns = |node: &u64| injection.owners.values().any(|owner| owner == node);
        let owners = nodes.iter().copied().filter(|n| *n != leader);
        Ok(Cast {
            owners: owners.filter(owns).collect(),
            nodes,
            leader,
        })
    }

    /// Lets the fault last: until sessions serve in spite of it, or for a while.
    async fn hold(&self, acts: &[Act], injection: &mut Injection) -> Result<()> {
        let lasts = acts.iter().map(lasts).max().unwrap_or_default();
        let until = Instant::now() + lasts;
        if self.fault == Fault::MajorityKill {
            injection.refusals = self.refusals().await?;
        }
        for node in acts.iter().filter_map(Act::cut_from_nodes) {
            let seen = self.leases(node, until).await?;
            injection.leases.extend(seen);
        }
        tokio::time::sleep_until(until).await;
        let (from, _) = self.fault.measured();
        // One that is stopped goes on when its time is over, whatever the others make of it.
        let stopped = acts.iter().any(|act| matches!(act, Act::Stop(..)));
        if from == From::Fault && !lasts.is_zero() && !stopped {
            // If they do not, the times will tell.
            let now = self.crew.book().now();
            self.crew.all_served(now, SERVES_WITHIN).await;
        }
        Ok(())
    }

    /// What a node says of its lease, again and again until then.
    async fn leases(&self, node: u64, until: Instant) -> Result<Vec<LeaseSeen>> {
        let book = self.crew.book();
        let mut seen = Vec::new();
        while Instant::now() < until {
            let began = book.now();
            let held = self.metric(node, "libra_lease_held").await?;
            let span = Span {
                began,
                ended: book.now(),
            };
            seen.extend(held.map(|held| LeaseSeen {
                node,
                span,
                held: held > 0.0,
            }));
            passed(ASKS_EVERY).await;
        }
        Ok(seen)
    }

    /// Waits until every result has all its copies again: a disk that goes before that may be the
    /// last that has one.
    async fn copied_anew(&self) -> Result<()> {
        let (mut fewest, mut fewer_since) = (f64::INFINITY, Instant::now());
        let mut whole_since = Instant::now();
        while whole_since.elapsed() < WHOLE_FOR {
            ensure!(
                fewer_since.elapsed() < FEWER_WITHIN,
                "{fewest} results are without their copies, and no fewer for {FEWER_WITHIN:?}"
            );
            let leader = self.rig.cluster.leader().await?;
            let left = self
                .metric(leader, "libra_results_under_replicated")
                .await?;
            if left != Some(0.0) {
                whole_since = Instant::now();
            }
            if let Some(left) = left.filter(|left| *left < fewest) {
                (fewest, fewer_since) = (left, Instant::now());
            }
            passed(ASKS_EVERY).await;
        }
        Ok(())
    }

    /// A metric of a node; `None` if it does not say in time.
    async fn metric(&self, node: u64, name: &str) -> Result<Option<f64>> {
        let api = self.rig.cluster.api(node)?;
        let answer = timeout(SAYS_WITHIN, api.get("/actuator/prometheus")).await;
        let metrics = answer.ok().and_then(Result::ok).map(|reply| reply.text());
        Ok(metrics.and_then(|metrics| metrics.lines().find_map(|line| value(line, name))))
    }

    /// What a node says that has no majority behind it.
    async fn refusals(&self) -> Result<Vec<Refusal>> {
        let mut refusals = Vec::new();
        for id in self.rig.cluster.running() {
            let api = self.rig.cluster.api(id)?;
            let book = self.crew.book();
            let began = book.now();
            let asked = api.get("statements?limit=1");
            let answer = timeout(REFUSES_WITHIN, asked).await;
            refusals.push(Refusal {
                status: answer.ok().and_then(Result::ok).map(|r| r.status.as_u16()),
                took: book.now() - began,
            });
        }
        Ok(refusals)
    }

    /// When every node was ready and every session served again; `None` if that was not within the
    /// time given.
    async fn well(&mut self, healed: Micros) -> Result<Option<Micros>> {
        let deadline = Instant::now() + WELL_WITHIN;
        loop {
            let mut all = true;
            for id in self.rig.cluster.running() {
                if let Some(status) = self.rig.cluster.node_mut(id)?.exited()? {
                    let log = self.rig.cluster.node(id)?.log()?;
                    let lines: Vec<&str> = log.lines().collect();
                    let last = lines[lines.len().saturating_sub(8)..].join("\n");
                    bail!("node {id} ended by itself with {status}:\n{last}");
                }
                let ready = timeout(SAYS_WITHIN, self.rig.cluster.api(id)?.ready()).await;
                all &= ready == Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if all && self.crew.all_served(healed, left).await {
                return Ok(Some(self.crew.book().now()));
            }
            if left.is_zero() {
                return Ok(None);
            }
            passed(Duration::from_millis(20)).await;
        }
    }
}

/// The value in a line of metrics, if it is that of the one without labels of this name.
fn value(line: &str, name: &str) -> Option<f64> {
    line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()
}

/// How long a fault lasts at least.
fn lasts(act: &Act) -> Duration {
    Duration::from_millis(match act {
        Act::Kill(nodes) | Act::PowerCut(nodes) if nodes.len() > 1 => 2_500,
        Act::Lose(..) => 1_000,
        Act::Kill(_) | Act::PowerCut(_) => 1_500,
        Act::Stop(_, millis) => *millis,
        Act::Net(_) => 4_000,
        Act::Clock(..) | Act::Fill(_) | Act::SlowSync(..) => 4_000,
        Act::FailSync(_) => 500,
        Act::Roll(_) | Act::Spark | Act::Replace(_) | Act::MoveSessions(_) => 0,
    })
}

/// The seed of a run: given, or drawn.
///
/// # Errors
/// When the clock stands before 1970.
pub(super) fn seed(options: &Options) -> Result<u64> {
    if let Some(seed) = options.seed {
        return Ok(seed);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    Ok(u64::from(
        now.context("a clock before 1970")?.subsec_nanos(),
    ))
}
