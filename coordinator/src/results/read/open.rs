//! Opening a sealed file.
//!
//! What is not whole here is read from another holder, which does the same before it serves.
//!
//! **Invariant:** the whole file is read and hashed before the first byte of it is served, once as
//! long as its index is remembered; later each record is still held against its own checksum. A small
//! file that was just written is served from the memory it was hashed in, and one that the registry
//! holds itself from there.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use libra_proto::registry::ResultManifest;
use libra_proto::spark::DataType;
use libra_proto::types::{Epoch, JobId};
use prost::Message;

use super::{ReadError, ResultReader, Sealed, Source};
use crate::results::render;
use crate::results::store::ResultStore;
use crate::results::store::cache::Known;
use crate::results::store::format::Kind;
use crate::results::store::index::Index;
use crate::results::store::scan::{self, Record, Scanned};

impl ResultStore {
    /// Opens a finished result for reading, from here or from another node that holds it.
    ///
    /// # Errors
    /// When it is neither stored here nor to be had from another node within a few seconds, or what
    /// is stored does not match the manifest.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn reader(
        &self,
        job: JobId,
        manifest: &ResultManifest,
    ) -> Result<ResultReader, ReadError> {
        let schema = DataType::decode(manifest.schema.as_slice())
            .map_err(|error| damaged(job, format!("its schema in the manifest: {error}")))?;
        let fields = render::fields(schema);
        let (source, index) = match self.source(job, manifest).await {
            Ok(found) => found,
            Err(here) => self.remote_source(job, manifest, here).await?,
        };
        let disk = match source {
            Source::Remote(_) => self.remote_reads(),
            Source::File(_) | Source::Memory(_) => self.reads(),
        };
        let disk = disk.clone();
        Ok(ResultReader {
            inner: Arc::new(Sealed {
                job,
                source,
                end: manifest.file_length,
                rows: manifest.rows,
                truncated: manifest.truncated,
                columns: render::columns(&fields),
                fields,
                index,
                disk,
                counters: self.metrics().read.clone(),
            }),
        })
    }

    /// Whether a sealed file is here, whole.
    pub(crate) async fn is_here(&self, job: JobId, manifest: &ResultManifest) -> bool {
        self.source(job, manifest).await.is_ok()
    }

    /// What of a sealed file is here.
    pub(super) async fn source(
        &self,
        job: JobId,
        manifest: &ResultManifest,
    ) -> Result<(Source, Arc<Index>), ReadError> {
        let known = match self.cached(job, manifest) {
            Some(Known {
                index,
                whole: Some(bytes),
            }) => return Ok((Source::Memory(bytes), index)),
            Some(Known { index, whole: None }) => Some(index),
            None => None,
        };
        if !manifest.inline.is_empty() {
            return self.inline_source(job, manifest);
        }
        let path = self.path(job, Epoch(manifest.epoch));
        let wanted = manifest.clone();
        let opened = self.reads().run(move || open(&path, job, &wanted, known));
        let (file, index) = opened.await.map_err(|error| ReadError::Io {
            job,
            cause: error.to_string(),
        })??;
        let known = Known {
            index: Arc::clone(&index),
            whole: None,
        };
        self.remember(job, manifest, known);
        Ok((Source::File(file), index))
    }

    /// What the registry holds itself.
    fn inline_source(
        &self,
        job: JobId,
        manifest: &ResultManifest,
    ) -> Result<(Source, Arc<Index>), ReadError> {
        let (bytes, epoch) = (manifest.inline.clone(), Epoch(manifest.epoch));
        check_length(job, bytes.len() as u64, manifest)?;
        let index = check(job, manifest, |visit| {
            scan::scan_bytes(&bytes, job, epoch, visit)
        })?;
        let index = Arc::new(index);
        let known = Known {
            index: Arc::clone(&index),
            whole: Some(bytes.clone()),
        };
        self.remember(job, manifest, known);
        Ok((Source::Memory(bytes), index))
    }
}

fn damaged(job: JobId, cause: String) -> ReadError {
    ReadError::Damaged { job, cause }
}

fn open(
    path: &Path,
    job: JobId,
    manifest: &ResultManifest,
    known: Option<Arc<Index>>,
) -> Result<(File, Arc<Index>), ReadError> {
    let failed = |error: io::Error| failed(job, &error);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    check_length(job, length, manifest)?;
    if let Some(index) = known {
        return Ok((file, index));
    }
    let index = check(job, manifest, |visit| {
        scan::scan(&file, job, Epoch(manifest.epoch), visit)
    })?;
    Ok((file, Arc::new(index)))
}

fn failed(job: JobId, error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::NotHere {
            job,
            tried: String::new(),
        },
        _ => ReadError::Io {
            job,
            cause: error.to_string(),
        },
    }
}

fn check_length(job: JobId, length: u64, manifest: &ResultManifest) -> Result<(), ReadError> {
    let wanted = manifest.file_length;
    if length != wanted {
        let cause = format!("its length is {length}, the manifest says {wanted}");
        return Err(damaged(job, cause));
    }
    Ok(())
}

/// Holds what `scan` reads against the manifest, and says where its batches are.
fn check(
    job: JobId,
    manifest: &ResultManifest,
    scan: impl FnOnce(&mut dyn FnMut(Record)) -> io::Result<Scanned>,
) -> Result<Index, ReadError> {
    let mut index = Index::default();
    let scanned = scan(&mut |record| {
        if record.head.kind == Kind::Batch && record.head.rows > 0 {
            index.push(record.head.start, record.at);
        }
    });
    let scanned = scanned.map_err(|error| failed(job, &error))?;
    if let Some(stop) = &scanned.stop {
        return Err(damaged(job, stop.to_string()));
    }
    let (hash, wanted) = (scanned.hash.digest(), manifest.file_hash);
    if hash != wanted {
        return Err(damaged(
            job,
            format!("its hash is {hash:016x}, the manifest says {wanted:016x}"),
        ));
    }
    Ok(index)
}
