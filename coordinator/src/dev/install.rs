//! The pinned pyspark in the cache folder, installed once: a virtual environment of its own, a
//! marker written last. Several starts at once are served one after the other by a lock file;
//! an interrupted installation is taken up by the next start, with what pip has in its cache.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::console::{Console, Step};
use super::guard::{Program, tail};
use super::{DevError, PYSPARK_VERSION, download};

/// How long one start waits for another that installs.
const LOCK_LIMIT: Duration = Duration::from_secs(30 * 60);
/// How often it looks, and how often progress moves.
const TICK: Duration = Duration::from_millis(200);
/// The file in the environment that says it is whole.
const MARKER: &str = ".libra-complete";

/// An installed pyspark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pyspark {
    /// The environment's Python.
    pub(super) python: PathBuf,
    /// `SPARK_HOME`.
    pub(super) spark_home: PathBuf,
}

/// Where everything of an installation is.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The virtual environment.
    venv: PathBuf,
    lock: PathBuf,
    log: PathBuf,
    /// What pip unpacks on the way.
    temporary: PathBuf,
}

impl Places {
    pub(super) fn in_cache(cache: &Path) -> Self {
        let named = |suffix: &str| cache.join(format!("pyspark-{PYSPARK_VERSION}{suffix}"));
        Self {
            venv: named(""),
            lock: named(".lock"),
            log: named(".log"),
            temporary: named(".tmp"),
        }
    }

    /// What is installed already, if it is whole.
    pub(super) fn installed(&self) -> Option<Pyspark> {
        let site = site_packages(&self.venv)?;
        let pyspark = Pyspark {
            python: self.venv.join("bin/python"),
            spark_home: site.join("pyspark"),
        };
        let has_marker = self.venv.join(MARKER).is_file();
        if !pyspark.python.exists() || !pyspark.spark_home.join("bin/spark-submit").is_file() {
            return None;
        }
        if !has_marker {
            if !is_whole(&site) {
                return None;
            }
            // Without the marker the next start only looks again.
            let _ = self.mark();
        }
        Some(pyspark)
    }

    /// Removes what an interrupted installation has left.
    fn clear(&self) -> std::io::Result<()> {
        remove(&self.venv)?;
        remove(&self.temporary)?;
        std::fs::create_dir_all(&self.temporary)?;
        File::create(&self.log).map(|_| ())
    }

    fn mark(&self) -> std::io::Result<()> {
        let new = self.venv.join(format!("{MARKER}.new"));
        std::fs::write(&new, PYSPARK_VERSION)?;
        std::fs::rename(new, self.venv.join(MARKER))
    }
}

/// `lib/python3.x/site-packages` of a virtual environment, where pyspark is.
fn site_packages(venv: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(venv.join("lib")).ok()?;
    versions
        .filter_map(Result::ok)
        .map(|version| version.path().join("site-packages"))
        .find(|site| site.join("pyspark").is_dir())
}

/// Whether every file that pip recorded of the pinned pyspark is there, in its length. pip writes
/// the record last.
fn is_whole(site: &Path) -> bool {
    let version = std::fs::read_to_string(site.join("pyspark/version.py")).unwrap_or_default();
    if !version.contains(&format!("'{PYSPARK_VERSION}'")) {
        return false;
    }
    let record = site.join(format!("pyspark-{PYSPARK_VERSION}.dist-info/RECORD"));
    let Ok(mut record) = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(record)
    else {
        return false;
    };
    let mut jars = 0;
    for row in record.records() {
        let Ok(row) = row else { return false };
        let (Some(path), Some(size)) = (row.get(0), row.get(2)) else {
            return false;
        };
        let Ok(size) = size.parse::<u64>() else {
            continue;
        };
        let is_there = std::fs::metadata(site.join(path)).is_ok_and(|file| file.len() == size);
        if path.starts_with("pyspark/") && !is_there {
            return false;
        }
        jars += u32::from(path.starts_with("pyspark/jars/"));
    }
    jars > 0
}

/// Installs pyspark, unless it is there by the time that it is this start's turn.
///
/// # Errors
/// When a step fails, with the end of its output; when another start installs for too long.
///
/// # Cancel safety
/// Dropping it ends pip; the next call starts over, with pip's cache.
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
    run(places, python, python, &["-m", "venv"], true, &step).await?;
    let own = places.venv.join("bin/python");
    let requirement = format!("pyspark=={PYSPARK_VERSION}");
    let pip = [
        "-m",
        "pip",
        "install",
        "--no-input",
        "--no-compile",
        "--disable-pip-version-check",
        &requirement,
    ];
    run(places, python, &own, &pip, false, &step).await?;
    step.now("checking the installation");
    // What pip left there is of no use any more, wherever it came from.
    let _ = remove(&places.temporary);
    let pyspark = places.installed().ok_or_else(|| DevError::Install {
        step: "checking the installation",
        log: places.log.clone(),
        tail: tail(&places.log, TAIL_LINES),
    })?;
    step.done(&format!(
        "installed pyspark {PYSPARK_VERSION} in {} s",
        began.elapsed().as_secs()
    ));
    Ok(pyspark)
}

