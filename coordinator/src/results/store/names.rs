//! Names of result files: `<dir>/<two hex digits>/job-<number>-epoch-<number>.result`, spread over
//! 256 folders so that none grows long.
//!
//! **Invariant:** a name that is not of this form is never listed and never removed.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libra_proto::types::{Epoch, JobId};

use super::StoredResult;

const FOLDERS: u64 = 256;

fn folder(dir: &Path, job: JobId) -> PathBuf {
    dir.join(format!("{:02x}", job.0 % FOLDERS))
}

/// Where a job's file of an epoch is.
pub(crate) fn path(dir: &Path, job: JobId, epoch: Epoch) -> PathBuf {
    folder(dir, job).join(format!("{job}-epoch-{epoch}.result"))
}

/// Where a file of this name is put together before it gets the name.
pub(crate) fn part(path: &Path) -> PathBuf {
    path.with_extension("part")
}

fn is_part(name: &str) -> bool {
    let stem = name.strip_suffix(".part");
    stem.is_some_and(|stem| parse(&format!("{stem}.result")).is_some())
}

fn parse(name: &str) -> Option<(JobId, Epoch)> {
    let (job, epoch) = name.strip_suffix(".result")?.split_once("-epoch-")?;
    Some((job.parse().ok()?, Epoch(epoch.parse().ok()?)))
}

/// Makes the store's folder and all folders in it, durably: a writer has only its own name to sync.
pub(crate) fn create_root(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for number in 0..FOLDERS {
        let folder = folder(dir, JobId(number));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove_parts(&folder)?,
            made => made?,
        }
    }
    sync(dir)?;
    dir.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), sync)
}

/// Removes what an earlier process has left unfinished.
fn remove_parts(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_part) {
            gone_is_fine(fs::remove_file(entry.path()))?;
        }
    }
    Ok(())
}

/// Makes a folder that somebody has removed, durably.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    made(fs::create_dir(folder))?;
    folder.parent().map_or(Ok(()), sync)
}

/// Makes the names in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn made(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Removes all files of a job and counts them.
pub(crate) fn remove(dir: &Path, job: JobId) -> io::Result<usize> {
    let mut removed = 0;
    for (entry, (owner, _)) in entries(&folder(dir, job))? {
        if owner == job && gone_is_fine(fs::remove_file(entry.path()))?.is_some() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes the files of a job that are of another epoch, and counts them.
pub(crate) fn remove_others(dir: &Path, job: JobId, keep: Epoch) -> io::Result<usize> {
    let mut removed = 0;
    for epoch in epochs(dir, job)?.into_iter().filter(|epoch| *epoch != keep) {
        if gone_is_fine(fs::remove_file(path(dir, job, epoch)))?.is_some() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// The epochs of a job's files.
pub(crate) fn epochs(dir: &Path, job: JobId) -> io::Result<Vec<Epoch>> {
    let found = entries(&folder(dir, job))?.into_iter();
    let found = found.filter(|(_, (owner, _))| *owner == job);
    Ok(found.map(|(_, (_, epoch))| epoch).collect())
}

/// Lists all files of the store.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<StoredResult>> {
    let mut listed = Vec::new();
    for folder in fs::read_dir(dir)? {
        for (entry, (job, epoch)) in entries(&folder?.path())? {
            // One removed since the folder was read is simply no longer there.
            let Some(metadata) = gone_is_fine(entry.metadata())? else {
                continue;
            };
            let age = metadata.modified()?.elapsed().unwrap_or(Duration::ZERO);
            listed.push(StoredResult {
                job,
                epoch,
                length: metadata.len(),
                age,
            });
        }
    }
    Ok(listed)
}

fn entries(folder: &Path) -> io::Result<Vec<(DirEntry, (JobId, Epoch))>> {
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        read => gone_is_fine(read)?,
    };
    let mut found = Vec::new();
    for entry in read.into_iter().flatten() {
        let entry = entry?;
        if let Some(key) = entry.file_name().to_str().and_then(parse) {
            found.push((entry, key));
        }
    }
    Ok(found)
}

fn gone_is_fine<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        let path = path(Path::new("r"), JobId(513), Epoch(7));
        assert_eq!(path, Path::new("r/01/job-513-epoch-7.result"));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(parse(name), Some((JobId(513), Epoch(7))));
        let part = part(&path);
        assert!(is_part(part.file_name().unwrap().to_str().unwrap()));
        assert!(!is_part(name) && !is_part("notes.part"));
        for bad in [
            "job-1.result",
            "job-01-epoch-2.result",
            "job-1-epoch-2",
            "x",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
