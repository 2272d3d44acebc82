use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

#[test]
fn names_hosts_and_ports() {
    for (text, name, uri) in [
        ("sc://h", "sc://h:15002", "http://h:15002"),
        ("sc://h/", "sc://h:15002", "http://h:15002"),
        (
            "sc://Spark_1.Example:7/;",
            "sc://spark_1.example:7",
            "http://spark_1.example:7",
        ),
        ("sc://[::1]", "sc://[::1]:15002", "http://[::1]:15002"),
        (
            "sc://[2001:DB8::7]:80/;use_ssl=TRUE",
            "sc://[2001:db8::7]:80",
            "https://[2001:db8::7]:80",
        ),
        ("sc://h:1/;token=t", "sc://h:1", "https://h:1"),
        (
            "sc://127.0.0.1:1/;token=t;use_ssl=false",
            "sc://127.0.0.1:1",
            "http://127.0.0.1:1",
        ),
    ] {
        let endpoint = parsed(text);
        assert_eq!(
            (endpoint.name(), endpoint.uri().as_str()),
            (name, uri),
            "{text}"
        );
    }
}

#[test]
fn parameters_are_decoded_and_the_unknown_ones_become_headers() {
    let endpoint = parsed(
        "sc://h/;user_id=ann%20b;user_agent=me/1;X-Team=a%3Bb;token=s%3Dt;grpc_max_message_size=1048576",
    );
    assert_eq!(endpoint.user_id(), "ann b");
    assert_eq!(endpoint.user_agent(), "me/1");
    assert_eq!(endpoint.max_message_bytes(), Some(1_048_576));
    let headers: Vec<_> = endpoint
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(
        headers,
        [("authorization", "Bearer s=t"), ("x-team", "a;b")]
    );
    assert_eq!(parsed("sc://h").user_id(), "libra");
}

#[test]
fn refusals_name_the_field_and_never_a_secret() {
    for (text, field, value) in [
        ("", "form", ""),
        ("http://h:1", "form", "http://h:1"),
        ("sc:/h/;token=hush", "form", "sc:/h"),
        ("sc://", "host", ""),
        ("sc://:15002", "host", ":15002"),
        ("sc://a b", "host", "a b"),
        ("sc://::1", "host", "::1"),
        ("sc://[::1", "host", "[::1"),
        ("sc://[nope]:1", "host", "nope"),
        ("sc://me:hush@h:1", "host", "…"),
        ("sc://h:1;token=hush", "host", "…"),
        ("sc://h:0", "port", "0"),
        ("sc://h:+1", "port", "+1"),
        ("sc://h:65536", "port", "65536"),
        ("sc://h:", "port", ""),
        ("sc://h/p;token=hush", "path", "p"),
        ("sc://h/;hush", "parameter", "…"),
        ("sc://h/;=hush", "parameter", "…"),
        ("sc://h/;token=", "token", ""),
        ("sc://h/;token=hush%0A", "token", "…"),
        ("sc://h/;token=hush;token=hush", "token", "…"),
        ("sc://h/;token=hush;use_ssl=false", "use_ssl", "false"),
        ("sc://h/;use_ssl=yes", "use_ssl", "yes"),
        ("sc://h/;user_agent=%00", "user_agent", "\0"),
        ("sc://h/;session_id=1", "session_id", "1"),
        (
            "sc://h/;grpc_max_message_size=4",
            "grpc_max_message_size",
            "4",
        ),
        ("sc://h/;grpc-timeout=hush", "grpc-timeout", "…"),
        ("sc://h/;a b=hush", "a b", "…"),
        ("sc://h/;x-key-bin=hush", "x-key-bin", "…"),
        ("sc://h/;x=%FFhush", "x", "…"),
    ] {
        let error = Endpoint::parse(text).unwrap_err();
        assert_eq!(
            (error.field.as_str(), error.value.as_str()),
            (field, value),
            "{text}"
        );
        assert!(
            !format!("{error} {error:?}").contains("hush"),
            "{text}: {error}"
        );
        assert!(!error.allowed.is_empty());
    }
}

#[test]
fn debug_shows_no_secret() {
    let endpoint = parsed("sc://h/;token=hush;x-api-key=hush");
    let shown = format!("{endpoint:?} {endpoint}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("x-api-key"), "{shown}");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "(sc://)?[ -~é]{0,40}") {
        if let Ok(endpoint) = Endpoint::parse(&text) {
            let again = parsed(endpoint.name());
            prop_assert_eq!(again.name(), endpoint.name());
        }
    }

    #[test]
    fn any_parameter_is_parsed_or_refused(text in "[ -~é]{0,40}") {
        let _ = Endpoint::parse(&format!("sc://h/;{text}"));
    }
}
