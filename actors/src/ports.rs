//! What the actors need from outside, as traits: the replicated registry, the result store and the
//! place where live signs of statements are shown. `coordinator` joins them to the real things,
//! tests to fakes.
//!
//! **Invariant:** nothing here names openraft, sled, axum or a file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use libra_proto::registry::{
    Applied, CleanupRecord, NodeRecord, Rejection, ResultManifest, SessionRecord, StatementRecord,
    command,
};
use libra_proto::trace::TraceContext;
use libra_proto::types::{
    Change, EndpointDemand, Epoch, JobId, NodeId, Place, SessionId, Standing,
};
use thiserror::Error;
use tokio::sync::watch;

/// What became of a proposed command.
#[derive(Debug, Clone)]
pub enum Proposed {
    /// Committed and applied here.
    Applied(Box<Applied>),
    /// Committed or not, it changed nothing, and never will.
    Rejected(Box<Rejection>),
    /// It may have been applied, or may be yet: read before going on.
    Unknown(String),
}

/// One session as the registry has it, with what of it has not ended.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// The log index up to which this was read.
    pub index: u64,
    /// The session.
    pub session: SessionRecord,
    /// Its statements in state `running`, in order of acceptance.
    pub running: Vec<Arc<StatementRecord>>,
    /// Its operations that may still run although their statement has ended.
    pub cleanups: Vec<CleanupRecord>,
}

/// History that may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retirable {
    /// Ended statements.
    pub jobs: Vec<JobId>,
    /// Closed or failed sessions without statements.
    pub sessions: Vec<SessionId>,
}

/// What a feed has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// Everything that changed since the last call, in order of the log.
    Changes(Vec<Change>),
    /// Changes were missed: read everything anew.
    Lagged,
    /// The registry has stopped.
    Closed,
}

/// A subscription to the applied log.
#[async_trait]
pub trait ChangeFeed: Send {
    /// Waits for the next changes.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Feed;
}

/// The replicated registry, as the actors see it.
#[async_trait]
pub trait RegistryPort: Send + Sync + 'static {
    /// Proposes a command and waits until it is applied here, within the registry's own limit.
    async fn propose(&self, command: command::Kind) -> Proposed;

    /// Proposes a command of the leader's role: it is applied only in an entry of that very term.
    /// Never forwarded and never repeated. Where this node surely does not lead the term the
    /// answer may be [`Proposed::Unknown`] all the same: to read is always right.
    async fn propose_as_leader(&self, term: u64, command: command::Kind) -> Proposed;

    /// The term that this node leads: `Some` once it leads and has applied everything of before
    /// that term, `None` as soon as it knows that it does not lead. Closed when the registry has
    /// stopped.
    fn leadership(&self) -> watch::Receiver<Option<u64>>;

    /// Who led before this node, which leads `term`, and for how long that node surely has had no
    /// quorum; `None` where that cannot be concluded.
    fn predecessor(&self, term: u64) -> Option<(NodeId, Duration)> {
        let _ = term;
        None
    }

    /// Subscribes to changes from now on.
    fn subscribe(&self) -> Box<dyn ChangeFeed>;

    /// Ids of the sessions that this node owns and that have not ended, or whose operations are
    /// still to be wound up.
    fn owned_sessions(&self) -> Vec<SessionId>;

    /// One session, as applied here.
    fn session(&self, id: &SessionId) -> Option<SessionView>;

    /// Whether this node still owns the session under `epoch`, asked linearizably; `None` when
    /// that cannot be known in time.
    async fn confirm_epoch(&self, id: &SessionId, epoch: Epoch) -> Option<bool>;

    /// The endpoints that have something queued or a slot taken.
    fn endpoints_in_use(&self) -> Vec<String>;

    /// What is waiting for slots on one endpoint, and how many are taken.
    fn demand(&self, endpoint: &str) -> EndpointDemand;

    /// Where each statement queues, or queued; `None` for one that is forgotten.
    fn places(&self, jobs: &[JobId]) -> Vec<Option<Place>>;

    /// How each statement stands with its pool; `None` for one that is forgotten.
    fn standings(&self, jobs: &[JobId]) -> Vec<Option<Standing>>;

    /// All that a pool of one endpoint is made of: what waits, what holds a slot, and of what has
    /// ended the newest.
    fn backlog(&self, place: &Place) -> Vec<Standing>;

    /// Whether each session lets its statements start.
    fn are_open(&self, sessions: &[SessionId]) -> Vec<bool>;

    /// A bounded batch of statements whose `timeoutSeconds` have passed at `now_ms`.
    fn overdue(&self, now_ms: u64) -> Vec<JobId>;

    /// Sessions that have been idle for longer than their timeout at `now_ms`, each with the time
    /// of its last activity.
    fn idle_sessions(&self, now_ms: u64) -> Vec<(SessionId, u64)>;

    /// A bounded batch of what retention no longer keeps at `now_ms`.
    fn retirable(&self, now_ms: u64) -> Retirable;

    /// All nodes, as applied here.
    fn nodes(&self) -> Vec<NodeRecord>;

    /// The registry's own clock, as applied here: the latest time that any command carried. It
    /// never goes back, and stands still while nothing is proposed.
    fn clock_ms(&self) -> u64;

    /// This node.
    fn node_id(&self) -> NodeId;

    /// The time, as commands carry it: milliseconds since the Unix epoch. Never behind the
    /// registry's clock as applied here, and going on while that is ahead of this node's own.
    fn now_ms(&self) -> u64;

    /// Milliseconds since this machine started, those that it slept among them; nobody can set it.
    fn uptime_ms(&self) -> u64;
}

