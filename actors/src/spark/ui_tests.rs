use tokio::net::TcpListener;

use super::*;

/// The settings of a driver whose UI answers once.
async fn driver(answer: &'static [u8]) -> BTreeMap<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 256];
        let read = connection.read(&mut request).await.unwrap();
        let wanted = b"GET /api/v1/applications/app-1 HTTP/1.0\r\n";
        assert!(request[..read].starts_with(wanted));
        connection.write_all(answer).await.unwrap();
    });
    BTreeMap::from([
        (HOST.to_owned(), "127.0.0.1".to_owned()),
        (PORT.to_owned(), port),
    ])
}

#[tokio::test]
async fn only_a_ui_that_answers_for_the_application_is_named() {
    const LIMIT: Duration = Duration::from_secs(10);
    let settings = driver(b"HTTP/1.1 200 OK\r\n\r\n{}").await;
    let url = find(Place::of(&settings), "app-1", LIMIT).await;
    assert_eq!(url, Some(format!("http://127.0.0.1:{}", settings[PORT])));
    for answer in [b"HTTP/1.1 404 Not Found\r\n\r\n".as_slice(), b""] {
        let other = driver(answer).await;
        assert_eq!(find(Place::of(&other), "app-1", LIMIT).await, None);
    }
    assert_eq!(find(Place::of(&settings), "app 1", LIMIT).await, None);
    assert_eq!(find(Place::of(&settings), "", LIMIT).await, None);
    assert_eq!(find(None, "app-1", LIMIT).await, None);
}

#[test]
fn a_place_needs_a_host_and_a_real_port() {
    for (enabled, host, port, expected) in [
        ("true", "h", "4040", Some("h:4040")),
        ("true", "[::1]", "4040", Some("[::1]:4040")),
        ("false", "h", "4040", None),
        ("true", "h", "0", None),
        ("true", "h", "many", None),
    ] {
        let settings = [(ENABLED, enabled), (HOST, host), (PORT, port)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let place = Place::of(&settings).map(|place| place.authority());
        assert_eq!(place.as_deref(), expected, "{enabled} {host} {port}");
    }
    assert_eq!(Place::of(&BTreeMap::new()), None);
}
