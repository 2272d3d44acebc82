//! Reads a backup file of this machine through and says whether it is whole.
//!
//! **Invariant:** what counts as whole is decided where the file's form is: in
//! `coordinator/src/admin/backup`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use libra_proto::admin::BackupHeader;

use crate::admin::BackupReader;
use crate::cli::admin::error::AdminError;

const CHUNK: usize = 1 << 20;

/// A file that is whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Whole {
    pub(super) header: BackupHeader,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// Reads the file through.
///
/// # Errors
/// When it cannot be read, or is not whole.
pub(super) fn check(path: &Path) -> Result<Whole, AdminError> {
    let unreadable = |source| AdminError::File {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let damaged = |error: crate::admin::MalformedBackup| AdminError::Damaged {
        path: path.to_owned(),
        what: error.to_string(),
    };
    let mut reader = BackupReader::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        reader.check(&chunk[..read]).map_err(damaged)?;
    }
    let summary = reader.finish().map_err(damaged)?;
    Ok(Whole {
        header: summary.header,
        records: summary.trailer.records,
        bytes: summary.bytes,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use libra_proto::admin::backup_frame::Frame;
    use libra_proto::admin::{BackupFrame, BackupTrailer};
    use prost::Message as _;
    use xxhash_rust::xxh3::Xxh3;

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

    /// A file that is whole, written as `backup.proto` says.
    pub(in crate::cli::admin) fn example() -> Vec<u8> {
        let mut bytes = b"LIBRABK1".to_vec();
        bytes.extend(framed(Frame::Header(header())));
        bytes.extend(framed(Frame::Record(bytes::Bytes::new())));
        let mut hash = Xxh3::new();
        hash.update(&bytes);
        let trailer = BackupTrailer {
            records: 1,
            hash: hash.digest(),
            state_hash: 7,
        };
        bytes.extend(framed(Frame::Trailer(trailer)));
        bytes
    }

    #[test]
    fn a_whole_file_says_what_it_is_and_any_other_that_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b");
        let missing = check(&path).unwrap_err();
        assert!(matches!(missing, AdminError::File { .. }), "{missing}");
        let bytes = example();
        std::fs::write(&path, &bytes).unwrap();
        let whole = Whole {
            header: header(),
            records: 1,
            bytes: u64::try_from(bytes.len()).unwrap(),
        };
        assert_eq!(check(&path).unwrap(), whole);
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let cut = check(&path).unwrap_err();
            assert!(matches!(cut, AdminError::Damaged { .. }), "{length}: {cut}");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, bytes).unwrap();
            assert!(check(&path).is_err(), "{at}");
        }
    }
}
