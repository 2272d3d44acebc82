//! A backup taken into a fresh cluster.
//!
//! **Invariant:** the whole file is read and held against its checksums before the registry becomes
//! what it says; whatever ends a restore before that leaves the cluster as it was.

use futures::Stream;
use libra_proto::admin::{
    BackupHeader, RestoreRequest, RestoreResponse, RestoreStart, restore_request,
};
use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::{
    RestoreBegin, RestoreEnd, RestorePart, SessionState, SnapshotRecord, applied, command,
};
use prost::Message;
use tokio_stream::StreamExt;
use tonic::Status;
use uuid::Uuid;

use super::AdminService;
use super::backup::{BackupReader, MalformedBackup, Part};
use super::call::Call;
use super::problem::Problem;
use super::reason::Reason;

/// A message of a restore carries up to 1 MiB of the file.
pub(super) const MESSAGE_BYTES_MOST: usize = 4 << 20;
/// What one command carries, but for a record that is longer.
const PART_BYTES: usize = 256 << 10;

impl AdminService {
    pub(super) async fn answer_restore(
        &self,
        call: &Call,
        mut messages: impl Stream<Item = Result<RestoreRequest, Status>> + Unpin,
    ) -> Result<RestoreResponse, Problem> {
        let start = match next(&mut messages).await? {
            Some(restore_request::Part::Start(start)) => start,
            Some(restore_request::Part::Data(_)) | None => {
                return Err(Problem::invalid("part", "data", "`start` first"));
            }
        };
        let mut intake = Intake {
            service: self,
            call,
            start,
            restore_id: Uuid::new_v4().to_string(),
            begun: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            parts: 0,
            counted: RestoreResponse::default(),
        };
        let taken = intake.take(&mut messages).await;
        match taken {
            Ok(()) => intake.end().await,
            Err(problem) => Err(problem),
        }
    }
}

async fn next(
    messages: &mut (impl Stream<Item = Result<RestoreRequest, Status>> + Unpin),
) -> Result<Option<restore_request::Part>, Problem> {
    match messages.next().await {
        None => Ok(None),
        Some(Ok(message)) => {
            let empty = || Problem::invalid("part", "", "`start`, or `data`");
            message.part.map(Some).ok_or_else(empty)
        }
        Some(Err(status)) => Err(Problem::passed(status)),
    }
}

/// A file that comes in.
struct Intake<'a> {
    service: &'a AdminService,
    call: &'a Call,
    start: RestoreStart,
    restore_id: String,
    /// Drops what was taken in, unless the restore came to its end.
    begun: Option<Abandon>,
    waiting: Vec<SnapshotRecord>,
    waiting_bytes: usize,
    parts: u64,
    counted: RestoreResponse,
}

