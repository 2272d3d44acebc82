//! The typed configuration: what `run` is given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use libra_proto::registry::{Mode, PoolRecord, SchedulingMode};
use libra_proto::types::NodeId;

use super::address::Address;
use super::remote::Remote;

/// Everything that can be set. `Config::default()` is what runs without a file; the keys, their
/// defaults and their meaning stand in [`super::KEYS`], and in `deploy/application.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `libra.node`: this coordinator.
    pub node: Node,
    /// `libra.cluster`: its peers and Raft's times.
    pub cluster: Cluster,
    /// `libra.session`.
    pub session: Session,
    /// `libra.scheduler`.
    pub scheduler: Scheduler,
    /// `libra.results`.
    pub results: Results,
    /// `libra.limits`.
    pub limits: Limits,
    /// `libra.http`.
    pub http: Http,
    /// `libra.log`.
    pub log: Log,
    /// `libra.telemetry`.
    pub telemetry: Telemetry,
    /// `spark`.
    pub spark: Spark,
    /// The pools that the cluster starts with: of the allocation file, else the guide's four.
    pub pools: Vec<PoolRecord>,
}

/// `libra.node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique in the cluster, from 1.
    pub id: NodeId,
    /// Raft log, registry, results.
    pub data_dir: PathBuf,
    /// Where REST listens; port 0 takes a free one.
    pub http: Address,
    /// Where others reach REST, if not at `http`.
    pub advertise_http: Option<Address>,
    /// Where admin, peers and Raft listen; port 0 takes a free one.
    pub grpc: Address,
    /// Where others reach `grpc`, if not there.
    pub advertise_grpc: Option<Address>,
}

/// `libra.cluster`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Part of every stored file: a data dir of another cluster is refused.
    pub name: String,
    /// gRPC addresses of all nodes, this one included; empty = a cluster of one.
    pub peers: BTreeMap<NodeId, Address>,
    /// How often a leader shows that it lives.
    pub heartbeat: Duration,
    /// The shortest wait before a node stands for election.
    pub election_min: Duration,
    /// The longest.
    pub election_max: Duration,
    /// How long the ownership of sessions lasts without renewal.
    pub lease: Duration,
}

/// `libra.session`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHARED or ISOLATED, never unspecified.
    pub mode: Mode,
    /// In the whole cluster; closed and failed ones do not count.
    pub max_sessions: u32,
    /// Idle time after which a session is closed; `None` = never.
    pub idle_timeout: Option<Duration>,
}

/// `libra.scheduler`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    /// Statements running at once on one Spark endpoint.
    pub slots: u32,
    /// Statements waiting in one pool.
    pub max_queued: u32,
}

/// `libra.results`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// Rows at which a result is cut.
    pub max_rows: u64,
    /// Bytes of Arrow after which a result is cut, at the end of a batch.
    pub max_bytes: u64,
    /// Bytes up to which the registry itself holds a result.
    pub inline_bytes: u64,
    /// How long ended statements and their results are kept.
    pub retention: Duration,
    /// How many ended statements are kept.
    pub retention_statements: u32,
    /// Nodes that hold each result.
    pub replicas: u32,
}

/// `libra.limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of a statement's text.
    pub code_bytes: usize,
    /// Bytes of all queued statement texts.
    pub queued_bytes: u64,
    /// Bytes of a request's header lines.
    pub header_bytes: usize,
    /// Requests in work at once, long polls included.
    pub concurrent_requests: usize,
    /// Event streams and downloads open at once.
    pub open_streams: usize,
    /// Statements of one session that have not ended.
    pub statements_per_session: u32,
    /// Statements of one user that have not ended.
    pub statements_per_user: u32,
    /// Time from a request's arrival to the head of its answer.
    pub request_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub stalled_reader: Duration,
}

