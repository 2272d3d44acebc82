//! Reads a result file record by record, checking every byte, with little memory.
//!
//! **Invariant:** a record is reported only when its checksum fits, and the hash covers exactly the
//! header and the records reported.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use libra_proto::types::{Epoch, JobId};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use super::format::{self, BadHeader, HEAD_LEN, HEADER_LEN, Head, Kind};

/// Read at once.
const CHUNK: usize = 256 << 10;

/// A whole record.
pub(crate) struct Record {
    /// Where it begins.
    pub(crate) at: u64,
    pub(crate) head: Head,
    pub(crate) id: String,
    /// The payload of a schema; of other kinds it is only checked.
    pub(crate) schema: Option<Vec<u8>>,
}

/// Why a scan went no further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Stop {
    /// No header, or not this file's.
    #[error("{0}")]
    Header(BadHeader),
    /// A record that is not whole.
    #[error("the record at byte {at} {why}")]
    Record { at: u64, why: &'static str },
}

/// How far a file is good.
pub(crate) struct Scanned {
    /// Bytes of header and whole records; 0 without a header.
    pub(crate) good: u64,
    /// Bytes of the file.
    pub(crate) len: u64,
    /// XXH3 of the good bytes.
    pub(crate) hash: Xxh3,
    /// What ended the scan before the file's end.
    pub(crate) stop: Option<Stop>,
}

/// Reads a file from its begin and reports every whole record.
pub(crate) fn scan(
    file: &File,
    job: JobId,
    epoch: Epoch,
    visit: impl FnMut(Record),
) -> io::Result<Scanned> {
    let len = file.metadata()?.len();
    let capacity = usize::try_from(len).map_or(CHUNK, |len| len.min(CHUNK));
    let mut reader = BufReader::with_capacity(capacity, file);
    reader.rewind()?;
    scan_from(reader, len, job, epoch, visit)
}

/// The same of a file's bytes.
pub(crate) fn scan_bytes(
    bytes: &[u8],
    job: JobId,
    epoch: Epoch,
    visit: impl FnMut(Record),
) -> io::Result<Scanned> {
    scan_from(bytes, bytes.len() as u64, job, epoch, visit)
}

fn scan_from(
    mut reader: impl BufRead,
    len: u64,
    job: JobId,
    epoch: Epoch,
    mut visit: impl FnMut(Record),
) -> io::Result<Scanned> {
    let mut scanned = Scanned {
        good: 0,
        len,
        hash: Xxh3::new(),
        stop: None,
    };
    let mut header = Vec::new();
    (&mut reader).take(HEADER_LEN).read_to_end(&mut header)?;
    if let Err(bad) = format::check_header(&header, job, epoch) {
        scanned.stop = Some(Stop::Header(bad));
        return Ok(scanned);
    }
    scanned.hash.update(&header);
    scanned.good = HEADER_LEN;
    while scanned.good < scanned.len {
        let mut hash = scanned.hash.clone();
        let left = scanned.len - scanned.good;
        match read_record(&mut reader, scanned.good, left, &mut hash)? {
            Ok(record) => {
                scanned.good += record.head.record_len();
                scanned.hash = hash;
                visit(record);
            }
            Err(why) => {
                let at = scanned.good;
                scanned.stop = Some(Stop::Record { at, why });
                break;
            }
        }
    }
    Ok(scanned)
}

/// Reads one record; `Ok(Err(why))` if it is not whole.
fn read_record(
    reader: &mut impl BufRead,
    at: u64,
    left: u64,
    hash: &mut Xxh3,
) -> io::Result<Result<Record, &'static str>> {
    if left < HEAD_LEN as u64 {
        return Ok(Err("is incomplete"));
    }
    let mut bytes = [0; HEAD_LEN];
    reader.read_exact(&mut bytes)?;
    let Some(head) = Head::parse(&bytes) else {
        return Ok(Err("has no valid head"));
    };
    if head.record_len() > left {
        return Ok(Err("is incomplete"));
    }
    let mut sum = format::checksum(&bytes);
    hash.update(&bytes);
    let mut id = vec![0; head.id_len];
    reader.read_exact(&mut id)?;
    sum.update(&id);
    hash.update(&id);
    let mut kept = (head.kind == Kind::Schema).then(Vec::new);
    for_each_chunk(reader, head.payload_len, |chunk| {
        sum.update(chunk);
        hash.update(chunk);
        if let Some(kept) = &mut kept {
            kept.extend_from_slice(chunk);
        }
    })?;
    if sum.finalize() != head.crc {
        return Ok(Err("does not match its checksum"));
    }
    Ok(String::from_utf8(id)
        .map_err(|_| "has no valid response id")
        .map(|id| Record {
            at,
            head,
            id,
            schema: kept,
        }))
}

fn for_each_chunk(
    reader: &mut impl BufRead,
    mut left: u64,
    mut visit: impl FnMut(&[u8]),
) -> io::Result<()> {
    while left > 0 {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        visit(buffer.get(..taken).unwrap_or_default());
        reader.consume(taken);
        left -= taken as u64;
    }
    Ok(())
}
