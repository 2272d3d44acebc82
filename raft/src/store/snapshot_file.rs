//! One snapshot in one file.
//!
//! `LBRSNAP` and a format byte, then frames of `u32 length | bytes`: a header, then the registry's
//! records; a frame of length 0 ends them, and a trailer of `u64 frames | u64 xxh3` covers all that
//! went before. A file is whole or it is not used.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use libra_proto::raft as disk;
use libra_proto::registry::SnapshotRecord;
use prost::Message;
use xxhash_rust::xxh3::Xxh3;

use super::codec::{
    log_id_from_disk, log_id_to_disk, stored_membership_from_disk, stored_membership_to_disk,
};
use crate::registry::{Registry, RestoreError};
use crate::type_config::SnapshotMeta;

const MAGIC: &[u8; 7] = b"LBRSNAP";
/// The newest format; 1 since 2026-11-22.
const FORMAT: u8 = 1;
/// No record comes near this; a length beyond it is damage, not a reason to allocate.
const MAX_FRAME_BYTES: usize = 64 << 20;

/// A whole snapshot on disk.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    pub(crate) path: PathBuf,
    pub(crate) meta: SnapshotMeta,
}

impl SnapshotFile {
    /// Index up to which it covers the log, exclusive.
    pub(crate) fn next_index(&self) -> u64 {
        self.meta.last_log_id.map_or(0, |id| id.index + 1)
    }
}

/// Why a snapshot file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("format {found}")]
    NewerFormat { found: u8 },
    #[error("{reason}")]
    Damaged { reason: String },
    #[error("its records make no registry")]
    Restore(#[source] RestoreError),
    #[error("it is of cluster `{found}`")]
    OtherCluster { found: String },
}

fn damaged(reason: impl Into<String>) -> ReadError {
    ReadError::Damaged {
        reason: reason.into(),
    }
}

/// Writes a snapshot into `path`, which must not be seen as one before it is renamed, and syncs it.
pub(crate) fn write(
    path: &Path,
    cluster_name: &str,
    meta: &SnapshotMeta,
    records: impl Iterator<Item = SnapshotRecord>,
) -> io::Result<()> {
    let header = disk::SnapshotFileHeader {
        cluster_name: cluster_name.to_owned(),
        last_log_id: meta.last_log_id.as_ref().map(log_id_to_disk),
        membership: Some(stored_membership_to_disk(&meta.last_membership)),
    };
    let mut out = Hashed::new(BufWriter::new(File::create(path)?));
    out.write_all(MAGIC)?;
    out.write_all(&[FORMAT])?;
    write_frame(&mut out, &header)?;
    let mut frames: u64 = 0;
    for record in records {
        write_frame(&mut out, &record)?;
        frames += 1;
    }
    out.write_all(&0u32.to_le_bytes())?;
    out.write_all(&frames.to_le_bytes())?;
    let hash = out.hash();
    out.write_all(&hash.to_le_bytes())?;
    let file = out
        .inner
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

fn write_frame(out: &mut impl Write, message: &impl Message) -> io::Result<()> {
    let bytes = message.encode_to_vec();
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(&bytes)
}

/// Reads a snapshot; answers only if all of it is whole.
pub(crate) fn read(path: &Path, cluster_name: &str) -> Result<(SnapshotMeta, Registry), ReadError> {
    let mut input = Hashed::new(BufReader::new(File::open(path)?));
    check_format(&mut input)?;
    let header = read_frame(&mut input)?.ok_or_else(|| damaged("it has no header"))?;
    let header = disk::SnapshotFileHeader::decode(header.as_slice())
        .map_err(|error| damaged(error.to_string()))?;
    if header.cluster_name != cluster_name {
        return Err(ReadError::OtherCluster {
            found: header.cluster_name,
        });
    }
    let mut records = Records {
        input,
        frames: 0,
        end: None,
    };
    let registry = Registry::restore(records.by_ref());
    // A cut or damaged file is told of as such, not by what is missing from it.
    records.check_end()?;
    let registry = registry.map_err(ReadError::Restore)?;
    Ok((meta_of(&header)?, registry))
}

fn meta_of(header: &disk::SnapshotFileHeader) -> Result<SnapshotMeta, ReadError> {
    let stored = header.membership.as_ref().map(stored_membership_from_disk);
    Ok(SnapshotMeta {
        last_log_id: header.last_log_id.as_ref().map(log_id_from_disk),
        last_membership: stored.transpose().map_err(damaged)?.unwrap_or_default(),
    })
}

fn check_format(input: &mut impl Read) -> Result<(), ReadError> {
    let mut start = [0; 8];
    input.read_exact(&mut start).map_err(cut)?;
    match start.split_last() {
        Some((format, magic)) if magic == MAGIC => match *format {
            FORMAT => Ok(()),
            0 => Err(damaged("format 0")),
            found => Err(ReadError::NewerFormat { found }),
        },
        Some(_) | None => Err(damaged("it is no snapshot")),
    }
}

fn cut(error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        damaged("it is cut short")
    } else {
        ReadError::Io(error)
    }
}

