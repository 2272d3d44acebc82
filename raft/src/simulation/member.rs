//! One node of the group.
//!
//! **Invariant:** what production's [`crate::Handle`] does between openraft and its callers is done
//! here in the same order and by the same conditions; only clock and transport are others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libra_proto::registry::{Applied, Command};
use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::raft::AppendEntriesResponse;
use openraft::storage::RaftLogStorage;
use openraft::{ReadPolicy, ServerState};

use super::carrier::{Network, Request, Response};
use super::runtime::{Bell, Listener, Runtime};
use super::witness::{Watched, Witness};
use super::{Answer, Carrier, Message, SimTypes};
use crate::error::StartError;
use crate::handle::{ASK_AGAIN, Predecessor, Succession, led_term};
use crate::metrics::failure;
use crate::node::raft_config;
use crate::options::{DiskPolicy, FatalHook, Options, SnapshotPolicy};
use crate::registry::Registry;
use crate::store::backing::Backing;
use crate::store::snapshot_dir::SnapshotDir;
use crate::store::snapshot_file::SnapshotFile;
use crate::store::state_machine::Shared;
use crate::store::{Duties, Opened, Store, open_idle};
use crate::type_config::{ChangeMembers, CommittedLeaderId, Peer, Proposal, Snapshot};

type Raft = openraft::Raft<SimTypes, Watched>;
type Metrics = openraft::RaftMetrics<SimTypes>;

/// Between two rounds of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// What a member is started with.
pub struct Setup {
    /// Which node it is.
    pub node_id: u64,
    /// Its data directory; on a file system without a disk beneath it costs least.
    pub data_dir: PathBuf,
    /// What its log lies on.
    pub backing: Arc<dyn Backing>,
    /// How long the next sync of the log takes.
    pub disk: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// A snapshot every so many entries.
    pub snapshot_entries: u64,
    /// The way to the others.
    pub carrier: Arc<dyn Carrier>,
    /// Who sees every entry.
    pub witness: Arc<dyn Witness>,
}

/// What became of a write.
#[derive(Debug)]
pub enum Write {
    /// Applied here, at that index.
    Applied(Box<Applied>, u64),
    /// Nothing was appended: this node does not lead, or no quorum answers it.
    NotLeading,
    /// It may have been applied, or may be yet.
    Unknown(String),
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its term.
    pub term: u64,
    /// Whom it names as the leader.
    pub leader: Option<u64>,
    /// Whether it takes itself for the leader.
    pub leads: bool,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last entry it has applied.
    pub applied_index: u64,
    /// The last entry that its snapshot covers.
    pub snapshot_index: u64,
    /// Who has a vote.
    pub voters: BTreeSet<u64>,
    /// Who is in the group without one.
    pub learners: BTreeSet<u64>,
    /// Why it has stopped by itself, if it has.
    pub failure: Option<String>,
}

/// A running member; clones are the same.
#[derive(Clone)]
pub struct Member(Arc<Inner>);

struct Inner {
    me: u64,
    raft: Raft,
    shared: Arc<Shared>,
    snapshots: Arc<SnapshotDir>,
    applied: Arc<Bell>,
    succession: Succession,
    started: Duration,
    /// When the leader was last heard, milliseconds; 0 = never.
    heard_ms: AtomicU64,
    leadership: Mutex<Option<u64>>,
    leadership_bell: Bell,
    lease: Duration,
    heartbeat: Duration,
    store_failure: Arc<Mutex<Option<String>>>,
    // Holds the directory.
    _store: Store<SimTypes>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Member").field(&self.0.me).finish()
    }
}

