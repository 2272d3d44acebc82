//! Nodes joined by real connections of this machine, which a test can freeze and cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libra_proto::types::NodeId;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;

use super::{Caller, PeerDirectory, PeerNode, PeerOptions, PeerService, Peers, listening};
use crate::live::Live;
use crate::results::{Limits, ResultStore, StoreOptions};

/// Waits until something is true.
pub(crate) async fn until(what: &str, check: impl Fn() -> bool) {
    let waiting = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(waited.is_ok(), "not within 10 s: {what}");
}

/// Who is where.
#[derive(Clone, Default)]
pub(crate) struct Directory {
    known: Arc<Mutex<BTreeMap<NodeId, PeerNode>>>,
    down: Arc<Mutex<BTreeSet<NodeId>>>,
}

impl Directory {
    pub(crate) fn put(&self, node: PeerNode) {
        self.known.lock().unwrap().insert(node.node_id, node);
    }

    pub(crate) fn remove(&self, node: u64) {
        self.known.lock().unwrap().remove(&NodeId(node));
    }

    /// The node is known to be down.
    pub(crate) fn set_down(&self, node: u64) {
        self.down.lock().unwrap().insert(NodeId(node));
    }
}

impl PeerDirectory for Directory {
    fn node(&self, id: NodeId) -> Option<PeerNode> {
        self.known.lock().unwrap().get(&id).cloned()
    }

    fn nodes(&self) -> Vec<PeerNode> {
        let down = self.down.lock().unwrap();
        let known = self.known.lock().unwrap();
        let up = known.values().filter(|node| !down.contains(&node.node_id));
        up.cloned().collect()
    }
}

/// One node: its store, its board, its server, and the link by which others reach it.
pub(crate) struct TestNode {
    pub(crate) id: NodeId,
    pub(crate) store: ResultStore,
    pub(crate) live: Live,
    pub(crate) peers: Peers,
    pub(crate) link: Link,
    dir: TempDir,
    _server: AbortOnDropHandle<()>,
}

impl TestNode {
    pub(crate) async fn start(directory: &Directory, id: u64, limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(directory, id, limits, dir, PATIENT).await
    }

    /// Starts a node with what another process has left.
    pub(crate) async fn start_in(
        directory: &Directory,
        id: u64,
        limits: Limits,
        dir: TempDir,
        copy_patience: Duration,
    ) -> Self {
        let id = NodeId(id);
        let options = StoreOptions {
            dir: dir.path().join("results"),
            node_id: id,
            store_uuid: format!("uuid-{id}"),
            inline_bytes: 0,
            limits,
        };
        let store = ResultStore::open(options).await.unwrap();
        let caller = Caller {
            cluster_name: "main".to_owned(),
            node_id: id,
        };
        let options = PeerOptions {
            copy_patience,
            ..PeerOptions::new(caller.clone())
        };
        let peers = Peers::new(options, directory.clone());
        store.join(peers.clone());
        let live = Live::default();
        let closing = CancellationToken::new();
        let service = PeerService::new(caller, store.clone(), live.clone(), closing);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::to(listener.local_addr().unwrap().to_string()).await;
        let serving = listening(Server::builder())
            .add_service(service.into_server())
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.unwrap() });
        directory.put(PeerNode {
            node_id: id,
            address: link.address.clone(),
            store_uuid: format!("uuid-{id}"),
        });
        Self {
            id,
            store,
            live,
            peers,
            link,
            dir,
            _server: AbortOnDropHandle::new(server),
        }
    }

    /// The process dies; what it has on disk is left.
    pub(crate) fn die(self) -> TempDir {
        self.link.kill();
        self.dir
    }
}

/// On a machine that is busy with other tests.
pub(crate) const PATIENT: Duration = Duration::from_secs(8);

