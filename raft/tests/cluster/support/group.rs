//! Nodes that can be started, killed, wiped and started again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use libra_proto::types::NodeId;
use libra_raft::{DiskPolicy, Formation, Handle, Node, Options, StartError};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use super::net::{Cut, Net};
use super::{LIMIT, pools, until};

/// A node's address: a name that the test's network knows.
pub(crate) fn address(id: u64) -> String {
    format!("node-{id}:1")
}

pub(crate) fn peers(ids: impl IntoIterator<Item = u64>) -> BTreeMap<NodeId, String> {
    ids.into_iter()
        .map(|id| (NodeId(id), address(id)))
        .collect()
}

/// A node that runs, and its server.
pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) handle: Handle,
    server: JoinHandle<()>,
}

/// Some nodes, their directories and their network.
pub(crate) struct Group {
    pub(crate) net: Arc<Net>,
    root: TempDir,
    size: u64,
    /// What a test changes of a node's options.
    pub(crate) adjust: fn(&mut Options),
    nodes: BTreeMap<u64, Running>,
}

impl Group {
    /// A group of so many configured nodes, none of which runs.
    pub(crate) fn new(size: u64) -> Self {
        Self {
            net: Net::new(),
            root: tempfile::tempdir().unwrap(),
            size,
            adjust: |_| {},
            nodes: BTreeMap::new(),
        }
    }

    /// A group that has formed.
    pub(crate) async fn formed(size: u64) -> Self {
        let mut group = Self::new(size);
        group.start_all().await;
        group
    }

    pub(crate) async fn start_all(&mut self) {
        for id in 1..=self.size {
            self.start(id).await;
        }
        self.wait_formed(1..=self.size).await;
    }

    pub(crate) fn dir(&self, id: u64) -> PathBuf {
        self.root.path().join(format!("node-{id}"))
    }

    /// The options of a node of this group.
    pub(crate) fn options(&self, id: u64) -> Options {
        let mut options = options(id, self.dir(id));
        options.peers = peers(1..=self.size.max(id));
        (self.adjust)(&mut options);
        options
    }

    pub(crate) async fn start(&mut self, id: u64) {
        let options = self.options(id);
        self.start_with(options).await.unwrap();
    }

    /// Starts a node and serves it at its address.
    pub(crate) async fn start_with(&mut self, options: Options) -> Result<(), StartError> {
        let id = options.node_id.0;
        let running = run(&self.net, options).await?;
        assert!(self.nodes.insert(id, running).is_none(), "node {id} runs");
        Ok(())
    }

    pub(crate) fn node(&self, id: u64) -> &Running {
        self.nodes.get(&id).unwrap()
    }

    pub(crate) fn handle(&self, id: u64) -> Handle {
        self.node(id).handle.clone()
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// Ends a node as a crash would: nothing is said to anybody.
    pub(crate) async fn kill(&mut self, id: u64) {
        let running = self.nodes.remove(&id).unwrap();
        self.net.isolate(id, Cut::Refused);
        running.stop().await;
        self.net.heal();
    }

    /// Removes what a node that is not running has stored.
    pub(crate) fn wipe(&self, id: u64) {
        std::fs::remove_dir_all(self.dir(id)).unwrap();
    }

    pub(crate) async fn wait_formed(&self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            let formed = self.node(id).node.formed(LIMIT).await;
            formed.unwrap_or_else(|error| panic!("node {id}: {error}"));
        }
    }

    /// The node that leads, once one does; of those that run.
    pub(crate) async fn leader(&self) -> u64 {
        let mut found = None;
        until("a leader", || {
            let mut running = self.nodes.iter();
            let led = running.find(|(_, running)| running.handle.leadership().borrow().is_some());
            found = led.map(|(id, _)| *id);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// A node that does not lead, once another does.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        let mut ids = self.nodes.keys();
        *ids.find(|id| **id != leader).unwrap()
    }

    /// Checks that all nodes have reached the same state.
    pub(crate) async fn agree(&self) {
        let index = self.handle(self.leader().await).read_index().await.unwrap();
        let mut pictures = Vec::new();
        for (id, running) in &self.nodes {
            running.handle.wait_applied(index).await.unwrap();
            let term_of = running.handle.status().members;
            let members: Vec<_> = term_of.iter().map(|m| (m.node_id, m.voter)).collect();
            pictures.push((*id, pools(&running.handle), members));
        }
        for (id, pools, members) in &pictures {
            let (first, expected, group) = pictures.first().unwrap();
            assert_eq!(pools, expected, "nodes {id} and {first}");
            assert_eq!(members, group, "nodes {id} and {first}");
        }
    }

    pub(crate) async fn shutdown(self) {
        for (_, running) in self.nodes {
            running.stop().await;
        }
    }
}

impl Running {
    pub(crate) async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
        drop(self.handle);
        self.node.shutdown().await.unwrap();
    }

    pub(crate) fn formation(&self) -> Formation {
        self.handle.status().formation
    }
}

/// Starts a node and serves it under its address.
pub(crate) async fn run(net: &Arc<Net>, options: Options) -> Result<Running, StartError> {
    let (id, name) = (
        options.node_id.0,
        options.peers.get(&options.node_id).cloned(),
    );
    let connector = net.connector(id, options.election_max);
    let node = Node::start_with(options, connector).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    // Small answers must not wait for the acknowledgement of those before them.
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        stream.set_nodelay(true).map(|()| stream)
    });
    let serving = Server::builder()
        .add_service(node.service())
        .serve_with_incoming(incoming);
    let server = tokio::spawn(async move { serving.await.unwrap() });
    net.listens(&name.unwrap_or_else(|| address(id)), id, at);
    Ok(Running {
        handle: node.handle(),
        node,
        server,
    })
}

/// Options of a node, with no regard for free space and with time for a loaded machine.
pub(crate) fn options(id: u64, dir: PathBuf) -> Options {
    let mut options = Options::new("test", NodeId(id), dir);
    options.disk = DiskPolicy {
        min_free_bytes: 0,
        reserve_bytes: 0,
    };
    options.election_min = std::time::Duration::from_millis(500);
    options.election_max = std::time::Duration::from_millis(1000);
    options.propose_timeout = LIMIT;
    options
}