/// The next frame, or none at the end of frames.
fn read_frame(input: &mut impl Read) -> Result<Option<Vec<u8>>, ReadError> {
    let mut len = [0; 4];
    input.read_exact(&mut len).map_err(cut)?;
    let len = u32::from_le_bytes(len) as usize;
    if len == 0 {
        return Ok(None);
    }
    if len > MAX_FRAME_BYTES {
        return Err(damaged(format!("a record of {len} bytes")));
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes).map_err(cut)?;
    Ok(Some(bytes))
}

/// The records of a file, up to its end or the first thing wrong with it.
struct Records {
    input: Hashed<BufReader<File>>,
    frames: u64,
    end: Option<Result<(), ReadError>>,
}

impl Records {
    fn next_record(&mut self) -> Result<Option<SnapshotRecord>, ReadError> {
        let Some(bytes) = read_frame(&mut self.input)? else {
            return Ok(None);
        };
        self.frames += 1;
        let record = SnapshotRecord::decode(bytes.as_slice());
        record.map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Reads on to the end and checks the trailer.
    fn check_end(mut self) -> Result<(), ReadError> {
        // Records that the registry did not ask for any more.
        while self.end.is_none() {
            self.next();
        }
        self.end.unwrap_or(Ok(()))?;
        let mut frames = [0; 8];
        self.input.read_exact(&mut frames).map_err(cut)?;
        let expected = self.input.hash();
        let mut hash = [0; 8];
        self.input.read_exact(&mut hash).map_err(cut)?;
        if u64::from_le_bytes(frames) != self.frames {
            return Err(damaged("records are missing"));
        }
        if u64::from_le_bytes(hash) != expected {
            return Err(damaged("its checksum does not match"));
        }
        match self.input.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(damaged("something follows its end")),
        }
    }
}

impl Iterator for Records {
    type Item = SnapshotRecord;

    fn next(&mut self) -> Option<SnapshotRecord> {
        if self.end.is_some() {
            return None;
        }
        match self.next_record() {
            Ok(Some(record)) => Some(record),
            Ok(None) => {
                self.end = Some(Ok(()));
                None
            }
            Err(error) => {
                self.end = Some(Err(error));
                None
            }
        }
    }
}

/// Hashes what goes through it.
struct Hashed<T> {
    inner: T,
    hasher: Box<Xxh3>,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: Box::default(),
        }
    }

    fn hash(&self) -> u64 {
        self.hasher.digest()
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::log_id;

    fn written() -> (tempfile::TempDir, PathBuf, SnapshotMeta) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let meta = SnapshotMeta {
            last_log_id: Some(log_id(3, 17)),
            ..SnapshotMeta::default()
        };
        let mut registry = Registry::default();
        registry.advance(17, 3);
        write(&path, "c", &meta, registry.snapshot()).unwrap();
        (dir, path, meta)
    }

    #[test]
    fn it_reads_back() {
        let (_dir, path, meta) = written();
        let (found, registry) = read(&path, "c").unwrap();
        assert_eq!(found, meta);
        assert_eq!(registry.applied_index(), 17);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let (_dir, path, _) = written();
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            assert!(read(&path, "c").is_err(), "byte {place}");
            std::fs::write(&path, &whole[..place]).unwrap();
            assert!(read(&path, "c").is_err(), "cut at {place}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        std::fs::write(&path, &longer).unwrap();
        assert!(read(&path, "c").is_err());
    }

    #[test]
    fn a_newer_format_and_another_cluster_are_told() {
        let (_dir, path, _) = written();
        assert!(matches!(
            read(&path, "d"),
            Err(ReadError::OtherCluster { .. })
        ));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[7] = 2;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(
            read(&path, "c"),
            Err(ReadError::NewerFormat { found: 2 })
        ));
    }
}
