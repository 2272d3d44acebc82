//! A stored file, or its begin, brought here as a whole.
//!
//! **Invariant:** a file has its name only when all its bytes are here, match the hash that was
//! named, and are durable. Less than 2 MiB of it are in memory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use libra_proto::peer::{FileId, ReadResultRequest, ReadResultResponse};
use libra_proto::registry::{Holder, ResultManifest};
use libra_proto::types::{Epoch, JobId, NodeId};
use thiserror::Error;
use tonic::Streaming;
use xxhash_rust::xxh3::Xxh3;

use crate::peer::{PeerError, next_within};
use crate::results::read::{ReadError, Serving, file_id, opening_limit};
use crate::results::store::format::{self, HEADER_LEN};
use crate::results::store::{ResultStore, names};

/// A file that could not be brought here.
#[derive(Debug, Error)]
pub enum CopyError {
    /// This store knows no other nodes.
    #[error("this store is alone")]
    Alone,
    /// The other node does not answer, or has it not.
    #[error("the file cannot be had")]
    Peer(#[from] PeerError),
    /// It cannot be read from this node's own disk.
    #[error("the file cannot be read")]
    Read(#[from] ReadError),
    /// What came is not what was named.
    #[error("{length} bytes of hash {hash:016x} came")]
    Other {
        /// Bytes that came.
        length: u64,
        /// Their hash.
        hash: u64,
    },
    /// The disk refused.
    #[error("the copy cannot be stored")]
    Io(#[from] io::Error),
}

/// Where a file's bytes come from.
enum Origin {
    Here(Serving),
    There(NodeId, Streaming<ReadResultResponse>),
}

/// A file being written under another name.
struct Landing {
    part: PathBuf,
    file: File,
    /// Of the bytes as they came.
    hash: Xxh3,
    came: u64,
    header: Vec<u8>,
}

impl ResultStore {
    /// Makes this node a holder of a sealed result, which it fetches from another one; nothing is
    /// done if it is one.
    ///
    /// # Errors
    /// When the other node does not give it, or the disk refuses.
    ///
    /// # Cancel safety
    /// May be dropped at any time: then nothing is stored, and another call begins anew.
    pub async fn copy_result(
        &self,
        job: JobId,
        manifest: &ResultManifest,
        from: NodeId,
    ) -> Result<Holder, CopyError> {
        self.copy_sealed(file_id(job, manifest), from).await
    }

    /// [`Self::copy_result`], for one who has no manifest.
    pub(crate) async fn copy_sealed(
        &self,
        file: FileId,
        from: NodeId,
    ) -> Result<Holder, CopyError> {
        if self.is_whole(file).await {
            return Ok(self.holder());
        }
        self.fetch(file, Some(from), Epoch(file.epoch), false)
            .await?;
        Ok(self.holder())
    }

    /// Brings a file, or its begin, here, as the file of `epoch`; from this node's own disk if no
    /// other is named.
    pub(super) async fn fetch(
        &self,
        file: FileId,
        from: Option<NodeId>,
        epoch: Epoch,
        prefix: bool,
    ) -> Result<(), CopyError> {
        let request = ReadResultRequest {
            file: Some(file),
            to: file.length,
            prefix,
            ..ReadResultRequest::default()
        };
        let mut origin = match from {
            None => Origin::Here(self.serve(file, &request).await?),
            Some(node) => {
                let peers = self.peers().ok_or(CopyError::Alone)?;
                let limit = opening_limit(peers, file.length);
                Origin::There(node, peers.read_result(node, limit, request).await?)
            }
        };
        let path = self.path(JobId(file.job), epoch);
        let header = format::encode_header(JobId(file.job), epoch);
        let begin = move || Landing::begin(&path, header);
        let mut landing = self.writes().run(begin).await.map_err(io::Error::other)??;
        while let Some(bytes) = self.next(&mut origin).await? {
            let put = move || landing.put(&bytes).map(|()| landing);
            landing = self.writes().run(put).await.map_err(io::Error::other)??;
        }
        let path = self.path(JobId(file.job), epoch);
        let finish = move || landing.finish(&path, file);
        self.writes().run(finish).await.map_err(io::Error::other)?
    }

    async fn next(&self, origin: &mut Origin) -> Result<Option<Bytes>, CopyError> {
        match origin {
            Origin::Here(serving) => Ok(serving.next().await?),
            Origin::There(node, stream) => {
                let limit = self.peers().ok_or(CopyError::Alone)?.answer_limit();
                let next = next_within(*node, limit, stream).await?;
                Ok(next.map(|next| next.data))
            }
        }
    }
}

impl Landing {
    fn begin(path: &Path, header: Vec<u8>) -> io::Result<Self> {
        let part = names::part(path);
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).open(&part)
        };
        let file = match (open(), path.parent()) {
            (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                names::create(folder)?;
                open()?
            }
            (opened, _) => opened?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        Ok(Self {
            part,
            file,
            hash: Xxh3::new(),
            came: 0,
            header,
        })
    }

    /// Takes the next bytes; the header of the file they come from is exchanged for this one's.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.came == 0 {
            self.file.write_all(&self.header)?;
        }
        self.hash.update(bytes);
        let header_left = HEADER_LEN.saturating_sub(self.came);
        self.came += bytes.len() as u64;
        let skipped = usize::try_from(header_left).unwrap_or(usize::MAX);
        self.file
            .write_all(bytes.get(skipped..).unwrap_or_default())
    }

    fn finish(self, path: &Path, expected: FileId) -> Result<(), CopyError> {
        let (length, hash) = (self.came, self.hash.digest());
        if length != expected.length || hash != expected.hash {
            std::fs::remove_file(&self.part)?;
            return Err(CopyError::Other { length, hash });
        }
        self.file.sync_data()?;
        std::fs::rename(&self.part, path)?;
        path.parent().map_or(Ok(()), names::sync)?;
        Ok(())
    }
}
