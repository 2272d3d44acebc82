//! A node in a temporary directory, and the part of Spark and the actors.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use bytes::Bytes;
use libra_actors::ports::{ResultPart, ResultStorePort};
use libra_coordinator::http::{self, HttpOptions};
use libra_coordinator::live::Live;
use libra_coordinator::results::{Limits, ResultStore, StoreOptions};
use libra_coordinator::service::{Service, ServiceOptions};
use libra_proto::registry::{
    Applied, Command, CreateSession, Finish, Incarnation, Mode, NodeRecord, OpenSession,
    PoolRecord, PutSettings, RegisterNode, ResetSession, ResultManifest, SchedulingMode, SeedPools,
    SessionClosed, Settings, StatementError, StatementState, applied, command::Kind,
};
use libra_proto::spark::{DataType, data_type};
use libra_proto::types::{Epoch, JobId, NodeId};
use prost::Message;
use tempfile::TempDir;

use crate::client::Client;

pub(crate) const ENDPOINT: &str = "sc://127.0.0.1:1";

/// A running node.
pub(crate) struct TestNode {
    pub(crate) client: Client,
    pub(crate) service: Service,
    pub(crate) live: Live,
    raft: libra_raft::Node,
    results: ResultStore,
    _dir: TempDir,
}

pub(crate) fn settings(mode: Mode) -> Settings {
    Settings {
        version: 1,
        mode: mode.into(),
        slots: 2,
        max_queued: 3,
        max_sessions: 2,
        queued_bytes: 1_000,
        scheduler_mode: SchedulingMode::Fair.into(),
        retention_ms: 60_000,
        retention_statements: 1_000,
        ..Settings::default()
    }
}

impl TestNode {
    pub(crate) async fn shared() -> Self {
        let node = Self::start(Mode::Shared, HttpOptions::default()).await;
        node.make_session("default").await;
        node.open_session("default").await;
        node
    }

    pub(crate) async fn isolated() -> Self {
        Self::start(Mode::Isolated, HttpOptions::default()).await
    }

    pub(crate) async fn start(mode: Mode, options: HttpOptions) -> Self {
        let dir = TempDir::new().unwrap();
        let mut raft_options = libra_raft::Options::new("t", NodeId(1), dir.path().join("raft"));
        raft_options.heartbeat = Duration::from_millis(20);
        raft_options.election_min = Duration::from_millis(60);
        raft_options.election_max = Duration::from_millis(120);
        let raft = libra_raft::Node::start(raft_options).await.unwrap();
        let store = StoreOptions {
            dir: dir.path().join("results"),
            node_id: NodeId(1),
            store_uuid: "store".to_owned(),
            inline_bytes: 0,
            limits: Limits {
                max_rows: 1_000_000,
                max_bytes: 1 << 30,
            },
        };
        let results = ResultStore::open(store).await.unwrap();
        let live = Live::default();
        let mut service = ServiceOptions::new(NodeId(1), "libra", vec![ENDPOINT.to_owned()]);
        service.code_bytes = 1_000;
        let service = Service::start(
            raft.handle(),
            results.clone(),
            live.clone(),
            Vec::new(),
            service,
        );
        let node = Self {
            client: Client::new(http::router(service.clone(), options)),
            service,
            live,
            raft,
            results,
            _dir: dir,
        };
        node.introduce(mode).await;
        node
    }

    async fn introduce(&self, mode: Mode) {
        let node = NodeRecord {
            node_id: 1,
            http: "127.0.0.1:8080".to_owned(),
            grpc: "127.0.0.1:9090".to_owned(),
            ..NodeRecord::default()
        };
        self.propose(Kind::RegisterNode(RegisterNode { node: Some(node) }))
            .await;
        let put = PutSettings {
            settings: Some(settings(mode)),
            expected_version: 0,
        };
        self.propose(Kind::PutSettings(put)).await;
        let pool = |name: &str, weight| PoolRecord {
            name: name.to_owned(),
            weight,
            min_share: 2,
            scheduling_mode: SchedulingMode::Fair.into(),
            max_running: 0,
            paused: false,
        };
        let pools = vec![pool("default", 1), pool("interactive", 2)];
        self.propose(Kind::SeedPools(SeedPools { pools })).await;
    }

    pub(crate) async fn propose(&self, kind: Kind) -> applied::Result {
        let command = Command {
            proposed_at_ms: now_ms(),
            proposer_node: 1,
            kind: Some(kind),
            ..Command::default()
        };
        let Applied { result } = self.raft.handle().propose(command).await.unwrap();
        match result.unwrap() {
            applied::Result::Rejected(rejection) => panic!("refused: {rejection:?}"),
            result => result,
        }
    }

    async fn make_session(&self, id: &str) {
        let create = CreateSession {
            session_id: id.to_owned(),
            user: "anonymous".to_owned(),
            endpoint: ENDPOINT.to_owned(),
            owner_node: 1,
            spark_session_id: format!("spark-{id}"),
            ..CreateSession::default()
        };
        self.propose(Kind::CreateSession(create)).await;
    }

