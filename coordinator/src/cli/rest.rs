//! The HTTP client of the commands that speak REST.

/// A client for a coordinator at `url`. Where that is plain HTTP, no certificates of the machine are
/// looked for: a small container has none, and that would be an error.
pub(super) fn client(url: &str) -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder();
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("http") {
        client.tls_certs_only([])
    } else {
        client
    }
}
