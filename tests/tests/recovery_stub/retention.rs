//! What goes with time: ended statements, their result files, their Idempotency-Keys, and files
//! that belong to nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use libra_tests::harness::{Libra, Statement, Submit, until};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;
use reqwest::Method;

use super::{SOON, assert_succeeded, ended, ran, sql, together};

/// Longer than the half minute after which the cleaner looks again.
const CLEANED: Duration = Duration::from_secs(50);
const KEPT: usize = 3;

async fn with_key(libra: &Libra, key: &str, submit: &Submit) -> Result<Statement> {
    let path = "sessions/default/statements?wait=20";
    let request = libra.api.request(Method::POST, path).json(submit);
    let request = request.header("Idempotency-Key", key);
    libra.api.send(request).await?.json(&[200, 202])
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The result files of a statement.
fn results(libra: &Libra, job: &str) -> usize {
    let name = format!("{job}-epoch-");
    let of_job = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str());
        file.is_some_and(|file| file.starts_with(&name))
    };
    let all = files(&libra.data_dir().join("results"));
    all.iter().filter(|path| of_job(path)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_no_longer_keeps_goes_with_its_file_and_its_key() -> Result<()> {
    let stub = StubSpark::start(Settings::default()).await?;
    let libra = Libra::on(&stub.connection_string())
        .set("libra.results.retention-statements", KEPT)
        .start()
        .await?;
    let submit = sql("rows=3 row_bytes=1000");
    let first = with_key(&libra, "k", &submit).await?;
    assert_succeeded(&first);
    assert_eq!(with_key(&libra, "k", &submit).await?.job_id, first.job_id);
    assert_eq!(results(&libra, &first.job_id), 1);

    let mut kept = Vec::new();
    for _ in 0..KEPT {
        let next = libra
            .api
            .run("default", &sql("rows=3 row_bytes=1000"), SOON)
            .await?;
        assert_succeeded(&next);
        kept.push(next);
    }
    let path = format!("statements/{}", first.job_id);
    until("the first statement to go", SOON, || async {
        Ok(libra.api.get(&path).await?.status == 404)
    })
    .await?;
    let result = libra.api.get(&format!("{path}/result")).await?;
    assert_eq!(result.status, 404);
    for statement in &kept {
        assert!(!libra.api.arrow(&statement.job_id).await?.is_empty());
    }

    let again = with_key(&libra, "k", &submit).await?;
    assert_ne!(
        again.job_id, first.job_id,
        "the key went with its statement"
    );
    assert_succeeded(&ended(&libra, &again.job_id).await?);
    assert_eq!(ran(&stub, &submit.code), 2, "once for each of the two");
    until("the first result to go", CLEANED, || async {
        Ok(results(&libra, &first.job_id) == 0)
    })
    .await?;
    assert_eq!(results(&libra, &again.job_id), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_file_of_no_statement_goes_and_others_stay() -> Result<()> {
    let (_stub, mut libra) = together(Settings::default(), 2).await?;
    let kept = libra
        .api
        .run("default", &sql("rows=3 row_bytes=1000"), SOON)
        .await?;
    libra.kill()?;
    let all = files(&libra.data_dir().join("results"));
    let file = all.first().context("no result file")?;
    let folder = file.parent().context("no folder")?;
    let orphan = folder.join("job-257-epoch-1.result");
    let foreign = folder.join("notes.txt");
    std::fs::copy(file, &orphan)?;
    std::fs::write(&foreign, "kept")?;

    libra.start().await?;
    until("the orphan to go", CLEANED, || async {
        Ok(!orphan.exists())
    })
    .await?;
    assert!(foreign.exists());
    assert_eq!(results(&libra, &kept.job_id), 1);
    assert!(!libra.api.arrow(&kept.job_id).await?.is_empty());
    Ok(())
}
