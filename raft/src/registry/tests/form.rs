//! The on-disk form: bytes written by released versions must read as what they were.
//!
//! `form_v1.txt` holds one line per sample, `name hex`, written once. A line that no longer reads
//! as its sample means that existing logs and snapshots no longer read: undo the change, never the
//! line. New fields and commands get new lines.

use std::collections::BTreeMap;

use libra_proto::registry::command::Kind;
use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::*;
use prost::Message;

use super::bench::*;
use super::{form_admin, form_cluster};

const FORM_V1: &str = include_str!("form_v1.txt");

fn full_error() -> StatementError {
    StatementError {
        error_class: "TABLE_OR_VIEW_NOT_FOUND".to_owned(),
        sql_state: "42P01".to_owned(),
        message: "nö".to_owned(),
        query_context: vec![QueryContext {
            object_type: "VIEW".to_owned(),
            object_name: "v".to_owned(),
            start_index: 14,
            stop_index: -1,
            fragment: "t".to_owned(),
            call_site: "site".to_owned(),
            summary: "sum".to_owned(),
        }],
        message_parameters: BTreeMap::from([("relationName".to_owned(), "`t`".to_owned())]),
    }
}

pub(super) fn full_manifest() -> ResultManifest {
    ResultManifest {
        schema: vec![1, 2, 255],
        rows: 3,
        bytes: 400,
        batches: 2,
        truncated: true,
        epoch: 5,
        file_length: 600,
        file_hash: u64::MAX,
        holders: vec![Holder {
            node_id: 1,
            store_uuid: "store".to_owned(),
        }],
        ..ResultManifest::default()
    }
}

fn full_incarnation() -> Incarnation {
    Incarnation {
        spark_session_id: "spark".to_owned(),
        server_side_session_id: "server".to_owned(),
        spark_user_id: "libra".to_owned(),
        spark_version: "4.3.0".to_owned(),
        app_id: "app".to_owned(),
        spark_ui_url: "http://ui".to_owned(),
        opened_at_ms: 7,
        remembers_operations: true,
        session_timeout_ms: 0,
    }
}

fn full_create() -> CreateSession {
    CreateSession {
        conf: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        reopen: true,
        idempotency_key: "p\nk\nff".to_owned(),
        ..create_session("a", "spark")
    }
}

pub(super) fn full_submit() -> Submit {
    Submit {
        description: Some("d".to_owned()),
        timeout_ms: 9,
        idempotency_key: "p\nk".to_owned(),
        idempotency_body_hash: vec![1, 2],
        create_if_missing: Some(full_create()),
        ..submit_to("a", "default", "op")
    }
}

pub(super) fn full_node() -> NodeRecord {
    NodeRecord {
        node_id: 1,
        http: "h:1".to_owned(),
        grpc: "g:1".to_owned(),
        store_uuid: "store".to_owned(),
        boot_id: "boot".to_owned(),
        registered_at_ms: 8,
        ..NodeRecord::default()
    }
}

pub(super) fn full_settings() -> Settings {
    Settings {
        version: 4,
        result_replicas: 0,
        ..settings(Mode::Isolated, 10)
    }
}

fn full_finish() -> Finish {
    Finish {
        job: 1,
        epoch: 2,
        state: StatementState::Failed.into(),
        result: Some(full_manifest()),
        error: Some(full_error()),
        needs_cleanup: true,
    }
}

fn inline_finish() -> Finish {
    let inline = ResultManifest {
        inline: vec![4, 5].into(),
        ..full_manifest()
    };
    Finish {
        result: Some(inline),
        ..full_finish()
    }
}

fn kinds() -> Vec<(&'static str, Kind)> {
    let session_id = || "a".to_owned();
    vec![
        (
            "register-node",
            Kind::RegisterNode(RegisterNode {
                node: Some(full_node()),
            }),
        ),
        ("put-settings", put_settings(full_settings(), 3)),
        (
            "seed-pools",
            Kind::SeedPools(SeedPools {
                pools: vec![pool("p", 3)],
            }),
        ),
        (
            "put-pool",
            Kind::PutPool(PutPool {
                pool: Some(pool("p", 3)),
            }),
        ),
        (
            "delete-pool",
            Kind::DeletePool(DeletePool {
                name: "p".to_owned(),
            }),
        ),
        ("create-session", Kind::CreateSession(full_create())),
        (
            "open-session",
            Kind::OpenSession(OpenSession {
                session_id: session_id(),
                epoch: 2,
                incarnation: Some(full_incarnation()),
            }),
        ),
        ("reset-session", reset("a", 2, "old", "new")),
        (
            "fail-session",
            Kind::FailSession(FailSession {
                session_id: session_id(),
                epoch: 2,
                error: Some(full_error()),
            }),
        ),
        (
            "close-session",
            Kind::CloseSession(CloseSession {
                session_id: session_id(),
                reason: "idle".to_owned(),
                if_idle_since_ms: 6,
            }),
        ),
        ("session-closed", closed("a", 2)),
        ("submit", Kind::Submit(full_submit())),
        ("start-batch", start(&[1, 300])),
        ("cancel", cancel(1)),
        ("time-out", time_out(&[1, 300])),
        ("finish", Kind::Finish(full_finish())),
        ("finish-inline", Kind::Finish(inline_finish())),
        ("cleanup-done", cleanup_done(1, 2)),
        (
            "retire",
            Kind::Retire(Retire {
                jobs: vec![1, 300],
                sessions: vec![session_id()],
            }),
        ),
    ]
}

