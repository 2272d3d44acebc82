//! Opening a sealed file.
//!
//! What is not whole here is read from another holder, which does the same before it serves.
//!
//! **Invariant:** the whole file is read and hashed before the first byte of it is served, once as
//! long as its index is remembered; later each record is still held against its own checksum. A small
//! file that was just written is served from the memory it was hashed in.

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
use crate::results::store::scan::{self, Scanned};

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
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::NotHere {
            job,
            tried: String::new(),
        },
        _ => ReadError::Io {
            job,
            cause: error.to_string(),
        },
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length != manifest.file_length {
        let wanted = manifest.file_length;
        return Err(damaged(
            job,
            format!("its length is {length}, the manifest says {wanted}"),
        ));
    }
    if let Some(index) = known {
        return Ok((file, index));
    }
    let mut index = Index::default();
    let scanned = scan::scan(&file, job, Epoch(manifest.epoch), |record| {
        if record.head.kind == Kind::Batch && record.head.rows > 0 {
            index.push(record.head.start, record.at);
        }
    });
    check(job, manifest, &scanned.map_err(failed)?)?;
    Ok((file, Arc::new(index)))
}

fn check(job: JobId, manifest: &ResultManifest, scanned: &Scanned) -> Result<(), ReadError> {
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
    Ok(())
}
