//! Nodes that come, rest and go, and who leads them.

use libra_proto::admin::{
    AddNodeRequest, AddNodeResponse, DrainNodeRequest, DrainNodeResponse, Member,
    PromoteNodeRequest, PromoteNodeResponse, RemoveNodeRequest, RemoveNodeResponse,
    TransferLeadershipRequest, TransferLeadershipResponse, UndrainNodeRequest, UndrainNodeResponse,
};
use libra_proto::registry::{DrainNode, NodeState, RejectionCode, RemoveNode, command};
use libra_proto::types::NodeId;

use super::call::Call;
use super::convert::member;
use super::problem::Problem;
use super::reason::Reason;
use super::{AdminService, Client, changed};
use crate::config::{Address, InvalidAddress};

impl AdminService {
    pub(super) async fn answer_add_node(
        &self,
        _call: &Call,
        asked: AddNodeRequest,
    ) -> Result<AddNodeResponse, Problem> {
        let node = node_of(asked.node_id)?;
        let address = asked.address;
        if address.parse::<Address>().is_err() {
            return Err(Problem::invalid(
                "address",
                address,
                InvalidAddress.to_string(),
            ));
        }
        self.handle.add_learner(node, address).await?;
        let members = self.members();
        Ok(AddNodeResponse { members })
    }

    pub(super) async fn answer_promote_node(
        &self,
        _call: &Call,
        asked: PromoteNodeRequest,
    ) -> Result<PromoteNodeResponse, Problem> {
        self.handle.promote(node_of(asked.node_id)?).await?;
        let members = self.members();
        Ok(PromoteNodeResponse { members })
    }

    pub(super) async fn answer_remove_node(
        &self,
        call: &Call,
        asked: RemoveNodeRequest,
    ) -> Result<RemoveNodeResponse, Problem> {
        let node = node_of(asked.node_id)?;
        let members = self.handle.status().members;
        let mut voters = members.iter().filter(|member| member.voter);
        let first = voters.next().map(|member| member.node_id);
        if first == Some(node) && voters.next().is_none() {
            let message = format!("node {node} is the last voter of its cluster");
            return Err(Problem::new(Reason::LastVoter, message).with("node_id", node));
        }
        self.forget(call, node).await?;
        self.handle.remove(node).await?;
        // It may have come back in between. This node itself hears nothing of the group any more.
        if node != self.this_node() {
            self.forget(call, node).await?;
        }
        let members = self.members();
        Ok(RemoveNodeResponse { members })
    }

    /// The registry forgets the node, and gives its sessions to others, before it leaves the group:
    /// done the other way round, a failure in between would leave sessions with nobody.
    async fn forget(&self, call: &Call, node: NodeId) -> Result<(), Problem> {
        let remove = command::Kind::RemoveNode(RemoveNode { node_id: node.0 });
        match self.propose(call, remove).await? {
            Ok(_) => Ok(()),
            Err(rejection) if rejection.code() == RejectionCode::UnknownNode => Ok(()),
            Err(rejection) => Err(Problem::refused(&rejection)),
        }
    }

    fn members(&self) -> Vec<Member> {
        let members = self.handle.status().members;
        members.into_iter().map(member).collect()
    }

    /// Only the leader knows who lacks the fewest entries.
    pub(super) async fn answer_transfer_leadership(
        &self,
        call: &Call,
        asked: TransferLeadershipRequest,
    ) -> Result<TransferLeadershipResponse, Problem> {
        if let Some(leader) = self.other_leader(call) {
            let ask = |mut client: Client, message| async move {
                client.transfer_leadership(message).await
            };
            return self.pass_on(call, leader, asked, ask).await;
        }
        let from = self.leader()?;
        let to = match asked.to_node {
            0 => self.successor()?,
            node => NodeId(node),
        };
        if to != from {
            self.handle.transfer_leader(to).await?;
            tracing::info!(
                from = from.0,
                to = to.0,
                "leadership handed over on request"
            );
        }
        Ok(TransferLeadershipResponse {
            leader: to.0,
            term: self.handle.status().term,
            from_node: from.0,
        })
    }

