//! Whether the disk has room: a full one is met by refusing early, not by failing late.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::DiskPolicy;

const RESERVE_FILE: &str = "reserve";

/// What is known of the free space under a data directory.
#[derive(Debug)]
pub(crate) struct Space {
    data_dir: PathBuf,
    policy: DiskPolicy,
    free: AtomicU64,
}

impl Space {
    pub(crate) fn new(data_dir: &Path, policy: DiskPolicy) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            policy,
            free: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn policy(&self) -> DiskPolicy {
        self.policy
    }

    /// Free bytes when last looked at.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Whether nothing more may be accepted.
    pub(crate) fn is_full(&self) -> bool {
        self.free() < self.policy.min_free_bytes
    }

    /// Looks again; gives the reserve up when the disk is full, and takes it back when there is
    /// room for it and some more.
    pub(crate) fn refresh(&self) -> io::Result<()> {
        let free = free_bytes(&self.data_dir)?;
        self.free.store(free, Ordering::Relaxed);
        let reserve = self.data_dir.join(RESERVE_FILE);
        let roomy = free
            > self
                .policy
                .min_free_bytes
                .saturating_add(2 * self.policy.reserve_bytes);
        if self.is_full() {
            remove_if_there(&reserve)
        } else if roomy && self.policy.reserve_bytes > 0 && !reserve.exists() {
            write_reserve(&reserve, self.policy.reserve_bytes)
        } else {
            Ok(())
        }
    }
}

fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Really takes the space: a sparse file would keep nothing in reserve.
fn write_reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let filled = fs::File::create(path).and_then(|mut file| {
        let mut zeros = io::Read::take(io::repeat(0), bytes);
        io::copy(&mut zeros, &mut file)?;
        file.sync_all()
    });
    filled.inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let policy = |min_free_bytes| DiskPolicy {
            min_free_bytes,
            reserve_bytes: 4096,
        };
        let reserve = dir.path().join(RESERVE_FILE);

        let roomy = Space::new(dir.path(), policy(1));
        roomy.refresh().unwrap();
        assert!(!roomy.is_full());
        assert_eq!(fs::metadata(&reserve).unwrap().len(), 4096);

        let full = Space::new(dir.path(), policy(u64::MAX));
        full.refresh().unwrap();
        assert!(full.is_full());
        assert!(!reserve.exists());
    }
}
