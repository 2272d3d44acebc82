//! The interceptor that hands Libra's pools to Spark's own scheduler, built into the cache folder.
//!
//! **Invariant:** never in the way: whatever keeps it from being built, Spark starts without it,
//! and that is said.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use super::console::Console;
use super::install::Pyspark;
use super::{Environment, PYSPARK_VERSION};

const SOURCE: &str =
    include_str!("../../../deploy/spark-plugin/src/org/libra/spark/PoolInterceptor.java");
const BUILD: &str = include_str!("../../../deploy/spark-plugin/build.sh");
/// The class that Spark is told of.
pub(super) const CLASS: &str = "org.libra.spark.PoolInterceptor";
/// How long a build may take; seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

/// The jar, built if this version of it is not in the cache yet; `None`, and a line that says why,
/// if it cannot be.
///
/// # Cancel safety
/// Dropping it ends the build; no half of a jar stays.
pub(super) async fn jar(
    cache: &Path,
    pyspark: &Pyspark,
    environment: &Environment,
    console: Console,
) -> Option<PathBuf> {
    let version = xxh3_64(SOURCE.as_bytes());
    let jar = cache.join(format!(
        "libra-spark-pools-{PYSPARK_VERSION}-{version:016x}.jar"
    ));
    if jar.is_file() {
        return Some(jar);
    }
    let step = console.step("building the interceptor for Spark's pools");
    match build(cache, &jar, pyspark, environment).await {
        Ok(()) => {
            step.done(&format!(
                "Spark's own scheduler knows Libra's pools ({})",
                jar.display()
            ));
            Some(jar)
        }
        Err(why) => {
            step.done(&format!(
                "Libra's pools hold for statements only, not for Spark's tasks: {why}"
            ));
            None
        }
    }
}

async fn build(
    cache: &Path,
    jar: &Path,
    pyspark: &Pyspark,
    environment: &Environment,
) -> Result<(), String> {
    let folder = cache.join("spark-plugin");
    let script = write(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut command = Command::new("sh");
    command.arg(script).arg(jar);
    command.env("SPARK_HOME", &pyspark.spark_home);
    if let Some(java_home) = &environment.java_home {
        command.env("JAVA_HOME", java_home);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(LIMIT, command.output()).await;
    let output = ended
        .map_err(|_| format!("its build took longer than {} s", LIMIT.as_secs()))?
        .map_err(|e| format!("no shell to build it: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(
        if said.contains("javac: not found") || said.contains("javac: No such file") {
            "there is no JDK (javac); install one, such as openjdk-17-jdk-headless".to_owned()
        } else {
            let last = said.lines().next_back().unwrap_or_default();
            format!("its build failed ({}): {last}", output.status)
        },
    )
}

/// Writes what is built, as the script expects it; returns the script.
fn write(folder: &Path) -> std::io::Result<PathBuf> {
    let package = folder.join("src/org/libra/spark");
    std::fs::create_dir_all(&package)?;
    std::fs::write(package.join("PoolInterceptor.java"), SOURCE)?;
    let script = folder.join("build.sh");
    std::fs::write(&script, BUILD)?;
    Ok(script)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn nowhere() -> Pyspark {
        Pyspark {
            python: "python3".into(),
            spark_home: "/nowhere".into(),
        }
    }

    #[tokio::test]
    async fn without_a_jdk_it_is_left_out() {
        let cache = TempDir::new().unwrap();
        let environment = Environment {
            java_home: Some(cache.path().join("no-jdk")),
            ..Environment::default()
        };
        let jar_path = cache.path().join("out.jar");
        let why = build(cache.path(), &jar_path, &nowhere(), &environment).await;
        assert!(why.unwrap_err().starts_with("there is no JDK"));
        let built = jar(cache.path(), &nowhere(), &environment, Console::new()).await;
        assert_eq!(built, None);
    }

    #[tokio::test]
    async fn one_that_is_there_is_taken() {
        let cache = TempDir::new().unwrap();
        let version = xxh3_64(SOURCE.as_bytes());
        let there = format!("libra-spark-pools-{PYSPARK_VERSION}-{version:016x}.jar");
        let there = cache.path().join(there);
        std::fs::write(&there, "").unwrap();
        let environment = Environment::default();
        let found = jar(cache.path(), &nowhere(), &environment, Console::new()).await;
        assert_eq!(found, Some(there));
    }

    #[test]
    fn the_class_is_the_one_in_the_source() {
        let (package, class) = CLASS.rsplit_once('.').unwrap();
        assert!(SOURCE.contains(&format!("package {package};")));
        assert!(SOURCE.contains(&format!("class {class} ")));
    }
}
