//! Where the driver shows its web UI. Spark says the port it was told to use, not the one it
//! uses, so a link is given only when the driver itself has answered behind it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(super) const ENABLED: &str = "spark.ui.enabled";
pub(super) const HOST: &str = "spark.driver.host";
pub(super) const PORT: &str = "spark.ui.port";

/// Where the UI should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    port: u16,
}

impl Place {
    /// Reads it from the driver's settings.
    pub(super) fn of(settings: &BTreeMap<String, String>) -> Option<Self> {
        if settings
            .get(ENABLED)
            .is_some_and(|enabled| enabled != "true")
        {
            return None;
        }
        let host = settings.get(HOST)?.trim_matches(['[', ']']).to_owned();
        let port = settings.get(PORT)?.parse().ok().filter(|port| *port != 0)?;
        Some(Self { host, port })
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The address of the UI of application `app_id`, if that application answers there in time.
pub(super) async fn find(place: Option<Place>, app_id: &str, limit: Duration) -> Option<String> {
    let place = place?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if app_id.is_empty() || !app_id.bytes().all(plain) {
        return None;
    }
    let shows = timeout(limit, shows(&place, app_id)).await;
    shows
        .is_ok_and(|shown| shown.unwrap_or(false))
        .then(|| format!("http://{}", place.authority()))
}

/// Whether Spark's REST API at `place` knows the application: it answers 404 for any other.
async fn shows(place: &Place, app_id: &str) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect((place.host.as_str(), place.port)).await?;
    let authority = place.authority();
    let request =
        format!("GET /api/v1/applications/{app_id} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    connection.read_exact(&mut head).await?;
    Ok(head.starts_with(b"HTTP/1.") && head.ends_with(b" 200"))
}

#[cfg(test)]
#[path = "ui_tests.rs"]
mod tests;
