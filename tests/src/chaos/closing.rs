//! The end of a run: faults are off, clients finish, and everything is looked at once more.
//!
//! **Invariant:** what cannot be had is told beside what can: a run that is broken off still leaves
//! its history.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::Fault;
use super::clients::Crew;
use super::rig::Rig;
use crate::evidence::{Dialect, Evidence, History, Injection, LastWords, Wants, Work};
use crate::harness::{Api, Marker, State, Statement, Submit, until_some};
use crate::kill::Referee;
use crate::kill::calls::Calls;
use crate::kill::closing::{all_ended, all_statements, says_the_same, slots_are_whole};
use crate::kill::targets::Targets;

/// Results that are read again on every node: of those that clients have read, and of others.
const READ_AGAIN: usize = 120;
const READ_FIRST: usize = 60;
/// The same of others where disks go with what is on them: which results were there alone, nobody knows.
const READ_FIRST_OF_LOST: usize = 1_500;
/// How long one of the last requests may take.
const LAST_WITHIN: Duration = Duration::from_secs(5);
/// How long nodes may take to hold the same.
const SAME_WITHIN: Duration = Duration::from_secs(30);
/// How often a result is asked for before it cannot be read.
const ASKED: usize = 5;
/// After how long a node from which results cannot be read is asked for no more of them.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);

/// Everything that can be known once all is quiet, and what kept the rest from being known.
pub(super) async fn evidence(
    rig: &Rig,
    crew: &mut Crew,
    referee: &mut Referee,
    injections: Vec<Injection>,
    fault: Fault,
) -> (Evidence, Option<String>) {
    let mut evidence = Evidence {
        slots: rig.slots,
        shares: rig.shares.clone(),
        injections,
        tolerated: fault.tolerated().iter().map(ToString::to_string).collect(),
        ..Evidence::default()
    };
    let looked = look(rig, crew, referee, fault, &mut evidence).await;
    evidence.history = crew.book().look(History::clone);
    (evidence, looked.err().map(|error| format!("{error:#}")))
}

async fn look(
    rig: &Rig,
    crew: &mut Crew,
    referee: &mut Referee,
    fault: Fault,
    evidence: &mut Evidence,
) -> Result<()> {
    let wrong = crew.finish().await?;
    if evidence.tolerated.is_empty() {
        crew.book().note(|history| history.oddities.extend(wrong));
    }
    let api = rig.cluster.any()?;
    // What does not end is found among the last statements, and told as lost.
    let ended = all_ended(api).await;
    evidence.finals = all_statements(api).await?;
    evidence.executions = referee.executions().await?;
    if !fault.holds_calls_back() {
        evidence.turns = referee.turns().await?;
    }
    ended?;
    let history = crew.book().look(History::clone);
    let first = if fault.copies_all_anew() {
        READ_FIRST_OF_LOST
    } else {
        READ_FIRST
    };
    let again = chosen(&history, &evidence.finals, first);
    for id in rig.cluster.running() {
        let api = rig.cluster.api(id)?;
        let same_statements = says_the_same(api, &evidence.finals).await.is_ok();
        read_again(api, &crew.calls, &history, &again).await;
        evidence.nodes.push(LastWords {
            node: id,
            index: 0,
            hash: 0,
            answered: 0,
            same_statements,
        });
    }
    // They change what is there, so they come behind what is compared.
    for last in &mut evidence.nodes {
        last.answered = last_requests(rig.cluster.api(last.node)?, &rig.sessions).await;
    }
    let whole = whole(api, rig, referee.dialect()).await;
    evidence.slots_whole = Some(whole.map_err(|error| format!("{error:#}")));
    hashes(rig, evidence).await
}

async fn whole(api: &Api, rig: &Rig, dialect: Dialect) -> Result<()> {
    let session = rig.sessions.first().context("no session")?;
    let code = match dialect {
        Dialect::Stub => |marker: Marker| format!("/* stub: hang */ SELECT {marker}"),
        Dialect::Spark => |marker: Marker| marker.sleeping(60_000),
    };
    slots_are_whole(api, session, rig.slots, code).await
}

/// What every node holds, once all stand at one index; or where they stand when they do not.
async fn hashes(rig: &Rig, evidence: &mut Evidence) -> Result<()> {
    let same = until_some("all nodes to stand at one index", SAME_WITHIN, || async {
        let seen = standings(rig).await?;
        let first = seen.values().next().map(|(index, _)| *index);
        let same = seen.values().all(|(index, _)| Some(*index) == first);
        Ok(same.then_some(seen))
    })
    .await;
    let seen = match same {
        Ok(seen) => seen,
        Err(_) => standings(rig).await?,
    };
    for last in &mut evidence.nodes {
        if let Some((index, hash)) = seen.get(&last.node) {
            (last.index, last.hash) = (*index, *hash);
        }
    }
    Ok(())
}

async fn standings(rig: &Rig) -> Result<HashMap<u64, (u64, u64)>> {
    let mut seen = HashMap::new();
    for id in rig.cluster.running() {
        let status = rig.cluster.status(id).await?;
        seen.insert(id, (status.applied_index, status.state_hash));
    }
    Ok(seen)
}

/// Results to read again: the last that clients have read, and up to so many that none has, spread
/// over all.
fn chosen<'a>(history: &History, finals: &'a [Statement], first: usize) -> Vec<&'a Statement> {
    let read: HashSet<&str> = history.readings.iter().map(|r| r.job.as_str()).collect();
    let good = finals.iter().filter(|s| s.state == State::Succeeded);
    let (known, others): (Vec<&Statement>, Vec<&Statement>) =
        good.partition(|s| read.contains(s.job_id.as_str()));
    let step = others.len().div_ceil(first).max(1);
    let others = others.into_iter().step_by(step).take(first);
    known.into_iter().take(READ_AGAIN).chain(others).collect()
}

async fn read_again(api: &Api, calls: &Calls, history: &History, statements: &[&Statement]) {
    let works = history.submits.iter().map(|submit| &submit.work);
    let works: HashMap<&str, &Work> = works.map(|work| (work.code.as_str(), work)).collect();
    let mut here = calls.clone();
    here.targets = Targets::all(std::slice::from_ref(api));
    here.patience = LAST_WITHIN;
    let given_up = Instant::now() + GIVEN_UP_AFTER;
    for statement in statements {
        let wants: Option<&Wants> = works.get(statement.code.as_str()).map(|work| &work.wants);
        let mut read = false;
        for _ in 0..ASKED {
            read = here.read(&statement.job_id, wants).await;
            if read {
                break;
            }
        }
        if !read {
            here.cannot_be_read(&statement.job_id);
            if Instant::now() > given_up {
                // One is enough to say so.
                break;
            }
        }
    }
}

/// How many of three last requests a node answers: a list, a session, a statement.
async fn last_requests(api: &Api, sessions: &[String]) -> u32 {
    let Some(session) = sessions.first() else {
        return 0;
    };
    let soon = |path: String| async move {
        let request = api
            .request(reqwest::Method::GET, &path)
            .timeout(LAST_WITHIN);
        let reply = api.send(request).await;
        reply.is_ok_and(|reply| reply.status.as_u16() == 200)
    };
    let list = soon("statements?limit=1".to_owned()).await;
    let one = soon(format!("sessions/{session}")).await;
    let submit = Submit::sql(format!("SELECT {}", Marker::new()));
    let ran = api.run(session, &submit, LAST_WITHIN).await;
    let ran = ran.is_ok_and(|statement| statement.state == State::Succeeded);
    [list, one, ran].into_iter().map(u32::from).sum()
}