/// Lines of output that an error shows.
const TAIL_LINES: usize = 15;

async fn run(
    places: &Places,
    guard: &Path,
    program: &Path,
    arguments: &[&str],
    makes_venv: bool,
    step: &Step,
) -> Result<(), DevError> {
    // An interrupted step has nothing to tidy up: everything is made anew.
    let mut guarded = Program::new(guard, program, &places.log, Duration::ZERO);
    guarded.env("TMPDIR", &places.temporary);
    guarded.without_env("PYTHONHOME").without_env("PYTHONPATH");
    for argument in arguments {
        guarded.arg(argument);
    }
    if makes_venv {
        guarded.arg(&places.venv);
    }
    let mut running = guarded.start()?;
    let mut progress = download::Progress::new(&places.log, &places.temporary);
    let status = loop {
        tokio::select! {
            status = running.wait() => break status,
            () = tokio::time::sleep(TICK) => progress.show(step),
        }
    };
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(DevError::Install {
        step: if makes_venv {
            "making a virtual environment"
        } else {
            "pip install"
        },
        log: places.log.clone(),
        tail: tail(&places.log, TAIL_LINES),
    })
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

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// An environment as pip leaves it, with one jar.
    fn fake(cache: &TempDir) -> Places {
        let places = Places::in_cache(cache.path());
        let site = places.venv.join("lib/python3.11/site-packages");
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(places.venv.join("bin/python"), "");
        write(
            site.join("pyspark/version.py"),
            "__version__: str = '4.3.0'\n",
        );
        write(site.join("pyspark/bin/spark-submit"), "#!");
        write(site.join("pyspark/jars/a.jar"), "jar");
        write(
            site.join("pyspark-4.3.0.dist-info/RECORD"),
            "pyspark/version.py,sha256=x,27\n\
             pyspark/jars/a.jar,sha256=y,3\n\
             pyspark/__pycache__/x.pyc,,\n\
             ../../../bin/pyspark,sha256=z,9\n",
        );
        places
    }

    #[test]
    fn a_whole_environment_is_marked_and_taken() {
        let cache = TempDir::new().unwrap();
        let places = fake(&cache);
        let found = places.installed().unwrap();
        assert!(
            found
                .spark_home
                .ends_with("pyspark-4.3.0/lib/python3.11/site-packages/pyspark")
        );
        assert!(places.venv.join(MARKER).is_file());
        std::fs::remove_file(found.spark_home.join("jars/a.jar")).unwrap();
        assert!(
            places.installed().is_some(),
            "the marker spares the next start the look"
        );
    }

    #[test]
    fn a_partial_environment_is_not_taken() {
        let jar = "lib/python3.11/site-packages/pyspark/jars/a.jar";
        let record = "lib/python3.11/site-packages/pyspark-4.3.0.dist-info/RECORD";
        let version = "lib/python3.11/site-packages/pyspark/version.py";
        for (path, text) in [
            (jar, Some("ja")),
            (jar, None),
            (record, None),
            (record, Some("")),
            (version, Some("__version__: str = '4.2.0'\n")),
            ("bin/python", None),
        ] {
            let cache = TempDir::new().unwrap();
            let places = fake(&cache);
            let path = places.venv.join(path);
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert_eq!(places.installed(), None, "{} {text:?}", path.display());
            assert!(!places.venv.join(MARKER).exists());
        }
        let empty = TempDir::new().unwrap();
        assert_eq!(Places::in_cache(empty.path()).installed(), None);
    }

    #[tokio::test]
    async fn a_start_waits_for_the_one_that_installs() {
        let cache = TempDir::new().unwrap();
        let places = fake(&cache);
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

    #[tokio::test]
    async fn a_step_that_fails_shows_its_output() {
        let cache = TempDir::new().unwrap();
        let places = Places::in_cache(cache.path());
        std::fs::write(&places.log, "").unwrap();
        let step = Console::new().step("test");
        let python = Path::new("python3");
        let script = ["-c", "print('no such luck'); raise SystemExit(3)"];
        let e = run(&places, python, python, &script, false, &step)
            .await
            .unwrap_err();
        let text = e.to_string();
        assert!(
            text.starts_with("pip install failed") && text.contains("no such luck"),
            "{text}"
        );
    }
}
