//! Requests straight into the router, and what came back.

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A way into a router.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// Null if the body is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Panics unless the answer is this problem.
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json["code"], code, "{}", self.text());
        assert_eq!(self.json["type"], format!("urn:libra:problem:{code}"));
        assert_eq!(self.json["status"], status);
        for field in ["title", "detail", "instance"] {
            assert!(
                !self.json[field].as_str().unwrap().is_empty(),
                "{field}: {}",
                self.text()
            );
        }
        if status == 429 || status == 503 {
            assert!(self.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
        assert!(!self.header("x-request-id").is_empty());
    }
}

impl Client {
    pub(crate) fn new(router: Router) -> Self {
        Self { router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
            json,
        }
    }

    /// Sends a request and gives the body as it comes.
    pub(crate) async fn open(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send(request(Method::GET, uri, &[], "")).await
    }

    pub(crate) async fn get_with(&self, uri: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(request(Method::GET, uri, headers, "")).await
    }

    pub(crate) async fn delete(&self, uri: &str) -> Answer {
        self.send(request(Method::DELETE, uri, &[], "")).await
    }

    pub(crate) async fn post(&self, uri: &str, body: &str) -> Answer {
        self.post_with(uri, body, &[]).await
    }

    pub(crate) async fn post_with(
        &self,
        uri: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(request(Method::POST, uri, &all, body)).await
    }

    pub(crate) async fn put(&self, uri: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(request(Method::PUT, uri, &json, body)).await
    }

    /// Submits to `default` without waiting, and gives the job's number.
    pub(crate) async fn submit(&self, code: &str) -> u64 {
        let body = serde_json::json!({ "code": code }).to_string();
        let answer = self
            .post("/api/v1/sessions/default/statements?wait=0", &body)
            .await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.json["jobId"].as_str().unwrap();
        id.strip_prefix("job-").unwrap().parse().unwrap()
    }
}

pub(crate) fn request(
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    if !body.is_empty() {
        builder = builder.header(header::CONTENT_LENGTH, body.len());
    }
    builder.body(Body::from(body.to_owned())).unwrap()
}
