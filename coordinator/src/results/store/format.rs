//! The bytes of a result file.
//!
//! ```text
//! file   = header record*
//! header = "LIBRARES" version:u32 job:u64 epoch:u64 crc32:u32        crc32 of what stands before it
//! record = length:u32 crc32:u32 body                                 both of the body
//! body   = kind:u8 id-length:u16 rows:u64 start:u64 id payload       little-endian throughout
//! ```
//!
//! `rows` are the rows of a batch, of a cut the rows that count; `start` is the first row.
//!
//! **Invariant:** nothing here touches a file.

use libra_proto::types::{Epoch, JobId};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"LIBRARES";
const VERSION: u32 = 1;

/// Bytes before the first record.
pub(crate) const HEADER_LEN: u64 = 32;
/// Bytes of a record before its id.
pub(crate) const HEAD_LEN: usize = PREFIX_LEN + FIXED_LEN;
/// Length and checksum.
const PREFIX_LEN: usize = 8;
/// Kind, length of the id, rows, start.
const FIXED_LEN: usize = 19;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An encoded `spark.connect.DataType`.
    Schema,
    /// An Arrow IPC stream of one batch.
    Batch,
    /// Spark said `result_complete`.
    Complete,
    /// A limit cut the result here.
    Cut,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Schema => 1,
            Self::Batch => 2,
            Self::Complete => 3,
            Self::Cut => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Schema, Self::Batch, Self::Complete, Self::Cut]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// A record's fixed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) rows: u64,
    pub(crate) start: u64,
    pub(crate) crc: u32,
    pub(crate) id_len: usize,
    pub(crate) payload_len: u64,
}

impl Head {
    /// Reads a head; `None` if these bytes cannot begin a record.
    pub(crate) fn parse(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let length = u64::from(u32::from_le_bytes(take(&mut rest)?));
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let kind = Kind::from_code(u8::from_le_bytes(take(&mut rest)?))?;
        let id_len = u16::from_le_bytes(take(&mut rest)?);
        let rows = u64::from_le_bytes(take(&mut rest)?);
        let start = u64::from_le_bytes(take(&mut rest)?);
        let payload_len = length.checked_sub(FIXED_LEN as u64 + u64::from(id_len))?;
        Some(Self {
            kind,
            rows,
            start,
            crc,
            id_len: usize::from(id_len),
            payload_len,
        })
    }

    /// Bytes of the whole record.
    pub(crate) fn record_len(&self) -> u64 {
        HEAD_LEN as u64 + self.id_len as u64 + self.payload_len
    }

    /// Bytes from the record's begin to its payload.
    pub(crate) fn payload_at(&self) -> u64 {
        HEAD_LEN as u64 + self.id_len as u64
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

/// A response that does not fit a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} of {length} bytes does not fit a record: at most {allowed}")]
pub(crate) struct TooLong {
    what: &'static str,
    length: usize,
    allowed: u64,
}

/// Begins a record's checksum with the part of its head that the checksum covers.
pub(crate) fn checksum(head: &[u8; HEAD_LEN]) -> crc32fast::Hasher {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head.get(PREFIX_LEN..).unwrap_or_default());
    hasher
}

/// Encodes a record up to its payload, which follows as it is.
pub(crate) fn encode_head(
    kind: Kind,
    id: &str,
    rows: u64,
    start: u64,
    payload: &[u8],
) -> Result<Vec<u8>, TooLong> {
    let id_len = u16::try_from(id.len()).map_err(|_| TooLong {
        what: "response id",
        length: id.len(),
        allowed: u64::from(u16::MAX),
    })?;
    let length = u32::try_from(FIXED_LEN + id.len() + payload.len()).map_err(|_| TooLong {
        what: "response",
        length: payload.len(),
        allowed: u64::from(u32::MAX) - FIXED_LEN as u64 - u64::from(id_len),
    })?;
    let mut body = Vec::with_capacity(FIXED_LEN + id.len());
    body.push(kind.code());
    body.extend(id_len.to_le_bytes());
    body.extend(rows.to_le_bytes());
    body.extend(start.to_le_bytes());
    body.extend(id.as_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&body);
    hasher.update(payload);
    let mut record = Vec::with_capacity(PREFIX_LEN + body.len());
    record.extend(length.to_le_bytes());
    record.extend(hasher.finalize().to_le_bytes());
    record.extend(body);
    Ok(record)
}

/// The header of a job's file.
pub(crate) fn encode_header(job: JobId, epoch: Epoch) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LEN as usize);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend(job.0.to_le_bytes());
    header.extend(epoch.0.to_le_bytes());
    header.extend(crc32fast::hash(&header).to_le_bytes());
    header
}

