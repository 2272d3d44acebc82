//! The versions of what lies on disk.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::StartError;

const FILE: &str = "version";
const PREFIX: &str = "libra-raft ";

/// A version of the data directory's layout. A change that an older program would misread gets a
/// new variant, with its date and its reason; a field added to a message does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DataVersion {
    /// 2026-11-22, the first: sled log in chunks of 4 KiB, snapshots in files of their own, marker.
    V1 = 1,
}

impl DataVersion {
    pub(crate) const CURRENT: Self = Self::V1;

    pub(crate) fn number(self) -> u32 {
        self as u32
    }
}

/// Checks the version of a data directory, or writes it into a new one.
pub(crate) fn check(data_dir: &Path, is_new: bool) -> Result<(), StartError> {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => {
            let text = format!("{PREFIX}{}\n", DataVersion::CURRENT.number());
            return super::replace_file(&path, text.as_bytes())
                .map_err(|source| StartError::io("write", &path, source));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(StartError::io("read", &path, source)),
    };
    let found: Option<u32> = text
        .trim_end()
        .strip_prefix(PREFIX)
        .and_then(|n| n.parse().ok());
    match found {
        Some(found) if found > DataVersion::CURRENT.number() => Err(StartError::NewerFormat {
            path,
            found,
            supported: DataVersion::CURRENT.number(),
        }),
        Some(found) if found == DataVersion::V1.number() => Ok(()),
        Some(_) | None => Err(StartError::Guard {
            path,
            found: format!("`{}`", text.trim_end()),
            expected: "`libra-raft 1`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(dir.path().join(FILE), text).unwrap();
        assert!(matches!(
            check(dir.path(), false),
            Err(StartError::Guard { .. })
        ));
        check(dir.path(), true).unwrap();
        check(dir.path(), false).unwrap();
        write("libra-raft 2\n");
        let error = check(dir.path(), true).unwrap_err();
        assert!(matches!(
            error,
            StartError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ));
        for damaged in ["", "libra-raft", "libra-raft 0", "other 1"] {
            write(damaged);
            assert!(
                matches!(check(dir.path(), false), Err(StartError::Guard { .. })),
                "{damaged}"
            );
        }
    }
}
