//! Who calls whom.
//!
//! **Invariant:** nothing is done for a caller of another cluster, nor for one that means another
//! node.

use libra_proto::peer::Call;
use libra_proto::types::NodeId;
use thiserror::Error;

/// A call that is not for this node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WrongCall {
    /// It does not say who calls whom.
    #[error("the call does not say for whom it is")]
    Unsigned,
    /// The caller belongs to another cluster.
    #[error("this node is of cluster `{ours}`, the caller of `{theirs}`")]
    Cluster {
        /// Of this node.
        ours: String,
        /// Of the caller.
        theirs: String,
    },
    /// The address is of another node by now.
    #[error("this is node {ours}, node {meant} was meant")]
    Node {
        /// This node.
        ours: NodeId,
        /// Who was meant.
        meant: NodeId,
    },
}

impl From<WrongCall> for tonic::Status {
    fn from(wrong: WrongCall) -> Self {
        Self::failed_precondition(wrong.to_string())
    }
}

/// How a node signs its calls, and which it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the cluster.
    pub cluster_name: String,
    /// This node.
    pub node_id: NodeId,
}

impl Caller {
    /// Signs a call.
    #[must_use]
    pub fn call(&self, to: NodeId) -> Option<Call> {
        Some(Call {
            cluster_name: self.cluster_name.clone(),
            from_node: self.node_id.0,
            to_node: to.0,
        })
    }

    /// Checks a call and says who makes it.
    ///
    /// # Errors
    /// When it is not for this node.
    pub fn check(&self, call: Option<&Call>) -> Result<NodeId, WrongCall> {
        let call = call.ok_or(WrongCall::Unsigned)?;
        if call.cluster_name != self.cluster_name {
            return Err(WrongCall::Cluster {
                ours: self.cluster_name.clone(),
                theirs: call.cluster_name.clone(),
            });
        }
        if call.to_node != self.node_id.0 {
            return Err(WrongCall::Node {
                ours: self.node_id,
                meant: NodeId(call.to_node),
            });
        }
        Ok(NodeId(call.from_node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(cluster: &str, node: u64) -> Caller {
        Caller {
            cluster_name: cluster.to_owned(),
            node_id: NodeId(node),
        }
    }

    #[test]
    fn only_calls_for_this_node_of_this_cluster_are_taken() {
        let me = caller("main", 2);
        let from = |cluster, to| caller(cluster, 1).call(NodeId(to));
        assert_eq!(me.check(from("main", 2).as_ref()), Ok(NodeId(1)));
        let refused = |call: Option<Call>| me.check(call.as_ref()).unwrap_err().to_string();
        assert_eq!(
            refused(from("other", 2)),
            "this node is of cluster `main`, the caller of `other`"
        );
        assert_eq!(refused(from("main", 3)), "this is node 2, node 3 was meant");
        assert_eq!(me.check(None), Err(WrongCall::Unsigned));
    }
}
