//! Where it is noted that other nodes hold a result from now on, while it is written.

use async_trait::async_trait;
use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::registry::{PutReplicas, command};
use libra_proto::types::{Epoch, JobId, NodeId};

use super::RaftRegistry;
use crate::results::ReplicaBook;

#[async_trait]
impl ReplicaBook for RaftRegistry {
    async fn note(&self, job: JobId, epoch: Epoch, nodes: Vec<NodeId>) {
        let put = PutReplicas {
            job: job.0,
            epoch: epoch.0,
            replicas: nodes.into_iter().map(|node| node.0).collect(),
        };
        match self.propose(command::Kind::PutReplicas(put)).await {
            Proposed::Applied(_) => {}
            Proposed::Rejected(rejection) => {
                tracing::debug!(job_id = %job, ?rejection, "replicas not noted");
            }
            Proposed::Unknown(reason) => {
                tracing::debug!(job_id = %job, reason, "replicas perhaps not noted");
            }
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.has_room_inline(bytes)
    }
}