    fn leader(&self) -> Result<NodeId, Problem> {
        let none = || Problem::new(Reason::NoLeader, "no leader is known");
        self.handle.leader().ok_or_else(none)
    }

    /// The voter other than the leader that is not on its way out and lacks the fewest entries.
    fn successor(&self) -> Result<NodeId, Problem> {
        let status = self.handle.status();
        let stays = |id: NodeId| {
            self.view(|registry| registry.node(id).is_some_and(|node| node.state().is_up()))
        };
        let others = status.members.iter();
        let others = others.filter(|member| member.voter && Some(member.node_id) != status.leader);
        let nearest = others
            .filter(|member| stays(member.node_id))
            .min_by_key(|member| member.lag.unwrap_or(u64::MAX));
        let nobody = || {
            let message = "no other voter is UP that could take over";
            Problem::new(Reason::NoOtherNode, message)
        };
        nearest.map(|member| member.node_id).ok_or_else(nobody)
    }

    pub(super) async fn answer_drain_node(
        &self,
        call: &Call,
        asked: DrainNodeRequest,
    ) -> Result<DrainNodeResponse, Problem> {
        let node = node_of(asked.node_id)?;
        self.catch_up(call).await?;
        let (before, others) = self.view(|registry| {
            let others = registry.up_nodes();
            (
                registry.session_load(node),
                others.filter(|other| other.node_id != node.0).count(),
            )
        });
        self.registered(node)?;
        if others == 0 {
            let message = format!("no other node is UP that could take what node {node} has");
            return Err(Problem::new(Reason::NoOtherNode, message).with("node_id", node));
        }
        let changed = self.set_draining(call, node, true).await?;
        let left = self.view(|registry| registry.session_load(node)) as u64;
        let leader = match self.handle.leader() {
            Some(leader) if leader == node => self.hand_over(call).await,
            other => other.map(|leader| leader.0),
        };
        Ok(DrainNodeResponse {
            changed,
            sessions_moved: (before as u64).saturating_sub(left),
            sessions_left: left,
            leader: leader.unwrap_or_default(),
        })
    }

    /// Who leads then. That it leads on does not keep a node from being drained: it may be the only voter.
    async fn hand_over(&self, call: &Call) -> Option<u64> {
        let anybody = TransferLeadershipRequest { to_node: 0 };
        match self.answer_transfer_leadership(call, anybody).await {
            Ok(handed) => Some(handed.leader),
            Err(problem) => {
                tracing::warn!(?problem, "a node that is drained goes on to lead");
                self.handle.leader().map(|leader| leader.0)
            }
        }
    }

    pub(super) async fn answer_undrain_node(
        &self,
        call: &Call,
        asked: UndrainNodeRequest,
    ) -> Result<UndrainNodeResponse, Problem> {
        let node = node_of(asked.node_id)?;
        self.catch_up(call).await?;
        if self.registered(node)? == NodeState::Down {
            let message = format!("node {node} is DOWN: only its own word brings it back");
            return Err(Problem::new(Reason::NodeNotUp, message).with("node_id", node));
        }
        let changed = self.set_draining(call, node, false).await?;
        Ok(UndrainNodeResponse { changed })
    }

    fn registered(&self, node: NodeId) -> Result<NodeState, Problem> {
        let state = self.view(|registry| {
            registry
                .node(node)
                .map(libra_proto::registry::NodeRecord::state)
        });
        state.ok_or_else(|| {
            let message = format!("node {node} is not registered");
            Problem::new(Reason::NodeNotFound, message).with("node_id", node)
        })
    }

    /// Of whatever start of the node: that is what an operator means.
    async fn set_draining(
        &self,
        call: &Call,
        node: NodeId,
        draining: bool,
    ) -> Result<bool, Problem> {
        let drain = DrainNode {
            node_id: node.0,
            boot_id: String::new(),
            draining,
            unreachable: self.terms.unreachable(),
        };
        let applied = self.commit(call, command::Kind::DrainNode(drain)).await?;
        Ok(changed(&applied))
    }
}

pub(super) fn node_of(id: u64) -> Result<NodeId, Problem> {
    if id == 0 {
        return Err(Problem::invalid("node_id", id, "a number from 1"));
    }
    Ok(NodeId(id))
}