fn full_session() -> SessionRecord {
    SessionRecord {
        session_id: "a".to_owned(),
        state: SessionState::Failed.into(),
        mode: Mode::Isolated.into(),
        user: "alice".to_owned(),
        owner_node: 1,
        epoch: 2,
        endpoint: ENDPOINT.to_owned(),
        spark_session_id: "spark".to_owned(),
        incarnation: Some(full_incarnation()),
        conf: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        idle_timeout_ms: 3,
        created_at_ms: 4,
        last_activity_ms: 5,
        closed_at_ms: 6,
        resets: vec![SessionReset {
            at_ms: 7,
            reason: "r".to_owned(),
            old_spark_session_id: "old".to_owned(),
        }],
        error: Some(full_error()),
        total_statements: 8,
        close_reason: "c".to_owned(),
        untold_reset_ms: 9,
        idempotency_key: "p\nk\nff".to_owned(),
    }
}

pub(super) fn full_statement() -> StatementRecord {
    StatementRecord {
        job: 1,
        session_id: "a".to_owned(),
        user: "alice".to_owned(),
        pool: "default".to_owned(),
        state: StatementState::Succeeded.into(),
        code: "SELECT 1".to_owned(),
        description: Some(String::new()),
        operation_id: "op".to_owned(),
        spark_session_id: "spark".to_owned(),
        ended_on_node: 2,
        submitted_at_ms: 3,
        started_at_ms: 4,
        completed_at_ms: 5,
        cancel_requested_at_ms: 6,
        timeout_ms: 7,
        timed_out_at_ms: 8,
        result: Some(full_manifest()),
        error: Some(full_error()),
        idempotency_key: "p\nk".to_owned(),
        idempotency_body_hash: vec![9],
        kind: "sql".to_owned(),
        endpoint: ENDPOINT.to_owned(),
        ..StatementRecord::default()
    }
}

fn entities() -> Vec<(&'static str, Entity)> {
    let header = SnapshotHeader {
        applied_index: 1,
        applied_term: 2,
        clock_ms: 3,
        next_job: 4,
        feature_level: 1,
        settings: Some(full_settings()),
        epoch_floor: 6,
    };
    let cleanup = CleanupRecord {
        job: 1,
        session_id: "a".to_owned(),
        endpoint: ENDPOINT.to_owned(),
        pool: "default".to_owned(),
        operation_id: "op".to_owned(),
        incarnation: Some(full_incarnation()),
    };
    vec![
        ("snapshot-header", Entity::Header(header)),
        ("snapshot-node", Entity::Node(full_node())),
        ("snapshot-pool", Entity::Pool(pool("p", 3))),
        ("snapshot-session", Entity::Session(full_session())),
        ("snapshot-statement", Entity::Statement(full_statement())),
        ("snapshot-cleanup", Entity::Cleanup(cleanup)),
    ]
}

/// All samples of commands.
fn commands() -> Vec<(&'static str, Command)> {
    let first = kinds().into_iter();
    first
        .map(|(name, kind)| (name, command(kind)))
        .chain(form_cluster::commands())
        .chain(form_admin::commands())
        .collect()
}

fn all_entities() -> Vec<(&'static str, Entity)> {
    entities()
        .into_iter()
        .chain(form_cluster::entities())
        .chain(form_admin::entities())
        .collect()
}

pub(super) fn command(kind: Kind) -> Command {
    Command {
        proposed_at_ms: 1_700_000_000_000,
        proposer_node: 3,
        kind: Some(kind),
        ..Command::default()
    }
}

fn bytes(name: &str) -> Vec<u8> {
    let lines = FORM_V1.lines().filter_map(|line| line.split_once(' '));
    let (_, hex) = lines.into_iter().find(|(found, _)| *found == name).unwrap();
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

#[test]
fn commands_written_by_version_1_read_as_they_were() {
    for (name, command) in commands() {
        let read = Command::decode(bytes(name).as_slice()).unwrap();
        assert_eq!(read, command, "{name}");
        assert_eq!(
            read.encode_to_vec(),
            bytes(name),
            "{name} is written as before"
        );
    }
}

#[test]
fn snapshot_records_written_by_version_1_read_as_they_were() {
    for (name, entity) in all_entities() {
        let read = SnapshotRecord::decode(bytes(name).as_slice()).unwrap();
        assert_eq!(read.entity, Some(entity), "{name}");
        assert_eq!(
            read.encode_to_vec(),
            bytes(name),
            "{name} is written as before"
        );
    }
}

#[test]
fn every_sample_has_its_line() {
    let samples = commands().len() + all_entities().len();
    assert_eq!(FORM_V1.lines().count(), samples);
}