impl Member {
    /// Opens the store and starts Raft, in the life of whoever calls.
    ///
    /// # Errors
    /// When a guard refuses the data directory, or Raft does not start.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let store_failure = Arc::new(Mutex::new(None));
        let mut options = Options::new("simulation", NodeId(setup.node_id), &setup.data_dir);
        options.disk = DiskPolicy {
            min_free_bytes: 0,
            reserve_bytes: 0,
        };
        options.snapshot = SnapshotPolicy {
            entries: setup.snapshot_entries,
            ..SnapshotPolicy::default()
        };
        options.on_fatal = FatalHook::new({
            let failure = Arc::clone(&store_failure);
            move |error| {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error.to_string());
            }
        });
        let config = raft_config(&options)?;
        let (store, state_machine, duties): Opened<SimTypes> =
            open_idle(&options, Arc::clone(&setup.backing))?;
        serve(duties, setup.disk);
        let failed = |error: &dyn ToString| StartError::Raft {
            path: options.data_dir.clone(),
            reason: error.to_string(),
        };
        let log = store.log.clone().get_log_state().await;
        let log = log.map_err(|error| failed(&error))?;
        let had_log = store.marker.content().initialised || log.last_log_id.is_some();
        let applied = Arc::new(Bell::default());
        let watched = Watched::new(
            state_machine,
            Arc::clone(&store.shared),
            setup.witness,
            Arc::clone(&applied),
        );
        let raft = Box::pin(Raft::new(
            setup.node_id,
            config,
            Network(setup.carrier),
            store.log.clone(),
            watched,
        ));
        let raft = raft.await.map_err(|error| failed(&error))?;
        let member = Self(Arc::new(Inner {
            me: setup.node_id,
            raft,
            shared: Arc::clone(&store.shared),
            snapshots: Arc::clone(&store.snapshots),
            applied,
            succession: Succession::new(had_log, options.election_max),
            started: Runtime::now(),
            heard_ms: AtomicU64::new(0),
            leadership: Mutex::new(None),
            leadership_bell: Bell::default(),
            lease: options.election_max,
            heartbeat: options.heartbeat,
            store_failure,
            _store: store,
        }));
        Runtime::go(watch_leadership(member.clone()));
        Runtime::go(shorten_log(member.clone(), setup.snapshot_entries));
        Ok(member)
    }

    /// Forms the group, once.
    ///
    /// # Errors
    /// When there is one already.
    pub async fn form(&self, members: &[u64]) -> Result<(), String> {
        let members: BTreeMap<u64, Peer> = members.iter().map(|id| (*id, peer(*id))).collect();
        let formed = Box::pin(self.0.raft.initialize(members)).await;
        formed.map_err(|error| error.to_string())
    }

    /// A message of openraft's has arrived; nothing when it is refused unseen.
    pub async fn deliver(&self, message: Message) -> Option<Answer> {
        let inner = &*self.0;
        let answer = match message.0 {
            Request::Append(append) => {
                let answer = Box::pin(inner.raft.append_entries(append)).await.ok()?;
                match &answer {
                    AppendEntriesResponse::HigherVote(_) => {}
                    AppendEntriesResponse::Success
                    | AppendEntriesResponse::PartialSuccess(_)
                    | AppendEntriesResponse::Conflict => {
                        inner.heard_ms.store(inner.now_ms(), Ordering::Relaxed);
                    }
                }
                Response::Append(answer)
            }
            Request::Vote(vote) => {
                inner.votes_yet().then_some(())?;
                Response::Vote(Box::pin(inner.raft.vote(vote)).await.ok()?)
            }
            Request::PreVote(vote) => {
                inner.votes_yet().then_some(())?;
                Response::Vote(Box::pin(inner.raft.pre_vote(vote)).await.ok()?)
            }
            Request::Snapshot { vote, meta, file } => {
                let path = inner.snapshots.temporary();
                std::fs::write(&path, &*file).ok()?;
                let snapshot = Snapshot {
                    meta: meta.clone(),
                    snapshot: SnapshotFile {
                        path: path.clone(),
                        meta,
                    },
                };
                let installed = Box::pin(inner.raft.install_full_snapshot(vote, snapshot)).await;
                // Whatever came of it, it was a copy.
                let _ = std::fs::remove_file(&path);
                Response::Snapshot(installed.ok()?)
            }
            Request::Transfer(transfer) => {
                let term = transfer.from_leader().leader_id.term;
                inner.succession.note_hand_over(term + 1);
                let answer = Box::pin(inner.raft.handle_transfer_leader(transfer)).await;
                Response::Transfer(answer.ok()?)
            }
        };
        Some(Answer(answer))
    }

    /// Writes as the leader, as production's `Inner::write`.
    pub async fn write(&self, command: Command, limit: Duration) -> Write {
        let inner = &*self.0;
        if inner.named_leader() == Some(inner.me) && self.leader().is_none() {
            // Alone: it would not be known for long what becomes of it.
            return Write::NotLeading;
        }
        let proposal = Proposal(Arc::new(command));
        let attempt = Box::pin(inner.raft.client_write(proposal));
        match Runtime::within(limit, attempt).await {
            None => Write::Unknown(format!("no answer within {limit:?}")),
            Some(Ok(written)) => answered(written.data, written.log_id.index),
            Some(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Write::NotLeading
            }
            Some(Err(error)) => Write::Unknown(error.to_string()),
        }
    }

    /// Writes a command of the leader's role in that term, or not at all.
    pub async fn write_as_leader(&self, term: u64, command: Command, limit: Duration) -> Write {
        let command = Command {
            leader_term: term,
            ..command
        };
        let (responder, answer) = ProgressResponder::complete_only();
        let write = self.0.raft.write(Proposal(Arc::new(command)));
        let write = write
            .with_leader(CommittedLeaderId::new(term))
            .responder(responder);
        let written = async {
            write.await.map_err(|error| error.to_string())?;
            answer
                .await
                .map_err(|_| "the registry has stopped".to_owned())
        };
        match Runtime::within(limit, Box::pin(written)).await {
            None => Write::Unknown(format!("no answer within {limit:?}")),
            Some(Err(reason)) => Write::Unknown(reason),
            Some(Ok(Ok(written))) => answered(written.data, written.log_id.index),
            Some(Ok(Err(ClientWriteError::ForwardToLeader(_)))) => Write::NotLeading,
            Some(Ok(Err(error))) => Write::Unknown(error.to_string()),
        }
    }

    /// The read index, if a quorum says that this node leads.
    pub async fn read_here(&self, limit: Duration) -> Option<u64> {
        let attempt = Box::pin(self.0.raft.get_read_linearizer(ReadPolicy::ReadIndex));
        match Runtime::within(limit, attempt).await? {
            Ok(linearizer) => Some(linearizer.read_log_id().index()),
            Err(
                RaftError::APIError(
                    LinearizableReadError::ForwardToLeader(_)
                    | LinearizableReadError::QuorumNotEnough(_),
                )
                | RaftError::Fatal(_),
            ) => None,
        }
    }

    /// Waits until the registry here is applied up to `index`; false when that takes too long.
    pub async fn wait_applied(&self, index: u64, limit: Duration) -> bool {
        let mut applied = self.applied();
        let reached = async {
            while applied.at() <= index {
                if !applied.heard().await {
                    return false;
                }
            }
            true
        };
        Runtime::within(limit, reached).await == Some(true)
    }

    /// Hears of every entry that is applied here; rung with the next index.
    #[must_use]
    pub fn applied(&self) -> Listener {
        self.0.applied.listen()
    }

    /// Reads the registry as it is applied here.
    pub fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        self.0.shared.view(read)
    }

    /// Whom this node takes for the leader: itself while a quorum answers it, another while that is
    /// heard.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        let inner = &*self.0;
        let metrics = inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader?;
        let is_there = if leader == inner.me {
            led_term(&metrics, inner.lease).is_some()
        } else {
            let heard = inner.heard_ms.load(Ordering::Relaxed);
            let ago = inner.now_ms().saturating_sub(heard);
            heard > 0 && u128::from(ago) <= (inner.lease * 2).as_millis()
        };
        is_there.then_some(leader)
    }

    /// The term that this node leads, with all of before it applied here.
    #[must_use]
    pub fn leadership(&self) -> Option<u64> {
        *self
            .0
            .leadership
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of every change of [`Member::leadership`].
    #[must_use]
    pub fn leadership_changes(&self) -> Listener {
        self.0.leadership_bell.listen()
    }

    /// Who led before this node, which leads `term`.
    #[must_use]
    pub fn predecessor(&self, term: u64) -> Option<Predecessor> {
        self.0.succession.predecessor(term, self.0.up())
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &*self.0;
        let metrics = inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let store_failure = inner.store_failure.lock();
        let store_failure = store_failure.unwrap_or_else(PoisonError::into_inner);
        let membership = metrics.membership_config.membership();
        Status {
            term: metrics.current_term,
            leader: metrics.current_leader,
            leads: metrics.state == ServerState::Leader,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: self.view(Registry::applied_index),
            snapshot_index: metrics.snapshot.map_or(0, |id| id.index),
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            failure: store_failure.clone().or_else(|| failure(&metrics)),
        }
    }

    /// Changes the group as the leader: takes `node` in with a vote, or out.
    pub async fn change(&self, node: u64, is_in: bool, limit: Duration) -> Result<(), String> {
        let raft = &self.0.raft;
        let changing = async {
            if is_in {
                let learner = ChangeMembers::AddNodes(BTreeMap::from([(node, peer(node))]));
                let added = Box::pin(raft.change_membership(learner, true)).await;
                added.map_err(|error| error.to_string())?;
                let voter = ChangeMembers::AddVoterIds(BTreeSet::from([node]));
                let promoted = Box::pin(raft.change_membership(voter, true)).await;
                promoted.map(drop).map_err(|error| error.to_string())
            } else {
                let gone = ChangeMembers::RemoveVoters(BTreeSet::from([node]));
                let removed = Box::pin(raft.change_membership(gone, false)).await;
                removed.map(drop).map_err(|error| error.to_string())
            }
        };
        let changed = Runtime::within(limit, Box::pin(changing)).await;
        changed.unwrap_or_else(|| Err("not in time".to_owned()))
    }

    /// Asks the leader to hand over to `node`.
    pub async fn hand_over(&self, node: u64) {
        // An error only says that Raft has stopped.
        let _ = self.0.raft.trigger().transfer_leader(node).await;
    }
}

