//! Backup into a file, and restore from it.

use anyhow::{Result, ensure};
use libra_tests::harness::{Libra, Submit};
use libra_tests::scene::{SOON, stub, succeeded};

use super::at_endpoint;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_and_comes_back_in_a_fresh_cluster() -> Result<()> {
    let stub = stub().await?;
    let old = Libra::on(stub.connection_string()).start().await?;
    let at_old = format!("127.0.0.1:{}", old.grpc());
    succeeded(
        &old.api
            .run("default", &Submit::sql("SELECT 1"), SOON)
            .await?,
    )?;
    at_endpoint(&at_old, "pools set kept --weight 7")
        .await?
        .expect(0)?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("libra.backup").display().to_string();
    let made = at_endpoint(&at_old, &format!("backup {file} -o json"))
        .await?
        .json()?;
    assert_eq!(made["statements"], 1);
    assert_eq!(made["pools"], 5);
    assert_eq!(made["bytes"], std::fs::metadata(&file)?.len());

    let again = at_endpoint(&at_old, &format!("backup {file}"))
        .await?
        .expect(1)?;
    ensure!(again.err.contains("is there already"), "{}", again.err);
    ensure!(again.err.contains("--force"), "{}", again.err);
    at_endpoint(&at_old, &format!("backup {file} --force"))
        .await?
        .expect(0)?;
    let entries = std::fs::read_dir(folder.path())?.count();
    assert_eq!(entries, 1, "nothing is left beside it");

    let not_fresh = at_endpoint(&at_old, &format!("restore {file} --yes"))
        .await?
        .expect(1)?;
    ensure!(
        not_fresh.err.contains("restore into a new cluster"),
        "{}",
        not_fresh.err
    );
    let new = Libra::on(stub.connection_string()).start().await?;
    let at_new = format!("127.0.0.1:{}", new.grpc());
    let dry = at_endpoint(&at_new, &format!("restore {file} --dry-run -o json"))
        .await?
        .json()?;
    assert_eq!(
        (&dry["dryRun"], &dry["statements"]),
        (&true.into(), &1.into())
    );
    let before = at_endpoint(&at_new, "pools list").await?.expect(0)?;
    ensure!(
        !before.out.contains("kept"),
        "a dry run changed it: {}",
        before.out
    );
    let unasked = at_endpoint(&at_new, &format!("restore {file}"))
        .await?
        .expect(2)?;
    ensure!(unasked.err.contains("give --yes"), "{}", unasked.err);
    let done = at_endpoint(&at_new, &format!("restore {file} --yes -o json"))
        .await?
        .json()?;
    ensure!(done["index"].is_u64(), "{done}");
    let kept = at_endpoint(&at_new, "pools list -o json").await?.json()?;
    let pools = kept["pools"].as_array().cloned().unwrap_or_default();
    ensure!(
        pools
            .iter()
            .any(|pool| pool["name"] == "kept" && pool["weight"] == 7),
        "{kept}"
    );
    let shown = at_endpoint(&at_new, "statements show job-1 -o json")
        .await?
        .json()?;
    assert_eq!(shown["state"], "succeeded");

    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes)?;
    let damaged = at_endpoint(&at_new, &format!("restore {file} --yes"))
        .await?
        .expect(1)?;
    ensure!(damaged.err.contains("is damaged"), "{}", damaged.err);
    Ok(())
}
