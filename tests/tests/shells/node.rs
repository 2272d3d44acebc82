//! A whole coordinator as a host of the simulation: everything but HTTP, on a log in memory.

use std::time::Duration;

use libra_actors::Dial;
use libra_coordinator::config::{Config, LoadOptions};
use libra_coordinator::{Ground, SimulatedDisk, run_on};
use tokio::sync::mpsc;

use super::net::{self, Simulated};
use super::spark;
use super::world::{Inside, NODES, Work, World, host};

const GRPC: u16 = 9090;
/// How long making a node's log durable takes.
const SYNC_TAKES: Duration = Duration::from_micros(800);
/// The longest time without a leader before an election; the default.
const ELECTION_MAX: Duration = Duration::from_millis(600);

pub(crate) async fn run(world: World, id: u64) -> turmoil::Result {
    let config = config(&world, id)?;
    let work = world.open_desk(id);
    let ground = Ground {
        http: None,
        grpc: net::listen(GRPC).await?,
        public_http: format!("{}:8080", host(id)),
        public_grpc: address(id),
        connector: Some(Simulated::connector(ELECTION_MAX)),
        dial: Dial::with(net::channel),
        knock: net::knock,
        disk: Some(SimulatedDisk {
            log: world.log(id)?,
            sync_takes: SYNC_TAKES,
        }),
    };
    let started = |raft, service| {
        tokio::spawn(serve(work, Inside { raft, service }));
    };
    let ended = Box::pin(run_on(config, ground, started, std::future::pending())).await;
    if let Err(error) = &ended {
        world.tell(format!("node {id} has ended: {error:?}"));
    }
    Ok(ended?)
}

/// Does what is asked of the node, here.
async fn serve(mut work: mpsc::UnboundedReceiver<Work>, inside: Inside) {
    while let Some(work) = work.recv().await {
        tokio::spawn(work(inside.clone()));
    }
}

fn address(id: u64) -> String {
    format!("{}:{GRPC}", host(id))
}

fn config(world: &World, id: u64) -> Result<Config, Box<dyn std::error::Error>> {
    let mut set = vec![
        format!("libra.node.id={id}"),
        format!("libra.node.data-dir={}", world.data_dir(id).display()),
        format!("libra.node.advertise-grpc={}", address(id)),
        format!("spark.remote=sc://{}:{}", spark::HOST, spark::PORT),
        "libra.session.mode=ISOLATED".to_owned(),
        "libra.session.max-sessions=30".to_owned(),
    ];
    let peers = NODES.map(|peer| format!("libra.cluster.peers.{peer}={}", address(peer)));
    set.extend(peers);
    let options = LoadOptions {
        set,
        folder: world.data_dir(id),
        ..LoadOptions::default()
    };
    Ok(Config::load(options)?.config)
}
