//! `libra admin status`, `nodes …` and `snapshot`.

use std::time::Duration;

use libra_proto::admin::{
    AddNodeRequest, ClusterStatusRequest, DiagnoseRequest, DrainNodeRequest, PromoteNodeRequest,
    RemoveNodeRequest, TransferLeadershipRequest, TriggerSnapshotRequest, UndrainNodeRequest,
};

use crate::cli::admin::arguments::{
    AddArguments, NodesCommand, SnapshotArguments, StatusArguments, SureNodeArguments,
};
use crate::cli::admin::client::Client;
use crate::cli::admin::confirm::confirm;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::view::{
    ChangeView, ClusterView, DiagnosisView, MembersView, NodesView, count,
};
use crate::cli::admin::watch::watch;

/// Shows the cluster.
pub(in crate::cli::admin) async fn status(
    client: &mut Client,
    sink: &Sink,
    arguments: &StatusArguments,
) -> Result<(), AdminError> {
    let StatusArguments {
        local,
        hash,
        watch: every,
    } = arguments;
    watch(sink, every.every(), "libra admin status", async || {
        cluster(client, *local, *hash).await
    })
    .await
}

async fn cluster(client: &mut Client, local: bool, hash: bool) -> Result<ClusterView, AdminError> {
    let request = ClusterStatusRequest {
        local,
        with_state_hash: hash,
    };
    let status = client
        .call("show the cluster", request, async |admin, request| {
            admin.cluster_status(request).await
        })
        .await?;
    Ok(status.into())
}

/// Does something with nodes.
pub(in crate::cli::admin) async fn nodes(
    client: &mut Client,
    sink: &Sink,
    command: NodesCommand,
) -> Result<(), AdminError> {
    match command {
        NodesCommand::List(arguments) => {
            watch(
                sink,
                arguments.watch.every(),
                "libra admin nodes list",
                async || Ok(NodesView::from(cluster(client, false, false).await?)),
            )
            .await
        }
        NodesCommand::Show(arguments) => {
            show(client, sink, arguments.node, arguments.watch.every()).await
        }
        NodesCommand::Add(arguments) => add(client, sink, &arguments).await,
        NodesCommand::Promote(arguments) => promote(client, sink, arguments.node).await,
        NodesCommand::Remove(arguments) => remove(client, sink, &arguments).await,
        NodesCommand::Drain(arguments) => drain(client, sink, &arguments).await,
        NodesCommand::Undrain(arguments) => undrain(client, sink, arguments.node).await,
        NodesCommand::Transfer(arguments) => transfer(client, sink, arguments.node).await,
    }
}

async fn show(
    client: &mut Client,
    sink: &Sink,
    node: u64,
    every: Option<Duration>,
) -> Result<(), AdminError> {
    let doing = match node {
        0 => "show the node".to_owned(),
        node => format!("show node {node}"),
    };
    let request = DiagnoseRequest { node_id: node };
    watch(sink, every, "libra admin nodes show", async || {
        let said = client
            .call(&doing, request, async |admin, request| {
                admin.diagnose(request).await
            })
            .await?;
        Ok(DiagnosisView::from(said))
    })
    .await
}

async fn add(client: &mut Client, sink: &Sink, arguments: &AddArguments) -> Result<(), AdminError> {
    let AddArguments {
        node,
        address,
        promote: also_promote,
    } = arguments;
    let request = AddNodeRequest {
        node_id: *node,
        address: address.to_string(),
    };
    let answer = client
        .call(
            &format!("add node {node}"),
            request,
            async |admin, request| admin.add_node(request).await,
        )
        .await?;
    if *also_promote {
        return promote(client, sink, *node).await;
    }
    let votes = answer
        .members
        .iter()
        .any(|member| member.node_id == *node && member.voter);
    let done = if votes {
        format!("node {node} is in the group, and has a vote already")
    } else {
        format!("node {node} is in the group, without a vote: libra admin nodes promote {node}")
    };
    sink.show(&MembersView::new(done, answer.members), Series::One)
}

async fn promote(client: &mut Client, sink: &Sink, node: u64) -> Result<(), AdminError> {
    let request = PromoteNodeRequest { node_id: node };
    let answer = client
        .call(
            &format!("promote node {node}"),
            request,
            async |admin, request| admin.promote_node(request).await,
        )
        .await?;
    let done = format!("node {node} has a vote");
    sink.show(&MembersView::new(done, answer.members), Series::One)
}

