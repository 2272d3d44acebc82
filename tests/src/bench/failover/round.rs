//! One kill.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use reqwest::Method;
use tokio::task::JoinSet;

use super::super::report::Report;
use super::{AFTER, LEADER, MOVED, RESULT, Role, victim};
use crate::harness::{Api, Cluster, SessionList, Statement, Submit, passed, until};
use crate::scene::{SOON, begun, sql, succeeded};
use crate::stub::process::StubProcess;

/// How long each statement takes, and how long before its end its node dies.
const LASTS: Duration = Duration::from_millis(1_500);
const BEFORE_ITS_END: Duration = Duration::from_millis(150);
/// How often the others are asked how far they are.
const LOOK: Duration = Duration::from_millis(5);

/// What is to be done.
pub(super) struct Round {
    /// Begins the names of its sessions.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) sessions: usize,
    pub(super) stub: Arc<StubProcess>,
}

/// Times from the kill.
pub(super) struct Measured {
    /// Of every statement that had not ended.
    results: Vec<Duration>,
    /// Until another leads, if the leader died.
    leader: Option<Duration>,
    /// Until no session is left to the dead one, if there was one.
    moved: Option<Duration>,
}

impl Measured {
    /// Adds its raw rows.
    pub(super) fn note(&self, turn: usize, side: &'static str, report: &mut Report) {
        let mut row = |measure: &str, time: Duration| {
            report.row(measure, turn, side, time.as_secs_f64() * 1e3, "ms");
        };
        for result in &self.results {
            row(RESULT, *result);
        }
        if let Some(leader) = self.leader {
            row(LEADER, leader);
        }
        if let (Some(moved), Some(last)) = (self.moved, self.results.iter().max()) {
            row(MOVED, moved);
            row(AFTER, last.saturating_sub(moved));
        }
    }
}

impl Round {
    pub(super) async fn measure(&self, cluster: &mut Cluster) -> Result<Measured> {
        let victim = victim(cluster, self.role).await?;
        let survivors = cluster.others(victim);
        let apis = survivors.iter().map(|id| cluster.api(*id).cloned());
        let apis = apis.collect::<Result<Vec<_>>>()?;
        let sessions = self.open(cluster, victim).await?;
        let statements = self.submit(&apis, &sessions).await?;
        let owned = sessions.values().any(|owner| *owner == victim);

        passed(LASTS.saturating_sub(BEFORE_ITS_END)).await;
        let mut polls = JoinSet::new();
        for (n, statement) in statements.iter().enumerate() {
            polls.spawn(end_of(apis.clone(), n, statement.job_id.clone()));
        }
        cluster.kill9(victim)?;
        let killed = Instant::now();
        let leader = async {
            if self.role == Role::Owner {
                return Ok(None);
            }
            new_leader(&apis, victim).await.map(Some)
        };
        let moved = async {
            if !owned {
                return Ok(None);
            }
            all_moved(&apis, victim).await.map(Some)
        };
        let results = async {
            let mut results = Vec::new();
            while let Some(ended) = polls.join_next().await {
                let (statement, at) = ended??;
                succeeded(&statement)?;
                results.extend(at.checked_duration_since(killed));
            }
            anyhow::Ok(results)
        };
        let (leader, moved, results) = tokio::try_join!(leader, moved, results)?;
        ensure!(!results.is_empty(), "every statement ended before the kill");
        self.close(&apis, &sessions).await?;
        cluster.restart(victim).await?;
        let since = |at: Instant| at.saturating_duration_since(killed);
        Ok(Measured {
            results,
            leader: leader.map(since),
            moved: moved.map(since),
        })
    }

    /// Sessions with their owners: those that are to have a running statement.
    async fn open(&self, cluster: &Cluster, victim: u64) -> Result<BTreeMap<String, u64>> {
        let mut sessions = BTreeMap::new();
        for n in 0..self.sessions {
            let session = format!("{}-{n}", self.name);
            let api = cluster.any()?;
            let first = Submit::sql("SELECT 1");
            succeeded(&api.run(&session, &first, SOON).await?)?;
            let owner = api.session(&session).await?.owner.node_id;
            sessions.insert(session, owner);
        }
        let is_wanted = |owner: u64| match self.role {
            Role::Owner | Role::Both => owner == victim,
            Role::Leader => owner != victim,
        };
        let (wanted, others): (BTreeMap<_, _>, BTreeMap<_, _>) = sessions
            .into_iter()
            .partition(|(_, owner)| is_wanted(*owner));
        self.close(std::slice::from_ref(cluster.any()?), &others)
            .await?;
        ensure!(!wanted.is_empty(), "no session came to node {victim}");
        Ok(wanted)
    }

    async fn submit(
        &self,
        apis: &[Api],
        sessions: &BTreeMap<String, u64>,
    ) -> Result<Vec<Statement>> {
        let submitted = sessions.keys().enumerate().map(|(n, session)| async move {
            let api = &apis[n % apis.len()];
            let directive = format!("rows=10 delay_ms={}", LASTS.as_millis());
            let submitted = api.submit(session, &sql(&directive)).await?;
            begun(&self.stub, &submitted).await?;
            anyhow::Ok(submitted)
        });
        try_join_all(submitted).await
    }

    async fn close(&self, apis: &[Api], sessions: &BTreeMap<String, u64>) -> Result<()> {
        let api = apis.first().context("nobody to ask")?;
        for session in sessions.keys() {
            let path = format!("sessions/{session}");
            until("a session to be closed", SOON, || async {
                let reply = api.send(api.request(Method::DELETE, &path)).await?;
                Ok(reply.status.as_u16() == 204)
            })
            .await?;
        }
        Ok(())
    }
}

/// The end of a statement, and when it was told, by whichever of the others tells it.
async fn end_of(apis: Vec<Api>, first: usize, job: String) -> Result<(Statement, Instant)> {
    let deadline = Instant::now() + SOON;
    let mut turn = first;
    while Instant::now() < deadline {
        let api = &apis[turn % apis.len()];
        turn += 1;
        let reply = api.get(&format!("statements/{job}?wait=20&rows=0")).await?;
        if let Ok(seen) = reply.json::<Statement>(&[200])
            && seen.state.ended()
        {
            return Ok((seen, reply.at));
        }
        passed(LOOK).await;
    }
    anyhow::bail!("{job} has not ended within {SOON:?}")
}

/// When one of the others first names one that is not the dead one.
async fn new_leader(apis: &[Api], victim: u64) -> Result<Instant> {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        for api in apis {
            let leader = api.cluster().await?.leader;
            if leader.is_some_and(|leader| leader != victim) {
                return Ok(Instant::now());
            }
        }
        passed(LOOK).await;
    }
    anyhow::bail!("no new leader within {SOON:?}")
}

/// When one of the others first shows no live session of the dead one.
async fn all_moved(apis: &[Api], victim: u64) -> Result<Instant> {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        for api in apis {
            let reply = api.get("sessions?limit=1000&stale=true").await?;
            let list: SessionList = reply.json(&[200])?;
            let live = list.sessions.iter().filter(|s| s.state != "closed");
            if live.into_iter().all(|s| s.owner.node_id != victim) {
                return Ok(Instant::now());
            }
        }
        passed(LOOK).await;
    }
    anyhow::bail!("sessions have not moved within {SOON:?}")
}
