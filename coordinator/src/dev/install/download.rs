//! A file over HTTP, in as many pieces as it takes: what has arrived is kept in a `.part` file that
//! the next attempt, and the next start, goes on from.

mod error;

use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::StreamExt as _;
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, RANGE};
use reqwest::{Certificate, Client, Proxy, Response};
use sha2::{Digest as _, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWriteExt as _, BufWriter};

pub use error::DownloadError;

use super::places::Places;
use super::source::Remote;
use crate::dev::console::{Step, megabytes};

const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// A server that sends nothing for so long is asked again.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// So many bytes make an attempt count as one that got on: the pauses begin anew.
const PROGRESS: u64 = 1 << 20;
/// No pyspark is larger, in bytes.
const MAX_BYTES: u64 = 4_000_000_000;
const BUFFER: usize = 256 << 10;

/// The pauses after attempts that got no further.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(8))
        .with_max_times(6)
}

/// One file, on its way from a server to a folder.
pub(super) struct Download<'a> {
    remote: &'a Remote,
    whole: PathBuf,
    part: PathBuf,
    pauses: ExponentialBuilder,
}

impl<'a> Download<'a> {
    pub(super) fn new(remote: &'a Remote, places: &Places) -> Self {
        Self {
            remote,
            whole: places.downloads.join(&remote.name),
            part: places.downloads.join(format!("{}.part", remote.name)),
            pauses: pauses(),
        }
    }

    /// Whether something of it is there, so that another way would lose it.
    pub(super) fn has_begun(&self) -> bool {
        length(&self.part) > 0
    }

    /// The whole file, checked against the index's SHA-256.
    ///
    /// # Errors
    /// When it cannot be had, or is not what the index says.
    ///
    /// # Cancel safety
    /// The next call goes on from what has arrived.
    pub(super) async fn run(&self, step: &Step) -> Result<PathBuf, DownloadError> {
        if self.whole.exists() && self.sha256_of(&self.whole, step).await? == self.remote.sha256 {
            return Ok(self.whole.clone());
        }
        let client = client(self.remote)?;
        loop {
            let kept = length(&self.part);
            if kept > 0 {
                let (name, kept) = (&self.remote.name, megabytes(kept));
                step.say(&format!(
                    "going on with the download of {name} after {kept}"
                ));
            }
            self.pull(&client, step).await?;
            let actual = self.sha256_of(&self.part, step).await?;
            if actual == self.remote.sha256 {
                std::fs::rename(&self.part, &self.whole).map_err(|e| self.files(e))?;
                return Ok(self.whole.clone());
            }
            std::fs::remove_file(&self.part).map_err(|e| self.files(e))?;
            if kept == 0 {
                return Err(DownloadError::Wrong {
                    url: self.url(),
                    expected: self.remote.sha256.clone(),
                    actual,
                });
            }
            step.say("what was kept of it is damaged, or of another file: it is downloaded anew");
        }
    }

