//! What is known of the files written or read lately: places of batches, so that the next page need
//! not read the whole file, and small files as a whole, so that their first page needs no disk.
//!
//! **Invariant:** it is only found by the very manifest it was verified against, and bytes are here
//! only if they were hashed for that manifest as they were written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use libra_proto::registry::ResultManifest;
use libra_proto::types::JobId;

use super::index::Index;

/// What is known of a sealed file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) index: Arc<Index>,
    /// All its bytes, of a small one.
    pub(crate) whole: Option<Bytes>,
}

/// Files remembered; an index is a few hundred KB at most, a small file a few KB.
const MOST: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    job: JobId,
    epoch: u64,
    length: u64,
    hash: u64,
}

impl Key {
    fn new(job: JobId, manifest: &ResultManifest) -> Self {
        Self {
            job,
            epoch: manifest.epoch,
            length: manifest.file_length,
            hash: manifest.file_hash,
        }
    }
}

/// The files used last, the latest in front.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: Mutex<VecDeque<(Key, Known)>>,
}

impl Cache {
    pub(crate) fn get(&self, job: JobId, manifest: &ResultManifest) -> Option<Known> {
        let key = Key::new(job, manifest);
        self.with(|entries| {
            let at = entries.iter().position(|(other, _)| *other == key)?;
            let entry = entries.remove(at)?;
            let known = entry.1.clone();
            entries.push_front(entry);
            Some(known)
        })
    }

    pub(crate) fn put(&self, job: JobId, manifest: &ResultManifest, known: Known) {
        let key = Key::new(job, manifest);
        self.with(|entries| {
            entries.retain(|(other, _)| *other != key);
            entries.push_front((key, known));
            entries.truncate(MOST);
        });
    }

    pub(crate) fn forget(&self, job: JobId) {
        self.with(|entries| entries.retain(|(key, _)| key.job != job));
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<(Key, Known)>) -> T) -> T {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(hash: u64) -> ResultManifest {
        ResultManifest {
            file_hash: hash,
            ..ResultManifest::default()
        }
    }

    #[test]
    fn keeps_the_latest_and_forgets_by_job() {
        let cache = Cache::default();
        for job in 0..=MOST as u64 {
            cache.put(JobId(job), &manifest(1), Known::default());
            assert!(cache.get(JobId(1), &manifest(1)).is_some() || job < 1);
        }
        assert!(
            cache.get(JobId(0), &manifest(1)).is_none(),
            "the oldest went"
        );
        assert!(cache.get(JobId(1), &manifest(2)).is_none(), "another file");
        cache.forget(JobId(1));
        assert!(cache.get(JobId(1), &manifest(1)).is_none());
    }
}