/// `libra.http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Origins that browsers may call from: `*`, or `scheme://host[:port]`; empty = CORS is off.
    pub cors_origins: Vec<String>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `libra.log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// Filter directives of `tracing`, such as `info,libra_raft=debug`.
    pub level: String,
}

/// `libra.telemetry`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telemetry {
    /// Where traces go, over OTLP and gRPC; `None` = nowhere.
    pub otlp_endpoint: Option<String>,
    /// How many of a thousand traces that begin here are kept.
    pub sampled_in_1000: u16,
}

/// `spark`.
#[derive(Clone, PartialEq, Eq)]
pub struct Spark {
    /// Spark Connect endpoints, at least one.
    pub remote: Vec<Remote>,
    /// FAIR or FIFO between pools, never unspecified.
    pub scheduler_mode: SchedulingMode,
    /// The pools' file in Spark's format.
    pub allocation_file: Option<PathBuf>,
    /// Every other key of `spark.config`, as written: default conf of Spark sessions, and of the
    /// server that `libra dev` starts.
    pub conf: BTreeMap<String, String>,
}

impl fmt::Debug for Spark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of conf may be secrets (keys of object stores).
        f.debug_struct("Spark")
            .field("remote", &self.remote)
            .field("scheduler_mode", &self.scheduler_mode)
            .field("allocation_file", &self.allocation_file)
            .field("conf", &self.conf.keys())
            .finish()
    }
}

impl Node {
    /// Where others reach REST. With port 0 only the bound listener knows it.
    #[must_use]
    pub fn public_http(&self) -> &Address {
        self.advertise_http.as_ref().unwrap_or(&self.http)
    }

    /// Where others reach gRPC. With port 0 only the bound listener knows it.
    #[must_use]
    pub fn public_grpc(&self) -> &Address {
        self.advertise_grpc.as_ref().unwrap_or(&self.grpc)
    }
}

impl Config {
    /// A node that listens on all interfaces tells the others the host that they are configured
    /// with, unless it was told what to tell them.
    pub(super) fn advertise_as_peer(&mut self) {
        let node = &mut self.node;
        let Some(peer) = self.cluster.peers.get(&node.id) else {
            return;
        };
        if node.grpc.is_any_host() && node.advertise_grpc.is_none() {
            node.advertise_grpc = Some(peer.clone());
        }
        // Which free port it takes is not known yet.
        let is_known = node.http.port() != 0;
        if node.http.is_any_host() && node.advertise_http.is_none() && is_known {
            node.advertise_http = Some(Address::new(peer.host(), node.http.port()));
        }
    }

    /// Every field empty: what the table's defaults are bound to.
    pub(super) fn blank() -> Self {
        Self {
            node: Node::blank(),
            cluster: Cluster::blank(),
            session: Session {
                mode: Mode::Unspecified,
                max_sessions: 0,
                idle_timeout: None,
            },
            scheduler: Scheduler {
                slots: 0,
                max_queued: 0,
            },
            results: Results {
                max_rows: 0,
                max_bytes: 0,
                inline_bytes: 0,
                retention: Duration::ZERO,
                retention_statements: 0,
                replicas: 0,
            },
            limits: Limits::blank(),
            http: Http {
                cors_origins: Vec::new(),
            },
            log: Log {
                format: LogFormat::Text,
                level: String::new(),
            },
            telemetry: Telemetry::default(),
            spark: Spark {
                remote: Vec::new(),
                scheduler_mode: SchedulingMode::Unspecified,
                allocation_file: None,
                conf: BTreeMap::new(),
            },
            pools: Vec::new(),
        }
    }
}

impl Node {
    fn blank() -> Self {
        let nowhere = Address::new("", 0);
        Self {
            id: NodeId(0),
            data_dir: PathBuf::new(),
            http: nowhere.clone(),
            advertise_http: None,
            grpc: nowhere,
            advertise_grpc: None,
        }
    }
}

impl Cluster {
    fn blank() -> Self {
        Self {
            name: String::new(),
            peers: BTreeMap::new(),
            heartbeat: Duration::ZERO,
            election_min: Duration::ZERO,
            election_max: Duration::ZERO,
            lease: Duration::ZERO,
        }
    }
}

impl Limits {
    fn blank() -> Self {
        Self {
            body_bytes: 0,
            code_bytes: 0,
            queued_bytes: 0,
            header_bytes: 0,
            concurrent_requests: 0,
            open_streams: 0,
            statements_per_session: 0,
            statements_per_user: 0,
            request_timeout: Duration::ZERO,
            stalled_reader: Duration::ZERO,
        }
    }
}
