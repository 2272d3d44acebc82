//! The network between the nodes of a test: every connection goes through a pump that can be cut.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use libra_raft::{Connector, InvalidAddress, endpoint};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::transport::{Channel, Uri};

/// How a link fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Connections are reset, and refused.
    Refused,
    /// Nothing comes back, and nothing says so.
    BlackHole,
}

type Cuts = BTreeMap<(u64, u64), Cut>;

/// Who is where, and which links are cut.
#[derive(Debug)]
pub(crate) struct Net {
    /// Names of nodes as addresses, and where they listen just now.
    places: Mutex<BTreeMap<String, (u64, SocketAddr)>>,
    cuts: watch::Sender<Cuts>,
}

impl Net {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            places: Mutex::default(),
            cuts: watch::Sender::new(Cuts::new()),
        })
    }

    pub(crate) fn listens(&self, name: &str, node_id: u64, at: SocketAddr) {
        let mut places = self.places.lock().unwrap();
        places.insert(name.to_owned(), (node_id, at));
    }

    /// Cuts both directions between a node and all others.
    pub(crate) fn isolate(&self, node_id: u64, cut: Cut) {
        self.cuts.send_modify(|cuts| {
            for other in (1..=9).filter(|id| *id != node_id) {
                cuts.insert((node_id, other), cut);
                cuts.insert((other, node_id), cut);
            }
        });
    }

    pub(crate) fn heal(&self) {
        self.cuts.send_modify(Cuts::clear);
    }

    /// The connector of a node.
    pub(crate) fn connector(self: &Arc<Self>, from: u64, patience: Duration) -> Arc<dyn Connector> {
        Arc::new(Dialer {
            net: Arc::clone(self),
            from,
            patience,
        })
    }
}

struct Dialer {
    net: Arc<Net>,
    from: u64,
    patience: Duration,
}

impl Connector for Dialer {
    fn connect(&self, address: &str) -> Result<Channel, InvalidAddress> {
        let (net, from, name) = (Arc::clone(&self.net), self.from, address.to_owned());
        let dial = tower::service_fn(move |_uri: Uri| dial(Arc::clone(&net), from, name.clone()));
        let endpoint = endpoint(address, self.patience)?;
        Ok(endpoint.connect_with_connector_lazy(dial))
    }
}

async fn dial(net: Arc<Net>, from: u64, name: String) -> io::Result<TokioIo<DuplexStream>> {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let place = net.places.lock().unwrap().get(&name).copied();
    let (to, at) = place.ok_or_else(refused)?;
    let mut cuts = net.cuts.subscribe();
    let cut = cuts.borrow_and_update().get(&(from, to)).copied();
    match cut {
        None => {}
        Some(Cut::Refused) => return Err(refused()),
        Some(Cut::BlackHole) => {
            let _ = cuts.wait_for(|cuts| !cuts.contains_key(&(from, to))).await;
        }
    }
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(pump(far, stream, from, to, cuts));
    Ok(TokioIo::new(near))
}

async fn pump(
    mut near: DuplexStream,
    mut stream: TcpStream,
    from: u64,
    to: u64,
    mut cuts: watch::Receiver<Cuts>,
) {
    let cut = async {
        let is_cut = |cuts: &Cuts| cuts.contains_key(&(from, to));
        // The network is gone with its test.
        let cuts = cuts.wait_for(is_cut).await.ok()?;
        cuts.get(&(from, to)).copied()
    };
    let cut = tokio::select! {
        _done = tokio::io::copy_bidirectional(&mut near, &mut stream) => return,
        cut = cut => cut,
    };
    if cut == Some(Cut::BlackHole) {
        // Held open, and silent, until the link is there again; by then it is reset.
        let _ = cuts.wait_for(|cuts| !cuts.contains_key(&(from, to))).await;
    }
}
