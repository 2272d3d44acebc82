//! `libra dev --nodes 3`, the whole command, before a Spark that runs already: the stub. One test
//! has it start a real one, from the cache that `tests/run real` fills.
//!
//! **Invariant:** what it starts is gone when it is, however it ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{
    Api, GroupProcess, Signal, State, Submit, free_port, libra_binary, until, until_some,
};
use libra_tests::scene::{SOON, stub};
use tempfile::TempDir;

const CACHE: &str = "LIBRA_CACHE_DIR";
const NODES: u64 = 3;
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// One `libra dev`.
struct Dev {
    process: GroupProcess,
    log: PathBuf,
}

fn dev(folder: &TempDir, name: &str, arguments: &[&str]) -> Result<Dev> {
    let cache = folder.path().join("cache");
    started(folder, name, arguments, Some(&cache))
}

/// Without a cache of its own it uses the one of the machine.
fn started(folder: &TempDir, name: &str, arguments: &[&str], cache: Option<&Path>) -> Result<Dev> {
    let mut command = Command::new(libra_binary()?);
    command
        .current_dir(folder.path())
        .arg("dev")
        .args(arguments);
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("LIBRA_")) {
        if key != CACHE {
            command.env_remove(key);
        }
    }
    command.envs(cache.map(|cache| (CACHE, cache)));
    let log = folder.path().join(format!("{name}.log"));
    let process = GroupProcess::start("libra dev", command, &log)?;
    Ok(Dev { process, log })
}