/// A renewal that did not come off.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenewError {
    /// No leader has answered: the lease goes on as it was.
    #[error("no leader renews this node's lease: {reason}")]
    Unanswered {
        /// What was said last.
        reason: String,
    },
    /// The leader knows this start of the node as down, or not at all: it must join anew.
    #[error("the leader refuses this node's lease: {reason}")]
    Refused {
        /// What the leader said.
        reason: String,
    },
}

/// How this node's lease is renewed, at whatever node leads.
#[async_trait]
pub trait LeasePort: Send + Sync + 'static {
    /// Renews the lease once: touches this node's disk, so that a node whose disk hangs keeps no
    /// lease, then asks the leader, which answers only after a quorum round that it began after
    /// the request had come in, and only if its detector has counted the renewal.
    ///
    /// # Errors
    /// See [`RenewError`].
    ///
    /// # Cancel safety
    /// May be dropped; a renewal that was counted without this node's knowledge does no harm.
    async fn renew(&self) -> Result<(), RenewError>;

    /// Registers this node anew, as another start of it, after the leader had given it up; returns
    /// when that is applied here, and with it that its sessions are others'.
    ///
    /// # Errors
    /// See [`RenewError`].
    async fn rejoin(&self) -> Result<(), RenewError>;
}

/// A result that could not be stored.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The disk refused: the node must not go on acknowledging.
    #[error("result file of {job}: {cause}")]
    Io {
        /// Whose result it was.
        job: JobId,
        /// What the operating system said.
        cause: String,
    },
    /// What is stored is not what was written.
    #[error("result file of {job} is damaged: {cause}")]
    Damaged {
        /// Whose result it is.
        job: JobId,
        /// What does not fit.
        cause: String,
    },
    /// The session has a newer epoch, whose owner writes this result now: the file is as it was,
    /// and so is the statement.
    #[error("result file of {job} is written under a newer epoch than {epoch}")]
    Superseded {
        /// Whose result it is.
        job: JobId,
        /// The epoch of the writer that was refused.
        epoch: Epoch,
    },
}

/// How far a statement's result is stored, durably.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredProgress {
    /// Whether anything is stored: then the statement surely reached Spark.
    pub begun: bool,
    /// Nothing was found, but something may be stored where nobody answers, or could not be had
    /// from there: what Spark still has is taken from its first response on, and nothing is sent
    /// again.
    pub perhaps_begun: bool,
    /// The response that a reattach continues after. A schema is none: it may share its response
    /// with the first batch, which would be skipped.
    pub last_response_id: Option<String>,
    /// Rows stored.
    pub rows: u64,
    /// Arrow bytes stored.
    pub bytes: u64,
    /// Whether the stored result was cut at a limit.
    pub truncated: bool,
    /// Whether `result_complete` is stored: nothing more will come.
    pub complete: bool,
}