/// As [`nodes`], with the usual patience for copies.
pub(crate) async fn impatient_nodes(count: u64, limits: Limits) -> (Directory, Vec<TestNode>) {
    let directory = Directory::default();
    let mut nodes = Vec::new();
    for id in 1..=count {
        let dir = tempfile::tempdir().unwrap();
        let patience = Duration::from_secs(1);
        nodes.push(TestNode::start_in(&directory, id, limits, dir, patience).await);
    }
    (directory, nodes)
}

/// Nodes 1 to `count`.
pub(crate) async fn nodes(count: u64, limits: Limits) -> (Directory, Vec<TestNode>) {
    let directory = Directory::default();
    let mut nodes = Vec::new();
    for id in 1..=count {
        nodes.push(TestNode::start(&directory, id, limits).await);
    }
    (directory, nodes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Flows,
    Frozen,
    Dead,
}

/// A way to a server.
pub(crate) struct Link {
    pub(crate) address: String,
    state: watch::Sender<State>,
    accepted: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    dies_after: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Link {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = watch::Sender::new(State::Flows);
        let accepted = Arc::new(AtomicU64::new(0));
        let sent = Arc::new(AtomicU64::new(0));
        let dies_after = Arc::new(AtomicU64::new(u64::MAX));
        let way = Way {
            state: state.clone(),
            accepted: Arc::clone(&accepted),
            sent: Arc::clone(&sent),
            dies_after: Arc::clone(&dies_after),
        };
        let task = tokio::spawn(way.carry(listener, server));
        Self {
            address,
            state,
            accepted,
            sent,
            dies_after,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Cuts all connections and takes no more.
    pub(crate) fn kill(&self) {
        self.state.send_replace(State::Dead);
    }

    /// Dies after so many more bytes have come from the server.
    pub(crate) fn die_after(&self, bytes: u64) {
        let at = self.sent() + bytes;
        self.dies_after.store(at, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        *self.state.borrow() == State::Dead
    }

    /// Nothing passes any more, in neither direction, and nobody is told.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.state
            .send_replace(if frozen { State::Frozen } else { State::Flows });
    }

    /// Cuts the connections that are there now; new ones are taken.
    pub(crate) async fn break_off(&self) {
        self.state.send_replace(State::Dead);
        tokio::task::yield_now().await;
        self.state.send_replace(State::Flows);
    }

    /// Connections that were made.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Bytes that have come from the server.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Way {
    state: watch::Sender<State>,
    accepted: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    dies_after: Arc<AtomicU64>,
}

impl Way {
    async fn carry(self, listener: TcpListener, server: String) {
        let mut state = self.state.subscribe();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (client, _) = accepted.unwrap();
                    self.accepted.fetch_add(1, Ordering::SeqCst);
                    if *state.borrow() != State::Dead {
                        connections.spawn(self.clone().connection(client, server.clone()));
                    }
                }
                Ok(()) = state.changed() => {
                    // Also when it flows again: it may have been dead meanwhile.
                    if *state.borrow_and_update() != State::Frozen {
                        connections.abort_all();
                    }
                }
            }
        }
    }

    async fn connection(self, client: TcpStream, server: String) {
        let server = TcpStream::connect(server).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let there = self.clone();
        let there = async move {
            let mut bytes = vec![0; 16 << 10];
            while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
                there.flows().await;
                to_server.write_all(&bytes[..length]).await.ok()?;
            }
            Some(())
        };
        let back = async move {
            let mut bytes = vec![0; 16 << 10];
            while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
                self.flows().await;
                let sent = self.sent.fetch_add(length as u64, Ordering::SeqCst);
                if sent + length as u64 > self.dies_after.load(Ordering::SeqCst) {
                    self.state.send_replace(State::Dead);
                }
                to_client.write_all(&bytes[..length]).await.ok()?;
            }
            Some(())
        };
        tokio::select! { _ = there => {}, _ = back => {} }
    }

    async fn flows(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| *state != State::Frozen).await;
    }
}
