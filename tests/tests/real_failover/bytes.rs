//! A result of 200 MB whose writer dies in mid-stream.

use anyhow::{Result, ensure};
use libra_tests::harness::{SharedSpark, Submit, bytes_below, until};

use super::{SOON, session_of, succeeded, three};

/// 200 000 rows of about 1 KB in 80 partitions, always the same bytes.
const TWO_HUNDRED_MEGABYTES: &str = "SELECT id, repeat(sha2(cast(id AS string), 256), 16) AS text \
     FROM range(0, 200000, 1, 80)";
const BYTES: u64 = 200_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_result_is_whole_though_its_writer_died_in_mid_stream() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut cluster = three(&spark).start().await?;
    let owner = cluster.others(cluster.leader().await?)[0];
    let session = session_of(&cluster, owner).await?;
    let submit = Submit::sql(TWO_HUNDRED_MEGABYTES);
    let calm = cluster.any()?.run(&session, &submit, SOON).await?;
    succeeded(&calm)?;
    let wanted = cluster.any()?.arrow(&calm.job_id).await?;
    ensure!(wanted.len() as u64 > BYTES, "only {} bytes", wanted.len());

    let results = cluster.node(owner)?.data_dir().join("results");
    let before = bytes_below(&results);
    let job = cluster.any()?.submit(&session, &submit).await?.job_id;
    until("a part of the result", SOON, || {
        let part = bytes_below(&results).saturating_sub(before);
        async move { Ok(part > BYTES / 5) }
    })
    .await?;
    cluster.kill9(owner)?;
    let part = bytes_below(&results).saturating_sub(before);
    ensure!(part < BYTES, "killed too late: {part} bytes were there");

    for id in cluster.running() {
        let api = cluster.api(id)?;
        succeeded(&api.ended(&job, SOON).await?)?;
        ensure!(api.arrow(&job).await? == wanted, "other bytes at node {id}");
    }
    cluster.restart(owner).await?;
    ensure!(
        cluster.api(owner)?.arrow(&job).await? == wanted,
        "other bytes"
    );
    Ok(())
}
