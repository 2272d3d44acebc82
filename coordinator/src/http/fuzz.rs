//! What clients send, read as the handlers read it.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri, header};

use super::extract::accept::{ARROW, CSV, JSON, negotiate};
use super::extract::body::parse;
use super::extract::{Query, headers};
use super::model::{CreateSessionBody, PutPoolBody, SubmitBody};
use crate::service::{PoolName, body_hash};

/// A JSON body, as each of the requests that has one.
pub fn bodies(bytes: &[u8]) {
    if let Ok(body) = parse::<SubmitBody>(bytes) {
        let _ = body_hash(&body.parsed);
    }
    let _ = parse::<CreateSessionBody>(bytes);
    let _ = parse::<PutPoolBody>(bytes);
}

/// A query string, as parameters of every kind; what no URI can hold is passed over.
pub fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(uri) = format!("/x?{text}").parse::<Uri>() else {
        return;
    };
    let mut query = Query::of(&uri, &["wait", "rows", "stale", "pool", "offset"]);
    query.seconds("wait", 60, Duration::ZERO);
    query.number("rows", &(0..=1_000), 0);
    query.number("offset", &(0..=u64::MAX), 0);
    query.flag("stale");
    query.parsed::<PoolName>("pool", "a pool's name");
    let _ = query.finish();
}

/// The headers that have a form of their own.
pub fn accept(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut all = HeaderMap::new();
    for name in [headers::USER, headers::IDEMPOTENCY_KEY] {
        all.insert(name, value.clone());
    }
    all.insert(header::ACCEPT, value);
    let _ = negotiate(&all, &[JSON, CSV, ARROW]);
    let _ = headers::user(&all);
    let _ = headers::idempotency_key(&all);
}
