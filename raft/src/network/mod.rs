//! How the nodes of a Raft group reach each other, over gRPC (`libra.raft.v1.Raft`).
//!
//! - [`connector`]: where channels come from; given from outside.
//! - [`peers`]: who is where, and the channels that are kept to them.
//! - [`client`] and [`append`], [`snapshot_send`]: what openraft sends.
//! - [`service`] and [`snapshot_receive`]: what it is sent.
//! - [`forward`]: what a node asks the leader for.
//! - [`wire`]: openraft's messages as prost messages.
//!
//! openraft has one client per peer for replication, one for heartbeats and one for snapshots; each
//! kind has a connection of its own, so that none of them waits for another.
//!
//! **Invariant:** nothing here decides; messages go to and from openraft as they are. What is not
//! for this node, in this cluster, with this store, is refused before openraft sees it.

pub(crate) mod append;
pub(crate) mod client;
pub(crate) mod connector;
pub(crate) mod forward;
pub(crate) mod peers;
pub(crate) mod service;
pub(crate) mod snapshot_receive;
pub(crate) mod snapshot_send;
pub(crate) mod wire;
