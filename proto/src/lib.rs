//! Wire types, ids and the rules about them that every Libra crate shares.
//!
//! - [`spark`]: the subset of Spark Connect's protocol that Libra speaks.
//! - [`registry`]: the records and commands of the replicated registry, which are also their
//!   on-disk form.
//! - [`raft`]: the on-disk form of the Raft log beneath the registry, and what its nodes say to
//!   each other.
//! - [`peer`]: what coordinators of one cluster say to each other beside Raft.
//! - [`admin`]: what an operator asks of a cluster.
//! - [`types`]: ids, legal state transitions, Libra's own error classes.
//! - [`safety`]: test-only switches that take one safety off each.
//!
//! **Invariant:** this crate depends on no other Libra crate and on no runtime: it opens no
//! socket, reads no clock and draws no random number.

pub mod safety;
pub mod types;

/// Spark Connect, package `spark.connect`: generated.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated code; the .proto file carries the comments"
)]
pub mod spark {
    tonic::include_proto!("spark.connect");
}

/// The registry's records and commands, package `libra.registry.v1`: generated.
#[expect(
    missing_docs,
    reason = "generated code; the .proto file carries the comments"
)]
pub mod registry {
    tonic::include_proto!("libra.registry.v1");
}

/// The Raft log's on-disk records and the transport between its nodes, package `libra.raft.v1`:
/// generated.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated code; the .proto file carries the comments"
)]
pub mod raft {
    tonic::include_proto!("libra.raft.v1");
}

/// The calls between coordinators, package `libra.peer.v1`: generated.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated code; the .proto file carries the comments"
)]
pub mod peer {
    tonic::include_proto!("libra.peer.v1");
}

/// The operator's service, package `libra.admin.v1`: generated.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated code; the .proto file carries the comments"
)]
pub mod admin {
    tonic::include_proto!("libra.admin.v1");
}