/// Why a header is not the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BadHeader {
    /// The bytes are no header.
    #[error("the header is damaged")]
    Damaged,
    /// Whole, but not this file's.
    #[error(
        "the header is of version {version}, {job}, epoch {epoch}, not of version {VERSION}, {expected_job}, epoch {expected_epoch}"
    )]
    Foreign {
        version: u32,
        job: JobId,
        epoch: Epoch,
        expected_job: JobId,
        expected_epoch: Epoch,
    },
}

/// Checks that a header is that of this job and epoch.
pub(crate) fn check_header(header: &[u8], job: JobId, epoch: Epoch) -> Result<(), BadHeader> {
    let mut rest = header;
    let mut read = || {
        let magic: [u8; 8] = take(&mut rest)?;
        let version = u32::from_le_bytes(take(&mut rest)?);
        let job = u64::from_le_bytes(take(&mut rest)?);
        let epoch = u64::from_le_bytes(take(&mut rest)?);
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let whole = &magic == MAGIC && crc32fast::hash(header.get(..header.len() - 4)?) == crc;
        whole.then_some((version, JobId(job), Epoch(epoch)))
    };
    let found = read().ok_or(BadHeader::Damaged)?;
    if found == (VERSION, job, epoch) {
        return Ok(());
    }
    Err(BadHeader::Foreign {
        version: found.0,
        job: found.1,
        epoch: found.2,
        expected_job: job,
        expected_epoch: epoch,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_read_back_as_written() {
        let bytes = encode_head(Kind::Batch, "resp", 7, 9, b"payload").unwrap();
        let head = Head::parse(bytes.first_chunk().unwrap()).unwrap();
        assert_eq!((head.kind, head.rows, head.start), (Kind::Batch, 7, 9));
        assert_eq!((head.id_len, head.payload_len), (4, 7));
        assert_eq!(head.record_len(), bytes.len() as u64 + 7);
        let mut sum = checksum(bytes.first_chunk().unwrap());
        sum.update(b"resp");
        sum.update(b"payload");
        assert_eq!(sum.finalize(), head.crc);
    }

    #[test]
    fn heads_that_cannot_be_are_refused() {
        let good = encode_head(Kind::Cut, "", 0, 0, b"").unwrap();
        let good: [u8; HEAD_LEN] = good.try_into().unwrap();
        assert!(Head::parse(&good).is_some());
        for (at, value) in [(8, 0), (8, 5), (0, 18)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(Head::parse(&bad), None, "byte {at} = {value}");
        }
        assert!(encode_head(Kind::Cut, &"x".repeat(65_536), 0, 0, b"").is_err());
    }

    #[test]
    fn headers_are_of_one_file_only() {
        let header = encode_header(JobId(5), Epoch(2));
        assert_eq!(header.len() as u64, HEADER_LEN);
        assert_eq!(check_header(&header, JobId(5), Epoch(2)), Ok(()));
        let foreign = check_header(&header, JobId(6), Epoch(2)).unwrap_err();
        assert_eq!(
            foreign.to_string(),
            "the header is of version 1, job-5, epoch 2, not of version 1, job-6, epoch 2"
        );
        for at in 0..header.len() {
            let mut bad = header.clone();
            bad[at] ^= 1;
            assert_eq!(
                check_header(&bad, JobId(5), Epoch(2)),
                Err(BadHeader::Damaged)
            );
        }
    }
}
