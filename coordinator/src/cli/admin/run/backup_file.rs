//! Reads a backup file through and says whether it is whole: see `backup.proto` for its form.
//!
//! **Invariant:** a file that passes is, byte for byte, what the node sent: every frame's checksum
//! and the hash over all of them are right, and nothing is missing at its end.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use libra_proto::admin::backup_frame::Frame;
use libra_proto::admin::{BackupFrame, BackupHeader};
use prost::Message as _;
use xxhash_rust::xxh3::Xxh3;

use crate::cli::admin::error::AdminError;

const MAGIC: &[u8; 8] = b"LIBRABK1";
/// No frame is longer: a length beyond it is damage, and not to be believed.
const LONGEST: u32 = 64 << 20;

/// A file that is whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Whole {
    pub(super) header: BackupHeader,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// What is wrong with a file.
enum Fault {
    Unreadable(io::Error),
    Damaged(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return damaged("it ends too early");
        }
        Self::Unreadable(error)
    }
}

fn damaged(what: impl Into<String>) -> Fault {
    Fault::Damaged(what.into())
}

/// Reads the file through.
///
/// # Errors
/// When it cannot be read, or is not whole.
pub(super) fn check(path: &Path) -> Result<Whole, AdminError> {
    let read = File::open(path).map_err(Fault::from).and_then(|file| {
        let mut reader = Reader::new(BufReader::with_capacity(1 << 20, file));
        reader.whole()
    });
    let path = path.to_owned();
    read.map_err(|fault| match fault {
        Fault::Unreadable(source) => AdminError::File {
            doing: "read",
            path,
            source,
        },
        Fault::Damaged(what) => AdminError::Damaged { path, what },
    })
}

struct Reader<R> {
    from: R,
    /// Of all bytes before the frame that is being read.
    hash: Xxh3,
    bytes: u64,
}

impl<R: Read> Reader<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            hash: Xxh3::new(),
            bytes: 0,
        }
    }

    fn whole(&mut self) -> Result<Whole, Fault> {
        let mut magic = [0; MAGIC.len()];
        self.from.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged("it is no backup of libra"));
        }
        self.took(&magic);
        let Frame::Header(header) = self.frame()? else {
            return Err(damaged("it does not begin with a header"));
        };
        let mut records = 0;
        loop {
            let before = self.hash.digest();
            match self.frame()? {
                Frame::Header(_) => return Err(damaged("it has two headers")),
                Frame::Record(_) => records += 1,
                Frame::Trailer(trailer) if trailer.records != records => {
                    let of = trailer.records;
                    return Err(damaged(format!("it has {records} of {of} records")));
                }
                Frame::Trailer(trailer) if trailer.hash != before => {
                    return Err(damaged("its hash does not fit"));
                }
                Frame::Trailer(_) => break,
            }
        }
        if self.from.read(&mut [0])? != 0 {
            return Err(damaged("something follows its end"));
        }
        let bytes = self.bytes;
        Ok(Whole {
            header,
            records,
            bytes,
        })
    }

    fn frame(&mut self) -> Result<Frame, Fault> {
        let (length, checksum) = (self.number()?, self.number()?);
        if length > LONGEST {
            return Err(damaged("a frame has a length that cannot be"));
        }
        let mut body = vec![0; usize::try_from(length).unwrap_or_default()];
        self.from.read_exact(&mut body)?;
        if crc32fast::hash(&body) != checksum {
            let at = self.bytes;
            return Err(damaged(format!(
                "the checksum of a frame before byte {at} is wrong"
            )));
        }
        self.took(&body);
        let frame = BackupFrame::decode(body.as_slice()).ok();
        let frame = frame.and_then(|frame| frame.frame);
        frame.ok_or_else(|| damaged("a frame of a kind that this command is too old for"))
    }

    fn number(&mut self) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes)?;
        self.took(&bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn took(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or_default();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use libra_proto::admin::BackupTrailer;
    use proptest::prelude::*;

    use super::*;

    fn framed(frame: Frame) -> Vec<u8> {
        let body = BackupFrame { frame: Some(frame) }.encode_to_vec();
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend(crc32fast::hash(&body).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    fn header() -> BackupHeader {
        BackupHeader {
            cluster_name: "prod".to_owned(),
            applied_index: 42,
            ..BackupHeader::default()
        }
    }

    fn backup(records: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(framed(Frame::Header(header())));
        for _ in 0..records {
            bytes.extend(framed(Frame::Record(bytes::Bytes::from_static(
                b"a record",
            ))));
        }
        let mut hash = Xxh3::new();
        hash.update(&bytes);
        let hash = hash.digest();
        bytes.extend(framed(Frame::Trailer(BackupTrailer {
            records,
            hash,
            state_hash: 7,
        })));
        bytes
    }

    /// A file that is whole.
    pub(in crate::cli::admin) fn example() -> Vec<u8> {
        backup(2)
    }

    fn read(bytes: &[u8]) -> Result<Whole, String> {
        Reader::new(bytes).whole().map_err(|fault| match fault {
            Fault::Unreadable(error) => error.to_string(),
            Fault::Damaged(what) => what,
        })
    }

    #[test]
    fn a_whole_file_says_what_it_is() {
        let bytes = backup(3);
        let whole = read(&bytes).unwrap();
        assert_eq!(whole.header, header());
        assert_eq!(whole.records, 3);
        assert_eq!(whole.bytes, u64::try_from(bytes.len()).unwrap());
    }

    #[test]
    fn what_is_no_backup_is_said() {
        assert_eq!(
            read(b"PK\x03\x04....").unwrap_err(),
            "it is no backup of libra"
        );
        assert_eq!(read(b"").unwrap_err(), "it ends too early");
        let mut longer = backup(1);
        longer.push(0);
        assert_eq!(read(&longer).unwrap_err(), "something follows its end");
    }

    proptest! {
        #[test]
        fn no_damage_passes(at in 0_usize..200, flip in 1_u8..) {
            let mut bytes = backup(2);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn no_part_passes(length in 0_usize..200) {
            let bytes = backup(2);
            let length = length % bytes.len();
            prop_assert!(read(&bytes[..length]).is_err());
        }
    }
}
