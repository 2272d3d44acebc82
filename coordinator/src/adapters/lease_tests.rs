//! When this node renews nothing, and when it does not come back.

use libra_raft::{DiskPolicy, Node, Options};
use tempfile::TempDir;
use tokio::time::Instant;

use super::super::RegisteredNodes;
use super::*;
use crate::peer::{Caller, PeerOptions};

const LIMIT: Duration = Duration::from_secs(20);

/// A registry of one node, and the lease of that node.
struct Alone {
    node: Node,
    registry: RaftRegistry,
    identity: Identity,
    lease: RaftLease,
    _dir: TempDir,
}

impl Alone {
    async fn start(min_free_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new("c", NodeId(1), dir.path().join("raft"));
        options.disk = DiskPolicy {
            min_free_bytes,
            reserve_bytes: 0,
        };
        let node = Node::start(options).await.unwrap();
        let handle = node.handle();
        assert!(handle.wait_leader(LIMIT).await.is_some());
        let registry = RaftRegistry::new(node.handle(), NodeId(1));
        let identity = Identity::new("h:1".to_owned(), "g:1".to_owned(), "s".to_owned());
        let caller = Caller {
            cluster_name: "c".to_owned(),
            node_id: NodeId(1),
        };
        let renewing = Renewing {
            handle: node.handle(),
            registry: registry.clone(),
            peers: Peers::new(
                PeerOptions::new(caller),
                RegisteredNodes::new(node.handle()),
            ),
            terms: LeaseTerms::new(node.handle()),
            identity: identity.clone(),
            reachability: Reachability::new([]),
            limit: LIMIT,
        };
        Self {
            lease: RaftLease::open(renewing, dir.path(), Threads::Own).unwrap(),
            node,
            registry,
            identity,
            _dir: dir,
        }
    }

    /// The start under which the registry has the node.
    fn registered(&self) -> Option<String> {
        let mut nodes = self.registry.nodes().into_iter();
        nodes.next().map(|node| node.boot_id)
    }
}

fn reason(answer: Result<(), RenewError>) -> String {
    match answer {
        Err(RenewError::Unanswered { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_keeps_no_lease() {
    let alone = Alone::start(u64::MAX).await;
    let deadline = Instant::now() + LIMIT;
    while !alone.node.handle().is_disk_full() {
        assert!(Instant::now() < deadline, "the disk is not looked at");
        tokio::task::yield_now().await;
    }
    let reason = reason(alone.lease.renew().await);
    assert!(reason.contains("disk is full"), "{reason}");

    let alone = Alone::start(0).await;
    let reason = self::reason(alone.lease.renew().await);
    assert!(!reason.contains("disk"), "{reason}");
}

#[tokio::test]
async fn only_a_registered_node_that_stays_comes_back() {
    let alone = Alone::start(0).await;
    let (lease, identity) = (&alone.lease, &alone.identity);
    let first = identity.boot_id();
    reason(lease.rejoin().await);
    assert_eq!(alone.registered(), None, "what was removed stays removed");
    assert_eq!(identity.boot_id(), first);

    bootstrap::register_node(&alone.registry, identity)
        .await
        .unwrap();
    assert_eq!(alone.registered(), Some(first.clone()));
    lease.rejoin().await.unwrap();
    let second = identity.boot_id();
    assert_ne!(second, first);
    assert_eq!(alone.registered(), Some(second.clone()));

    identity.leave();
    reason(lease.rejoin().await);
    assert_eq!(identity.boot_id(), second);
    assert_eq!(alone.registered(), Some(second));
    assert!(!identity.begin_anew());
}

#[tokio::test]
async fn what_the_leader_told_is_known_where_nobody_counts() {
    let alone = Alone::start(0).await;
    let terms = LeaseTerms::new(alone.node.handle());
    assert_eq!(terms.unreachable(), []);
    let told = vec![libra_proto::registry::Unreachable {
        node_id: 2,
        endpoint: "spark-1".to_owned(),
    }];
    terms.clone().note_told(told.clone());
    assert_eq!(terms.unreachable(), told);
}
