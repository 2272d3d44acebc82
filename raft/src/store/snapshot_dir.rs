//! The directory of snapshots: the newest two are kept, and the log from the older one on, so that
//! a damaged newest file costs nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libra_proto::registry::SnapshotRecord;
use tokio::sync::watch;

use super::snapshot_file::{self, ReadError, SnapshotFile};
use crate::error::StartError;
use crate::registry::Registry;
use crate::type_config::{LogId, SnapshotMeta};

const KEPT: usize = 2;
const SUFFIX: &str = "snap";
const DAMAGED_SUFFIX: &str = "damaged";

#[derive(Debug)]
pub(crate) struct SnapshotDir {
    dir: PathBuf,
    cluster_name: String,
    /// Oldest first.
    files: Mutex<Vec<SnapshotFile>>,
    /// Index that the newest covers the log up to, exclusive.
    newest: watch::Sender<u64>,
}

/// What a registry starts from.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    pub(crate) meta: SnapshotMeta,
    pub(crate) registry: Registry,
}

impl SnapshotDir {
    /// Opens the directory and restores the newest snapshot that log and snapshots allow.
    pub(crate) fn open(
        dir: &Path,
        cluster_name: &str,
        purged: Option<LogId>,
    ) -> Result<(Self, Restored), StartError> {
        fs::create_dir_all(dir).map_err(|e| StartError::io("create", dir, e))?;
        let names = list(dir).map_err(|e| StartError::io("list", dir, e))?;
        let mut files = Vec::new();
        let mut restored = None;
        let mut refused = Vec::new();
        for path in names.into_iter().rev() {
            match snapshot_file::read(&path, cluster_name) {
                Ok((meta, registry)) => {
                    files.insert(
                        0,
                        SnapshotFile {
                            path,
                            meta: meta.clone(),
                        },
                    );
                    restored.get_or_insert(Restored { meta, registry });
                }
                Err(ReadError::NewerFormat { found }) => {
                    return Err(StartError::NewerFormat {
                        path,
                        found: found.into(),
                        supported: 1,
                    });
                }
                Err(error) => refused.push((path, error)),
            }
        }
        let restored = restored.unwrap_or_default();
        check_covered(dir, purged, &restored.meta, &refused)?;
        set_aside(refused);
        let newest = restored.meta.last_log_id.map_or(0, |id| id.index + 1);
        let dir = Self {
            dir: dir.to_owned(),
            cluster_name: cluster_name.to_owned(),
            files: Mutex::new(files),
            newest: watch::Sender::new(newest),
        };
        Ok((dir, restored))
    }

    /// Writes a new snapshot and drops the oldest.
    pub(crate) fn write(
        &self,
        meta: SnapshotMeta,
        records: impl Iterator<Item = SnapshotRecord>,
    ) -> io::Result<SnapshotFile> {
        let path = self.dir.join(file_name(&meta));
        let fresh = path.with_extension("tmp");
        snapshot_file::write(&fresh, &self.cluster_name, &meta, records)?;
        fs::rename(&fresh, &path)?;
        super::sync_dir(&self.dir)?;
        let file = SnapshotFile { path, meta };
        self.add(file.clone());
        Ok(file)
    }

    /// Reads a snapshot of this cluster, ours or one that was received.
    pub(crate) fn read(&self, file: &SnapshotFile) -> io::Result<(SnapshotMeta, Registry)> {
        snapshot_file::read(&file.path, &self.cluster_name).map_err(io::Error::other)
    }

