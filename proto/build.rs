//! Generates the wire types with protox, so that no protoc is needed on the machine.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const PROTOS: &[&str] = &[
    "spark/connect.proto",
    "libra/registry/v1/registry.proto",
    "libra/raft/v1/log.proto",
    "libra/raft/v1/transport.proto",
    "libra/peer/v1/peer.proto",
    "libra/peer/v1/lease.proto",
    "libra/admin/v1/admin.proto",
];

/// What server reflection tells of, and no more: the operator's service.
const REFLECTED: &str = "libra/admin/v1/admin.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".spark.connect.ExecutePlanResponse.ArrowBatch.data")
        .bytes(".libra.registry.v1.ResultManifest.inline")
        .bytes(".libra.raft.v1.SnapshotPart.data")
        .bytes(".libra.peer.v1")
        .bytes(".libra.admin.v1")
        .btree_map(".libra.registry.v1")
        .btree_map(".libra.raft.v1")
        // Comments of a .proto are prose, not doctests.
        .disable_comments(["."])
        .compile_fds(descriptors)?;
    let reflected = protox::compile([REFLECTED], ["proto"])?;
    let path = PathBuf::from(std::env::var("OUT_DIR")?).join("libra_admin_descriptors.bin");
    std::fs::write(path, reflected.encode_to_vec())?;
    Ok(())
}
