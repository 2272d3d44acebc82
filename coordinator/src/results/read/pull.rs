//! Where one reader is in a file that other nodes hold.
//!
//! **Invariant:** it holds one message of the stream; everything beyond waits on the other side, or
//! in the stream's window.

use bytes::Bytes;
use libra_proto::peer::ReadResultResponse;
use libra_proto::types::NodeId;
use tonic::Streaming;

use crate::peer::{PeerError, Peers};

/// Bytes that are rather read and thrown away than skipped by a new stream: as many may be on
/// their way already.
const SKIPPED_MOST: u64 = 512 << 10;

/// A place in a remote file.
#[derive(Debug, Default)]
pub(super) struct Pull {
    /// Which of the holders is read from.
    pub(super) turn: usize,
    /// The place of the first byte of `chunk`.
    at: u64,
    chunk: Bytes,
    stream: Option<(NodeId, Streaming<ReadResultResponse>)>,
}

impl Pull {
    /// Goes to a place; the stream goes on if the place is not far ahead.
    pub(super) fn seek(&mut self, at: u64) {
        let near = at >= self.at && at - self.at <= SKIPPED_MOST + self.chunk.len() as u64;
        if !near {
            self.stream = None;
        }
        if !near || self.stream.is_none() {
            let ahead = at
                .checked_sub(self.at)
                .and_then(|skip| usize::try_from(skip).ok());
            match ahead.filter(|ahead| *ahead <= self.chunk.len()) {
                Some(ahead) => drop(self.chunk.split_to(ahead)),
                None => self.chunk = Bytes::new(),
            }
            self.at = at;
        }
    }

    /// Takes what is at hand of the bytes from `at` on, at most `most`; none if the stream has to
    /// go on first.
    pub(super) fn take(&mut self, at: u64, most: usize) -> Bytes {
        let skipped = usize::try_from(at - self.at)
            .map_or(self.chunk.len(), |skip| skip.min(self.chunk.len()));
        drop(self.chunk.split_to(skipped));
        let taken = self.chunk.split_to(most.min(self.chunk.len()));
        self.at += (skipped + taken.len()) as u64;
        taken
    }

    /// Whether a stream is under way.
    pub(super) fn is_flowing(&self) -> bool {
        self.stream.is_some()
    }

    /// The place of the next byte that a stream has to bring.
    pub(super) fn next_at(&self) -> u64 {
        self.at + self.chunk.len() as u64
    }

    pub(super) fn flow(&mut self, node: NodeId, stream: Streaming<ReadResultResponse>) {
        self.stream = Some((node, stream));
    }

    /// Leaves the node that is read from, and goes on with the next one.
    pub(super) fn leave(&mut self) {
        self.stream = None;
        self.turn += 1;
    }

    /// Gets the next message of the stream under way. Only to be called with nothing at hand.
    pub(super) async fn pull(&mut self, peers: &Peers) -> Result<(), PeerError> {
        let Some((node, stream)) = &mut self.stream else {
            return Ok(());
        };
        let node = *node;
        let limit = peers.answer_limit();
        let next = crate::peer::next_within(node, limit, stream).await?;
        let ended = PeerError::Nonsense {
            node,
            what: "with fewer bytes than it was asked for",
        };
        self.chunk = next.filter(|next| !next.data.is_empty()).ok_or(ended)?.data;
        Ok(())
    }
}
