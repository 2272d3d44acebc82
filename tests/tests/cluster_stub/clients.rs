//! The tests' own clients, at a cluster of one: they see what goes well, and what does not.

use anyhow::{Result, ensure};
use libra_tests::harness::until;
use libra_tests::kill::{Load, Once, Referee, Setup, Verdict};

use super::{SOON, nothing_ran_twice, stub, three};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_try_twice_count_what_fails_twice() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).nodes(1).start().await?;
    assert_eq!((cluster.leader().await?, cluster.running()), (1, vec![1]));
    let load = Once::begin(&cluster.apis(), 3, false);
    until("some load", SOON, || async {
        Ok(load.so_far().succeeded > 5)
    })
    .await?;
    let before = load.so_far();
    assert_eq!((before.failed.len(), before.wrong.len()), (0, 0));
    cluster.kill9(1)?;
    until("a request that failed twice", SOON, || async {
        Ok(!load.so_far().failed.is_empty())
    })
    .await?;
    cluster.restart(1).await?;
    let met = load.finish().await?;
    ensure!(met.wrong.is_empty(), "{:?}", met.wrong);
    ensure!(met.requests > met.failed.len() && met.quantile(0.5) <= met.quantile(1.0));
    nothing_ran_twice(&stub).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_with_sessions_of_its_own_is_judged_by_the_ledger() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .nodes(1)
        .isolated(4)
        .set("libra.scheduler.slots", 3)
        .start()
        .await?;
    let setup = |slots| Setup {
        seed: 3,
        clients: 4,
        slots,
        least: 15,
        own_sessions: true,
    };
    let mut load = Load::begin(&cluster.apis(), Referee::stub(&stub), setup(3));
    load.acknowledges(10, SOON).await?;
    load.done_to_it("kill -9");
    cluster.kill9(1)?;
    cluster.restart(1).await?;
    load.acknowledges(10, SOON).await?;
    let report = load.finish().await;
    println!("{report}");
    assert_eq!(report.verdict, Verdict::Pass);
    nothing_ran_twice(&stub).await?;

    // The same load is too much for fewer slots than there are: it is counted.
    let load = Load::begin(&cluster.apis(), Referee::stub(&stub), setup(1));
    load.acknowledges(15, SOON).await?;
    let report = load.finish().await;
    ensure!(report.verdict == Verdict::Violated, "{report}");
    Ok(())
}
