//! Where pip would download the pinned pyspark from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;

use super::pip;
use super::places::Places;
use crate::dev::PYSPARK_VERSION;
use crate::dev::guard::tail;

const SCRIPT: &str = include_str!("../../../../deploy/dev/pip_source.py");
/// How long pip may take for its index, repetitions included.
const LIMIT: Duration = Duration::from_secs(60);

/// What pip would install from.
#[derive(Debug)]
pub(super) enum Source {
    /// Something on this machine: nothing has to be downloaded.
    Local,
    Remote(Box<Remote>),
}

/// A file of pip's index, and what pip would use for the request.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) url: reqwest::Url,
    /// The file's own name, without folders.
    pub(super) name: String,
    /// In lower case hexadecimal.
    pub(super) sha256: String,
    /// The whole header.
    pub(super) authorization: Option<String>,
    pub(super) proxy: Option<String>,
    /// Certificates to trust instead of the system's, in PEM.
    pub(super) roots: Option<PathBuf>,
}

/// What the script writes.
#[derive(Debug, Deserialize)]
struct Answer {
    url: String,
    name: String,
    sha256: Option<String>,
    authorization: Option<String>,
    proxy: Option<String>,
    roots: Option<PathBuf>,
    is_plain: bool,
}

/// Asks the pip of the virtual environment, which downloads nothing but pages of its index.
///
/// # Errors
/// With why the answer is of no use; pip itself may still be able to install.
///
/// # Cancel safety
/// Dropping it ends pip.
pub(super) async fn ask(places: &Places, guard: &Path) -> Result<Source, String> {
    let output = places.temporary.join("source.json");
    let mut program = pip::program(places, guard);
    program.arg("-I").arg("-c").arg(SCRIPT);
    program.arg("pyspark").arg(PYSPARK_VERSION).arg(&output);
    let mut running = program.start().map_err(|e| e.to_string())?;
    let ended = timeout(LIMIT, running.wait()).await;
    let status = ended.map_err(|_| format!("its index took over {} s", LIMIT.as_secs()))?;
    if !status.is_ok_and(|status| status.success()) {
        return Err(tail(&places.log, 1).trim().to_owned());
    }
    let text = std::fs::read(&output);
    // It may hold a password.
    let _ = std::fs::remove_file(&output);
    let answer = text.map_err(|e| format!("no answer of its index: {e}"))?;
    let answer = serde_json::from_slice(&answer);
    source(answer.map_err(|e| format!("no answer of its index: {e}"))?)
}

fn source(answer: Answer) -> Result<Source, String> {
    let url: reqwest::Url = answer
        .url
        .parse()
        .map_err(|e| format!("the address in its index cannot be read: {e}"))?;
    if url.scheme() == "file" {
        return Ok(Source::Local);
    }
    if !matches!(url.scheme(), "http" | "https") || !answer.is_plain {
        return Err("its configuration asks for more than can be done here".to_owned());
    }
    let sha256 = answer.sha256.unwrap_or_default().to_ascii_lowercase();
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("its index has no SHA-256 of the file".to_owned());
    }
    let is_name = |name: &str| !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
    if answer.name.is_empty() || !is_name(&answer.name) {
        return Err("its index has no name of the file".to_owned());
    }
    let remote = Remote {
        url,
        name: answer.name,
        sha256,
        authorization: answer.authorization,
        proxy: answer.proxy,
        roots: answer.roots,
    };
    Ok(Source::Remote(Box::new(remote)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(url: &str, name: &str, sha256: &str) -> Answer {
        Answer {
            url: url.to_owned(),
            name: name.to_owned(),
            sha256: Some(sha256.to_owned()),
            authorization: None,
            proxy: None,
            roots: None,
            is_plain: true,
        }
    }

    #[test]
    fn only_what_can_be_checked_is_downloaded_here() {
        let hash = "AB".repeat(32);
        let url = "http://127.0.0.1/p/pyspark-4.3.0.tar.gz";
        let name = "pyspark-4.3.0.tar.gz";
        let Ok(Source::Remote(remote)) = source(answer(url, name, &hash)) else {
            panic!("all is there");
        };
        assert_eq!(remote.sha256, hash.to_ascii_lowercase());
        assert_eq!(remote.url.as_str(), url);
        for (url, name, sha256, problem) in [
            ("no address", name, &*hash, "the address"),
            ("ftp://127.0.0.1/p", name, &hash, "its configuration"),
            (url, name, "", "its index has no SHA-256"),
            (url, name, &"x".repeat(64), "its index has no SHA-256"),
            (url, "", &hash, "its index has no name"),
            (url, "../x", &hash, "its index has no name"),
            (url, "..", &hash, "its index has no name"),
        ] {
            let why = source(answer(url, name, sha256)).unwrap_err();
            assert!(why.starts_with(problem), "{why}");
        }
        let local = source(answer("file:///opt/p.whl", name, ""));
        assert!(matches!(local, Ok(Source::Local)));
        let more = Answer {
            is_plain: false,
            ..answer(url, name, &hash)
        };
        assert!(source(more).is_err());
    }
}
