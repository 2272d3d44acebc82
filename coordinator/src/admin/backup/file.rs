//! The form of a backup file: the magic, then frames of `length | crc32 | body`.
//!
//! PURE: no runtime, no disk and no clock; bytes in, bytes out.
//!
//! **Invariant:** a file is whole and right, or it is said what is wrong with it; no length in it is
//! taken for granted.

use libra_proto::admin::{BackupFrame, BackupHeader, BackupTrailer, backup_frame};
use libra_proto::registry::SnapshotRecord;
use prost::Message;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

const MAGIC: &[u8; 8] = b"LIBRABK1";
const HEAD_BYTES: usize = 8;
/// No record comes near this; a length beyond it is damage, not a reason to allocate.
const BODY_BYTES_MOST: usize = 16 << 20;

/// Why bytes are no backup.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedBackup {
    /// They do not begin as one.
    #[error("it does not begin as a backup does, or as one of a form that is not known here")]
    Magic,
    /// A frame is longer than any can be.
    #[error("frame {frame} claims {bytes} bytes")]
    TooLong {
        /// Which, from 0.
        frame: u64,
        /// What it claims.
        bytes: usize,
    },
    /// A frame does not match its checksum.
    #[error("frame {frame} is damaged")]
    Damaged {
        /// Which, from 0.
        frame: u64,
    },
    /// A frame holds what cannot stand there.
    #[error("frame {frame} is not what belongs there")]
    Misplaced {
        /// Which, from 0.
        frame: u64,
    },
    /// Records are missing, or the whole is not what was written.
    #[error("its end does not match what came before")]
    Trailer,
    /// It ends before its end.
    #[error("it is cut off after {bytes} bytes")]
    CutOff {
        /// How long it is.
        bytes: u64,
    },
}

/// Writes a backup.
#[derive(Default)]
pub(super) struct Writer {
    hash: Xxh3,
    bytes: u64,
    records: u64,
}

impl Writer {
    /// The beginning of the file.
    pub(super) fn begin(&mut self, header: BackupHeader) -> Vec<u8> {
        let mut bytes = self.note(MAGIC.to_vec());
        let frame = framed(backup_frame::Frame::Header(header));
        bytes.extend(self.note(frame));
        bytes
    }

    /// One record.
    pub(super) fn record(&mut self, record: &SnapshotRecord) -> Vec<u8> {
        self.records += 1;
        let body = record.encode_to_vec().into();
        let frame = framed(backup_frame::Frame::Record(body));
        self.note(frame)
    }

    /// The end of the file.
    pub(super) fn end(&mut self, state_hash: u64) -> Vec<u8> {
        let trailer = BackupTrailer {
            records: self.records,
            hash: self.hash.digest(),
            state_hash,
        };
        let frame = framed(backup_frame::Frame::Trailer(trailer));
        self.note(frame)
    }

    /// How much has been written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many records.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    fn note(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.hash.update(&bytes);
        self.bytes += bytes.len() as u64;
        bytes
    }
}

fn framed(frame: backup_frame::Frame) -> Vec<u8> {
    let frame = BackupFrame { frame: Some(frame) };
    let body = frame.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// What a file is made of.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::admin) enum Part {
    /// The first.
    Header(BackupHeader),
    /// In order.
    Record(Box<SnapshotRecord>),
}

/// What a whole file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupSummary {
    /// Of when and of what it is.
    pub header: BackupHeader,
    /// Its end.
    pub trailer: BackupTrailer,
    /// Its length.
    pub bytes: u64,
}

/// Reads a backup as its bytes come in.
#[derive(Default)]
pub struct BackupReader {
    /// What has not been read yet.
    left: Vec<u8>,
    hash: Xxh3,
    bytes: u64,
    frames: u64,
    header: Option<BackupHeader>,
    trailer: Option<BackupTrailer>,
    has_magic: bool,
}

