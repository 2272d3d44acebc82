//! What is worth compressing: JSON and CSV; not events, which must leave at once, and not Arrow,
//! which has a compression of its own.

use http::{Extensions, HeaderMap, StatusCode, Version, header};

const LEAST_BYTES: u64 = 256;

/// Whether an answer may be compressed, if the client asks for it.
pub(crate) fn is_worth_it(
    _status: StatusCode,
    _version: Version,
    headers: &HeaderMap,
    _extensions: &Extensions,
) -> bool {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let json = essence.ends_with("/json") || essence.ends_with("+json");
    let length = text(header::CONTENT_LENGTH).and_then(|v| v.parse().ok());
    (json || essence == "text/csv") && length.is_none_or(|n: u64| n >= LEAST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_and_csv() {
        for (kind, worth) in [
            ("application/json", true),
            ("application/problem+json", true),
            ("text/csv; charset=utf-8", true),
            ("text/event-stream", false),
            ("application/vnd.apache.arrow.stream", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            let extensions = Extensions::new();
            let found = is_worth_it(StatusCode::OK, Version::HTTP_11, &headers, &extensions);
            assert_eq!(found, worth, "{kind}");
        }
    }
}
