//! The end of a run: faults are off, everything is to end, and everything is looked at once more.
//!
//! **Invariant:** the coordinator is only asked, except for the last statements, which show that
//! no slot was lost.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::calls::Calls;
use crate::evidence::{History, Wants, Work};
use crate::harness::{Api, Marker, Statement, Submit, until};

/// How long everything may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(90);
/// How long as many statements as there are slots may take to run at once.
const SLOTS_WITHIN: Duration = Duration::from_secs(20);

async fn unended(api: &Api) -> Result<usize> {
    let queued = api.statements("state=queued&limit=1000").await?;
    let running = api.statements("state=running&limit=1000").await?;
    Ok(queued.statements.len() + running.statements.len())
}

/// Waits until nothing is queued and nothing runs.
///
/// # Errors
/// When something has not ended in time.
pub(crate) async fn all_ended(api: &Api) -> Result<()> {
    until("everything to end", ENDED_WITHIN, || async {
        Ok(unended(api).await? == 0)
    })
    .await
}

/// Every statement that the API shows.
///
/// # Errors
/// When an answer is not what the contract says.
pub(crate) async fn all_statements(api: &Api) -> Result<Vec<Statement>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = api.statements(&format!("limit=1000{after}")).await?;
        all.extend(page.statements);
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

/// Checks that a coordinator shows exactly these statements.
///
/// # Errors
/// When it does not answer, or shows others.
pub(crate) async fn says_the_same(api: &Api, finals: &[Statement]) -> Result<()> {
    let shown = all_statements(api).await?;
    let differs = shown.iter().zip(finals).find(|(one, other)| one != other);
    ensure!(
        shown.len() == finals.len() && differs.is_none(),
        "{} shows {} statements, not {}; the first that differs: {differs:?}",
        api.base(),
        shown.len(),
        finals.len()
    );
    Ok(())
}

/// Reads every result again that a client has read, and those that none has.
///
/// # Errors
/// When a result cannot be read at all.
pub(crate) async fn read_again(
    calls: &Calls,
    history: &History,
    finals: &[Statement],
) -> Result<()> {
    let works = history.submits.iter().map(|submit| &submit.work);
    let works: std::collections::HashMap<&str, &Work> =
        works.map(|work| (work.code.as_str(), work)).collect();
    for statement in finals
        .iter()
        .filter(|s| s.state == crate::harness::State::Succeeded)
    {
        let wants: Option<&Wants> = works.get(statement.code.as_str()).map(|work| &work.wants);
        let read = calls.read(&statement.job_id, wants).await;
        read.then_some(())
            .with_context(|| format!("the result of {} cannot be read", statement.job_id))?;
    }
    Ok(())
}

/// Runs as many statements at once as there are slots: none was lost, and the coordinator serves.
///
/// # Errors
/// When they do not run all at once.
pub(crate) async fn slots_are_whole(
    api: &Api,
    session: &str,
    slots: usize,
    code: fn(Marker) -> String,
) -> Result<()> {
    let mut jobs = BTreeSet::new();
    for _ in 0..slots {
        let submit = Submit::sql(code(Marker::new()));
        jobs.insert(api.submit(session, &submit).await?.job_id);
    }
    let all_run = until(
        "as many statements to run as there are slots",
        SLOTS_WITHIN,
        || async {
            let running = api.statements("state=running&limit=1000").await?;
            let running: BTreeSet<String> =
                running.statements.into_iter().map(|s| s.job_id).collect();
            Ok(running == jobs)
        },
    )
    .await;
    for job in &jobs {
        api.cancel(session, job).await?;
    }
    all_run?;
    all_ended(api).await
}
