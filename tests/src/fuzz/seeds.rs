//! Inputs to begin with: whole and valid, so that a change lands deep inside.

use libra_coordinator::fuzz;
use libra_proto::registry::{
    Command, CreateSession, Mode, PoolRecord, PutSettings, SeedPools, Settings, Submit, command,
};
use libra_proto::types::Change;
use libra_raft::registry::Registry;
use prost::Message;

use crate::stub::rows::{Column, Content, Table};

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn config_files() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../../deploy/application.yml"),
        "libra:\n  session: {mode: ISOLATED, max-sessions: 20}\nspark.remote: [\"sc://a:1\", 'sc://b']\n",
        "libra.cluster.peers: {1: \"a:9090\", 2: b:1}\nlibra.cluster.election-ms: 400, 900\n",
        "a: &x [1, 2]\nb: *x\nc: !!str 1\nd: |\n  text\ne: >-\n  more\n",
    ])
}

pub(super) fn settings() -> Vec<Vec<u8>> {
    texts(&[
        "LIBRA_SESSION_MAX_SESSIONS=20\nlibra.session.mode=ISOLATED\nspark.remote=[\"sc://a:1\"]",
        "libra.session.timeout-minutes=0.05\nlibra.results.max-bytes=1GiB\nlibra.limits.body-bytes=4 MiB",
        "LIBRA_CLUSTER_PEERS={\"1\": \"a:9090\"}\nLIBRA_SPARK_REMOTE=sc://a:1,sc://b:2\nLIBRA_LOG_LEVEL=info,x=debug",
        "libra.cluster.election-ms=[300, 600]\nspark.config.spark.sql.ansi.enabled=true",
    ])
}

pub(super) fn allocations() -> Vec<Vec<u8>> {
    texts(&[
        "<?xml version=\"1.0\"?>\n<allocations>\n  <!-- a pool -->\n  <pool name=\"default\">\n    \
         <schedulingMode>FAIR</schedulingMode>\n    <weight>1</weight><minShare>2</minShare>\n  \
         </pool>\n  <pool name=\"b\"/>\n</allocations>\n",
        "<allocations><pool name='&lt;&#65;'><weight><![CDATA[3]]></weight></pool></allocations>",
    ])
}

pub(super) fn endpoints() -> Vec<Vec<u8>> {
    texts(&[
        "sc://127.0.0.1:15002",
        "sc://host:443/;use_ssl=true;token=abc%20d;user_id=libra;x-header=1",
        "sc://[::1]:15002/;grpc_max_message_size=134217728;session_id=0b5f0a64-6a43-4c2b-8c1e-1f1d3c1f6a11",
    ])
}

pub(super) fn ids() -> Vec<Vec<u8>> {
    texts(&[
        "user-alice",
        "job-17",
        "a@b.c_d",
        "high priority",
        "127.0.0.1:8080",
        "[::1]:1",
    ])
}

pub(super) fn bodies() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"code":"SELECT 1","kind":"sql","pool":"default","description":"d","user":"a","timeoutSeconds":1.5}"#,
        r#"{"sessionId":"user-alice","conf":{"spark.sql.shuffle.partitions":"8"},"timeoutMinutes":30}"#,
        r#"{"weight":1,"minShare":0,"schedulingMode":"FAIR","maxRunning":null}"#,
        r#"{"code":"\u00e4\ud83d\ude00","x":[[[{"a":[1e5,-0.0,null,true]}]]]}"#,
    ])
}

pub(super) fn queries() -> Vec<Vec<u8>> {
    texts(&[
        "wait=10&rows=1000&stale=true&pool=a+b&offset=0",
        "wait=5e-05&w%61it=1&x",
    ])
}

pub(super) fn headers() -> Vec<Vec<u8>> {
    texts(&[
        "text/csv;q=0.5, application/json;q=0.4, */*",
        "application/vnd.apache.arrow.stream",
        "user-alice",
    ])
}

pub(super) fn arrow() -> Vec<Vec<u8>> {
    let columns = vec![
        Column::new("id", Content::Sequence { start: 0, step: 1 }),
        Column::new("text", Content::Text("hello".to_owned())),
        Column::new("flag", Content::Boolean(true)),
        Column::new("nothing", Content::Null),
    ];
    let table = Table::new(columns, 10);
    let batches = [table.render(0, 0), table.render(0, 10)];
    batches.into_iter().flatten().map(Vec::from).collect()
}

pub(super) fn result_files() -> Vec<Vec<u8>> {
    vec![fuzz::result_file_seed()]
}

/// The length of the dictionary, the dictionary, the value.
pub(super) fn variants() -> Vec<Vec<u8>> {
    let dictionary = [0x01, 2, 0, 1, 2, b'a', b'b'];
    let values: [&[u8]; 5] = [
        // {"a": 1, "b": "x"}
        &[0x02, 2, 0, 1, 0, 2, 4, 0x0c, 1, 0x05, b'x'],
        // [null, true]
        &[0x03, 2, 0, 1, 2, 0x00, 0x04],
        // A decimal, a double, a long string.
        &[0x20, 2, 0x39, 0x30, 0, 0],
        &[0x1c, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
        &[0x40, 3, 0, 0, 0, b'a', b'b', b'c'],
    ];
    let whole = |value: &&[u8]| {
        let mut all = vec![dictionary.len() as u8];
        all.extend(dictionary);
        all.extend(*value);
        all
    };
    values.iter().map(whole).collect()
}

/// A cluster that was set up, with a session and a statement.
fn log() -> Vec<Command> {
    let settings = Settings {
        mode: Mode::Isolated.into(),
        slots: 2,
        max_queued: 10,
        max_sessions: 3,
        queued_bytes: 1 << 20,
        ..Settings::default()
    };
    let pool = PoolRecord {
        name: "default".to_owned(),
        weight: 1,
        ..PoolRecord::default()
    };
    let create = CreateSession {
        session_id: "a".to_owned(),
        user: "alice".to_owned(),
        endpoint: "sc://a:1".to_owned(),
        owner_node: 1,
        spark_session_id: "spark".to_owned(),
        reopen: true,
        ..CreateSession::default()
    };
    let submit = Submit {
        session_id: "a".to_owned(),
        user: "alice".to_owned(),
        pool: "default".to_owned(),
        code: "SELECT 1".to_owned(),
        kind: "sql".to_owned(),
        operation_id: "operation".to_owned(),
        create_if_missing: Some(create.clone()),
        ..Submit::default()
    };
    let kinds = [
        command::Kind::PutSettings(PutSettings {
            settings: Some(settings),
            expected_version: 0,
        }),
        command::Kind::SeedPools(SeedPools { pools: vec![pool] }),
        command::Kind::CreateSession(create),
        command::Kind::Submit(submit),
    ];
    let command = |(at, kind)| Command {
        proposed_at_ms: at,
        proposer_node: 1,
        kind: Some(kind),
        ..Command::default()
    };
    (1_000..).zip(kinds).map(command).collect()
}

pub(super) fn commands() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for command in log() {
        all.extend(command.encode_length_delimited_to_vec());
    }
    vec![all]
}

pub(super) fn snapshots() -> Vec<Vec<u8>> {
    let mut registry = Registry::default();
    let mut changes: Vec<Change> = Vec::new();
    for (index, command) in (1..).zip(log()) {
        registry.apply(index, 1, &command, &mut changes);
    }
    let mut all = Vec::new();
    for record in registry.snapshot() {
        all.extend(record.encode_length_delimited_to_vec());
    }
    vec![all]
}
