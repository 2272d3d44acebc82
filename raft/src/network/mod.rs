//! How the members of the Raft group reach each other.
//!
//! openraft asks a [`openraft::RaftNetworkFactory`] for one client per peer: one for replication,
//! one for heartbeats and one for snapshots, so that none of them waits for another. A group of
//! one has no peers: [`alone::Alone`] is its network. The transport of larger groups has its place
//! beside it, as a factory of its own that [`crate::Node`] is started with.
//!
//! **Invariant:** nothing here decides; messages go to and from openraft as they are.

pub(crate) mod alone;
