//! The server on a real listener: what hyper does before and around the router.

use std::time::{Duration, Instant};

use libra_coordinator::http::{self, HttpOptions};
use libra_proto::registry::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::node::TestNode;

struct Served {
    node: TestNode,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn served() -> Served {
    let options = HttpOptions {
        shutdown_grace: Duration::from_secs(5),
        ..HttpOptions::default()
    };
    let node = TestNode::start(Mode::Isolated, options.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let router = http::router(node.service.clone(), options.clone());
    let server = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        http::serve(listener, router, &options, stopped).await
    });
    Served {
        node,
        address,
        stop,
        server,
    }
}

impl Served {
    async fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

async fn whole(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    timeout(Duration::from_secs(20), read)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn headers_that_are_too_long_get_a_problem_over_the_wire() {
    let served = served().await;
    let long = format!("x-long: {}\r\n", "y".repeat(40_000));
    let answer = whole(served.connect(&get("/api/v1/pools", &long)).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(answer.contains("urn:libra:problem:headers-too-large"));
    let nonsense = whole(served.connect("nonsense\r\n\r\n").await).await;
    assert!(nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");
    served.stop.send(()).unwrap();
    served.server.await.unwrap().unwrap();
    served.node.stop().await;
}

#[tokio::test]
async fn a_stop_lets_running_requests_end_and_takes_no_new_ones() {
    let served = served().await;
    let submitted = "/api/v1/sessions/a/statements?wait=0";
    served.node.client.post(submitted, r#"{"code":"a"}"#).await;
    let poll = served
        .connect(&get("/api/v1/statements/job-1?wait=1.5", ""))
        .await;
    let idle = TcpStream::connect(served.address).await.unwrap();
    let alive = whole(served.connect(&get("/actuator/health/liveness", "")).await).await;
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
    let begin = Instant::now();
    served.stop.send(()).unwrap();
    let answer = whole(poll).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.server.await.unwrap().unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert!(TcpStream::connect(served.address).await.is_err());
    drop(idle);
    served.node.stop().await;
}
