//! Who is not let in, and what is said about it.

use std::time::Duration;

use libra_proto::raft as wire;
use libra_proto::raft::raft_client::RaftClient;
use libra_proto::types::NodeId;
use libra_raft::{FormError, Node, StartError};
use prost::Message;
use tonic::Code;

use crate::support::{Group, LIMIT, address, peers, pools, put_pool, until};

/// Waits until a newcomer is refused, and returns the reason.
async fn refused(node: &Node) -> String {
    match node.formed(LIMIT).await {
        Err(FormError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster() {
    let mut group = Group::formed(3).await;
    let mut options = group.options(4);
    options.cluster_name = "other".to_owned();
    group.start_with(options).await.unwrap();
    let reason = refused(&group.node(4).node).await;
    assert!(
        reason.contains("cluster `test`, not in `other`"),
        "{reason}"
    );
    group.kill(4).await;
    group.agree().await;
    group.shutdown().await;
}

/// Starts a node that nobody can reach at its address, because somebody else is there or nobody is.
async fn start_unserved(group: &Group, id: u64, own: &str) -> Node {
    let mut options = group.options(7);
    options.node_id = NodeId(id);
    options.data_dir = group.dir(70 + id);
    options.peers = peers([1, 3]);
    options.peers.insert(NodeId(id), own.to_owned());
    let connector = group.net.connector(7, Duration::from_secs(1));
    Node::start_with(options, connector).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_another_node_has() {
    let group = Group::formed(3).await;
    let node = start_unserved(&group, 2, "node-8:1").await;
    // It is not even reached there; when it is, the node that has the id speaks up.
    let error = node.formed(Duration::from_secs(2)).await.unwrap_err();
    assert!(matches!(error, FormError::TimedOut { .. }), "{error}");
    node.shutdown().await.unwrap();

    let mut options = group.options(3);
    options.node_id = NodeId(2);
    options.data_dir = group.dir(72);
    options.peers = peers([1, 3]);
    options.peers.insert(NodeId(2), address(8));
    let second = crate::support::run(&group.net, options).await.unwrap();
    let reason = refused(&second.node).await;
    assert!(
        reason.contains("id 2 is that of the node at `node-2:1`"),
        "{reason}"
    );
    second.stop().await;
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_node_has() {
    let group = Group::formed(3).await;
    let node = start_unserved(&group, 4, &address(2)).await;
    let reason = refused(&node).await;
    assert!(reason.contains("node 2"), "{reason}");
    node.shutdown().await.unwrap();
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_peers_without_the_node_itself() {
    let mut group = Group::new(3);
    let mut options = group.options(4);
    options.peers = peers(1..=3);
    let error = group.start_with(options).await.unwrap_err();
    assert!(matches!(error, StartError::NotAmongPeers { .. }), "{error}");
    assert!(error.to_string().contains("node 4"), "{error}");
    let mut options = group.options(1);
    options.peers.insert(NodeId(2), address(3));
    let error = group.start_with(options).await.unwrap_err();
    assert!(matches!(error, StartError::AddressClash { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_are_configured_differently_form_nothing() {
    let mut group = Group::new(2);
    let mut options = group.options(1);
    options.peers.insert(NodeId(9), address(9));
    group.start_with(group.options(2)).await.unwrap();
    group.start_with(options).await.unwrap();
    let error = group
        .node(2)
        .node
        .formed(Duration::from_secs(2))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("other peers"), "{error}");
    for id in [1, 2] {
        assert_eq!(group.handle(id).status().last_log_index, 0);
    }
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_for_the_node() {
    let group = Group::formed(3).await;
    let leader = group.leader().await;
    let status = group.handle(leader).status();
    let connector = group.net.connector(9, Duration::from_secs(1));
    let mut client = RaftClient::new(connector.connect(&address(leader)).unwrap());
    let right = wire::ProposeRequest {
        envelope: Some(wire::Envelope {
            cluster_name: "test".to_owned(),
            from_node: 9,
            to_node: leader,
            to_store_uuid: status.store_uuid,
        }),
        hops: 0,
        command: put_pool(1).encode_to_vec(),
        timeout_ms: 5000,
    };
    type Spoil = fn(&mut wire::ProposeRequest);
    let spoils: [Spoil; 6] = [
        |request| request.hops = 1,
        |request| request.envelope = None,
        |request| request.envelope.as_mut().unwrap().cluster_name = "other".to_owned(),
        |request| request.envelope.as_mut().unwrap().to_node += 1,
        |request| request.envelope.as_mut().unwrap().to_store_uuid = "old".to_owned(),
        |request| request.command = vec![0xff; 9],
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut request = right.clone();
        spoil(&mut request);
        let refused = client.propose(request).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::FailedPrecondition,
            "{number}: {refused}"
        );
    }
    assert!(pools(&group.handle(leader)).is_empty());
    client.propose(right.clone()).await.unwrap();
    assert_eq!(pools(&group.handle(leader)).len(), 1);

    // A follower does not pass on what was passed on to it.
    let follower = group.follower().await;
    until("the follower knows the leader", || {
        group.handle(follower).status().leader == Some(NodeId(leader))
    })
    .await;
    let mut client = RaftClient::new(connector.connect(&address(follower)).unwrap());
    let mut passed_on = right;
    let envelope = passed_on.envelope.as_mut().unwrap();
    envelope.to_node = follower;
    envelope.to_store_uuid = group.handle(follower).status().store_uuid;
    let answer = client.propose(passed_on).await.unwrap().into_inner();
    match answer.result {
        Some(wire::propose_response::Result::NotLeader(not_leader)) => {
            assert_eq!(
                (not_leader.leader, not_leader.address),
                (leader, address(leader))
            );
        }
        other => panic!("{other:?}"),
    }
    group.shutdown().await;
}
