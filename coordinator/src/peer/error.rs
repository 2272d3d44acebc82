//! What may come of a call to another node.

use std::time::Duration;

use libra_proto::types::NodeId;
use thiserror::Error;

/// A call that another node did not answer, or refused.
#[derive(Debug, Clone, Error)]
pub enum PeerError {
    /// Nobody knows that node.
    #[error("node {node} is not known")]
    Unknown {
        /// Who was meant.
        node: NodeId,
    },
    /// Its address cannot be called.
    #[error("node {node} has the address `{address}`, which cannot be called")]
    Address {
        /// Who was meant.
        node: NodeId,
        /// What the registry says.
        address: String,
    },
    /// It did not answer in time.
    #[error("node {node} did not answer within {limit:?}")]
    TimedOut {
        /// Who was called.
        node: NodeId,
        /// How long was waited.
        limit: Duration,
    },
    /// It refused, or the connection broke.
    #[error("node {node}: {} ({:?})", status.message(), status.code())]
    Failed {
        /// Who was called.
        node: NodeId,
        /// What it, or the transport, said.
        status: Box<tonic::Status>,
    },
    /// It said something that makes no sense.
    #[error("node {node} answered {what}")]
    Nonsense {
        /// Who was called.
        node: NodeId,
        /// What is wrong with the answer.
        what: &'static str,
    },
}

impl PeerError {
    pub(crate) fn failed(node: NodeId, status: tonic::Status) -> Self {
        Self::Failed {
            node,
            status: Box::new(status),
        }
    }

    /// Whether the node itself said that it has not what it was asked for.
    #[must_use]
    pub fn is_not_there(&self) -> bool {
        self.said(tonic::Code::NotFound)
    }

    /// Whether the node itself said that the caller's time is over.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.said(tonic::Code::Aborted)
    }

    fn said(&self, code: tonic::Code) -> bool {
        match self {
            Self::Failed { status, .. } => status.code() == code,
            Self::Unknown { .. }
            | Self::Address { .. }
            | Self::TimedOut { .. }
            | Self::Nonsense { .. } => false,
        }
    }
}
