//! Faults of the network between nodes: a TCP proxy in front of each node's gRPC port, through
//! which the others reach it, and rules for each direction between two nodes.
//!
//! All nodes are told the same address of a node, so who opened a connection cannot be told by
//! where it arrived. It is told by the kernel: see [`source`].
//!
//! **Invariant:** a proxy holds a bounded number of bytes of each direction, changes none of them,
//! and lets pass what is not of a node (the test's own calls).

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Bytes read at a time, and pieces on their way in one direction.
const PIECE: usize = 16 << 10;
const ON_THEIR_WAY: usize = 64;

/// How bytes flow from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// At once.
    Open,
    /// So much later.
    Late(Duration),
    /// Not at all, silently; what was sent arrives once the flow is open again.
    Held,
    /// Not at all, and it is told: connections are reset, new ones too.
    Cut,
}

/// From, to.
type Direction = (u64, u64);

#[derive(Debug, Clone, Default)]
struct Rules(BTreeMap<Direction, Flow>);

impl Rules {
    fn of(&self, direction: Direction) -> Flow {
        self.0.get(&direction).copied().unwrap_or(Flow::Open)
    }
}

/// The network between the nodes of one cluster. Without a rule everything flows.
#[derive(Debug)]
pub struct Links {
    rules: watch::Sender<Rules>,
    nodes: Arc<Mutex<BTreeMap<u64, u32>>>,
    known: BTreeSet<u64>,
    proxies: Vec<JoinHandle<()>>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            rules: watch::channel(Rules::default()).0,
            nodes: Arc::default(),
            known: BTreeSet::new(),
            proxies: Vec::new(),
        }
    }
}

impl Links {
    /// Opens a proxy for a node that listens at `target`; gives the port to tell the others.
    ///
    /// # Errors
    /// When `port` cannot be bound.
    pub(super) async fn open(&mut self, node: u64, target: u16, port: u16) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let proxy = Proxy {
            node,
            target: (Ipv4Addr::LOCALHOST, target).into(),
            port,
            rules: self.rules.subscribe(),
            nodes: Arc::clone(&self.nodes),
        };
        self.known.insert(node);
        self.proxies.push(tokio::spawn(proxy.serve(listener)));
        Ok(())
    }

    /// Notes which process a node is now, so that its connections are known as its own.
    pub(super) fn is_process(&self, node: u64, pid: Option<u32>) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => nodes.insert(node, pid),
            None => nodes.remove(&node),
        };
    }

    /// Sets how bytes flow from one node to another, whoever opened the connection.
    pub fn one_way(&self, from: u64, to: u64, flow: Flow) {
        self.rules.send_modify(|rules| {
            rules.0.insert((from, to), flow);
        });
    }

    /// Sets both directions between two nodes.
    pub fn between(&self, one: u64, other: u64, flow: Flow) {
        self.rules.send_modify(|rules| {
            rules.0.insert((one, other), flow);
            rules.0.insert((other, one), flow);
        });
    }

    /// Sets all directions from and to a node.
    pub fn around(&self, node: u64, flow: Flow) {
        for other in self.known.iter().filter(|other| **other != node) {
            self.between(node, *other, flow);
        }
    }

    /// Everything flows again.
    pub fn heal(&self) {
        self.rules.send_modify(|rules| rules.0.clear());
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for proxy in &self.proxies {
            proxy.abort();
        }
    }
}

/// What stands in front of one node.
struct Proxy {
    node: u64,
    target: SocketAddr,
    port: u16,
    rules: watch::Receiver<Rules>,
    nodes: Arc<Mutex<BTreeMap<u64, u32>>>,
}

impl Proxy {
    async fn serve(self, listener: TcpListener) {
        // Dropped with this task: connections end with their proxy.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, from)) = accepted {
                    let source = self.source(from).await;
                    connections.spawn(connection(stream, self.target, Link {
                        there: (source, self.node),
                        rules: self.rules.clone(),
                    }));
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// The node that opened a connection; 0, of which there are no rules, if none did.
    async fn source(&self, from: SocketAddr) -> u64 {
        let nodes = self
            .nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let port = self.port;
        let found = tokio::task::spawn_blocking(move || {
            let pids: Vec<_> = nodes.values().copied().collect();
            let pid = source::process_of(from.port(), port, &pids).ok()??;
            nodes
                .iter()
                .find(|(_, known)| **known == pid)
                .map(|(id, _)| *id)
        });
        found.await.ok().flatten().unwrap_or(0)
    }
}

/// One connection, seen by the rules.
struct Link {
    /// From the node that opened it to the one that it was opened to.
    there: Direction,
    rules: watch::Receiver<Rules>,
}

impl Link {
    fn back(&self) -> Direction {
        (self.there.1, self.there.0)
    }

