//! Sends a snapshot file: its header, its bytes, their length and hash.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use libra_proto::raft as wire;
use libra_proto::raft::raft_client::RaftClient;
use thiserror::Error;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Code, Status};
use xxhash_rust::xxh3::Xxh3;

use super::wire::{Malformed, vote_from};
use crate::store::codec::{log_id_to_disk, stored_membership_to_disk, vote_to_disk};
use crate::type_config::{Snapshot, Vote};

const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that are read ahead.
const QUEUE: usize = 2;

/// Why a snapshot was not installed.
#[derive(Debug, Error)]
pub(super) enum SendError {
    #[error("read of the snapshot")]
    Read(#[from] io::Error),
    #[error("snapshot refused: {code}: {message}")]
    Refused { code: Code, message: String },
    #[error("no progress of the snapshot within {limit:?}")]
    TimedOut { limit: Duration },
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Sends a snapshot and waits until it is installed; answers with the receiver's vote. Gives up
/// when nothing moves for `patience`.
pub(super) async fn send(
    mut client: RaftClient<Channel>,
    envelope: wire::Envelope,
    vote: &Vote,
    snapshot: Snapshot,
    patience: Duration,
) -> Result<Vote, SendError> {
    let start = wire::SnapshotStart {
        envelope: Some(envelope),
        vote: Some(vote_to_disk(vote)),
        last_log_id: snapshot.meta.last_log_id.as_ref().map(log_id_to_disk),
        membership: Some(stored_membership_to_disk(&snapshot.meta.last_membership)),
    };
    let path = snapshot.snapshot.path;
    let open = move || std::fs::File::open(path);
    let file = blocking(open).await??;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reading = tokio::task::spawn_blocking(move || read_all(file, start, &sender));
    let moved = Arc::new(AtomicU64::new(0));
    let parts = parts(receiver, Arc::clone(&moved));
    let mut call = Box::pin(client.install_snapshot(parts));
    let answer = loop {
        let before = moved.load(Ordering::Acquire);
        match tokio::time::timeout(patience, &mut call).await {
            Ok(answer) => break answer,
            Err(_elapsed) if moved.load(Ordering::Acquire) == before => {
                return Err(SendError::TimedOut { limit: patience });
            }
            Err(_elapsed) => {}
        }
    };
    match answer {
        Ok(answer) => Ok(vote_from(answer.into_inner().vote.as_ref())?),
        Err(status) => {
            drop(call);
            // A file that could not be read has cut the stream short: that is the reason then.
            blocking_done(reading).await?;
            Err(refused(&status))
        }
    }
}

fn refused(status: &Status) -> SendError {
    SendError::Refused {
        code: status.code(),
        message: status.message().to_owned(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

async fn blocking_done(reading: tokio::task::JoinHandle<io::Result<()>>) -> io::Result<()> {
    reading.await?
}

/// Passes the parts on, counting them.
fn parts(
    receiver: mpsc::Receiver<wire::SnapshotPart>,
    moved: Arc<AtomicU64>,
) -> impl Stream<Item = wire::SnapshotPart> + Send + 'static {
    futures::stream::unfold((receiver, moved), |(mut receiver, moved)| async move {
        let part = receiver.recv().await?;
        moved.fetch_add(1, Ordering::AcqRel);
        Some((part, (receiver, moved)))
    })
}

/// Reads the file into the channel; ends early, without an error, when nobody wants more.
fn read_all(
    mut file: impl Read,
    start: wire::SnapshotStart,
    sender: &mpsc::Sender<wire::SnapshotPart>,
) -> io::Result<()> {
    use wire::snapshot_part::Part;
    let send = |part| {
        let part = wire::SnapshotPart { part: Some(part) };
        sender.blocking_send(part).is_ok()
    };
    if !send(Part::Start(start)) {
        return Ok(());
    }
    let mut hasher = Xxh3::new();
    let mut bytes = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let read = file
            .by_ref()
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hasher.update(&chunk);
        if !send(Part::Data(chunk.into())) {
            return Ok(());
        }
    }
    let hash = hasher.digest();
    send(Part::End(wire::SnapshotEnd { bytes, hash }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn a_large_file_comes_in_parts_and_whole() {
        use wire::snapshot_part::Part;
        let content: Vec<u8> = (0..CHUNK_BYTES * 2 + 5).map(|n| (n % 251) as u8).collect();
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let reading = {
            let content = content.clone();
            let start = wire::SnapshotStart::default();
            std::thread::spawn(move || read_all(content.as_slice(), start, &sender))
        };
        let mut parts = Vec::new();
        while let Some(part) = receiver.blocking_recv() {
            parts.push(part.part.unwrap());
        }
        reading.join().unwrap().unwrap();
        assert_eq!(parts.len(), 5);
        assert!(matches!(parts.first(), Some(Part::Start(_))));
        let end = wire::SnapshotEnd {
            bytes: content.len() as u64,
            hash: xxh3_64(&content),
        };
        assert_eq!(parts.last(), Some(&Part::End(end)));
        let data = parts.iter().filter_map(|part| match part {
            Part::Data(data) => Some(data.as_ref()),
            Part::Start(_) | Part::End(_) => None,
        });
        assert_eq!(data.collect::<Vec<_>>().concat(), content);
    }

    #[test]
    fn reading_ends_when_nobody_wants_more() {
        let (sender, receiver) = mpsc::channel(QUEUE);
        drop(receiver);
        let endless = io::repeat(1);
        read_all(endless, wire::SnapshotStart::default(), &sender).unwrap();
    }
}
