//! What a node of the registry is started with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;

use crate::error::{FatalError, StartError};
use crate::store::log_store::READ_BYTES;

/// The exit status of a node whose log can no longer be trusted to be on disk (sysexits'
/// `EX_SOFTWARE`).
pub const FATAL_EXIT_STATUS: i32 = 70;

const MESSAGE_SLACK: usize = 1 << 20;

/// How a node of the registry runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster's name; a data directory of another cluster is refused.
    pub cluster_name: String,
    /// This node, from 1; a data directory of another node is refused.
    pub node_id: NodeId,
    /// Where log, vote, snapshots and marker lie; made if it is not there.
    pub data_dir: PathBuf,
    /// `host:port` at which other nodes reach this one; kept in the group's membership. With
    /// `peers` it may be left empty.
    pub advertise: String,
    /// `host:port` of the gRPC listeners of all nodes that form the group, this one among them.
    /// Empty = a group of one.
    pub peers: BTreeMap<NodeId, String>,
    /// How often a leader shows that it lives. Default 100 ms.
    pub heartbeat: Duration,
    /// The shortest time without a leader before an election. Default 300 ms.
    pub election_min: Duration,
    /// The longest time without a leader before an election, and the leader's lease. Default 600 ms.
    pub election_max: Duration,
    /// When the log is replaced by a snapshot.
    pub snapshot: SnapshotPolicy,
    /// How long a proposal may take before its outcome is called unknown. Default 5 s.
    pub propose_timeout: Duration,
    /// The largest encoded command that is accepted, in bytes. Default 1 MiB.
    pub max_command_bytes: usize,
    /// How many applied batches a subscriber may lag behind before it is told so. Default 1024.
    pub feed_capacity: usize,
    /// What is kept free on the disk.
    pub disk: DiskPolicy,
    /// Only under simulated time: each sync of the log takes that long of the runtime's time, and
    /// what waits for the disk waits on no thread. Default: none, threads wait for a real disk.
    pub simulated_disk: Option<Duration>,
    /// What is done when the disk has failed. Default: log and exit with status 70.
    pub on_fatal: FatalHook,
}

/// When a snapshot is built; the log before the last but one snapshot is then removed. Never before
/// the log has grown by half of what the newest snapshot takes: however long history is, at most
/// twice as much is written for snapshots as for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// After this many applied entries. Default 5000.
    pub entries: u64,
    /// After this many bytes of log. Default 16 MiB.
    pub log_bytes: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self {
            entries: 5000,
            log_bytes: 16 << 20,
        }
    }
}

/// What is kept free on the disk, so that a full disk is met by refusing and not by failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskPolicy {
    /// Below this many free bytes proposals are refused. 0 switches the check off. Default 64 MiB.
    pub min_free_bytes: u64,
    /// Size of a file kept in reserve; it is given up when the disk runs full, so that votes and
    /// the end of running work can still be written. 0 = none. Default 16 MiB.
    pub reserve_bytes: u64,
}

impl Default for DiskPolicy {
    fn default() -> Self {
        Self {
            min_free_bytes: 64 << 20,
            reserve_bytes: 16 << 20,
        }
    }
}

/// What is done when the store has failed in a way that must never be retried.
///
/// After the hook returns (only a test's does), the node answers nothing any more.
#[derive(Clone)]
pub struct FatalHook(Arc<dyn Fn(&FatalError) + Send + Sync>);

impl FatalHook {
    /// Wraps what is to be called; it may be called more than once.
    pub fn new(hook: impl Fn(&FatalError) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(crate) fn call(&self, error: &FatalError) {
        tracing::error!(error = %error, "the registry's store has failed");
        (self.0)(error);
    }
}

impl Default for FatalHook {
    fn default() -> Self {
        Self::new(|_| std::process::exit(FATAL_EXIT_STATUS))
    }
}

impl fmt::Debug for FatalHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FatalHook")
    }
}