    /// Waits until a direction is cut.
    async fn cut(&self) {
        let mut rules = self.rules.clone();
        let (there, back) = (self.there, self.back());
        let is_cut = |rules: &Rules| [there, back].map(|d| rules.of(d)).contains(&Flow::Cut);
        if rules.wait_for(is_cut).await.is_err() {
            // The network is gone, and this connection with it in a moment.
            std::future::pending::<()>().await;
        }
    }
}

async fn connection(mut client: TcpStream, target: SocketAddr, link: Link) {
    let carried = async {
        let Ok(mut server) = TcpStream::connect(target).await else {
            return;
        };
        for stream in [&client, &server] {
            // Without it small messages would wait for acknowledgements.
            let _ = stream.set_nodelay(true);
        }
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = carry(from_client, to_server, link.there, &link.rules);
        let back = carry(from_server, to_client, link.back(), &link.rules);
        // An end of either side is passed on by the carrier itself.
        let _ = tokio::join!(there, back);
    };
    tokio::select! {
        () = carried => {}
        () = link.cut() => {}
    }
    // A node that is not there, or a cut: both look like a reset.
    let _ = client.set_zero_linger();
}

/// Carries one direction to its end, each piece when it is due and the flow allows it.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    rules: &watch::Receiver<Rules>,
) -> Result<()> {
    let (pieces, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THEIR_WAY);
    let (mut reading, mut writing) = (rules.clone(), rules.clone());
    let read = async move {
        loop {
            let mut piece = vec![0; PIECE];
            let length = from.read(&mut piece).await?;
            if length == 0 {
                return Ok(());
            }
            piece.truncate(length);
            let late = match reading.borrow_and_update().of(direction) {
                Flow::Late(time) => time,
                Flow::Open | Flow::Held | Flow::Cut => Duration::ZERO,
            };
            let sent = pieces.send((Instant::now() + late, piece)).await;
            sent.ok().context("the other side is gone")?;
        }
    };
    let write = async move {
        while let Some((at, piece)) = due.recv().await {
            sleep_until(at).await;
            let flows = |rules: &Rules| rules.of(direction) != Flow::Held;
            writing.wait_for(flows).await?;
            to.write_all(&piece).await?;
        }
        to.shutdown().await?;
        anyhow::Ok(())
    };
    tokio::try_join!(read, write).map(|((), ())| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::free_port;

    const NOTHING_FOR: Duration = Duration::from_millis(150);
    const SOON: Duration = Duration::from_secs(10);

    /// An echo behind the proxy of node 2, and the links, in which this process is node 1.
    async fn echo() -> (Links, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let (mut links, port) = (Links::default(), free_port().unwrap());
        links.known.insert(1);
        links.is_process(1, Some(std::process::id()));
        links.open(2, target, port).await.unwrap();
        (links, port)
    }

    async fn connect(port: u16) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap()
    }

    async fn answered(stream: &mut TcpStream, limit: Duration) -> Option<u8> {
        let read = tokio::time::timeout(limit, stream.read_u8()).await;
        read.ok().map(Result::unwrap)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_held_in_one_direction_comes_when_it_is_open_again() {
        let (links, port) = echo().await;
        let mut stream = connect(port).await;
        stream.write_u8(1).await.unwrap();
        assert_eq!(answered(&mut stream, SOON).await, Some(1));
        for (from, to) in [(1, 2), (2, 1)] {
            links.one_way(from, to, Flow::Held);
            stream.write_u8(7).await.unwrap();
            assert_eq!(answered(&mut stream, NOTHING_FOR).await, None);
            links.heal();
            assert_eq!(answered(&mut stream, SOON).await, Some(7));
        }
        links.around(1, Flow::Late(NOTHING_FOR / 2));
        let sent = Instant::now();
        stream.write_u8(9).await.unwrap();
        assert_eq!(answered(&mut stream, SOON).await, Some(9));
        assert!(sent.elapsed() >= NOTHING_FOR);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cut_resets_old_and_new_connections_of_these_two_alone() {
        let (links, port) = echo().await;
        let mut old = connect(port).await;
        old.write_u8(1).await.unwrap();
        assert_eq!(answered(&mut old, SOON).await, Some(1));
        links.between(3, 2, Flow::Cut);
        old.write_u8(2).await.unwrap();
        assert_eq!(answered(&mut old, SOON).await, Some(2));
        links.between(1, 2, Flow::Cut);
        assert!(
            tokio::time::timeout(SOON, old.read_u8())
                .await
                .unwrap()
                .is_err()
        );
        let mut new = connect(port).await;
        assert!(
            tokio::time::timeout(SOON, new.read_u8())
                .await
                .unwrap()
                .is_err()
        );
        links.heal();
        let mut healed = connect(port).await;
        healed.write_u8(3).await.unwrap();
        assert_eq!(answered(&mut healed, SOON).await, Some(3));
    }
}
