//! kill -9 of the owner of a session, of the leader, of a node that is both, and of two in a row.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Cluster, Statement};
use libra_tests::kill::{Load, Referee, Setup, Verdict};
use libra_tests::stub::process::StubProcess;

use super::{
    BUSY, GOAL, Role, SOON, answering, begun, cast, ends_well, nothing_ran_twice, repeats, sql,
    stub, three,
};

/// As long as the statement that must not notice takes, and when the node dies.
const LASTS: Duration = Duration::from_secs(5);
const KILLED_AFTER: Duration = Duration::from_millis(1_200);

async fn running(stub: &StubProcess, cluster: &Cluster, session: &str) -> Result<Statement> {
    let directive = format!("rows=700 row_bytes=30 delay_ms={}", LASTS.as_millis());
    let submitted = cluster.any()?.submit(session, &sql(&directive)).await?;
    begun(stub, &submitted).await?;
    Ok(submitted)
}

async fn killed(role: Role) -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, victim) = cast(&cluster, role).await?;
    let before = cluster.any()?.session(&session).await?;
    let statement = running(&stub, &cluster, &session).await?;
    let began = Instant::now();
    answering(&cluster, began + KILLED_AFTER).await?;

    cluster.kill9(victim)?;
    let longest = answering(&cluster, began + LASTS - Duration::from_millis(500)).await?;
    println!("{role:?}: an answer took {longest:.2?} at most");
    ensure!(longest < GOAL + BUSY, "no answer for {longest:?}");
    let ended = ends_well(&cluster, &cluster.running(), &statement.job_id).await?;
    let late = began.elapsed().saturating_sub(LASTS);
    println!("{role:?}: ended {late:.2?} after Spark had ended it");
    ensure!(late < GOAL + BUSY, "ended {late:?} late");
    ensure!(
        ended
            .result
            .as_ref()
            .is_some_and(|result| result.row_count == 700)
    );

    let after = cluster.any()?.session(&session).await?;
    ensure!(after.resets.is_empty(), "{after:?}");
    ensure!(after.spark_session_id == before.spark_session_id);
    match role {
        Role::Leader => ensure!(after.epoch == before.epoch, "it moved for nothing"),
        Role::Owner | Role::Both => {
            ensure!(
                after.epoch > before.epoch && after.owner.node_id != victim,
                "{after:?}"
            );
        }
    }
    let runs = stub.executions_of(&statement.operation_id).await?;
    assert_eq!(runs.len(), 1, "{runs:?}");
    cluster.restart(victim).await?;
    ends_well(&cluster, &cluster.ids(), &statement.job_id).await?;
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_outlives_the_owner_of_its_session() -> Result<()> {
    killed(Role::Owner).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_outlives_the_leader() -> Result<()> {
    killed(Role::Leader).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_outlives_an_owner_that_leads() -> Result<()> {
    killed(Role::Both).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_outlives_two_owners_in_a_row_with_a_restart_between() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, first) = cast(&cluster, Role::Both).await?;
    let submit = sql("rows=700 row_bytes=30 delay_ms=15000");
    let statement = cluster.any()?.submit(&session, &submit).await?;
    begun(&stub, &statement).await?;
    let mut epoch = cluster.any()?.session(&session).await?.epoch;
    let mut victim = first;
    for _ in 0..2 {
        cluster.kill9(victim)?;
        let moved = libra_tests::harness::until_some("the session to move", SOON, || async {
            let session = cluster.any()?.get(&format!("sessions/{session}")).await?;
            let session = session.json::<libra_tests::harness::Session>(&[200]).ok();
            Ok(session.filter(|session| session.epoch > epoch))
        })
        .await?;
        cluster.restart(victim).await?;
        (epoch, victim) = (moved.epoch, moved.owner.node_id);
    }
    ends_well(&cluster, &cluster.ids(), &statement.job_id).await?;
    let runs = stub.executions_of(&statement.operation_id).await?;
    assert_eq!(runs.len(), 1, "{runs:?}");
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await
}

const SLOTS: usize = 6;
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_of_any_node_under_load_lose_nothing_and_run_nothing_twice() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .isolated(CLIENTS)
        .set("libra.scheduler.slots", SLOTS)
        .start()
        .await?;
    let kills = repeats(6)?;
    let setup = Setup {
        seed: 5,
        clients: CLIENTS,
        slots: SLOTS,
        least: 8 * kills,
        own_sessions: true,
    };
    let mut load = Load::begin(&cluster.apis(), Referee::stub(&stub), setup);
    for kill in 0..kills {
        load.acknowledges(8, SOON).await?;
        let victim = cluster.ids()[kill % 3];
        let leads = cluster.leader().await? == victim;
        load.done_to_it(if leads {
            "kill -9, leader"
        } else {
            "kill -9, follower"
        });
        cluster.kill9(victim)?;
        load.acknowledges(8, SOON).await?;
        cluster.restart(victim).await?;
    }
    let report = load.finish().await;
    println!("{report}");
    assert_eq!(report.verdict, Verdict::Pass);
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await
}
