//! Backup under load, everything wiped, and a new cluster that goes on from the file.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use libra_coordinator::backup::BackupReader;
use libra_proto::admin::{
    BackupRequest, BackupResponse, ListPoolsRequest, ListSessionsRequest, ListStatementsRequest,
    RestoreRequest, RestoreStart, SetPoolRequest, Statement, StatementState, backup_response,
    restore_request,
};
use libra_tests::harness::{Cluster, until};
use libra_tests::kill::Once;

use super::{SOON, assert_succeeded, nothing_ran_twice, sql, stub, three};

const CLIENTS: usize = 4;

async fn backup(cluster: &Cluster, via: u64) -> Result<Vec<u8>> {
    let asked = BackupRequest {};
    let mut parts = cluster.admin(via).await?.backup(asked).await?.into_inner();
    let (mut file, mut whole) = (Vec::new(), None);
    while let Some(BackupResponse { part }) = parts.message().await? {
        match part.context("an empty message")? {
            backup_response::Part::Info(info) => println!("{info:?}"),
            backup_response::Part::Data(data) => file.extend_from_slice(&data),
            backup_response::Part::Done(done) => whole = Some(done),
        }
    }
    let whole = whole.context("the stream ended before its end")?;
    println!("{whole:?}");
    ensure!(whole.bytes == file.len() as u64);
    let mut reader = BackupReader::default();
    reader.check(&file)?;
    ensure!(reader.finish()?.trailer.records == whole.records);
    Ok(file)
}

async fn restore(cluster: &Cluster, via: u64, file: &[u8]) -> Result<()> {
    let start = restore_request::Part::Start(RestoreStart::default());
    let data = file
        .chunks(100_000)
        .map(|chunk| restore_request::Part::Data(chunk.to_vec().into()));
    let messages: Vec<RestoreRequest> = [start]
        .into_iter()
        .chain(data)
        .map(|part| RestoreRequest { part: Some(part) })
        .collect();
    let messages = tokio_stream::iter(messages);
    let restored = cluster.admin(via).await?.restore(messages).await?;
    println!("{:?}", restored.into_inner());
    Ok(())
}

/// All statements, by id.
async fn statements(cluster: &Cluster, via: u64) -> Result<BTreeMap<String, Statement>> {
    let mut admin = cluster.admin(via).await?;
    let mut all = BTreeMap::new();
    let mut asked = ListStatementsRequest {
        limit: 1_000,
        ..ListStatementsRequest::default()
    };
    loop {
        let page = admin.list_statements(asked.clone()).await?.into_inner();
        let found = page.statements.into_iter();
        all.extend(found.map(|statement| (statement.job_id.clone(), statement)));
        if page.next.is_empty() {
            return Ok(all);
        }
        asked.after = page.next;
    }
}

async fn sessions_and_pools(cluster: &Cluster, via: u64) -> Result<(Vec<String>, Vec<String>)> {
    let mut admin = cluster.admin(via).await?;
    let sessions = admin.list_sessions(ListSessionsRequest::default()).await?;
    let sessions = sessions.into_inner().sessions.into_iter();
    let pools = admin.list_pools(ListPoolsRequest {}).await?.into_inner();
    let pools = pools.pools.into_iter();
    Ok((
        sessions.map(|session| session.session_id).collect(),
        pools
            .map(|pool| format!("{} {} {}", pool.name, pool.weight, pool.paused))
            .collect(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_restored_into_a_new_cluster() -> Result<()> {
    let stub = stub().await?;
    let mut old = three(&stub).isolated(CLIENTS + 4).start().await?;
    let kept = old.api(1)?.run("kept", &sql("rows=30"), SOON).await?;
    assert_succeeded(&kept);
    let hanging = old.api(2)?.submit("kept", &sql("hang")).await?;
    let nightly = SetPoolRequest {
        name: "nightly".to_owned(),
        weight: Some(7),
        ..SetPoolRequest::default()
    };
    old.admin(3).await?.set_pool(nightly).await?;
    let load = Once::begin(&old.apis(), CLIENTS, true);
    until("some load", SOON, || async {
        Ok(load.so_far().succeeded > 5 * CLIENTS)
    })
    .await?;
    let before = statements(&old, 1).await?;
    let file = backup(&old, 2).await?;
    load.finish().await?;
    let (sessions, pools) = sessions_and_pools(&old, 1).await?;
    for id in old.running() {
        old.kill9(id)?;
        old.wipe(id)?;
    }

    let new = three(&stub).isolated(CLIENTS + 4).start().await?;
    restore(&new, 3, &file).await?;
    for via in new.running() {
        assert_eq!(
            sessions_and_pools(&new, via).await?,
            (sessions.clone(), pools.clone())
        );
        let after = statements(&new, via).await?;
        for (job, was) in &before {
            let is = after.get(job).with_context(|| format!("{job} is gone"))?;
            assert_eq!((&was.code, &was.pool), (&is.code, &is.pool));
            match was.state() {
                StatementState::Queued | StatementState::Running => {}
                ended => assert_eq!(is.state(), ended, "{job}"),
            }
        }
        ensure!(
            after
                .values()
                .all(|statement| statement.completed_at_ms != 0)
        );
    }

    // What had not ended: nobody knows. What had: its rows are lost, and that is said.
    let api = new.api(1)?;
    let unknown = api.statement(&hanging.job_id).await?;
    let class = unknown.error.context("no error")?.error_class;
    assert_eq!(class.as_deref(), Some("LIBRA_OUTCOME_UNKNOWN"));
    let succeeded = api.statement(&kept.job_id).await?;
    assert_succeeded(&succeeded);
    let path = format!("/api/v1/statements/{}/result", kept.job_id);
    let lost = api.get(&path).await?.problem(409)?;
    assert_eq!(lost.code, "result-lost");

    // The session lives again, and says that its Spark session is another.
    let reply = api.try_submit("kept", &sql("rows=2"), 40).await?;
    ensure!(reply.header("libra-session-reset").is_some(), "{reply:?}");
    let first: libra_tests::harness::Statement = reply.json(&[200])?;
    assert_succeeded(&first);
    let number = |job: &str| job.trim_start_matches("job-").parse::<u64>();
    ensure!(number(&first.job_id)? > 1_000_000, "{}", first.job_id);
    new.all_hold_the_same().await?;
    nothing_ran_twice(&stub).await?;
    Ok(())
}
