//! A stored file as another node reads it.
//!
//! **Invariant:** nothing of a file is given out that has not the length and the hash that were
//! asked for; one chunk in memory, and the next only when it is asked for.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use libra_proto::peer::{FileId, ReadResultRequest};
use libra_proto::registry::ResultManifest;
use libra_proto::types::{Epoch, JobId};
use xxhash_rust::xxh3::Xxh3;

use super::pull::Pull;
use super::{ReadError, Source};
use crate::results::store::ResultStore;
use crate::results::store::disk::Disk;
use crate::results::store::index::Index;

/// Bytes given out at once.
const CHUNK: u64 = 256 << 10;

/// A file being given out.
#[derive(Debug)]
pub(crate) struct Serving {
    job: JobId,
    source: Arc<Source>,
    index: Arc<Index>,
    at: u64,
    to: u64,
    disk: Disk,
}

impl ResultStore {
    /// Opens what is stored here for another node.
    ///
    /// # Errors
    /// When it is not stored here, or is not what was asked for.
    pub(crate) async fn serve(
        &self,
        file: FileId,
        request: &ReadResultRequest,
    ) -> Result<Serving, ReadError> {
        let job = JobId(file.job);
        let (source, index) = if request.prefix {
            (self.prefix(file).await?, Arc::default())
        } else {
            let wanted = ResultManifest {
                epoch: file.epoch,
                file_length: file.length,
                file_hash: file.hash,
                ..ResultManifest::default()
            };
            self.source(job, &wanted).await?
        };
        Ok(Serving {
            job,
            source: Arc::new(source),
            index,
            at: request.from,
            to: request.to.min(file.length),
            disk: self.reads().clone(),
        })
    }

    /// Opens a file whose begin is what was asked for.
    async fn prefix(&self, wanted: FileId) -> Result<Source, ReadError> {
        let job = JobId(wanted.job);
        let path = self.path(job, Epoch(wanted.epoch));
        let open = move || {
            let file = File::open(path)?;
            let hash = prefix_hash(&file, wanted.length)?.digest();
            Ok((file, hash))
        };
        let opened = self
            .reads()
            .run(open)
            .await
            .map_err(|error| broken_off(job, &error))?;
        let (file, hash) = opened.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => ReadError::NotHere {
                job,
                tried: String::new(),
            },
            _ => broken_off(job, &error),
        })?;
        if hash != wanted.hash {
            return Err(ReadError::Damaged {
                job,
                cause: format!(
                    "the hash of its first {} bytes is {hash:016x}",
                    wanted.length
                ),
            });
        }
        Ok(Source::File(file))
    }
}

/// XXH3-64 of the first bytes of a file, to be gone on with.
pub(crate) fn prefix_hash(file: &File, length: u64) -> io::Result<Xxh3> {
    let mut hash = Xxh3::new();
    let mut chunk = vec![0; usize::try_from(length.min(CHUNK)).unwrap_or(0)];
    let mut at = 0;
    while at < length {
        let most = usize::try_from(length - at).unwrap_or(usize::MAX);
        let most = most.min(chunk.len());
        let part = chunk.get_mut(..most).unwrap_or_default();
        file.read_exact_at(part, at)?;
        hash.update(part);
        at += part.len() as u64;
    }
    Ok(hash)
}

fn broken_off(job: JobId, error: &impl ToString) -> ReadError {
    ReadError::Io {
        job,
        cause: error.to_string(),
    }
}

impl Serving {
    /// The places of the batches.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The next bytes; none when all that was asked for has been given.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let (at, job) = (self.at, self.job);
        let length = self.to.saturating_sub(at).min(CHUNK);
        let Some(length) = usize::try_from(length).ok().filter(|length| *length > 0) else {
            return Ok(None);
        };
        let source = Arc::clone(&self.source);
        let read = move || source.read(&mut Pull::default(), at, length);
        let read = self.disk.run(read).await;
        let read = read.map_err(|error| broken_off(job, &error))?;
        let bytes = read.map_err(|error| broken_off(job, &error))?;
        self.at += length as u64;
        Ok(Some(bytes.into()))
    }
}
