//! Bad input over every route: each refused as a problem that names what is wrong, none of it
//! leaving a trace.

use http::Method;

use crate::client::request;
use crate::node::TestNode;

struct Case {
    method: Method,
    uri: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
    /// The field that the answer must name; empty if it names none.
    field: &'static str,
}

impl Case {
    fn new(method: &str, uri: impl Into<String>, status: u16, field: &'static str) -> Self {
        Self {
            method: method.parse().unwrap(),
            uri: uri.into(),
            headers: Vec::new(),
            body: String::new(),
            status,
            field,
        }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn json(self, body: impl Into<String>) -> Self {
        let mut case = self.header("content-type", "application/json");
        case.body = body.into();
        case
    }
}

const GETS: [&str; 16] = [
    "/api/v1/sessions",
    "/api/v1/sessions/default",
    "/api/v1/sessions/default/statements",
    "/api/v1/statements",
    "/api/v1/statements/job-1",
    "/api/v1/sessions/default/statements/job-1",
    "/api/v1/sessions/default/statements/job-1/result",
    "/api/v1/statements/job-1/events",
    "/api/v1/pools",
    "/api/v1/cluster",
    "/actuator",
    "/actuator/health",
    "/actuator/health/readiness",
    "/actuator/metrics",
    "/actuator/metrics/libra.sessions.active",
    "/actuator/prometheus",
];

const SUBMIT: &str = "/api/v1/sessions/default/statements";

/// What is wrong in the same way everywhere.
fn on_every_route() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in GETS {
        cases.push(Case::new(
            "GET",
            format!("{path}?unknown=1"),
            400,
            "unknown",
        ));
        cases.push(Case::new(
            "GET",
            format!("{path}?stale=maybe"),
            400,
            "stale",
        ));
        cases.push(Case::new(
            "GET",
            format!("{path}?stale=true&stale=true"),
            400,
            "stale",
        ));
        cases.push(Case::new("PATCH", path, 405, ""));
        cases.push(Case::new("GET", path, 406, "Accept").header("accept", "application/xml"));
        cases.push(Case::new("GET", format!("{path}/"), 404, ""));
    }
    for (method, path) in [
        ("POST", "/api/v1/sessions"),
        ("POST", SUBMIT),
        ("POST", "/api/v1/statements/job-1/cancel"),
        ("PUT", "/api/v1/pools/nightly"),
        ("DELETE", "/api/v1/sessions/default"),
        ("DELETE", "/api/v1/pools/nightly"),
    ] {
        let body = match (method, path) {
            ("POST", SUBMIT) => r#"{"code":"a"}"#,
            ("PUT", _) => r#"{"weight":1,"minShare":1,"schedulingMode":"FAIR"}"#,
            _ => "",
        };
        let uri = format!("{path}?unknown=1");
        cases.push(Case::new(method, uri, 400, "unknown").json(body));
        let stale = format!("{path}?stale=true");
        cases.push(Case::new(method, stale, 400, "stale").json(body));
        let accept = Case::new(method, path, 406, "Accept").json(body);
        cases.push(accept.header("accept", "text/html"));
    }
    cases
}

