//! Data directories that are refused, and with which words.

use std::fs;
use std::path::Path;

use libra_proto::types::NodeId;
use libra_raft::{Node, Options, StartError};

use crate::support::{options, propose_all, start};

/// A directory with a life behind it.
async fn used() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    propose_all(&node.handle(), 0..5).await;
    node.shutdown().await.unwrap();
    dir
}

/// Starts, expects a refusal that names the directory and these words, and that it is no accident:
/// a second try says the same.
async fn refused(options: Options, words: &[&str]) -> StartError {
    let dir = options.data_dir.display().to_string();
    let first = Node::start(options.clone()).await.unwrap_err();
    let text = first.to_string();
    for word in words.iter().copied().chain([dir.as_str()]) {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    let second = Node::start(options).await.unwrap_err();
    assert_eq!(text, second.to_string());
    first
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clusters() {
    let dir = used().await;
    let mut options = options(dir.path());
    options.cluster_name = "other".to_owned();
    let error = refused(options, &["`test`", "`other`", "correct"]).await;
    assert!(matches!(error, StartError::OtherCluster { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_nodes() {
    let dir = used().await;
    let mut options = options(dir.path());
    options.node_id = NodeId(2);
    let error = refused(options, &["node 1", "node 2", "correct"]).await;
    assert!(matches!(error, StartError::OtherNode { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_librarys() {
    let dir = used().await;
    fs::write(dir.path().join("version"), "libra-raft 7\n").unwrap();
    let words = ["format 7", "at most 1", "newer Libra"];
    let error = refused(options(dir.path()), &words).await;
    assert!(matches!(error, StartError::NewerFormat { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let pid = format!("process {}", std::process::id());
    let words = ["in use", pid.as_str(), "stop that process"];
    let error = refused(options(dir.path()), &words).await;
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    node.shutdown().await.unwrap();
    start(dir.path()).await.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_log_was_deleted() {
    let dir = used().await;
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    let words = ["empty", "node 1", "new learner"];
    let error = refused(options(dir.path()), &words).await;
    assert!(matches!(error, StartError::Emptied { .. }), "{error}");
    assert!(!dir.path().join("log").exists(), "a refusal makes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_log_was_replaced_by_an_empty_one() {
    let dir = used().await;
    let log = dir.path().join("log");
    fs::remove_dir_all(&log).unwrap();
    drop(sled::open(&log).unwrap());
    let error = refused(options(dir.path()), &["empty", "new learner"]).await;
    assert!(matches!(error, StartError::Emptied { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_log_was_set_back() {
    let dir = used().await;
    let copy = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("log"), copy.path());
    let node = start(dir.path()).await;
    propose_all(&node.handle(), 5..10).await;
    node.shutdown().await.unwrap();
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    copy_dir(copy.path(), &dir.path().join("log"));
    let words = ["vote", "by its marker", "new learner"];
    let error = refused(options(dir.path()), &words).await;
    assert!(matches!(error, StartError::Older { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_marker_or_has_a_damaged_one() {
    let dir = used().await;
    let marker = dir.path().join("marker");
    let mut bytes = fs::read(&marker).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&marker, bytes).unwrap();
    refused(options(dir.path()), &["marker", "checksum", "new learner"]).await;
    fs::remove_file(&marker).unwrap();
    let error = refused(options(dir.path()), &["marker", "missing"]).await;
    assert!(matches!(error, StartError::Guard { .. }), "{error}");
}

/// sled answers to a damaged file with an error, a panic, a shorter log or an empty one, and which
/// one is up to the damage: all of them must end in a refusal, or in the whole log.
#[tokio::test(flavor = "multi_thread")]
async fn one_whose_database_is_damaged() {
    let dir = used().await;
    let db = dir.path().join("log/db");
    let whole = fs::read(&db).unwrap();
    let used_bytes = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut refusals = 0;
    for eighth in 0..8 {
        for cut in [true, false] {
            let place = used_bytes * eighth / 8;
            let mut bytes = whole.clone();
            if cut {
                bytes.truncate(place);
            } else {
                let end = bytes.len().min(place + 4096);
                bytes[place..end].fill(0);
            }
            fs::remove_dir_all(dir.path().join("log")).unwrap();
            fs::create_dir_all(dir.path().join("log/blobs")).unwrap();
            fs::write(&db, &bytes).unwrap();
            match Node::start(options(dir.path())).await {
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("log"), "{text}");
                    refusals += 1;
                }
                Ok(node) => {
                    let handle = node.handle();
                    handle.read_index().await.unwrap();
                    assert_eq!(
                        crate::support::pools(&handle),
                        crate::support::named(0..5),
                        "lost silently: cut {cut} at {place}"
                    );
                    node.shutdown().await.unwrap();
                    // It has written: the next damage is done to what it left.
                }
            }
        }
    }
    assert!(refusals >= 8, "only {refusals} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_are_not_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.election_min = options.election_max;
    let error = Node::start(options).await.unwrap_err();
    assert!(
        matches!(
            error,
            StartError::Option {
                field: "election_max",
                ..
            }
        ),
        "{error}"
    );
}
