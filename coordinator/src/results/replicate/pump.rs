//! Brings one copy on: reads the owner's file as it grows, and sends it.
//!
//! **Invariant:** what is sent is read from the file, so nothing is kept for a slow copy; a copy
//! that owes an answer for longer than the peers' patience is lost, and the pump ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::peer::store_result_request::Kind;
use libra_proto::peer::{AppendCopy, OpenCopy, StoreResultRequest, StoreResultResponse};
use libra_proto::trace::TraceContext;
use libra_proto::types::{Epoch, JobId, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use xxhash_rust::xxh3::Xxh3;

use crate::peer::{PeerError, Peers, next_within};
use crate::results::read::prefix_hash;
use crate::results::store::disk::Disk;

/// Bytes sent at once.
const CHUNK: u64 = 256 << 10;
/// Bytes after which durability is asked for.
const FLUSH_AT: u64 = 1 << 20;
/// What a node reads and hashes in a second at least.
const READ_IN_A_SECOND: u64 = 64 << 20;

/// How far the owner's file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Goal {
    /// Bytes in the file.
    pub(super) written: u64,
    /// Up to where durability is waited for.
    pub(super) flush: u64,
}

/// How far a copy is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CopyState {
    /// Bytes of whole records that are durable.
    pub(super) durable: u64,
    /// Their hash; 0 where it is not known.
    pub(super) hash: u64,
    /// Why it is done without.
    pub(super) lost: Option<String>,
    /// It is lost because a newer epoch is being written.
    pub(super) superseded: bool,
}

/// What is copied, and to whom.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) peers: Peers,
    pub(super) node: NodeId,
    pub(super) job: JobId,
    pub(super) epoch: Epoch,
    pub(super) file: Arc<File>,
    pub(super) disk: Disk,
    pub(super) place: Option<TraceContext>,
}

/// Why a copy is lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Peer(#[from] PeerError),
    #[error("this node's own file: {0}")]
    Io(#[from] io::Error),
    #[error("no sign of life for {0:?}")]
    Silent(Duration),
    #[error("it ended the copy")]
    Ended,
}

/// Keeps one copy up to its goal until the owner's writer is gone, or the copy is lost.
pub(super) async fn run(
    subject: Subject,
    goal: watch::Receiver<Goal>,
    state: watch::Sender<CopyState>,
) {
    let written = goal.borrow().written;
    let outcome = match Pump::begin(subject, written, &state).await {
        Ok(pump) => pump.run(goal, &state).await,
        Err(lost) => Err(lost),
    };
    if let Err(lost) = outcome {
        state.send_modify(|state| {
            state.superseded = lost.is_superseded();
            state.lost = Some(lost.to_string());
        });
    }
}

impl Lost {
    fn is_superseded(&self) -> bool {
        match self {
            Self::Peer(error) => error.is_aborted(),
            Self::Io(_) | Self::Silent(_) | Self::Ended => false,
        }
    }
}

struct Pump {
    subject: Subject,
    requests: mpsc::Sender<StoreResultRequest>,
    answers: Streaming<StoreResultResponse>,
    sent: u64,
    /// Of what is sent.
    hash: Xxh3,
    /// Up to where durability was asked for.
    asked: u64,
    /// Answers that are due.
    owed: u64,
    restart: bool,
}

impl Pump {
    async fn begin(
        subject: Subject,
        written: u64,
        state: &watch::Sender<CopyState>,
    ) -> Result<Self, Lost> {
        let node = subject.node;
        // The other side reads all it has before it answers.
        let limit = subject.peers.copy_patience() + Duration::from_secs(written / READ_IN_A_SECOND);
        let (requests, receiver) = mpsc::channel(1);
        let open = Kind::Open(OpenCopy {
            call: subject.peers.caller().call(node),
            job: subject.job.0,
            epoch: subject.epoch.0,
        });
        let open = StoreResultRequest { kind: Some(open) };
        requests.send(open).await.map_err(|_| Lost::Ended)?;
        let stream = ReceiverStream::new(receiver);
        let storing = subject
            .peers
            .store_result(node, limit, subject.place.as_ref(), stream);
        let mut answers = storing.await?;
        let first = next_within(node, limit, &mut answers).await?;
        let there = first.ok_or(Lost::Ended)?;
        let file = Arc::clone(&subject.file);
        let same = move || {
            if there.length > file.metadata()?.len() {
                return Ok(None);
            }
            let hash = prefix_hash(&file, there.length)?;
            Ok((hash.digest() == there.hash).then_some(hash))
        };
        let same = subject.disk.run(same).await.map_err(io::Error::other)?;
        let same = same.map_err(|error: io::Error| Lost::Io(error))?;
        let restart = same.is_none() && there.length > 0;
        let sent = if same.is_some() { there.length } else { 0 };
        let hash = same.unwrap_or_else(Xxh3::new);
        if sent > 0 {
            note(state, sent, there.hash);
        }
        Ok(Self {
            subject,
            requests,
            answers,
            sent,
            hash,
            asked: sent,
            owed: 0,
            restart,
        })
    }

    async fn run(
        mut self,
        mut goal: watch::Receiver<Goal>,
        state: &watch::Sender<CopyState>,
    ) -> Result<(), Lost> {
        let patience = self.subject.peers.copy_patience();
        let mut due: Option<Instant> = None;
        loop {
            let now = *goal.borrow_and_update();
            let more = self.sent < now.written || self.asked < now.flush;
            let owes = more || self.owed > 0;
            due = owes.then(|| due.unwrap_or_else(|| Instant::now() + patience));
            let late = due.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                answer = self.answers.message() => {
                    let node = self.subject.node;
                    let answer = answer.map_err(|status| PeerError::failed(node, status))?;
                    let answer = answer.ok_or(Lost::Ended)?;
                    note(state, answer.length, answer.hash);
                    self.owed = self.owed.saturating_sub(1);
                    due = None;
                }
                changed = goal.changed() => if changed.is_err() { return Ok(()) },
                () = sleep_until(late), if due.is_some() => return Err(Lost::Silent(patience)),
                place = self.requests.clone().reserve_owned(), if more => {
                    // Without a receiver the answers say why.
                    if let Ok(place) = place {
                        let append = self.next(now).await?;
                        place.send(StoreResultRequest { kind: Some(Kind::Append(append)) });
                    }
                }
            }
        }
    }

    /// What goes out next.
    async fn next(&mut self, goal: Goal) -> Result<AppendCopy, Lost> {
        let length = goal.written.saturating_sub(self.sent).min(CHUNK);
        let (file, at) = (Arc::clone(&self.subject.file), self.sent);
        let read = move || {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut bytes, at).map(|()| bytes)
        };
        let data = self
            .subject
            .disk
            .run(read)
            .await
            .map_err(io::Error::other)??;
        let hash = self.hash.digest();
        self.hash.update(&data);
        self.sent += length;
        let wanted = self.sent >= goal.flush && self.asked < goal.flush;
        let flush = wanted || self.sent - self.asked >= FLUSH_AT;
        if flush {
            self.asked = self.sent;
            self.owed += 1;
        }
        Ok(AppendCopy {
            offset: at,
            hash,
            data: data.into(),
            flush,
            restart: std::mem::take(&mut self.restart),
        })
    }
}

fn note(state: &watch::Sender<CopyState>, durable: u64, hash: u64) {
    state.send_modify(|state| {
        (state.durable, state.hash) = (durable, hash);
    });
}
