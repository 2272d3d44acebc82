//! What the machine must have, looked at before anything long starts, and reported all at once.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{DevError, Environment, memory};

/// Spark 4 needs it.
const MIN_JAVA: u32 = 17;
/// pyspark 4.3.0 needs it (its `Requires-Python`).
const MIN_PYTHON: (u32, u32) = (3, 11);
/// What downloading, unpacking and installing pyspark takes at its peak, in bytes.
const MIN_DISK: u64 = 3_000_000_000;
/// What Spark's driver and a coordinator need, in bytes.
const MIN_MEMORY: u64 = 2_000_000_000;
/// A program that is asked for its version answers within it.
const PROBE_LIMIT: Duration = Duration::from_secs(20);

/// What is going to be done, and so what it needs.
pub(super) struct Plan<'a> {
    /// Where pyspark is, or goes.
    pub(super) cache: &'a Path,
    /// A Python that is known to do, of an earlier installation: then nothing is installed.
    pub(super) python: Option<PathBuf>,
    /// Whether Spark is started.
    pub(super) starts_spark: bool,
}

/// What was found.
pub(super) struct Found {
    /// A Python for the guard and, if needed, for the installation.
    pub(super) python: PathBuf,
    /// Memory to be had, in bytes, if this system says.
    pub(super) memory: Option<u64>,
}

/// Looks at everything that `plan` needs.
///
/// # Errors
/// With everything that is missing.
pub(super) async fn check(plan: Plan<'_>, environment: &Environment) -> Result<Found, DevError> {
    let memory = memory::available();
    let java = async {
        if !plan.starts_spark {
            return Ok(());
        }
        java(environment).await
    };
    let python = async {
        match &plan.python {
            Some(python) => Ok(python.clone()),
            None => python().await,
        }
    };
    let (java, python) = tokio::join!(java, python);
    let disk = match plan.python {
        Some(_) => Ok(()),
        None => enough_disk(plan.cache),
    };
    let enough_memory = match memory {
        Some(bytes) if plan.starts_spark && bytes < MIN_MEMORY => Err(format!(
            "memory: {} are available; needed: {}",
            gigabytes(bytes),
            gigabytes(MIN_MEMORY)
        )),
        Some(_) | None => Ok(()),
    };
    let problems: Vec<_> = [java.err(), disk.err(), enough_memory.err()]
        .into_iter()
        .flatten()
        .collect();
    match python {
        Ok(python) if problems.is_empty() => Ok(Found { python, memory }),
        python => Err(DevError::Missing {
            problems: problems.into_iter().chain(python.err()).collect(),
        }),
    }
}

async fn java(environment: &Environment) -> Result<(), String> {
    let (program, place) = match &environment.java_home {
        Some(home) => (
            home.join("bin/java"),
            format!("in JAVA_HOME ({})", home.display()),
        ),
        None => (PathBuf::from("java"), "in PATH".to_owned()),
    };
    let help = "install a JDK or JRE of version 17 or 21, such as openjdk-17-jre-headless";
    let Some(output) = probe(&program, &["-version"]).await else {
        return Err(format!("Java {MIN_JAVA} or later: none {place}; {help}"));
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match java_version(&text) {
        Some(version) if version >= MIN_JAVA => Ok(()),
        Some(version) => Err(format!(
            "Java {MIN_JAVA} or later: the one {place} is {version}; {help}, and set JAVA_HOME"
        )),
        None => Err(format!(
            "Java {MIN_JAVA} or later: the one {place} does not tell its version; {help}"
        )),
    }
}

/// The feature version in what `java -version` prints: `"17.0.15"` → 17, `"1.8.0_392"` → 8.
fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '_', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        version => Some(version),
    }
}

/// Prints the version, if what an installation needs is there.
const PYTHON_PROBE: &str = "import sys\n\
    print('%d.%d' % sys.version_info[:2])\n\
    import venv, ensurepip";

/// A Python of the machine that an installation, and a guard, can use.
///
/// # Errors
/// With what is missing.
pub(super) async fn python() -> Result<PathBuf, String> {
    let (major, minor) = MIN_PYTHON;
    let help = "install it with venv and pip, such as python3 and python3-venv";
    let mut found = None;
    for name in [
        "python3",
        "python3.14",
        "python3.13",
        "python3.12",
        "python3.11",
    ] {
        let program = PathBuf::from(name);
        let Some(output) = probe(&program, &["-c", PYTHON_PROBE]).await else {
            continue;
        };
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let is_new_enough = python_version(&version).is_some_and(|v| v >= MIN_PYTHON);
        if is_new_enough && output.status.success() {
            return Ok(program);
        }
        let lack = if is_new_enough {
            "has no venv or no ensurepip".to_owned()
        } else {
            format!("is {version}")
        };
        found.get_or_insert(format!("{name} {lack}"));
    }
    let found = found.unwrap_or_else(|| "none in PATH".to_owned());
    Err(format!("Python {major}.{minor} or later: {found}; {help}"))
}

fn python_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Runs a program that should end at once; `None` if it is not there or hangs.
async fn probe(program: &Path, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(PROBE_LIMIT, output).await.ok()?.ok()
}

fn enough_disk(cache: &Path) -> Result<(), String> {
    let Some(existing) = cache.ancestors().find(|folder| folder.is_dir()) else {
        return Ok(());
    };
    let Ok(disk) = rustix::fs::statvfs(existing) else {
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= MIN_DISK {
        return Ok(());
    }
    Err(format!(
        "disk: {} are free for {}; needed to install pyspark: {}; LIBRA_CACHE_DIR names another \
         folder",
        gigabytes(free),
        cache.display(),
        gigabytes(MIN_DISK)
    ))
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_tells_its_version_in_many_ways() {
        for (text, version) in [
            (
                "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime",
                Some(17),
            ),
            ("java version \"1.8.0_392\"", Some(8)),
            ("openjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"24-ea\"", Some(24)),
            ("openjdk version \"11.0.2+9\"", Some(11)),
            ("command not found", None),
            ("version \"x\"", None),
            ("", None),
        ] {
            assert_eq!(java_version(text), version, "{text}");
        }
    }

    #[test]
    fn small_readings() {
        assert_eq!(python_version("3.11"), Some((3, 11)));
        assert_eq!(python_version("3"), None);
        assert!(python_version("3.9") < Some(MIN_PYTHON));
        assert_eq!(gigabytes(2_950_000_000), "2.9 GB");
    }

    #[tokio::test]
    async fn everything_that_is_missing_is_said_at_once() {
        let environment = Environment {
            java_home: Some("/nowhere".into()),
            ..Environment::default()
        };
        let plan = Plan {
            cache: Path::new("/proc"),
            python: None,
            starts_spark: true,
        };
        let Err(DevError::Missing { problems }) = check(plan, &environment).await else {
            panic!("Java in /nowhere and a disk in /proc");
        };
        assert!(
            problems[0].contains("none in JAVA_HOME (/nowhere)"),
            "{problems:?}"
        );
        assert!(
            problems[1].starts_with("disk: 0.0 GB are free for /proc"),
            "{problems:?}"
        );
    }
}