impl BackupReader {
    /// Takes the next bytes of the file and checks them.
    ///
    /// # Errors
    /// What is wrong with them; nothing further can be read then.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), MalformedBackup> {
        self.push(bytes).map(drop)
    }

    /// Takes the next bytes of the file; gives what is complete by now.
    pub(in crate::admin) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Part>, MalformedBackup> {
        self.left.extend_from_slice(bytes);
        let mut parts = Vec::new();
        let mut at = 0;
        if !self.has_magic {
            let Some(magic) = self.left.get(..MAGIC.len()) else {
                return Ok(parts);
            };
            if magic != MAGIC {
                return Err(MalformedBackup::Magic);
            }
            self.has_magic = true;
            at = MAGIC.len();
            self.note(0, at);
        }
        while let Some((body, next)) = self.body(at)? {
            let frame = self.frame(body)?;
            if self.trailer.is_some() {
                return Err(self.misplaced());
            }
            match frame {
                backup_frame::Frame::Header(header) if self.frames == 0 => {
                    self.header = Some(header.clone());
                    parts.push(Part::Header(header));
                }
                backup_frame::Frame::Record(record) if self.frames > 0 => {
                    let record = SnapshotRecord::decode(record).map_err(|_| self.misplaced())?;
                    parts.push(Part::Record(Box::new(record)));
                }
                backup_frame::Frame::Trailer(trailer) if self.frames > 0 => {
                    // The header is no record.
                    let records = self.frames - 1;
                    if trailer.records != records || trailer.hash != self.hash.digest() {
                        return Err(MalformedBackup::Trailer);
                    }
                    self.trailer = Some(trailer);
                }
                backup_frame::Frame::Header(_)
                | backup_frame::Frame::Record(_)
                | backup_frame::Frame::Trailer(_) => return Err(self.misplaced()),
            }
            self.frames += 1;
            self.note(at, next);
            at = next;
        }
        self.left.drain(..at);
        if self.trailer.is_some() && !self.left.is_empty() {
            return Err(self.misplaced());
        }
        Ok(parts)
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// When the end of the file has not been read.
    pub fn finish(self) -> Result<BackupSummary, MalformedBackup> {
        let bytes = self.bytes + self.left.len() as u64;
        match (self.header, self.trailer) {
            (Some(header), Some(trailer)) => Ok(BackupSummary {
                header,
                trailer,
                bytes,
            }),
            (_, _) => Err(MalformedBackup::CutOff { bytes }),
        }
    }

    /// Where the body of the frame at that place is, and where the next frame is.
    fn body(&self, at: usize) -> Result<Option<(std::ops::Range<usize>, usize)>, MalformedBackup> {
        let number = |from: usize| {
            let bytes = self.left.get(from..from + 4)?;
            bytes.try_into().ok().map(u32::from_le_bytes)
        };
        let (Some(length), Some(checksum)) = (number(at), number(at + 4)) else {
            return Ok(None);
        };
        let length = length as usize;
        let frame = self.frames;
        if length > BODY_BYTES_MOST {
            return Err(MalformedBackup::TooLong {
                frame,
                bytes: length,
            });
        }
        let body = at + HEAD_BYTES..at + HEAD_BYTES + length;
        let Some(bytes) = self.left.get(body.clone()) else {
            return Ok(None);
        };
        if crc32fast::hash(bytes) != checksum {
            return Err(MalformedBackup::Damaged { frame });
        }
        let next = body.end;
        Ok(Some((body, next)))
    }

    fn frame(&self, body: std::ops::Range<usize>) -> Result<backup_frame::Frame, MalformedBackup> {
        let bytes = self.left.get(body).unwrap_or_default();
        let frame = BackupFrame::decode(bytes)
            .ok()
            .and_then(|frame| frame.frame);
        frame.ok_or_else(|| self.misplaced())
    }

    fn misplaced(&self) -> MalformedBackup {
        MalformedBackup::Misplaced { frame: self.frames }
    }

    fn note(&mut self, from: usize, to: usize) {
        if let Some(bytes) = self.left.get(from..to) {
            self.hash.update(bytes);
        }
        self.bytes += to.saturating_sub(from) as u64;
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