    /// Asks until the server has sent all.
    async fn pull(&self, client: &Client, step: &Step) -> Result<(), DownloadError> {
        let mut pauses = self.pauses.build();
        loop {
            let before = length(&self.part);
            let e = match self.attempt(client, step).await {
                Ok(()) => return Ok(()),
                Err(e) if !e.is_transient() => return Err(e),
                Err(e) => e,
            };
            if length(&self.part) >= before + PROGRESS {
                pauses = self.pauses.build();
            }
            let Some(pause) = pauses.next() else {
                return Err(e);
            };
            step.now(&format!("waiting to go on with {}", self.remote.name));
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, client: &Client, step: &Step) -> Result<(), DownloadError> {
        let kept = length(&self.part);
        let mut request = client
            .get(self.remote.url.clone())
            .header(ACCEPT_ENCODING, "identity");
        if kept > 0 {
            request = request.header(RANGE, format!("bytes={kept}-"));
        }
        if let Some(authorization) = &self.remote.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request.send().await.map_err(|e| self.broken(e))?;
        let range = response.headers().get(CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok());
        match plan(kept, response.status(), range) {
            Plan::Append => self.write(response, kept, step).await,
            Plan::FromStart => self.write(response, 0, step).await,
            Plan::Whole => Ok(()),
            Plan::Discard => {
                std::fs::remove_file(&self.part).map_err(|e| self.files(e))?;
                Err(DownloadError::OtherPart { url: self.url() })
            }
            Plan::Refused => Err(DownloadError::Refused {
                url: self.url(),
                status: response.status(),
            }),
        }
    }

    /// Writes a response's body behind the first `kept` bytes.
    async fn write(&self, response: Response, kept: u64, step: &Step) -> Result<(), DownloadError> {
        let what = format!("downloading {}", self.remote.name);
        let total = response.content_length().map(|length| kept + length);
        let mut file = self.open(kept).await.map_err(|e| self.files(e))?;
        let mut done = kept;
        let mut body = response.bytes_stream();
        let mut result = Ok(());
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            };
            file.write_all(&chunk).await.map_err(|e| self.files(e))?;
            done += chunk.len() as u64;
            if done > MAX_BYTES {
                return Err(DownloadError::TooLong { url: self.url() });
            }
            step.bytes(&what, done, total);
        }
        file.flush().await.map_err(|e| self.files(e))?;
        result.map_err(|e| self.broken(e))
    }

    async fn open(&self, kept: u64) -> std::io::Result<BufWriter<File>> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        let file = options.open(&self.part).await?;
        file.set_len(kept).await?;
        Ok(BufWriter::with_capacity(BUFFER, file))
    }

    /// In lower case hexadecimal.
    async fn sha256_of(&self, file: &Path, step: &Step) -> Result<String, DownloadError> {
        step.now(&format!("checking {}", self.remote.name));
        let file = file.to_owned();
        let hashed = tokio::task::spawn_blocking(move || {
            let mut hasher = Sha256::new();
            std::io::copy(&mut std::fs::File::open(file)?, &mut hasher)?;
            Ok(format!("{:x}", hasher.finalize()))
        });
        let hashed = hashed.await.map_err(std::io::Error::other);
        hashed.and_then(|hashed| hashed).map_err(|e| self.files(e))
    }

    fn url(&self) -> String {
        self.remote.url.to_string()
    }

    fn files(&self, source: std::io::Error) -> DownloadError {
        DownloadError::Files {
            path: self.part.clone(),
            source,
        }
    }

    fn broken(&self, source: reqwest::Error) -> DownloadError {
        DownloadError::Broken {
            done: length(&self.part),
            source,
        }
    }
}

/// As pip is configured, and not otherwise.
fn client(remote: &Remote) -> Result<Client, DownloadError> {
    // Harmless if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let error = |source| DownloadError::Client { source };
    let mut builder = Client::builder()
        .no_proxy()
        .user_agent(concat!("libra/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(READ_LIMIT);
    if let Some(proxy) = &remote.proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(error)?);
    }
    if let Some(path) = &remote.roots {
        let pem = std::fs::read(path).map_err(|source| DownloadError::Roots {
            path: path.clone(),
            source,
        })?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(error)?;
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(error)
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// What an answer is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// It goes on behind what is kept.
    Append,
    /// It begins anew: the server knows no ranges.
    FromStart,
    /// What is kept is all.
    Whole,
    /// What is kept does not go together with it.
    Discard,
    Refused,
}

/// What to do with an answer to a request for all behind the first `kept` bytes.
fn plan(kept: u64, status: StatusCode, content_range: Option<&str>) -> Plan {
    match status {
        StatusCode::OK => Plan::FromStart,
        StatusCode::PARTIAL_CONTENT if kept > 0 => match content_range.and_then(range_start) {
            Some(start) if start == kept => Plan::Append,
            Some(_) | None => Plan::Discard,
        },
        StatusCode::RANGE_NOT_SATISFIABLE if kept > 0 => {
            match content_range.and_then(range_total) {
                Some(total) if total == kept => Plan::Whole,
                Some(_) | None => Plan::Discard,
            }
        }
        _ => Plan::Refused,
    }
}

/// `bytes 100-199/200` → 100.
fn range_start(content_range: &str) -> Option<u64> {
    let (start, _) = content_range.strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}

/// `bytes */200` → 200.
fn range_total(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes */")?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