impl Options {
    /// Options with every default, for this node of this cluster.
    pub fn new(
        cluster_name: impl Into<String>,
        node_id: NodeId,
        data_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            cluster_name: cluster_name.into(),
            node_id,
            data_dir: data_dir.into(),
            advertise: String::new(),
            peers: BTreeMap::new(),
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(600),
            snapshot: SnapshotPolicy::default(),
            propose_timeout: Duration::from_secs(5),
            max_command_bytes: 1 << 20,
            feed_capacity: 1024,
            disk: DiskPolicy::default(),
            simulated_disk: None,
            on_fatal: FatalHook::default(),
        }
    }

    /// Checks what can be checked without touching anything.
    ///
    /// # Errors
    /// [`StartError::Option`] names the first option that is not allowed.
    pub fn validate(&self) -> Result<(), StartError> {
        let refuse = |field, value: String, allowed| {
            Err(StartError::Option {
                field,
                value,
                allowed,
            })
        };
        if self.cluster_name.is_empty() {
            return refuse(
                "cluster_name",
                String::new(),
                "a name of at least one character",
            );
        }
        if self.node_id.0 == 0 {
            return refuse("node_id", "0".to_owned(), "a number from 1");
        }
        if self.heartbeat.as_millis() == 0 {
            return refuse(
                "heartbeat",
                format!("{:?}", self.heartbeat),
                "at least 1 ms",
            );
        }
        if self.election_min <= self.heartbeat * 2 {
            let value = format!("{:?}", self.election_min);
            return refuse("election_min", value, "more than twice the heartbeat");
        }
        if self.election_max <= self.election_min {
            let value = format!("{:?}", self.election_max);
            return refuse("election_max", value, "more than election_min");
        }
        if self.snapshot.entries == 0 || self.snapshot.log_bytes == 0 {
            let value = format!("{:?}", self.snapshot);
            return refuse("snapshot", value, "at least one entry and one byte");
        }
        if self.feed_capacity == 0 {
            return refuse("feed_capacity", "0".to_owned(), "at least 1");
        }
        self.validate_peers()
    }

    fn validate_peers(&self) -> Result<(), StartError> {
        if self.peers.is_empty() {
            return Ok(());
        }
        let Some(own) = self.peers.get(&self.node_id) else {
            return Err(StartError::NotAmongPeers {
                node: self.node_id,
                peers: self.peers.keys().copied().collect(),
            });
        };
        if !self.advertise.is_empty() && self.advertise != *own {
            return Err(StartError::OtherAddress {
                node: self.node_id,
                advertised: self.advertise.clone(),
                configured: own.clone(),
            });
        }
        let mut seen = BTreeMap::new();
        for (id, address) in &self.peers {
            if let Some(first) = seen.insert(address, *id) {
                return Err(StartError::AddressClash {
                    address: address.clone(),
                    first,
                    second: *id,
                });
            }
        }
        Ok(())
    }

    /// Where other nodes reach this one.
    pub(crate) fn address(&self) -> &str {
        self.peers.get(&self.node_id).unwrap_or(&self.advertise)
    }

    /// The largest message between nodes: a batch of the log, which ends with the entry that makes
    /// it full, and what surrounds it.
    pub(crate) fn max_message_bytes(&self) -> usize {
        READ_BYTES as usize + self.max_command_bytes + MESSAGE_SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        Options::new("c", NodeId(1), "d").validate().unwrap();
    }

    #[test]
    fn peers_that_cannot_form_a_group_are_refused() {
        let with = |peers: &[(u64, &str)]| {
            let mut options = Options::new("c", NodeId(1), "d");
            let peer = |(id, address): &(u64, &str)| (NodeId(*id), (*address).to_owned());
            options.peers = peers.iter().map(peer).collect();
            options
        };
        let good = with(&[(1, "a:1"), (2, "a:2")]);
        good.validate().unwrap();
        assert_eq!(good.address(), "a:1");

        let absent = with(&[(2, "a:2"), (3, "a:3")]).validate().unwrap_err();
        assert!(
            matches!(absent, StartError::NotAmongPeers { .. }),
            "{absent}"
        );
        let clash = with(&[(1, "a:1"), (2, "a:1")]).validate().unwrap_err();
        assert!(matches!(clash, StartError::AddressClash { .. }), "{clash}");
        let mut other = with(&[(1, "a:1")]);
        other.advertise = "b:1".to_owned();
        let other = other.validate().unwrap_err();
        assert!(matches!(other, StartError::OtherAddress { .. }), "{other}");
    }

    #[test]
    fn each_bad_option_is_named() {
        type Spoil = fn(&mut Options);
        let cases: [(&str, Spoil); 7] = [
            ("cluster_name", |o| o.cluster_name.clear()),
            ("node_id", |o| o.node_id = NodeId(0)),
            ("heartbeat", |o| o.heartbeat = Duration::from_micros(10)),
            ("election_min", |o| o.election_min = o.heartbeat * 2),
            ("election_max", |o| o.election_max = o.election_min),
            ("snapshot", |o| o.snapshot.entries = 0),
            ("feed_capacity", |o| o.feed_capacity = 0),
        ];
        for (field, spoil) in cases {
            let mut options = Options::new("c", NodeId(1), "d");
            spoil(&mut options);
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(&format!("`{field}`")), "{field}: {error}");
        }
    }
}