/// One response of Spark that belongs to the result.
#[derive(Debug, Clone)]
pub enum ResultPart {
    /// The schema: an encoded `spark.connect.DataType`.
    Schema(Bytes),
    /// One batch: an Arrow IPC stream of its own, as Spark sent it.
    Batch {
        /// Rows in it.
        rows: u64,
        /// The row it starts at, if Spark said.
        start_offset: Option<u64>,
        /// The bytes.
        data: Bytes,
    },
    /// `result_complete`.
    Complete,
}

/// Whether more may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Go on.
    More,
    /// A limit cut the result exactly here: stop reading, interrupt, end it as `truncated`.
    CutHere,
}

/// The result of one statement being written. One writer per (job, epoch).
#[async_trait]
pub trait ResultWriter: Send {
    /// How far the result is stored.
    fn stored(&self) -> &StoredProgress;

    /// Appends one response. Durable only after [`ResultWriter::sync`] — which `append` calls by
    /// itself before more than a few MB are outstanding, so that what Spark has dropped from its
    /// 10 MB replay buffer is always durable here.
    ///
    /// # Errors
    /// When the disk refuses.
    async fn append(&mut self, response_id: &str, part: ResultPart)
    -> Result<Appended, StoreError>;

    /// Makes all appended responses durable; but for a result that is whole and so small that its
    /// manifest is to bring it along: that one is durable with the statement's end.
    ///
    /// # Errors
    /// When the disk refuses; never retried.
    async fn sync(&mut self) -> Result<(), StoreError>;

    /// Makes all appended responses durable here in any case: the statement's end takes long, and
    /// Spark does not keep them for ever.
    ///
    /// # Errors
    /// As [`ResultWriter::sync`].
    async fn keep(&mut self) -> Result<(), StoreError> {
        self.sync().await
    }

    /// Seals the result, and says what the registry is to hold of it: of a small one perhaps all,
    /// of any other what is durable by then.
    ///
    /// # Errors
    /// When the disk refuses.
    async fn seal(&mut self) -> Result<ResultManifest, StoreError>;
}

/// Where else a result being written is to be, and has been.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copying {
    /// The statement's `replicas`, this node among them or not.
    pub nodes: Vec<NodeId>,
    /// It was surely not sent yet: nothing of it is stored anywhere.
    pub fresh: bool,
    /// Where in which trace the statement belongs.
    pub place: Option<TraceContext>,
}

/// Where results go.
#[async_trait]
pub trait ResultStorePort: Send + Sync + 'static {
    /// Opens the result of a statement for writing: anew, or where an earlier writer left off
    /// (an incomplete last record is cut away).
    ///
    /// # Errors
    /// When the disk refuses or the stored file is damaged.
    async fn writer(&self, job: JobId, epoch: Epoch) -> Result<Box<dyn ResultWriter>, StoreError>;

    /// As [`ResultStorePort::writer`], of a result that other nodes are to hold too: goes on from
    /// the longest copy that any of them, or this node, has in this or an older epoch. Where none
    /// is found and one may be on a node that does not answer, it begins anew, and says so:
    /// [`StoredProgress::perhaps_begun`].
    ///
    /// # Errors
    /// Also when a newer epoch is being written.
    async fn copying_writer(
        &self,
        job: JobId,
        epoch: Epoch,
        copying: &Copying,
    ) -> Result<Box<dyn ResultWriter>, StoreError> {
        let _ = copying;
        self.writer(job, epoch).await
    }
}

/// Where live signs of running statements are shown; none of it is replicated.
pub trait LiveBoard: Send + Sync + 'static {
    /// Tasks done and known so far.
    fn progress(&self, job: JobId, completed_tasks: u64, total_tasks: u64);
    /// The connection to Spark is lost, or found again.
    fn reconnecting(&self, job: JobId, reconnecting: bool);
    /// The statement has ended: forget it.
    fn clear(&self, job: JobId);
}