impl Inner {
    fn up(&self) -> Duration {
        Runtime::now().saturating_sub(self.started)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(Runtime::now().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn votes_yet(&self) -> bool {
        self.succession.votes_yet(self.up())
    }

    fn named_leader(&self) -> Option<u64> {
        self.raft.metrics().borrow_watched().current_leader
    }

    fn tell(&self, term: Option<u64>) {
        let mut told = self
            .leadership
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *told != term {
            *told = term;
            drop(told);
            self.leadership_bell.nudge();
        }
    }
}

fn peer(node: u64) -> Peer {
    Peer {
        address: format!("node-{node}"),
        // Any store will do.
        store_uuid: String::new(),
    }
}

fn answered(data: Option<Box<Applied>>, index: u64) -> Write {
    match data {
        Some(applied) => Write::Applied(applied, index),
        None => Write::Unknown("the entry carried no command".to_owned()),
    }
}

fn serve(duties: Duties<SimTypes>, disk: Arc<dyn Fn() -> Duration + Send + Sync>) {
    let Duties {
        flushing,
        housekeeping,
    } = duties;
    Runtime::go(flushing.run_as_task(move || Runtime::pause(disk())));
    Runtime::go(async move {
        loop {
            Runtime::pause(HOUSEKEEPING).await;
            if housekeeping.turn().is_err() {
                return;
            }
        }
    });
}

/// As production's `watch_leadership`.
async fn watch_leadership(member: Member) {
    let inner = &*member.0;
    let mut watch = inner.raft.metrics();
    loop {
        let led = {
            let metrics: &Metrics = &watch.borrow_watched();
            if let Some(other) = metrics.current_leader.filter(|id| *id != inner.me) {
                inner.succession.note_leader(NodeId(other));
            }
            led_term(metrics, inner.lease)
        };
        match led {
            Some(term) if member.leadership() == Some(term) => {}
            Some(term) => {
                inner.tell(None);
                if has_caught_up(&member, term).await {
                    inner.tell(Some(term));
                    continue;
                }
                Runtime::pause(ASK_AGAIN).await;
            }
            None => inner.tell(None),
        }
        // The lease runs out without anything changing.
        if let Some(Err(_)) = Runtime::within(inner.heartbeat, watch.changed()).await {
            // Raft has stopped.
            return inner.tell(None);
        }
    }
}

async fn has_caught_up(member: &Member, term: u64) -> bool {
    let lease = member.0.lease;
    let Some(index) = member.read_here(lease).await else {
        return false;
    };
    member.wait_applied(index, lease).await
        && led_term(&member.0.raft.metrics().borrow_watched(), lease) == Some(term)
}

/// As production's `LogShortener`, by entries only.
async fn shorten_log(member: Member, entries: u64) {
    const LOOK: Duration = Duration::from_millis(20);
    const PATIENCE: u32 = 50;
    let inner = &*member.0;
    let mut applied = member.applied();
    let newest = || {
        let newest = inner.snapshots.newest();
        newest.map_or(0, |file| file.next_index())
    };
    loop {
        let covered = newest();
        if applied.at().saturating_sub(covered) >= entries {
            if inner.raft.trigger().snapshot().await.is_err() {
                return;
            }
            for _ in 0..PATIENCE {
                Runtime::pause(LOOK).await;
                if newest() > covered {
                    break;
                }
            }
            if let Some(next) = inner.snapshots.purgeable().filter(|next| *next > 0) {
                let _ = inner.raft.trigger().purge_log(next - 1).await;
            }
        } else if !applied.heard().await {
            return;
        }
    }
}
