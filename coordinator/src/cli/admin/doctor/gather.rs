//! Asks every node of the cluster.
//!
//! **Invariant:** nodes are asked side by side, each within the time of one call, so that dead ones
//! do not hold the others up.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use libra_proto::admin::{
    ClusterStatusRequest, ClusterStatusResponse, DiagnoseRequest, DiagnoseResponse, Node,
};
use tokio::time::timeout;
use tonic::Request;

use super::facts::{Clock, Facts, NodeFacts, Said};
use crate::cli::admin::client::{Client, Stub, connect, innermost};
use crate::cli::admin::error::AdminError;
use crate::clock::now_ms;
use crate::config::Address;

const DOING: &str = "check the cluster";
/// What one node gets to answer, of the time that is given at most.
const NODE_WITHIN: Duration = Duration::from_secs(5);
/// A clock is read so often, and the quickest answer counts.
const READINGS: usize = 3;

/// A node's word, and how its clock stands.
type Answer = Result<(DiagnoseResponse, Clock), String>;

/// Collects all that can be found out.
///
/// # Errors
/// When no node says which nodes there are.
pub(super) async fn gather(client: &mut Client) -> Result<Facts, AdminError> {
    let request = ClusterStatusRequest::default();
    let cluster = client
        .call(DOING, request, async |admin, request| {
            admin.cluster_status(request).await
        })
        .await?;
    let limit = client.timeout().min(NODE_WITHIN);
    // The addresses that were given are reached from here, whatever nodes call each other.
    let given = client
        .endpoints()
        .iter()
        .map(|endpoint| ask(endpoint, limit));
    let given = join_all(given).await.into_iter().flatten();
    let given: BTreeMap<u64, _> = given.map(|answer| (answer.0.node_id, answer)).collect();
    let nodes = nodes(&cluster);
    let relay = &*client;
    let said = nodes.into_iter().map(|known| {
        let given = given.get(&known.node_id).cloned();
        async move {
            let said = match given {
                Some(answer) => direct(answer),
                None => asked(relay, &known, limit).await,
            };
            NodeFacts { known, said }
        }
    });
    let nodes = join_all(said).await;
    Ok(Facts { cluster, nodes })
}

/// All nodes; where the node that answered is of an older build it names members only.
fn nodes(cluster: &ClusterStatusResponse) -> Vec<Node> {
    if !cluster.nodes.is_empty() {
        return cluster.nodes.clone();
    }
    let members = cluster.members.iter().map(|member| Node {
        node_id: member.node_id,
        grpc: member.address.clone(),
        voter: member.voter,
        lag: member.lag,
        ..Node::default()
    });
    members.collect()
}

fn direct((diagnosis, clock): (DiagnoseResponse, Clock)) -> Said {
    Said::Direct {
        diagnosis: Box::new(diagnosis),
        clock,
    }
}

/// Asks a node at the address that the others have for it, and else through another.
async fn asked(relay: &Client, known: &Node, limit: Duration) -> Said {
    let answer = match known.grpc.parse() {
        Ok(address) => ask(&address, limit).await,
        Err(_) => Err("no address is known".to_owned()),
    };
    let why = match answer {
        Ok(answer) if answer.0.node_id == known.node_id => return direct(answer),
        Ok((other, _)) => format!("node {} answers there", other.node_id),
        Err(why) => why,
    };
    match through(relay, known.node_id, limit).await {
        Some(diagnosis) => Said::Relayed {
            diagnosis: Box::new(diagnosis),
            why,
        },
        None => Said::Nothing { why },
    }
}

async fn through(relay: &Client, node: u64, limit: Duration) -> Option<DiagnoseResponse> {
    let (_, mut stub) = relay.connected(DOING).await.ok()?;
    let asked = diagnose(&mut stub, node, limit).await.ok()?;
    (asked.node_id == node).then_some(asked)
}

/// Asks whoever listens there, a few times.
async fn ask(endpoint: &Address, limit: Duration) -> Answer {
    let mut stub = connect(endpoint, limit).await?;
    let mut best: Option<(DiagnoseResponse, Clock)> = None;
    for _ in 0..READINGS {
        let begun = now_ms();
        let said = match diagnose(&mut stub, 0, limit).await {
            Ok(said) => said,
            // What was said before counts.
            Err(_) if best.is_some() => break,
            Err(why) => return Err(why),
        };
        let clock = Clock::of_call(begun, now_ms(), said.wall_clock_ms);
        if best
            .as_ref()
            .is_none_or(|(_, known)| clock.unsure_ms < known.unsure_ms)
        {
            best = Some((said, clock));
        }
    }
    best.ok_or_else(|| "no answer".to_owned())
}

async fn diagnose(stub: &mut Stub, node: u64, limit: Duration) -> Result<DiagnoseResponse, String> {
    let mut request = Request::new(DiagnoseRequest { node_id: node });
    request.set_timeout(limit);
    match timeout(limit, stub.diagnose(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) if status.message().is_empty() => Err(innermost(&status)),
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}