    /// What the session's actor does once Spark has answered.
    pub(crate) async fn open_session(&self, id: &str) {
        let shown = self.client.get(&format!("/api/v1/sessions/{id}")).await;
        let spark_session_id = shown.json["sparkSessionId"].as_str().unwrap().to_owned();
        let incarnation = Incarnation {
            spark_session_id,
            server_side_session_id: "server".to_owned(),
            spark_version: "4.3.0".to_owned(),
            app_id: "app-1".to_owned(),
            remembers_operations: true,
            opened_at_ms: 1,
            ..Incarnation::default()
        };
        let epoch = shown.json["epoch"].as_u64().unwrap();
        let open = OpenSession {
            session_id: id.to_owned(),
            epoch,
            incarnation: Some(incarnation),
        };
        self.propose(Kind::OpenSession(open)).await;
    }

    pub(crate) async fn reset_session(&self, id: &str) {
        let shown = self.client.get(&format!("/api/v1/sessions/{id}")).await;
        let reset = ResetSession {
            session_id: id.to_owned(),
            epoch: shown.json["epoch"].as_u64().unwrap(),
            old_spark_session_id: shown.json["sparkSessionId"].as_str().unwrap().to_owned(),
            new_spark_session_id: "spark-anew".to_owned(),
            reason: "the server restarted".to_owned(),
            never_sent: Vec::new(),
        };
        self.propose(Kind::ResetSession(reset)).await;
    }

    pub(crate) async fn finish_closing(&self, id: &str) {
        let shown = self.client.get(&format!("/api/v1/sessions/{id}")).await;
        let epoch = shown.json["epoch"].as_u64().unwrap();
        self.propose(Kind::SessionClosed(SessionClosed {
            session_id: id.to_owned(),
            epoch,
        }))
        .await;
    }

    async fn end(&self, finish: Finish) {
        let epoch = self.epoch_of(finish.job).await;
        self.propose(Kind::Finish(Finish { epoch, ..finish })).await;
    }

    async fn epoch_of(&self, job: u64) -> u64 {
        let statement = self
            .client
            .get(&format!("/api/v1/statements/job-{job}?rows=0"))
            .await;
        let session = statement.json["sessionId"].as_str().unwrap();
        let session = self
            .client
            .get(&format!("/api/v1/sessions/{session}"))
            .await;
        session.json["epoch"].as_u64().unwrap()
    }

    /// Ends a running statement with rows (id, name).
    pub(crate) async fn succeed_with(&self, job: u64, batches: &[(&[i64], &[Option<&str>])]) {
        let manifest = self.store(job, batches).await;
        self.end(Finish {
            job,
            state: StatementState::Succeeded.into(),
            result: Some(manifest),
            ..Finish::default()
        })
        .await;
    }

    pub(crate) async fn succeed_without_rows(&self, job: u64) {
        let state = StatementState::Succeeded.into();
        self.end(Finish {
            job,
            state,
            ..Finish::default()
        })
        .await;
    }

    pub(crate) async fn fail(&self, job: u64) {
        let error = StatementError {
            error_class: "TABLE_OR_VIEW_NOT_FOUND".to_owned(),
            sql_state: "42P01".to_owned(),
            message: "the table is not there".to_owned(),
            ..StatementError::default()
        };
        let state = StatementState::Failed.into();
        self.end(Finish {
            job,
            state,
            error: Some(error),
            ..Finish::default()
        })
        .await;
    }

    pub(crate) async fn end_cancelled(&self, job: u64) {
        let state = StatementState::Cancelled.into();
        self.end(Finish {
            job,
            state,
            ..Finish::default()
        })
        .await;
    }

    async fn store(&self, job: u64, batches: &[(&[i64], &[Option<&str>])]) -> ResultManifest {
        let epoch = Epoch(self.epoch_of(job).await);
        let mut writer = self.results.writer(JobId(job), epoch).await.unwrap();
        let schema = schema().encode_to_vec();
        writer
            .append("r-0", ResultPart::Schema(schema.into()))
            .await
            .unwrap();
        let mut row = 0;
        for (at, (ids, names)) in batches.iter().enumerate() {
            let rows = ids.len() as u64;
            let part = ResultPart::Batch {
                rows,
                start_offset: Some(row),
                data: arrow_batch(ids, names),
            };
            writer.append(&format!("r-{}", at + 1), part).await.unwrap();
            row += rows;
        }
        writer.append("r-end", ResultPart::Complete).await.unwrap();
        writer.seal().await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.raft.shutdown().await.unwrap();
    }
}

fn schema() -> DataType {
    let field = |name: &str, kind| data_type::StructField {
        name: name.to_owned(),
        data_type: Some(DataType { kind: Some(kind) }),
        nullable: true,
        ..data_type::StructField::default()
    };
    let columns = data_type::Struct {
        fields: vec![
            field("id", data_type::Kind::Long(data_type::Long::default())),
            field(
                "name",
                data_type::Kind::String(data_type::String::default()),
            ),
        ],
    };
    DataType {
        kind: Some(data_type::Kind::Struct(columns)),
    }
}

fn arrow_batch(ids: &[i64], names: &[Option<&str>]) -> Bytes {
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("name", Arc::new(StringArray::from(names.to_vec()))),
    ];
    let columns = columns.map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis().try_into().unwrap()
}
