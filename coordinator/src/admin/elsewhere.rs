//! Calls that are another node's to answer: passed on over one hop.

use libra_proto::admin::admin_client::AdminClient;
use libra_proto::types::NodeId;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::AdminService;
use super::call::Call;
use super::problem::Problem;
use super::reason::Reason;

impl AdminService {
    /// The node that a call is for, if it is another one.
    pub(super) fn another(&self, node_id: u64) -> Option<NodeId> {
        let node = NodeId(node_id);
        (node_id != 0 && node != self.this_node()).then_some(node)
    }

    /// The leader, if it is another node and the call may be passed on to it.
    pub(super) fn other_leader(&self, call: &Call) -> Option<NodeId> {
        let leader = self.handle.leader();
        leader.filter(|leader| *leader != self.this_node() && call.may_be_passed_on())
    }

    /// Has another node answer.
    pub(super) async fn pass_on<Q, A, F>(
        &self,
        call: &Call,
        node: NodeId,
        message: Q,
        ask: impl FnOnce(AdminClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Problem>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let unreachable =
            |why: String| Problem::new(Reason::NodeUnreachable, why).with("node_id", node);
        if !call.may_be_passed_on() {
            return Err(unreachable(format!(
                "this is not node {node} that was meant"
            )));
        }
        let channel = self.peers.calls_channel(node).map_err(|_| {
            Problem::new(
                Reason::NodeNotFound,
                format!("node {node} is not registered"),
            )
            .with("node_id", node)
        })?;
        match ask(AdminClient::new(channel), call.pass_on(message)).await {
            Ok(answer) => Ok(answer.into_inner()),
            // Without details it is the channel's word, not the node's.
            Err(status) if status.code() == Code::Unavailable && status.details().is_empty() => {
                let message = status.message();
                Err(unreachable(format!(
                    "node {node} does not answer: {message}"
                )))
            }
            Err(status) => Err(Problem::passed(status)),
        }
    }
}
