//! Where an installation is, and whether it is whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::dev::PYSPARK_VERSION;

/// The file in the environment that says it is whole.
const MARKER: &str = ".libra-complete";

/// An installed pyspark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dev) struct Pyspark {
    /// The environment's Python.
    pub(in crate::dev) python: PathBuf,
    /// `SPARK_HOME`.
    pub(in crate::dev) spark_home: PathBuf,
}

/// Where everything of an installation is.
#[derive(Debug, Clone)]
pub(in crate::dev) struct Places {
    /// The virtual environment.
    pub(super) venv: PathBuf,
    /// Held by the start that installs.
    pub(super) lock: PathBuf,
    /// What pip says.
    pub(super) log: PathBuf,
    /// What pip unpacks on the way.
    pub(super) temporary: PathBuf,
    /// What was downloaded; outlives an interrupted installation.
    pub(super) downloads: PathBuf,
}

impl Places {
    pub(in crate::dev) fn in_cache(cache: &Path) -> Self {
        let named = |suffix: &str| cache.join(format!("pyspark-{PYSPARK_VERSION}{suffix}"));
        Self {
            venv: named(""),
            lock: named(".lock"),
            log: named(".log"),
            temporary: named(".tmp"),
            downloads: named(".download"),
        }
    }

    /// What is installed already, if it is whole.
    pub(in crate::dev) fn installed(&self) -> Option<Pyspark> {
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

    /// Removes what an interrupted installation has left, but for what it has downloaded.
    pub(super) fn clear(&self) -> std::io::Result<()> {
        remove(&self.venv)?;
        remove(&self.temporary)?;
        std::fs::create_dir_all(&self.temporary)?;
        std::fs::create_dir_all(&self.downloads)?;
        File::create(&self.log).map(|_| ())
    }

    /// Removes what only the installation needed.
    pub(super) fn tidy(&self) {
        // What stays is only in the way of nobody but the disk.
        let _ = remove(&self.temporary);
        let _ = remove(&self.downloads);
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

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
/// An environment as pip leaves it, with one jar.
pub(super) fn fake(cache: &tempfile::TempDir) -> Places {
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

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
}