    /// A new name for a file that is received; what is left of it goes with the next start.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.dir
            .join(format!("received-{}.tmp", uuid::Uuid::new_v4()))
    }

    pub(crate) fn newest(&self) -> Option<SnapshotFile> {
        self.lock().last().cloned()
    }

    /// Index up to which the log is no longer needed, exclusive: what the older one covers.
    pub(crate) fn purgeable(&self) -> Option<u64> {
        let files = self.lock();
        (files.len() == KEPT).then(|| files.first().map_or(0, SnapshotFile::next_index))
    }

    /// Index that the newest covers the log up to, exclusive.
    pub(crate) fn watch_newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Bytes of the newest; 0 without one.
    pub(crate) fn newest_bytes(&self) -> u64 {
        let found = self.newest().map(|file| fs::metadata(file.path));
        found.and_then(Result::ok).map_or(0, |found| found.len())
    }

    fn add(&self, file: SnapshotFile) {
        let mut files = self.lock();
        files.retain(|kept| kept.path != file.path);
        files.push(file);
        files.sort_by_key(|file| file.meta.last_log_id);
        while files.len() > KEPT {
            let old = files.remove(0);
            if let Err(error) = fs::remove_file(&old.path) {
                tracing::warn!(path = %old.path.display(), error = %error, "old snapshot not removed");
            }
        }
        let newest = files.last().map_or(0, SnapshotFile::next_index);
        drop(files);
        self.newest.send_replace(newest);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SnapshotFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names sort as the log does.
fn file_name(meta: &SnapshotMeta) -> String {
    let (index, term) = meta
        .last_log_id
        .map_or((0, 0), |id| (id.index, *id.leader_id));
    format!("{index:020}-{term:020}.{SUFFIX}")
}

/// The snapshots there are, oldest first. What a crash left half written is removed.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some(SUFFIX) => names.push(path),
            Some("tmp") => fs::remove_file(&path)?,
            Some(_) | None => {}
        }
    }
    names.sort();
    Ok(names)
}

/// The log must go on where the snapshot ends.
fn check_covered(
    dir: &Path,
    purged: Option<LogId>,
    meta: &SnapshotMeta,
    refused: &[(PathBuf, ReadError)],
) -> Result<(), StartError> {
    let Some(purged) = purged.filter(|purged| meta.last_log_id.is_none_or(|id| id < *purged))
    else {
        return Ok(());
    };
    let found = match refused.first() {
        Some((path, error)) => format!("{} refused: {}", path.display(), chain(error)),
        None => match meta.last_log_id {
            Some(id) => format!("one up to index {}", id.index),
            None => "none".to_owned(),
        },
    };
    Err(StartError::Snapshot {
        path: dir.to_owned(),
        found,
        expected: format!("one from index {} on, where the log begins", purged.index),
    })
}

fn set_aside(refused: Vec<(PathBuf, ReadError)>) {
    for (path, error) in refused {
        tracing::error!(
            path = %path.display(),
            reason = chain(&error),
            "damaged snapshot set aside; an older one and the log make up for it"
        );
        if let Err(error) = fs::rename(&path, path.with_extension(DAMAGED_SUFFIX)) {
            tracing::warn!(path = %path.display(), error = %error, "damaged snapshot not renamed");
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_config::log_id;

    fn snapshot_at(dir: &SnapshotDir, index: u64) -> PathBuf {
        let meta = SnapshotMeta {
            last_log_id: Some(log_id(1, index)),
            ..SnapshotMeta::default()
        };
        let mut registry = Registry::default();
        registry.advance(index, 1);
        dir.write(meta, registry.snapshot()).unwrap().path
    }

    #[test]
    fn the_newest_two_are_kept() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, _) = SnapshotDir::open(temp.path(), "c", None).unwrap();
        assert_eq!(dir.purgeable(), None);
        for index in [10, 20, 30] {
            snapshot_at(&dir, index);
        }
        assert_eq!(
            (dir.purgeable(), *dir.watch_newest().borrow()),
            (Some(21), 31)
        );
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
        let (_, restored) = SnapshotDir::open(temp.path(), "c", Some(log_id(1, 20))).unwrap();
        assert_eq!(restored.registry.applied_index(), 30);
    }

    #[test]
    fn a_damaged_newest_falls_back_if_the_log_covers_the_gap() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, _) = SnapshotDir::open(temp.path(), "c", None).unwrap();
        snapshot_at(&dir, 10);
        let newest = snapshot_at(&dir, 20);
        fs::write(&newest, b"LBRSNAP").unwrap();

        let error = SnapshotDir::open(temp.path(), "c", Some(log_id(1, 15))).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("cut short") && text.contains("15"), "{text}");
        assert!(newest.exists(), "a refused start changes nothing");

        let (dir, restored) = SnapshotDir::open(temp.path(), "c", Some(log_id(1, 10))).unwrap();
        assert_eq!(restored.registry.applied_index(), 10);
        assert_eq!(dir.newest().unwrap().next_index(), 11);
        assert!(newest.with_extension(DAMAGED_SUFFIX).exists());
    }

    #[test]
    fn a_log_that_begins_without_its_snapshot_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let error = SnapshotDir::open(temp.path(), "c", Some(log_id(1, 15))).unwrap_err();
        assert!(error.to_string().contains("found none"), "{error}");
    }
}
