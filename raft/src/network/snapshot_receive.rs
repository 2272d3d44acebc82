//! Receives a snapshot into a temporary file, checks it, and has it installed.
//!
//! **Invariant:** openraft is given only what is whole: what it cannot read would stop the node. The
//! temporary file is gone when the reception is over, however it ends.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::raft as wire;
use tonic::{Status, Streaming};
use xxhash_rust::xxh3::Xxh3;

use super::wire::vote_from;
use crate::store::codec::{log_id_from_disk, stored_membership_from_disk};
use crate::store::snapshot_dir::SnapshotDir;
use crate::store::snapshot_file::SnapshotFile;
use crate::type_config::{Raft, Snapshot, SnapshotMeta, SnapshotResponse, Vote};

/// How long the sender may be silent.
const PART_LIMIT: Duration = Duration::from_secs(10);

/// A file that goes when it is dropped.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), error = %error, "received snapshot not removed");
        }
    }
}

/// What is being received.
struct Reception {
    file: File,
    // After the file, so that it is closed before it goes.
    temporary: Temporary,
    hasher: Box<Xxh3>,
    bytes: u64,
}

/// What the first message said.
pub(super) struct Announced {
    vote: Vote,
    meta: SnapshotMeta,
}

impl Announced {
    pub(super) fn read(start: &wire::SnapshotStart) -> Result<Self, Status> {
        let malformed = |reason: String| Status::invalid_argument(reason);
        let vote = vote_from(start.vote.as_ref()).map_err(|e| malformed(e.to_string()))?;
        let membership = start.membership.as_ref().map(stored_membership_from_disk);
        let last_membership = membership
            .transpose()
            .map_err(malformed)?
            .unwrap_or_default();
        Ok(Self {
            vote,
            meta: SnapshotMeta {
                last_log_id: start.last_log_id.as_ref().map(log_id_from_disk),
                last_membership,
            },
        })
    }
}

/// The first message of a snapshot.
pub(super) async fn first(
    parts: &mut Streaming<wire::SnapshotPart>,
) -> Result<wire::SnapshotStart, Status> {
    match next(parts).await? {
        Some(wire::snapshot_part::Part::Start(start)) => Ok(start),
        Some(wire::snapshot_part::Part::Data(_) | wire::snapshot_part::Part::End(_)) | None => {
            Err(Status::invalid_argument("a snapshot that does not begin"))
        }
    }
}

async fn next(
    parts: &mut Streaming<wire::SnapshotPart>,
) -> Result<Option<wire::snapshot_part::Part>, Status> {
    let part = tokio::time::timeout(PART_LIMIT, parts.message())
        .await
        .map_err(|_elapsed| Status::deadline_exceeded("the snapshot does not go on"))??;
    Ok(part.and_then(|part| part.part))
}

/// Receives the rest of a snapshot and installs it.
pub(super) async fn install(
    raft: Raft,
    snapshots: Arc<SnapshotDir>,
    announced: Announced,
    mut parts: Streaming<wire::SnapshotPart>,
) -> Result<SnapshotResponse, Status> {
    use wire::snapshot_part::Part;
    let dir = Arc::clone(&snapshots);
    let mut reception = blocking(move || Reception::start(dir.temporary())).await?;
    loop {
        match next(&mut parts).await? {
            Some(Part::Data(data)) => {
                reception = blocking(move || reception.take(&data)).await?;
            }
            Some(Part::End(end)) => {
                let temporary = blocking(move || reception.finish(&end)).await?;
                return hand_over(raft, snapshots, announced, temporary).await;
            }
            Some(Part::Start(_)) | None => {
                return Err(Status::data_loss("the snapshot is cut short"));
            }
        }
    }
}

impl Reception {
    fn start(path: PathBuf) -> io::Result<Self> {
        let temporary = Temporary { path };
        Ok(Self {
            file: File::create(&temporary.path)?,
            temporary,
            hasher: Box::default(),
            bytes: 0,
        })
    }

    fn take(mut self, data: &[u8]) -> io::Result<Self> {
        self.file.write_all(data)?;
        self.hasher.update(data);
        self.bytes += data.len() as u64;
        Ok(self)
    }

    fn finish(self, end: &wire::SnapshotEnd) -> io::Result<Temporary> {
        if (self.bytes, self.hasher.digest()) != (end.bytes, end.hash) {
            let reason = "the snapshot does not match its checksum";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(self.temporary)
    }
}

/// Gives the file to openraft, in a task of its own: it must not go while it is being installed,
/// whether or not the sender still waits.
async fn hand_over(
    raft: Raft,
    snapshots: Arc<SnapshotDir>,
    announced: Announced,
    temporary: Temporary,
) -> Result<SnapshotResponse, Status> {
    let install = async move {
        let Announced { vote, meta } = announced;
        let file = SnapshotFile {
            path: temporary.path.clone(),
            meta: meta.clone(),
        };
        let (file, found) = blocking(move || {
            let (found, _registry) = snapshots.read(&file)?;
            Ok((file, found))
        })
        .await?;
        if found != meta {
            return Err(Status::data_loss("the snapshot is not what was announced"));
        }
        let snapshot = Snapshot {
            meta,
            snapshot: file,
        };
        let installed = Box::pin(raft.install_full_snapshot(vote, snapshot)).await;
        drop(temporary);
        installed.map_err(|error| Status::unavailable(error.to_string()))
    };
    tokio::spawn(install)
        .await
        .map_err(|error| Status::internal(error.to_string()))?
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Status::internal(error.to_string()))?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Status::data_loss(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn what_was_received_goes_unless_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.tmp");
        let end = |bytes, hash| wire::SnapshotEnd { bytes, hash };
        for (end, whole) in [
            (end(6, xxh3_64(b"abcdef")), true),
            (end(5, xxh3_64(b"abcdef")), false),
            (end(6, xxh3_64(b"abcdeg")), false),
        ] {
            let reception = Reception::start(path.clone()).unwrap();
            let reception = reception.take(b"abc").unwrap().take(b"def").unwrap();
            let finished = reception.finish(&end);
            assert_eq!((finished.is_ok(), path.exists()), (whole, whole));
            drop(finished);
            assert!(!path.exists());
        }
    }
}