impl Intake<'_> {
    async fn take(
        &mut self,
        messages: &mut (impl Stream<Item = Result<RestoreRequest, Status>> + Unpin),
    ) -> Result<(), Problem> {
        let mut reader = BackupReader::default();
        while let Some(part) = next(messages).await? {
            let restore_request::Part::Data(bytes) = part else {
                return Err(Problem::invalid("part", "start", "`data` after the first"));
            };
            for part in reader.push(&bytes).map_err(malformed)? {
                match part {
                    Part::Header(header) => self.begin(header).await?,
                    Part::Record(record) => self.record(*record).await?,
                }
            }
        }
        reader.finish().map_err(malformed)?;
        self.flush().await
    }

    async fn begin(&mut self, header: BackupHeader) -> Result<(), Problem> {
        let ours = self.service.facts.cluster_name.as_str();
        if header.cluster_name != ours && !self.start.other_cluster {
            let message = format!(
                "the backup is of cluster `{}`, this is `{ours}`",
                header.cluster_name
            );
            let problem = Problem::new(Reason::OtherCluster, message);
            return Err(problem.with("cluster_name", &header.cluster_name));
        }
        if !self.start.dry_run {
            tracing::info!(
                cluster = header.cluster_name,
                index = header.applied_index,
                "taking a backup in"
            );
            self.begun = Some(Abandon {
                service: self.service.clone(),
                call: *self.call,
                restore_id: self.restore_id.clone(),
                is_done: false,
            });
            let begin = RestoreBegin {
                restore_id: self.restore_id.clone(),
                feature_level: header.feature_level,
            };
            let begin = command::Kind::RestoreBegin(begin);
            self.service.commit(self.call, begin).await?;
        }
        self.counted.info = Some(header);
        Ok(())
    }

    async fn record(&mut self, record: SnapshotRecord) -> Result<(), Problem> {
        self.count(&record);
        if self.start.dry_run {
            return Ok(());
        }
        let bytes = record.encoded_len();
        if self.waiting_bytes + bytes > PART_BYTES {
            self.flush().await?;
        }
        self.waiting_bytes += bytes;
        self.waiting.push(record);
        Ok(())
    }

    fn count(&mut self, record: &SnapshotRecord) {
        let counted = &mut self.counted;
        match &record.entity {
            Some(Entity::Pool(_)) => counted.pools += 1,
            Some(Entity::Session(session)) => {
                counted.sessions += 1;
                let lives = match session.state() {
                    SessionState::Starting | SessionState::Open => 1,
                    SessionState::Unspecified
                    | SessionState::Closing
                    | SessionState::Closed
                    | SessionState::Failed => 0,
                };
                counted.sessions_reopened += lives;
            }
            Some(Entity::Statement(statement)) => {
                counted.statements += 1;
                counted.outcomes_unknown += u64::from(!statement.state().has_ended());
                let result = statement.result.as_ref();
                let is_lost = result.is_some_and(|it| it.rows > 0 && it.inline.is_empty());
                counted.results_lost += u64::from(is_lost);
            }
            Some(
                Entity::Header(_)
                | Entity::Node(_)
                | Entity::Cleanup(_)
                | Entity::Request(_)
                | Entity::Staged(_),
            )
            | None => {}
        }
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let part = RestorePart {
            restore_id: self.restore_id.clone(),
            position: self.parts,
            records: std::mem::take(&mut self.waiting),
        };
        self.waiting_bytes = 0;
        self.parts += 1;
        let part = command::Kind::RestorePart(part);
        self.service.commit(self.call, part).await.map(drop)
    }

    async fn end(mut self) -> Result<RestoreResponse, Problem> {
        let Some(mut begun) = self.begun.take() else {
            return Ok(self.counted);
        };
        let info = self.counted.info.take();
        let end = RestoreEnd {
            restore_id: self.restore_id.clone(),
            parts: self.parts,
            abandon: false,
            endpoints: self.service.facts.endpoints.clone(),
            unreachable: self.service.terms.unreachable(),
            seed: Uuid::new_v4().into_bytes().to_vec(),
            cluster_name: info
                .as_ref()
                .map(|i| i.cluster_name.clone())
                .unwrap_or_default(),
        };
        let end = command::Kind::RestoreEnd(end);
        let applied = self.service.commit(self.call, end).await?;
        begun.is_done = true;
        let applied::Result::Restored(restored) = applied else {
            let message = "a backup was taken in, but not answered";
            return Err(Problem::new(Reason::Internal, message));
        };
        tracing::info!(
            sessions = restored.sessions,
            statements = restored.statements,
            outcomes_unknown = restored.outcomes_unknown,
            "restored from a backup"
        );
        Ok(RestoreResponse {
            info,
            sessions: restored.sessions,
            statements: restored.statements,
            pools: restored.pools,
            sessions_reopened: restored.sessions_reopened,
            outcomes_unknown: restored.outcomes_unknown,
            results_lost: restored.results_lost,
            index: self
                .service
                .view(libra_raft::registry::Registry::applied_index),
        })
    }
}

/// Has the registry drop the parts of a restore that did not come to its end: what is left lies in
/// memory and in every snapshot, until the next one begins.
struct Abandon {
    service: AdminService,
    call: Call,
    restore_id: String,
    is_done: bool,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (service, call) = (self.service.clone(), self.call);
        let end = RestoreEnd {
            restore_id: self.restore_id.clone(),
            abandon: true,
            ..RestoreEnd::default()
        };
        tokio::spawn(async move {
            if let Err(problem) = service.commit(&call, command::Kind::RestoreEnd(end)).await {
                tracing::debug!(?problem, "parts of a backup not dropped");
            }
        });
    }
}

fn malformed(error: MalformedBackup) -> Problem {
    Problem::new(
        Reason::MalformedBackup,
        format!("the file is no whole backup: {error}"),
    )
}
