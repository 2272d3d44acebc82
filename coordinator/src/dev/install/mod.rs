//! The pinned pyspark in the cache folder, installed once: a virtual environment of its own, a
//! marker written last. Several starts at once are served one after the other by a lock file; an
//! interrupted installation is taken up by the next start, in the middle of its download too.
//!
//! [`source`] asks pip where its file is, [`download`] fetches it in pieces, [`pip`] installs it.
//! Where pip does not say, it downloads by itself, as it can: from the beginning each time.
//!
//! **Invariant:** nothing is installed from a file whose SHA-256 is not the one of pip's index.

#[cfg(test)]
#[path = "../../../tests/dev/archive.rs"]
mod archive;
mod download;
mod pip;
mod places;
mod source;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use download::DownloadError;
pub(super) use places::{Places, Pyspark};

use super::console::{Console, Step};
use super::guard::tail;
use super::{DevError, PYSPARK_VERSION};
use download::Download;
use source::Source;

/// How long one start waits for another that installs.
const LOCK_LIMIT: Duration = Duration::from_secs(30 * 60);
/// How often it looks, and how often progress moves.
const TICK: Duration = Duration::from_millis(200);
/// Lines of output that an error shows.
const TAIL_LINES: usize = 15;

/// Installs pyspark, unless it is there by the time that it is this start's turn.
///
/// # Errors
/// When a step fails, with the end of its output; when another start installs for too long.
///
/// # Cancel safety
/// Dropping it ends pip; the next call starts over, but for what is downloaded already.
pub(super) async fn install(
    places: &Places,
    python: &Path,
    console: Console,
) -> Result<Pyspark, DevError> {
    let files = |path: &Path| {
        let path = path.to_owned();
        move |source| DevError::Files { path, source }
    };
    if let Some(cache) = places.venv.parent() {
        std::fs::create_dir_all(cache).map_err(files(cache))?;
    }
    let _lock = lock(places, console).await?;
    if let Some(pyspark) = places.installed() {
        return Ok(pyspark);
    }
    let began = Instant::now();
    console.say(&format!(
        "installing pyspark {PYSPARK_VERSION} in {} (once; about 460 MB to download, 0.5 GB on disk)",
        places.venv.display()
    ));
    places.clear().map_err(files(&places.venv))?;
    let step = console.step("making a virtual environment");
    pip::make_venv(places, python, &step).await?;
    let file = fetched(places, python, &step).await?;
    pip::install(places, python, file.as_deref(), &step).await?;
    step.now("checking the installation");
    let pyspark = places.installed().ok_or_else(|| DevError::Install {
        step: "checking the installation",
        log: places.log.clone(),
        tail: tail(&places.log, TAIL_LINES),
    })?;
    places.tidy();
    step.done(&format!(
        "installed pyspark {PYSPARK_VERSION} in {} s",
        began.elapsed().as_secs()
    ));
    Ok(pyspark)
}

/// The file to install from; `None` if pip is to download it, which is said unless pip has it at
/// hand.
async fn fetched(places: &Places, python: &Path, step: &Step) -> Result<Option<PathBuf>, DevError> {
    step.now("asking pip's index");
    let why = match source::ask(places, python).await {
        Ok(Source::Local) => return Ok(None),
        Ok(Source::Remote(remote)) => {
            let download = Download::new(&remote, places);
            match download.run(step).await {
                Ok(file) => return Ok(Some(file)),
                // pip may know a way, and nothing is lost if it begins anew.
                Err(e) if e.is_refusal() && !download.has_begun() => e.with_cause(),
                Err(source) => return Err(DevError::Download { source }),
            }
        }
        Err(why) => why,
    };
    step.say(&format!(
        "pip downloads by itself, from the beginning if it is interrupted: {why}"
    ));
    Ok(None)
}

async fn lock(places: &Places, console: Console) -> Result<File, DevError> {
    let files = |source| DevError::Files {
        path: places.lock.clone(),
        source,
    };
    let file = File::create(&places.lock).map_err(files)?;
    let deadline = Instant::now() + LOCK_LIMIT;
    let mut waiting = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(files(source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(DevError::InstallLocked {
                    minutes: LOCK_LIMIT.as_secs() / 60,
                    log: places.log.clone(),
                });
            }
            Err(TryLockError::WouldBlock) => {
                waiting.get_or_insert_with(|| {
                    console.step("waiting for another start of libra that installs pyspark")
                });
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_start_waits_for_the_one_that_installs() {
        let cache = TempDir::new().unwrap();
        let places = places::fake(&cache);
        let held = File::create(&places.lock).unwrap();
        held.lock().unwrap();
        let python = Path::new("/nowhere/python");
        let waiting = install(&places, python, Console::new());
        tokio::pin!(waiting);
        let early = tokio::time::timeout(TICK * 3, &mut waiting).await;
        assert!(early.is_err(), "it waits");
        drop(held);
        assert!(
            waiting.await.is_ok(),
            "it finds what the other has installed"
        );
    }
}