fn bad_paths() -> Vec<Case> {
    let mut cases = Vec::new();
    let long = "a".repeat(129);
    for id in [
        "..%2Fx", "%2E%2E", ".x", "-x", "a%20b", "a%2Fb", "%C3%A4", "a%0A", "a%00", "%FF", "a%2b",
        "a:b", "a*b", &long,
    ] {
        let field = if id == "%FF" { "path" } else { "sessionId" };
        cases.push(Case::new(
            "GET",
            format!("/api/v1/sessions/{id}"),
            400,
            field,
        ));
        let statements = format!("/api/v1/sessions/{id}/statements");
        cases.push(Case::new("POST", statements, 400, field).json(r#"{"code":"a"}"#));
    }
    for id in [
        "1",
        "job-0",
        "job-01",
        "job--1",
        "job-1x",
        "JOB-1",
        "job-",
        "x",
        "job-18446744073709551616",
        "job-1%20",
    ] {
        cases.push(Case::new(
            "GET",
            format!("/api/v1/statements/{id}"),
            400,
            "jobId",
        ));
        let result = format!("/api/v1/sessions/default/statements/{id}/result");
        cases.push(Case::new("GET", result, 400, "jobId"));
    }
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/sessions",
        "/api/v1//sessions",
        "/api/v1/../v1/sessions",
        "/actuator/env",
        "/api/v1/statements/job-1/nothing",
    ] {
        cases.push(Case::new("GET", path, 404, ""));
    }
    cases.push(Case::new(
        "GET",
        "/api/v1/sessions//statements",
        400,
        "sessionId",
    ));
    for name in ["a%2Fb", "%20a", "%C3%A4", "a%00"] {
        cases.push(Case::new(
            "DELETE",
            format!("/api/v1/pools/{name}"),
            400,
            "name",
        ));
    }
    cases
}

fn bad_queries() -> Vec<Case> {
    let job = "/api/v1/statements/job-1";
    let result = "/api/v1/statements/job-1/result";
    let mut cases = Vec::new();
    for (path, name, values) in [
        (
            job,
            "wait",
            &[
                "-1", "61", "x", "", "1e2", "1e", ".5", "NaN", "inf", "%2B1", "1,5",
            ][..],
        ),
        (
            job,
            "rows",
            &["-1", "1001", "1.5", "x", "", "99999999999999999999"][..],
        ),
        (job, "bigint", &["text", "", "String"][..]),
        (
            result,
            "offset",
            &["-1", "x", "1.5", "", "18446744073709551616"][..],
        ),
        (result, "limit", &["0", "-1", "10001", "x", ""][..]),
        ("/api/v1/sessions", "limit", &["0", "1001", "-5", "ten"][..]),
        ("/api/v1/sessions", "after", &["..%2Fx", "", "%00"][..]),
        ("/api/v1/statements", "state", &["done", "QUEUED", ""][..]),
        ("/api/v1/statements", "after", &["7", "job-0", "x"][..]),
        ("/api/v1/statements", "session", &["a%20b", ""][..]),
        (SUBMIT, "session", &["default"][..]),
    ] {
        for value in values {
            cases.push(Case::new(
                "GET",
                format!("{path}?{name}={value}"),
                400,
                name,
            ));
        }
    }
    for query in ["wait=61", "wait=-1", "rows=5000", "wait=1&wait=1"] {
        let name = if query.starts_with("rows") {
            "rows"
        } else {
            "wait"
        };
        let uri = format!("{SUBMIT}?{query}");
        cases.push(Case::new("POST", uri, 400, name).json(r#"{"code":"a"}"#));
    }
    cases
}

fn bad_bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    let deep = format!(r#"{{"code":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    for (body, field) in [
        ("", "body"),
        (" ", "body"),
        ("{", "body"),
        ("nonsense", "body"),
        ("[]", "body"),
        (r#"["SELECT 1",null,null,null,null,null]"#, "body"),
        ("null", "body"),
        ("1", "body"),
        ("\"SELECT 1\"", "body"),
        (r#"{"code":"a"} x"#, "body"),
        (r#"{"code":"a",}"#, "body"),
        (r#"{'code':'a'}"#, "body"),
        (deep.as_str(), "body"),
        (r#"{"code":"\ud800"}"#, "body"),
        ("{}", "code"),
        (r#"{"code":null}"#, "code"),
        (r#"{"code":1}"#, "code"),
        (r#"{"code":["a"]}"#, "code"),
        (r#"{"code":{"a":1}}"#, "code"),
        (r#"{"code":true}"#, "code"),
        (r#"{"code":""}"#, "code"),
        (r#"{"code":"  \n\t "}"#, "code"),
        (r#"{"code":"a","code":"b"}"#, "code"),
        (r#"{"Code":"a"}"#, "Code"),
        (r#"{"code":"a","sql":"b"}"#, "sql"),
        (r#"{"code":"a","kind":"python"}"#, "kind"),
        (r#"{"code":"a","kind":"SQL"}"#, "kind"),
        (r#"{"code":"a","kind":1}"#, "kind"),
        (r#"{"code":"a","pool":"nowhere"}"#, "pool"),
        (r#"{"code":"a","pool":""}"#, "pool"),
        (r#"{"code":"a","pool":7}"#, "pool"),
        (r#"{"code":"a","user":"a b"}"#, "user"),
        (r#"{"code":"a","user":""}"#, "user"),
        (r#"{"code":"a","user":"ä"}"#, "user"),
        (r#"{"code":"a","user":[]}"#, "user"),
        (r#"{"code":"a","description":5}"#, "description"),
        (r#"{"code":"a","timeoutSeconds":0}"#, "timeoutSeconds"),
        (r#"{"code":"a","timeoutSeconds":-1}"#, "timeoutSeconds"),
        (r#"{"code":"a","timeoutSeconds":"5"}"#, "timeoutSeconds"),
        (r#"{"code":"a","timeoutSeconds":1e300}"#, "timeoutSeconds"),
        (r#"{"code":"a","timeoutSeconds":1e999}"#, "body"),
        (r#"{"code":"a","timeoutSeconds":true}"#, "timeoutSeconds"),
    ] {
        cases.push(Case::new("POST", SUBMIT, 400, field).json(body));
    }
    let long = format!(r#"{{"code":"a","description":"{}"}}"#, "d".repeat(5_000));
    cases.push(Case::new("POST", SUBMIT, 400, "description").json(long));
    for (body, field) in [
        ("[", "body"),
        ("[]", "body"),
        (r#"{"sessionId":"../x"}"#, "sessionId"),
        (r#"{"sessionId":""}"#, "sessionId"),
        (r#"{"sessionId":5}"#, "sessionId"),
        (r#"{"id":"x"}"#, "id"),
        (r#"{"conf":[]}"#, "conf"),
        (r#"{"conf":{"spark.sql.x":1}}"#, "conf.spark.sql.x"),
        (r#"{"conf":{"":"x"}}"#, "conf."),
        (r#"{"conf":{"a b":"x"}}"#, "conf.a b"),
        (
            r#"{"conf":{"spark.driver.memory":"1g"}}"#,
            "conf.spark.driver.memory",
        ),
        (
            r#"{"conf":{"spark.sql.warehouse.dir":"x"}}"#,
            "conf.spark.sql.warehouse.dir",
        ),
        (r#"{"user":"a/b"}"#, "user"),
        (r#"{"timeoutMinutes":-1}"#, "timeoutMinutes"),
        (r#"{"timeoutMinutes":1.5}"#, "timeoutMinutes"),
        (r#"{"timeoutMinutes":"5"}"#, "timeoutMinutes"),
        (
            r#"{"timeoutMinutes":18446744073709551615}"#,
            "timeoutMinutes",
        ),
    ] {
        cases.push(Case::new("POST", "/api/v1/sessions", 400, field).json(body));
    }
    for (body, field) in [
        ("{}", "weight"),
        (
            r#"{"weight":0,"minShare":1,"schedulingMode":"FAIR"}"#,
            "weight",
        ),
        (
            r#"{"weight":-1,"minShare":1,"schedulingMode":"FAIR"}"#,
            "weight",
        ),
        (
            r#"{"weight":4294967297,"minShare":1,"schedulingMode":"FAIR"}"#,
            "weight",
        ),
        (
            r#"{"weight":1,"minShare":-1,"schedulingMode":"FAIR"}"#,
            "minShare",
        ),
        (r#"{"weight":1,"schedulingMode":"FAIR"}"#, "minShare"),
        (
            r#"{"weight":1,"minShare":1,"schedulingMode":"fair"}"#,
            "schedulingMode",
        ),
        (
            r#"{"weight":1,"minShare":1,"schedulingMode":"FAIR","maxRunning":0}"#,
            "maxRunning",
        ),
        (
            r#"{"weight":1,"minShare":1,"schedulingMode":"FAIR","x":0}"#,
            "x",
        ),
    ] {
        cases.push(Case::new("PUT", "/api/v1/pools/nightly", 400, field).json(body));
    }
    for uri in [
        "/api/v1/statements/job-1/cancel",
        "/api/v1/sessions/default/statements/job-1/cancel",
    ] {
        cases.push(Case::new("POST", uri, 400, "body").json(r#"{"force":true}"#));
    }
    cases
}

fn bad_headers() -> Vec<Case> {
    let submit = || Case::new("POST", SUBMIT, 400, "Idempotency-Key").json(r#"{"code":"a"}"#);
    let mut cases = vec![
        submit().header("idempotency-key", ""),
        submit().header("idempotency-key", "a b"),
        submit().header("idempotency-key", "k".repeat(256)),
        submit()
            .header("idempotency-key", "a")
            .header("idempotency-key", "b"),
    ];
    if let Some(twice) = cases.last_mut() {
        twice.field = "idempotency-key";
    }
    for (user, field) in [
        ("a b", "X-Libra-User"),
        ("", "X-Libra-User"),
        ("a/b", "X-Libra-User"),
    ] {
        let mut case = submit().header("x-libra-user", user);
        case.field = field;
        cases.push(case);
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/jsonx",
        "json",
    ] {
        for (method, uri) in [("POST", SUBMIT), ("POST", "/api/v1/sessions")] {
            let mut case = Case::new(method, uri, 415, "Content-Type").header("content-type", kind);
            case.body = r#"{"code":"a"}"#.to_owned();
            cases.push(case);
        }
    }
    let mut none = Case::new("POST", SUBMIT, 415, "Content-Type");
    none.body = r#"{"code":"a"}"#.to_owned();
    cases.push(none);
    let gzip = Case::new("POST", SUBMIT, 415, "Content-Encoding").json(r#"{"code":"a"}"#);
    cases.push(gzip.header("content-encoding", "gzip"));
    cases
}

fn wrong_methods() -> Vec<Case> {
    [
        ("PUT", "/api/v1/sessions"),
        ("DELETE", "/api/v1/sessions"),
        ("POST", "/api/v1/sessions/default"),
        ("PUT", "/api/v1/sessions/default"),
        ("DELETE", SUBMIT),
        ("POST", "/api/v1/statements"),
        ("DELETE", "/api/v1/statements/job-1"),
        ("POST", "/api/v1/statements/job-1/result"),
        ("GET", "/api/v1/statements/job-1/cancel"),
        ("POST", "/api/v1/pools"),
        ("POST", "/api/v1/pools/default"),
        ("POST", "/api/v1/cluster"),
        ("POST", "/actuator/health"),
        ("TRACE", "/api/v1/sessions"),
        ("BREW", "/api/v1/sessions"),
    ]
    .map(|(method, uri)| Case::new(method, uri, 405, ""))
    .into()
}

#[tokio::test]
async fn every_bad_input_is_refused_with_its_reason_and_leaves_no_trace() {
    let node = TestNode::isolated().await;
    node.client
        .post(SUBMIT, "x")
        .await
        .assert_problem(400, "invalid-request");
    // So that paths with `default` and `job-1` are right but for what a case spoils.
    let made = node
        .client
        .post(&format!("{SUBMIT}?wait=0"), r#"{"code":"a"}"#)
        .await;
    assert_eq!(made.status, 202, "{}", made.text());
    let before = everything(&node).await;

    let mut cases = on_every_route();
    cases.extend(bad_paths());
    cases.extend(bad_queries());
    cases.extend(bad_bodies());
    cases.extend(bad_headers());
    cases.extend(wrong_methods());
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(reason) = check(&node, case).await {
            wrong.push(reason);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert_eq!(everything(&node).await, before);
    node.stop().await;
}

async fn check(node: &TestNode, case: &Case) -> Result<(), String> {
    let headers: Vec<_> = case.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let sent = request(case.method.clone(), &case.uri, &headers, &case.body);
    let answer = node.client.send(sent).await;
    let body: String = case.body.chars().take(80).collect();
    let said = format!(
        "{} {} {:?} {body} -> {} {}",
        case.method,
        case.uri,
        case.headers,
        answer.status,
        String::from_utf8_lossy(&answer.bytes)
    );
    if answer.status != case.status || answer.header("content-type") != "application/problem+json" {
        return Err(said);
    }
    let errors = answer.json["errors"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let complete = errors
        .iter()
        .all(|e| e["value"].is_string() && !e["allowed"].is_null());
    let named = case.field.is_empty() || errors.iter().any(|e| e["field"] == case.field);
    if complete && named { Ok(()) } else { Err(said) }
}

async fn everything(node: &TestNode) -> [serde_json::Value; 3] {
    [
        node.client.get("/api/v1/sessions").await.json,
        node.client.get("/api/v1/statements").await.json,
        node.client.get("/api/v1/pools").await.json,
    ]
}
