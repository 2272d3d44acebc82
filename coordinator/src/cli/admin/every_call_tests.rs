//! Every call of the service has a command: told from the service's descriptors, and seen at a
//! server that answers nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use clap::Parser as _;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::net::TcpListener;

use super::admin;
use super::run::example_backup;
use crate::cli::arguments::{Cli, Command};

/// A command for each call; `FILE` stands for a backup, `NEW` for a file that is not there.
const CALLS: &[(&str, &str)] = &[
    ("ClusterStatus", "status"),
    ("AddNode", "nodes add 4 h:1"),
    ("PromoteNode", "nodes promote 4"),
    ("RemoveNode", "nodes remove 4 --yes"),
    ("TransferLeadership", "nodes transfer"),
    ("DrainNode", "nodes drain 4 --yes"),
    ("UndrainNode", "nodes undrain 4"),
    ("TriggerSnapshot", "snapshot"),
    ("Diagnose", "nodes show"),
    ("ListSessions", "sessions list"),
    ("GetSession", "sessions show x"),
    ("MoveSession", "sessions move x --yes"),
    ("RebalanceSessions", "sessions rebalance --yes"),
    ("CloseSession", "sessions close x --yes"),
    ("ListStatements", "statements list"),
    ("GetStatement", "statements show job-1"),
    ("CancelStatements", "statements cancel --all --yes"),
    ("ListPools", "pools list"),
    ("SetPool", "pools set x"),
    ("RemovePool", "pools remove x --yes"),
    ("PausePool", "pools pause x"),
    ("ResumePool", "pools resume x"),
    ("WatchEvents", "events --follow"),
    ("Backup", "backup NEW"),
    ("Restore", "restore FILE --yes"),
];

type Asked = Arc<Mutex<BTreeSet<String>>>;

/// A server of gRPC that knows no call, and remembers which were asked for.
async fn server() -> (String, Asked) {
    let asked = Asked::default();
    let remember = |State(asked): State<Asked>, request: Request| async move {
        asked
            .lock()
            .unwrap()
            .insert(request.uri().path().to_owned());
        let headers = [("content-type", "application/grpc"), ("grpc-status", "12")];
        (StatusCode::OK, headers)
    };
    let router = Router::new()
        .fallback(remember)
        .with_state(Arc::clone(&asked));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, asked)
}

fn calls_of_the_service() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(libra_proto::admin::DESCRIPTORS).unwrap();
    let services = files.file.iter().flat_map(|file| &file.service);
    let admin = services.filter(|service| service.name() == "Admin");
    let calls = admin.flat_map(|service| &service.method);
    calls.map(|call| call.name().to_owned()).collect()
}

#[test]
fn the_table_names_every_call_once() {
    let named: BTreeSet<String> = CALLS.iter().map(|(call, _)| (*call).to_owned()).collect();
    assert_eq!(named.len(), CALLS.len());
    assert_eq!(named, calls_of_the_service());
}

#[tokio::test]
async fn every_command_makes_its_call() {
    let (endpoint, asked) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    std::fs::write(&file, example_backup()).unwrap();
    let new = folder.path().join("new");
    for (call, line) in CALLS {
        let words = line.split(' ').map(|word| match word {
            "FILE" => file.display().to_string(),
            "NEW" => new.display().to_string(),
            word => word.to_owned(),
        });
        let before = ["libra", "admin", "--endpoint", &endpoint].map(str::to_owned);
        let Command::Admin(arguments) = Cli::parse_from(before.into_iter().chain(words)).command
        else {
            panic!("it is admin");
        };
        let failed = admin(*arguments).await.unwrap_err().to_string();
        assert!(
            failed.contains("does not know this call"),
            "{line}: {failed}"
        );
        let path = format!("/libra.admin.v1.Admin/{call}");
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        assert_eq!(asked, BTreeSet::from([path]), "{line}");
    }
    assert!(!new.exists());
}
