//! Watches over openraft: a node whose log is not to be trusted any more is no node.
//!
//! **Invariant:** when openraft's core ends and nobody has stopped it, whoever ends the process is told,
//! also where the core panicked: then its last metrics say that all is well, and nothing more comes.

use std::sync::Arc;

use openraft::async_runtime::WatchReceiver;

use crate::error::FatalError;
use crate::handle::Inner;
use crate::metrics::failure;
use crate::options::FatalHook;

/// Tells of the end of openraft's core once, if it is one that nobody wanted.
pub(crate) async fn watch_failure(inner: Arc<Inner>, on_fatal: FatalHook) {
    let mut metrics = inner.raft.metrics();
    let reason = loop {
        if let Some(reason) = failure(&metrics.borrow_watched()) {
            break reason;
        }
        if metrics.changed().await.is_err() {
            break "its core has panicked".to_owned();
        }
    };
    // Whoever stops the node says so before it stops the core.
    if inner.stopping.send_replace(true) {
        return;
    }
    inner.shared.publisher().close();
    on_fatal.call(&FatalError::Raft { reason });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use libra_proto::types::NodeId;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::node::Node;
    use crate::options::{DiskPolicy, Options};

    const SOON: Duration = Duration::from_secs(10);

    async fn node(dir: &tempfile::TempDir) -> (Node, mpsc::UnboundedReceiver<String>) {
        let (told, fatal) = mpsc::unbounded_channel();
        let mut options = Options::new("test", NodeId(1), dir.path());
        options.disk = DiskPolicy {
            min_free_bytes: 0,
            reserve_bytes: 0,
        };
        options.on_fatal = FatalHook::new(move |error| {
            // The test may have seen enough.
            let _ = told.send(error.to_string());
        });
        let node = Node::start(options).await.unwrap();
        node.handle().wait_leader(SOON).await.unwrap();
        (node, fatal)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_core_that_panics_is_told_of_and_takes_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let (node, mut fatal) = node(&dir).await;
        let handle = node.handle();
        let raft = handle.inner().raft.clone();
        raft.external_request(|_| panic!("as in an assertion of openraft's"))
            .await
            .unwrap();
        let told = timeout(SOON, fatal.recv()).await.unwrap().unwrap();
        assert_eq!(told, "raft has stopped: its core has panicked");
        assert!(handle.inner().is_stopped());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_core_that_is_stopped_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let (node, mut fatal) = node(&dir).await;
        node.shutdown().await.unwrap();
        assert!(fatal.try_recv().is_err(), "told of an end that was wanted");
    }
}