/// What leaving means for a node's sessions and leadership, as a sentence; nothing if nobody knows.
async fn consequence(client: &mut Client, node: u64) -> Result<String, AdminError> {
    let cluster = cluster(client, false, false).await?;
    let Some(it) = cluster.nodes.iter().find(|it| it.node_id == node) else {
        return Ok(format!("There is no node {node} that is known."));
    };
    let leads = if cluster.leader == Some(node) {
        " Leadership is handed to another first."
    } else {
        ""
    };
    Ok(format!(
        "Node {node} ({}, {}, {}) owns {} with {}, which move to others.{leads}",
        it.grpc,
        it.role,
        it.state,
        count(it.sessions, "session"),
        count(it.running, "running statement")
    ))
}

async fn remove(
    client: &mut Client,
    sink: &Sink,
    arguments: &SureNodeArguments,
) -> Result<(), AdminError> {
    let node = arguments.node.node;
    let doing = format!("remove node {node}");
    if !arguments.sure.yes {
        let consequence = consequence(client, node).await?;
        confirm(false, &doing, &consequence)?;
    }
    let request = RemoveNodeRequest { node_id: node };
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.remove_node(request).await
        })
        .await?;
    let done = format!("node {node} is not in the group any more: its process can be stopped");
    sink.show(&MembersView::new(done, answer.members), Series::One)
}

async fn drain(
    client: &mut Client,
    sink: &Sink,
    arguments: &SureNodeArguments,
) -> Result<(), AdminError> {
    let node = arguments.node.node;
    let doing = format!("drain node {node}");
    if !arguments.sure.yes {
        let consequence = consequence(client, node).await?;
        confirm(false, &doing, &consequence)?;
    }
    let request = DrainNodeRequest { node_id: node };
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.drain_node(request).await
        })
        .await?;
    let left = match answer.sessions_left {
        0 => "it owns none any more".to_owned(),
        left => format!("{left} stay with it: no other node may take them"),
    };
    let leader = match answer.leader {
        0 => "no leader is known".to_owned(),
        leader => format!("node {leader} leads"),
    };
    let moved = count(answer.sessions_moved, "session");
    let already = if answer.changed { "" } else { " already" };
    let view = ChangeView {
        done: format!("node {node} is draining{already}: {moved} moved, {left}; {leader}"),
        changed: answer.changed,
    };
    sink.show(&view, Series::One)
}

async fn undrain(client: &mut Client, sink: &Sink, node: u64) -> Result<(), AdminError> {
    let request = UndrainNodeRequest { node_id: node };
    let answer = client
        .call(
            &format!("undrain node {node}"),
            request,
            async |admin, request| admin.undrain_node(request).await,
        )
        .await?;
    let done = if answer.changed {
        format!(
            "node {node} takes sessions again; none comes back by itself: \
             libra admin sessions rebalance"
        )
    } else {
        format!("node {node} was not draining")
    };
    let changed = answer.changed;
    sink.show(&ChangeView { done, changed }, Series::One)
}

async fn transfer(client: &mut Client, sink: &Sink, node: u64) -> Result<(), AdminError> {
    let doing = match node {
        0 => "transfer leadership".to_owned(),
        node => format!("transfer leadership to node {node}"),
    };
    let request = TransferLeadershipRequest { to_node: node };
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.transfer_leadership(request).await
        })
        .await?;
    let changed = answer.leader != answer.from_node;
    let before = match (changed, answer.from_node) {
        (false, _) => ", as before".to_owned(),
        (true, 0) => String::new(),
        (true, from) => format!(", before it node {from}"),
    };
    let done = format!(
        "node {} leads in term {}{before}",
        answer.leader, answer.term
    );
    sink.show(&ChangeView { done, changed }, Series::One)
}

/// Has a node write a snapshot.
pub(in crate::cli::admin) async fn snapshot(
    client: &mut Client,
    sink: &Sink,
    arguments: &SnapshotArguments,
) -> Result<(), AdminError> {
    let request = TriggerSnapshotRequest {
        node_id: arguments.node,
    };
    let answer = client
        .call("write a snapshot", request, async |admin, request| {
            admin.trigger_snapshot(request).await
        })
        .await?;
    let (node, index) = (answer.node_id, answer.snapshot_index);
    let done = if answer.written {
        format!("node {node} has written a snapshot of log index {index}")
    } else {
        format!("the newest snapshot of node {node} is of log index {index} already")
    };
    let changed = answer.written;
    sink.show(&ChangeView { done, changed }, Series::One)
}
