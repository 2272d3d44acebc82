//! The actors of a node, as `coordinator` starts and stops them.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::lease::{self, DetectorHandle, Lease};
use crate::ports::{Feed, LiveBoard, RegistryPort, ResultStorePort};
use crate::session;
use crate::spark::{ClientOptions, Endpoint};

use super::restart::Policy;
use super::root::{self, Message, Root};

/// What a node's actors are started with.
pub struct NodeOptions {
    /// The replicated registry.
    pub registry: Arc<dyn RegistryPort>,
    /// Where results go.
    pub results: Arc<dyn ResultStorePort>,
    /// Where live signs are shown.
    pub live: Arc<dyn LiveBoard>,
    /// The Spark Connect endpoints that sessions may live on.
    pub endpoints: Vec<Endpoint>,
    /// The times and sizes of the channels to them.
    pub client: ClientOptions,
    /// Default conf of every Spark session.
    pub conf: session::DefaultConf,
    /// The times and limits of session actors.
    pub session: session::Options,
    /// When crashed actors are started again.
    pub restart: Policy,
    /// How this node holds its sessions; `None` in a cluster of one, which needs no leases. Either
    /// all nodes of a cluster have leases or none: a leader without them renews none.
    pub lease: Option<lease::Setup>,
}

/// The actors of this node. They must be started only when the registry is known to be up to
/// date here (a read index has been reached): what is `running` later than that is theirs to send.
pub struct Node {
    root: ActorRef<Message>,
    ended: JoinHandle<()>,
    registry: Arc<dyn RegistryPort>,
    detector: DetectorHandle,
    lease: Lease,
}

/// What draining has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Sessions that are still this node's.
    pub left: usize,
}

/// The root actor was not spawned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the root actor was not spawned: {cause}")]
pub struct StartError {
    /// What ractor said.
    pub cause: String,
}

/// The root supervisor has given up, or was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl Node {
    /// Starts the root supervisor and everything under it.
    ///
    /// # Errors
    /// When the root actor cannot be spawned.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let registry = Arc::clone(&options.registry);
        let detector = DetectorHandle::new(Arc::clone(&registry));
        let lease = match &options.lease {
            Some(setup) => Lease::new(setup.options.length),
            None => Lease::perpetual(),
        };
        let arguments = root::Arguments {
            options,
            detector: detector.clone(),
            lease: lease.clone(),
        };
        let spawned = Actor::spawn(None, Root, arguments).await;
        let (root, ended) = spawned.map_err(|error| StartError {
            cause: error.to_string(),
        })?;
        Ok(Self {
            root,
            ended,
            registry,
            detector,
            lease,
        })
    }

    /// The way to this node's failure detector, which counts while this node leads.
    #[must_use]
    pub fn detector(&self) -> DetectorHandle {
        self.detector.clone()
    }

    /// This node's lease.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Takes no more sessions, and waits until this node owns none: the registry moves them once
    /// `DrainNode` is committed, which is the caller's to propose. Those that stay are run on.
    /// Bounded by `limit`.
    ///
    /// # Cancel safety
    /// May be dropped and called again; no session is taken from the first call on.
    pub async fn drain(&self, limit: Duration) -> Drained {
        let mut feed = self.registry.subscribe();
        let emptied = async {
            let (noted, is_noted) = oneshot::channel();
            // A root that has stopped takes none either; the sender is only ever dropped.
            let _ = self.root.cast(Message::Drain(noted));
            let _ = is_noted.await;
            while !self.registry.owned_sessions().is_empty() {
                if feed.next().await == Feed::Closed {
                    return;
                }
            }
        };
        // Whether in time or not: what is left is counted.
        let _ = timeout(limit, emptied).await;
        let left = self.registry.owned_sessions().len();
        Drained { left }
    }

    /// Waits until the root supervisor has ended: after [`Node::stop`], or because one of the
    /// node's own actors crashed too often, and the process had better start anew.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn ended(&mut self) -> Stopped {
        // Whether it ended by a panic or not, it has ended.
        let _ = (&mut self.ended).await;
        Stopped
    }

    /// Stops all actors; statements go on in Spark. Bounded by `limit`.
    pub async fn stop(self, limit: Duration) {
        if self.root.stop_and_wait(None, Some(limit)).await.is_err() {
            tracing::warn!("actors did not stop in time");
        }
    }
}
