//! JSON bodies: bounded, strict, and with the place of what is wrong.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::explain::{explain, shown};
use crate::http::Api;
use crate::http::extract::accept::JSON;
use crate::http::problem::Problem;
use crate::service::{ErrorCode, FieldError};

/// A JSON body read into `T`, and its parsed form (what idempotency compares).
#[derive(Debug)]
pub(crate) struct JsonBody<T> {
    pub(crate) value: T,
    pub(crate) parsed: Value,
}

/// A body that must say nothing: empty, or `{}`.
#[derive(Debug)]
pub(crate) struct NoBody;

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let bytes = read(request, api.options().body_bytes).await?;
        require_json(&headers)?;
        parse(&bytes)
    }
}

/// A JSON body that may be left out: then it is `{}`.
#[derive(Debug)]
pub(crate) struct OptionalJsonBody<T>(pub(crate) JsonBody<T>);

impl<T: DeserializeOwned> FromRequest<Api> for OptionalJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let bytes = read(request, api.options().body_bytes).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        require_json(&headers)?;
        parse(&bytes).map(Self)
    }
}

impl FromRequest<Api> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = read(request, api.options().body_bytes).await?;
        let text = bytes.trim_ascii();
        if text.is_empty() || text == b"{}" {
            return Ok(Self);
        }
        let shown = String::from_utf8_lossy(text);
        let error = FieldError::new("body", shown, "nothing: this request has no body");
        Err(Problem::invalid(vec![error]))
    }
}

async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let too_large = |announced: Option<u64>| {
        let value = announced.map_or_else(
            || format!("more than {limit} bytes"),
            |n| format!("{n} bytes"),
        );
        Problem::new(
            ErrorCode::BodyTooLarge,
            format!("the body has {value}, at most {limit} bytes are allowed"),
        )
        .with_errors(vec![FieldError::new(
            "body",
            value,
            format!("at most {limit} bytes (libra.limits.body-bytes)"),
        )])
    };
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = announced.filter(|n| usize::try_from(*n).map_or(true, |n| n > limit)) {
        return Err(too_large(Some(length)));
    }
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large(None)),
        Err(_) => Err(Problem::new(
            ErrorCode::InvalidRequest,
            "the body ended before its length was reached",
        )),
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.map_or("", |v| v.to_str().unwrap_or("?"));
    let essence = given.split(';').next().unwrap_or_default().trim();
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoded = encoding.is_some_and(|v| v != "identity");
    if essence.eq_ignore_ascii_case(JSON) && !encoded {
        return Ok(());
    }
    let (field, value) = if encoded {
        let value = encoding.and_then(|v| v.to_str().ok()).unwrap_or("?");
        ("Content-Encoding", value)
    } else {
        ("Content-Type", given)
    };
    let right = if encoded { "identity" } else { JSON };
    let problem = Problem::new(
        ErrorCode::UnsupportedMediaType,
        format!("`{field}: {value}` is not understood, send `{field}: {right}`"),
    )
    .with_errors(vec![FieldError::new(field, value, right)]);
    // RFC 9110, 15.5.16: what the server would have taken.
    let json = HeaderValue::from_static(JSON);
    Err(problem
        .with_header(HeaderName::from_static("accept-post"), json.clone())
        .with_header(header::ACCEPT, json))
}

/// Reads `bytes` as JSON, then as `T`.
///
/// # Errors
/// 400 that names the place, its value and what is allowed there.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<JsonBody<T>, Problem> {
    let parsed: Value = serde_json::from_slice(bytes).map_err(|e| {
        let shown = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes));
        let error = FieldError::new("body", shown, format!("JSON: {e}"));
        Problem::invalid(vec![error])
    })?;
    // serde would take the fields of a struct from an array too, by their order.
    if !parsed.is_object() {
        let error = FieldError::new("body", shown(Some(&parsed)), "an object");
        return Err(Problem::invalid(vec![error]));
    }
    // Read from the text, not from `parsed`: only there a field given twice is seen.
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize(&mut reader) {
        Ok(value) => Ok(JsonBody { value, parsed }),
        Err(error) => Err(Problem::invalid(vec![explain(&error, &parsed)])),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only read")]
        code: String,
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse::<Sample>(deep.as_bytes()).is_err());
    }

    #[test]
    fn broken_texts_are_refused() {
        for text in [
            "",
            " ",
            "{",
            "{}",
            "[]",
            "[\"a\"]",
            "null",
            "1",
            "\"x\"",
            "{\"code\":\"a\"}x",
            "{\"code\":\"a\",}",
            "{'code':'a'}",
            "{\"code\":\"a\",\"code\":\"b\"}",
            "{\"code\":\"\\ud800\"}",
            "\u{feff}{\"code\":\"a\"}",
        ] {
            assert!(parse::<Sample>(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse::<Sample>(b"{\"code\":\"\xff\"}").is_err());
        assert!(parse::<Sample>(b"{\"code\":\"a\"}").is_ok());
    }
}
