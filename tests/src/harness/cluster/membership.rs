//! Nodes that join and leave, by the operator's service, and whether all hold the same.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use libra_proto::admin::admin_client::AdminClient;
use libra_proto::admin::{
    AddNodeRequest, ClusterStatusRequest, ClusterStatusResponse, Member, PromoteNodeRequest,
    RemoveNodeRequest,
};
use tonic::transport::{Channel, Endpoint};

use super::Cluster;
use crate::harness::wait::until_some;

const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// What a change may take: a learner may have a snapshot to take first.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// How long nodes may take to have applied the same.
const EQUAL_WITHIN: Duration = Duration::from_secs(30);

impl Cluster {
    /// The operator's client of a node, past any proxy.
    ///
    /// # Errors
    /// When there is no such node, or it does not take connections.
    pub async fn admin(&self, id: u64) -> Result<AdminClient<Channel>> {
        let address = format!("http://{}", self.at(id, self.node(id)?.grpc()));
        let endpoint = Endpoint::from_shared(address)?
            .connect_timeout(CONNECTED_WITHIN)
            .timeout(ANSWERED_WITHIN);
        Ok(AdminClient::new(endpoint.connect().await?))
    }

    /// What a node knows of the group.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn status(&self, id: u64) -> Result<ClusterStatusResponse> {
        let asked = ClusterStatusRequest {
            local: true,
            with_state_hash: true,
        };
        Ok(self
            .admin(id)
            .await?
            .cluster_status(asked)
            .await?
            .into_inner())
    }

    /// Asks node `via` to take node `id` into the group as a learner.
    ///
    /// # Errors
    /// When it does not.
    pub async fn add(&self, via: u64, id: u64) -> Result<Vec<Member>> {
        let address = self.at(id, self.ports(id)?.advertised);
        let asked = AddNodeRequest {
            node_id: id,
            address,
        };
        let answer = self.admin(via).await?.add_node(asked).await?;
        Ok(answer.into_inner().members)
    }

    /// Asks node `via` to give a learner a vote.
    ///
    /// # Errors
    /// When it does not.
    pub async fn promote(&self, via: u64, id: u64) -> Result<Vec<Member>> {
        let asked = PromoteNodeRequest { node_id: id };
        let answer = self.admin(via).await?.promote_node(asked).await?;
        Ok(answer.into_inner().members)
    }

    /// Asks node `via` to take node `id` out of the group.
    ///
    /// # Errors
    /// When it does not.
    pub async fn remove(&self, via: u64, id: u64) -> Result<Vec<Member>> {
        let asked = RemoveNodeRequest { node_id: id };
        let answer = self.admin(via).await?.remove_node(asked).await?;
        Ok(answer.into_inner().members)
    }

    /// Waits until all running nodes have applied the same index and hold the same registry there.
    /// To be asked when nothing changes any more.
    ///
    /// # Errors
    /// When they do not within half a minute, or hold different registries at one index.
    pub async fn all_hold_the_same(&self) -> Result<()> {
        until_some(
            "the same index applied everywhere",
            EQUAL_WITHIN,
            || async {
                let mut seen = BTreeSet::new();
                for id in self.running() {
                    let status = self.status(id).await?;
                    seen.insert((status.applied_index, status.state_hash));
                }
                let indexes: BTreeSet<_> = seen.iter().map(|(index, _)| index).collect();
                ensure!(
                    seen.len() == indexes.len(),
                    "different registries at one index: {seen:?}"
                );
                Ok((seen.len() == 1).then_some(()))
            },
        )
        .await
    }

    /// Waits until a node is a voter of the group, as the node itself knows it.
    ///
    /// # Errors
    /// When it is not within half a minute.
    pub async fn until_voter(&self, id: u64) -> Result<()> {
        until_some(
            &format!("node {id} to have a vote"),
            EQUAL_WITHIN,
            || async {
                let status = self.status(id).await?;
                let votes = |member: &Member| member.node_id == id && member.voter;
                Ok(status.members.iter().any(votes).then_some(()))
            },
        )
        .await
    }
}
