//! What Spark sends and what lies on the disk.

use std::fs::File;

use bytes::Bytes;
use libra_proto::types::{Epoch, JobId};

use super::read::ipc;
use super::render::variant::write_variant;
use super::store::{format, scan};

const JOB: JobId = JobId(7);
const EPOCH: Epoch = Epoch(3);

/// An Arrow IPC stream: split, decoded, cut.
pub fn arrow(bytes: &[u8]) {
    if let Ok(split) = ipc::split(&Bytes::copy_from_slice(bytes)) {
        let _ = ipc::schema(&split);
        let _ = ipc::decode(&split);
        let _ = ipc::cut(&split, 3);
    }
}

/// A variant: the first byte says how many of those after it are its dictionary.
pub fn variant(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else {
        return;
    };
    let (metadata, value) = rest.split_at(usize::from(*length).min(rest.len()));
    let mut out = Vec::new();
    let _ = write_variant(&mut out, value, metadata);
}

/// A result file, scanned as after a crash; it is read from its begin.
pub fn result_file(file: &File) {
    let _ = scan::scan(file, JOB, EPOCH, drop);
}

/// A whole result file to begin with.
#[must_use]
pub fn result_file_seed() -> Vec<u8> {
    let mut file = format::encode_header(JOB, EPOCH);
    let records = [
        (format::Kind::Schema, &b"schema"[..]),
        (format::Kind::Batch, &[7; 64]),
        (format::Kind::Complete, &[]),
    ];
    for (at, (kind, payload)) in records.into_iter().enumerate() {
        let id = format!("response-{at}");
        if let Ok(head) = format::encode_head(kind, &id, 5, 0, payload) {
            file.extend(head);
            file.extend(payload);
        }
    }
    file
}
