//! A backup: the registry as of one moment, as the bytes of a file.
//!
//! - `file`: the form of the file, written and read; `backup.proto` describes it.
//!
//! **Invariant:** what is in one file is of one log index, and that index is one that was reached
//! after the call came in: everything acknowledged before is in it.

mod file;

use bytes::Bytes;
use futures::Stream;
use libra_proto::admin::{BackupDone, BackupHeader, BackupResponse, backup_response};
use libra_proto::registry::SnapshotRecord;
use libra_proto::registry::snapshot_record::Entity;
use libra_raft::registry::Registry;
use prost::Message;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use xxhash_rust::xxh3::Xxh3;

use super::AdminService;
use super::call::Call;
use super::problem::Problem;
use super::reason::Reason;
pub(super) use file::Part;
use file::Writer;
pub use file::{BackupReader, BackupSummary, MalformedBackup};

/// What one message carries at most, but for a record that is longer.
const MESSAGE_BYTES: usize = 256 << 10;
/// Messages that wait for the client.
const AHEAD: usize = 4;

/// What the client has not taken yet, or an end.
type Answers = mpsc::Sender<Result<BackupResponse, Status>>;

impl AdminService {
    pub(super) async fn answer_backup(
        &self,
        call: &Call,
    ) -> Result<impl Stream<Item = Result<BackupResponse, Status>> + Send + use<>, Problem> {
        self.catch_up(call).await?;
        // Copies no record, only the maps that point to them.
        let registry = self.view(Registry::clone);
        let info = BackupHeader {
            cluster_name: self.facts.cluster_name.clone(),
            applied_index: registry.applied_index(),
            applied_term: registry.applied_term(),
            feature_level: registry.feature_level(),
            taken_at_ms: registry.clock_ms(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node_id: self.this_node().0,
        };
        tracing::info!(index = info.applied_index, "backup asked for");
        let (answers, taken) = mpsc::channel(AHEAD);
        let (call, runtime) = (*call, runtime::Handle::current());
        tokio::task::spawn_blocking(move || {
            let outgoing = Outgoing {
                call,
                runtime,
                answers,
            };
            if let Err(Gone) = write(&registry, info, &outgoing) {
                tracing::warn!("a backup was not taken to its end");
            }
        });
        Ok(ReceiverStream::new(taken))
    }
}

/// Nobody takes the rest.
struct Gone;

struct Outgoing {
    call: Call,
    runtime: runtime::Handle,
    answers: Answers,
}

impl Outgoing {
    /// Waits until the client takes it, as long as its call lasts.
    fn send(&self, part: backup_response::Part) -> Result<(), Gone> {
        let answer = BackupResponse { part: Some(part) };
        let sent = timeout(self.call.left(), self.answers.send(Ok(answer)));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone),
            Err(_elapsed) => {
                let message = "the backup was not taken within the time that the call had";
                let late = Problem::new(Reason::DeadlineExceeded, message);
                // There may be no place for it either: then the end without `done` says it.
                let _ = self.answers.try_send(Err(late.into()));
                Err(Gone)
            }
        }
    }

    fn send_bytes(&self, waiting: &mut Vec<u8>) -> Result<(), Gone> {
        if waiting.is_empty() {
            return Ok(());
        }
        let data = Bytes::from(std::mem::take(waiting));
        self.send(backup_response::Part::Data(data))
    }
}

fn write(registry: &Registry, info: BackupHeader, outgoing: &Outgoing) -> Result<(), Gone> {
    outgoing.send(backup_response::Part::Info(info.clone()))?;
    let mut writer = Writer::default();
    let mut done = BackupDone::default();
    let mut state = Xxh3::new();
    let mut waiting = writer.begin(info);
    for record in registry.snapshot() {
        state.update(&record.encode_length_delimited_to_vec());
        if !count(&record, &mut done) {
            continue;
        }
        waiting.extend(writer.record(&record));
        if waiting.len() >= MESSAGE_BYTES {
            outgoing.send_bytes(&mut waiting)?;
        }
    }
    waiting.extend(writer.end(state.digest()));
    outgoing.send_bytes(&mut waiting)?;
    done.bytes = writer.bytes();
    done.records = writer.records();
    outgoing.send(backup_response::Part::Done(done))
}

/// Whether the record belongs into a backup: nodes and what they asked are of this cluster alone.
fn count(record: &SnapshotRecord, done: &mut BackupDone) -> bool {
    match &record.entity {
        Some(Entity::Header(_) | Entity::Cleanup(_)) => true,
        Some(Entity::Pool(_)) => {
            done.pools += 1;
            true
        }
        Some(Entity::Session(_)) => {
            done.sessions += 1;
            true
        }
        Some(Entity::Statement(_)) => {
            done.statements += 1;
            true
        }
        Some(Entity::Node(_) | Entity::Request(_) | Entity::Staged(_)) | None => false,
    }
}
