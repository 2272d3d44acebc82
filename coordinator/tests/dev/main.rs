//! `libra dev --install-only`, the whole command, against a package index of its own whose pyspark
//! is a small one.
#![expect(
    clippy::unwrap_used,
    reason = "tests; clippy only knows test functions, not what they call"
)]

mod archive;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use archive::{Act, Archive};

const NAME: &str = "pyspark-4.3.0-py2.py3-none-any.whl";
/// Making a virtual environment takes seconds, on a loaded machine many.
const LIMIT: Duration = Duration::from_secs(180);

const WHEEL: &str = include_str!("wheel.py");

async fn wheel(folder: &Path) -> Bytes {
    let path = folder.join(NAME);
    let mut python = Command::new("python3");
    python.arg("-c").arg(WHEEL).arg(&path);
    assert!(python.status().await.unwrap().success());
    std::fs::read(path).unwrap().into()
}

fn libra(archive: &Archive, cache: &Path) -> Child {
    let mut libra = Command::new(env!("CARGO_BIN_EXE_libra"));
    libra.args(["dev", "--install-only"]);
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("PIP_") || upper.ends_with("_PROXY") {
            libra.env_remove(name);
        }
    }
    libra.env("LIBRA_CACHE_DIR", cache);
    libra.env("PIP_CONFIG_FILE", "/dev/null");
    libra.env("PIP_INDEX_URL", format!("{}/simple", archive.base));
    libra
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    libra.kill_on_drop(true).spawn().unwrap()
}

async fn end(libra: Child) -> (Output, String) {
    let output = tokio::time::timeout(LIMIT, libra.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

fn part(cache: &Path) -> PathBuf {
    cache.join(format!("pyspark-4.3.0.download/{NAME}.part"))
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

async fn until_kept(cache: &Path, bytes: u64) {
    let deadline = Instant::now() + LIMIT;
    while length(&part(cache)) < bytes {
        assert!(Instant::now() < deadline, "{bytes} bytes are never there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn signal(libra: &Child, name: &str) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}"))
        .arg(libra.id().unwrap().to_string());
    assert!(kill.status().await.unwrap().success());
}

/// What stands in a buffer when the process is killed.
const BUFFERED: u64 = 512 << 10;

#[tokio::test]
async fn an_interrupted_download_goes_on_where_it_was() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let content = wheel(folder.path()).await;
    let size = content.len() as u64;
    let sha256 = format!("{:x}", Sha256::digest(&content));
    let hold = |most| Act {
        most,
        then_holds: true,
        ..Act::default()
    };
    let archive = Archive::start(NAME, &sha256, content, vec![hold(2 << 20), hold(2 << 20)]).await;

    let first = libra(&archive, &cache);
    until_kept(&cache, (2 << 20) - BUFFERED).await;
    signal(&first, "INT").await;
    let (output, said) = end(first).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("libra: interrupted"), "{said}");
    let kept_first = length(&part(&cache));

    let second = libra(&archive, &cache);
    until_kept(&cache, kept_first + (2 << 20) - BUFFERED).await;
    signal(&second, "KILL").await;
    end(second).await;
    let kept_second = length(&part(&cache));

    let (output, said) = end(libra(&archive, &cache)).await;
    assert!(output.status.success(), "{said}");
    assert!(said.contains("going on with the download"), "{said}");
    let home = String::from_utf8(output.stdout).unwrap();
    assert!(
        Path::new(home.trim()).join("jars/a.jar").is_file(),
        "{home}"
    );
    assert!(
        !part(&cache).parent().unwrap().exists(),
        "the download is of no use any more"
    );
    let from = |kept| format!("bytes={kept}-");
    assert_eq!(
        archive.ranges(),
        ["".to_owned(), from(kept_first), from(kept_second)]
    );
    assert!(
        archive.sent() <= size + 2 * BUFFERED,
        "{} of {size}",
        archive.sent()
    );

    let sent = archive.sent();
    let (output, said) = end(libra(&archive, &cache)).await;
    assert!(output.status.success(), "{said}");
    assert_eq!(archive.sent(), sent, "it is there");
}

#[tokio::test]
async fn nothing_is_installed_from_a_wrong_file() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let content = wheel(folder.path()).await;
    let refused = Act {
        status: StatusCode::SERVICE_UNAVAILABLE,
        knows_ranges: false,
        ..Act::default()
    };
    let archive = Archive::start(NAME, &"0".repeat(64), content, vec![refused]).await;
    let (output, said) = end(libra(&archive, &cache)).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines = "libra: downloading pyspark failed: ";
    assert!(
        said.contains(lines) && said.contains("pip's index says 0000"),
        "{said}"
    );
    assert!(!part(&cache).exists());
    let venv = cache.join("pyspark-4.3.0/lib");
    let mut versions = std::fs::read_dir(venv).unwrap();
    let site = versions
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("site-packages");
    assert!(site.is_dir() && !site.join("pyspark").exists());
}

#[tokio::test]
async fn what_cannot_be_checked_is_left_to_pip() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("cache");
    let content = wheel(folder.path()).await;
    let archive = Archive::start(NAME, "", content, vec![]).await;
    let (output, said) = end(libra(&archive, &cache)).await;
    assert!(output.status.success(), "{said}");
    let why = "pip downloads by itself, from the beginning if it is interrupted: its index has no";
    assert!(said.contains(why), "{said}");
}
