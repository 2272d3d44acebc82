//! The replicated registry: what every coordinator holds alike, and how it stays so.
//!
//! - [`registry`]: the pure state machine.
//! - [`Node`] and [`Handle`]: the Raft shell around it; propose, read, subscribe.
//! - [`Connector`] and [`RaftService`]: how nodes reach each other; bound and served outside.
//! - [`store`]: log, vote, snapshots and the guards of a data directory.
//!
//! **Invariant:** a command that was answered is durable, and every node applies the same commands
//! in the same order. Nothing outside this crate names openraft or sled.

mod error;
mod events;
mod failure;
mod feed;
mod formation;
mod handle;
mod membership;
mod metrics;
mod network;
mod node;
mod options;
pub mod registry;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod store;
mod type_config;

pub use error::{
    ChangeError, FatalError, FormError, Outcome, ProposeError, ReadError, SnapshotError, StartError,
};
pub use events::{EventPage, Events, EventsError};
pub use feed::{ChangeFeed, FeedEvent};
pub use handle::{Handle, Predecessor, TakenSnapshot};
pub use metrics::{Formation, Member, Role, Status};
pub use network::connector::{Connector, InvalidAddress, TcpConnector, endpoint};
pub use network::service::{RaftService, Service};
pub use node::Node;
pub use options::{DiskPolicy, FATAL_EXIT_STATUS, FatalHook, Options, SnapshotPolicy};
pub use store::{NewestSyncs, SyncTimes};