impl Dev {
    fn printed(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Waits until it has printed what can be pasted.
    async fn ready(&mut self) -> Result<String> {
        self.ready_within(SOON * 2).await
    }

    async fn ready_within(&mut self, limit: Duration) -> Result<String> {
        until_some("libra dev to be ready", limit, || {
            let (ended, printed) = (self.process.exited(), self.printed());
            async move {
                let printed = printed?;
                ensure!(ended?.is_none(), "it ended: {printed}");
                Ok(printed
                    .contains("# The same without curl")
                    .then_some(printed))
            }
        })
        .await
    }

    /// The nodes' process ids, as they are offered to be killed.
    fn pids(&self) -> Result<Vec<u32>> {
        let printed = self.printed()?;
        let lines = printed
            .lines()
            .filter_map(|line| line.strip_prefix("kill -9 "));
        let pids = lines.map(|rest| rest.split(' ').next().unwrap_or(rest).parse());
        Ok(pids.collect::<Result<_, _>>()?)
    }

    async fn says(&self, text: &str) -> Result<()> {
        until(&format!("it to say {text:?}"), SOON, || async {
            Ok(self.printed()?.contains(text))
        })
        .await
        .with_context(|| self.printed().unwrap_or_default())
    }
}

/// The first of as many ports as there are nodes, as far as this process chooses any.
fn in_a_row() -> Result<u16> {
    let first = free_port()?;
    for _ in 1..NODES {
        free_port()?;
    }
    Ok(first)
}

fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // A zombie waits for its parent: it runs no more.
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn all_gone(pids: &[u32]) -> Result<()> {
    until("the nodes to be gone", GONE_WITHIN, || async {
        Ok(!pids.iter().any(|pid| runs(*pid)))
    })
    .await
}

fn nodes(first: u16) -> Result<Vec<Api>> {
    let ports = (first..).take(usize::try_from(NODES)?);
    ports
        .map(|port| Api::new(&format!("http://127.0.0.1:{port}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_serve_say_who_says_what_and_end_together() -> Result<()> {
    let (stub, folder) = (stub().await?, tempfile::tempdir()?);
    let (port, grpc) = (in_a_row()?, in_a_row()?);
    let first = port.to_string();
    let grpc = format!("libra.node.grpc=127.0.0.1:{grpc}");
    let arguments = [
        "--nodes",
        "3",
        "--port",
        &first,
        "--set",
        &grpc,
        "--set",
        "libra.log.level=info",
        "--spark-remote",
        stub.connection_string(),
    ];
    let mut dev1 = dev(&folder, "first", &arguments)?;
    let printed = dev1.ready().await?;
    ensure!(printed.contains("3 coordinators are ready"), "{printed}");
    let pids = dev1.pids()?;
    ensure!(
        pids.len() == 3 && pids.iter().all(|pid| runs(*pid)),
        "{pids:?}"
    );
    for (id, api) in (1..=NODES).zip(nodes(port)?) {
        ensure!(
            printed.contains(&format!("curl -s \"{}/api/v1/", api.base())),
            "{printed}"
        );
        dev1.says(&format!("\n[{id}] ")).await?;
        let ended = api.run("default", &Submit::sql("SELECT 1"), SOON).await?;
        ensure!(ended.state == State::Succeeded, "{ended:?}");
    }
    // A node that dies is said, and not started again.
    ensure!(
        Command::new("kill")
            .args(["-9", &pids[1].to_string()])
            .status()?
            .success()
    );
    dev1.says("node 2 has ended (signal: 9); 2 of 3 go on")
        .await?;
    ensure!(runs(pids[0]) && runs(pids[2]));
    dev1.process.signal(Signal::INT)?;
    let status = dev1.process.ended(GONE_WITHIN).await?;
    ensure!(status.success(), "{status}: {}", dev1.printed()?);
    all_gone(&pids).await?;

    // The same number again: the same data. Its end by kill -9 ends the nodes all the same.
    let mut dev2 = dev(&folder, "second", &arguments)?;
    dev2.ready().await?;
    for api in nodes(port)? {
        api.statement("job-1").await?;
    }
    let pids = dev2.pids()?;
    dev2.process.signal(Signal::KILL)?;
    all_gone(&pids).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_replaced_and_said() -> Result<()> {
    let (stub, folder) = (stub().await?, tempfile::tempdir()?);
    let port = in_a_row()?;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let first = port.to_string();
    let grpc = format!("libra.node.grpc=127.0.0.1:{}", free_port()?);
    let arguments = [
        "--nodes",
        "2",
        "--port",
        &first,
        "--set",
        &grpc,
        "--no-tables",
        "--spark-remote",
        stub.connection_string(),
    ];
    let mut dev = dev(&folder, "dev", &arguments)?;
    let printed = dev.ready().await?;
    let said = format!("port {port} is taken: REST of node 1 uses ");
    ensure!(printed.contains(&said), "{printed}");
    dev.process.signal(Signal::TERM)?;
    ensure!(dev.process.ended(GONE_WITHIN).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_number_that_makes_no_cluster_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for nodes in ["0", "10", "many"] {
        let mut refused = dev(&folder, "refused", &["--nodes", nodes])?;
        let status = refused.process.ended(SOON).await?;
        ensure!(status.code() == Some(2), "{nodes}: {status}");
        ensure!(
            refused.printed()?.contains("allowed: 1 to 9"),
            "{}",
            refused.printed()?
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_three_nodes_and_a_spark_of_its_own_end_together() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (port, grpc, spark) = (in_a_row()?, in_a_row()?, free_port()?);
    let (first, connect) = (port.to_string(), spark.to_string());
    let grpc = format!("libra.node.grpc=127.0.0.1:{grpc}");
    let arguments = [
        "--nodes",
        "3",
        "--port",
        &first,
        "--set",
        &grpc,
        "--spark-port",
        &connect,
    ];
    let mut dev = started(&folder, "dev", &arguments, None)?;
    let printed = dev.ready_within(Duration::from_secs(200)).await?;
    ensure!(printed.contains("Spark's own view"), "{printed}");
    for api in nodes(port)? {
        let submit = Submit::sql("SELECT count(*) FROM mydata");
        let ended = api.run("default", &submit, SOON).await?;
        ensure!(ended.state == State::Succeeded, "{ended:?}");
        ensure!(ended.rows()[0][0] == 1000, "{ended:?}");
    }
    let pids = dev.pids()?;
    dev.process.signal(Signal::INT)?;
    ensure!(dev.process.ended(GONE_WITHIN).await?.success());
    all_gone(&pids).await?;
    until("Spark to be gone", GONE_WITHIN, || async {
        Ok(std::net::TcpStream::connect(("127.0.0.1", spark)).is_err())
    })
    .await
}
