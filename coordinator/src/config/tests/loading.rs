//! What is read, and what wins.

use std::path::Path;
use std::time::Duration;

use libra_proto::registry::{Mode, SchedulingMode};
use libra_proto::types::NodeId;
use proptest::prelude::*;

use super::*;

/// What a case looks at.
type Env = &'static [(&'static str, &'static str)];
type Look = fn(&Config) -> String;

fn mode(c: &Config) -> String {
    c.session.mode.as_str_name().replace("MODE_", "")
}

fn max_sessions(c: &Config) -> String {
    c.session.max_sessions.to_string()
}

fn remote(c: &Config) -> String {
    let all: Vec<_> = c.spark.remote.iter().map(Remote::reveal).collect();
    all.join(" ")
}

fn peers(c: &Config) -> String {
    format!(
        "{:?}",
        c.cluster
            .peers
            .values()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    )
}

fn conf(c: &Config) -> String {
    format!("{:?}", c.spark.conf)
}

fn election(c: &Config) -> String {
    format!("{:?}-{:?}", c.cluster.election_min, c.cluster.election_max)
}

#[test]
fn the_defaults_are_the_contracts() {
    let c = Config::default();
    assert_eq!(c.node.id, NodeId(1));
    assert_eq!(c.node.data_dir, Path::new("./data"));
    assert_eq!(c.node.public_http().to_string(), "127.0.0.1:8080");
    assert_eq!(c.node.public_grpc().to_string(), "127.0.0.1:9090");
    assert_eq!(
        (c.cluster.name.as_str(), c.cluster.peers.len()),
        ("libra", 0)
    );
    assert_eq!(c.cluster.heartbeat, Duration::from_millis(100));
    assert_eq!(election(&c), "300ms-600ms");
    assert_eq!(c.cluster.lease, Duration::from_millis(1200));
    assert_eq!((c.session.mode, c.session.max_sessions), (Mode::Shared, 10));
    assert_eq!(c.session.idle_timeout, Some(Duration::from_secs(1800)));
    assert_eq!((c.scheduler.slots, c.scheduler.max_queued), (10, 10_000));
    assert_eq!(
        (c.results.max_rows, c.results.max_bytes),
        (1_000_000, 1 << 30)
    );
    assert_eq!(c.results.retention, Duration::from_secs(86_400));
    assert_eq!(
        (c.results.retention_statements, c.results.replicas),
        (100_000, 2)
    );
    assert_eq!(
        (c.limits.body_bytes, c.limits.code_bytes),
        (4 << 20, 256 << 10)
    );
    assert_eq!(c.limits.queued_bytes, 64 << 20);
    assert_eq!(remote(&c), "sc://127.0.0.1:15002");
    assert_eq!(c.spark.scheduler_mode, SchedulingMode::Fair);
    assert_eq!((c.spark.allocation_file, c.spark.conf.len()), (None, 0));
    assert_eq!(c.http.cors_origins, [""; 0]);
    assert_eq!(c.log.format, LogFormat::Text);
    let pools: Vec<_> = c
        .pools
        .iter()
        .map(|p| (p.name.as_str(), p.weight, p.min_share))
        .collect();
    assert_eq!(
        pools,
        [
            ("default", 1, 2),
            ("high-priority", 3, 4),
            ("low-priority", 1, 1),
            ("interactive", 2, 2)
        ]
    );
    assert!(
        c.pools
            .iter()
            .all(|p| p.scheduling_mode() == SchedulingMode::Fair)
    );
}

#[test]
fn files_are_read() {
    let cases: &[(&str, Look, &str)] = &[
        ("", mode, "SHARED"),
        ("libra:\n  session:\n    mode: ISOLATED\n", mode, "ISOLATED"),
        ("libra.session.mode: ISOLATED", mode, "ISOLATED"),
        ("libra:\n  session.mode: ISOLATED", mode, "ISOLATED"),
        ("libra.session: {mode: isolated}", mode, "ISOLATED"),
        ("libra:\nspark:\n", mode, "SHARED"),
        ("libra:\n  session: {max-sessions: 20}", max_sessions, "20"),
        ("libra:\n  session: {maxSessions: 20}", max_sessions, "20"),
        ("libra:\n  session: {max_sessions: 20}", max_sessions, "20"),
        (
            "LIBRA:\n  Session: {MAX-SESSIONS: \"20\"}",
            max_sessions,
            "20",
        ),
        (
            "libra.session.timeout-minutes: 0",
            |c| format!("{:?}", c.session.idle_timeout),
            "None",
        ),
        (
            "libra.session.timeout-minutes: 0.05",
            |c| format!("{:?}", c.session.idle_timeout),
            "Some(3s)",
        ),
        (
            "libra.cluster.election-ms: [400, 900]",
            election,
            "400ms-900ms",
        ),
        (
            "libra.cluster.election-ms: 400, 900",
            election,
            "400ms-900ms",
        ),
        (
            "libra.cluster.peers: {1: \"a:9090\", 2: b:1}",
            peers,
            r#"["a:9090", "b:1"]"#,
        ),
        (
            "libra:\n  cluster:\n    peers:\n      1: a:9090\n      10: b:1",
            peers,
            r#"["a:9090", "b:1"]"#,
        ),
        ("libra.cluster.peers.1: a:9090", peers, r#"["a:9090"]"#),
        ("libra.cluster.peers:", peers, "[]"),
        (
            "libra.results.max-bytes: 2 GiB",
            |c| c.results.max_bytes.to_string(),
            "2147483648",
        ),
        (
            "libra.limits.code-bytes: 1000",
            |c| c.limits.code_bytes.to_string(),
            "1000",
        ),
        (
            "libra.http.cors-origins: ['http://a:1', https://b]",
            |c| c.http.cors_origins.join(" "),
            "http://a:1 https://b",
        ),
        (
            "libra.log: {format: json, level: 'debug,h2=off'}",
            |c| format!("{:?}", c.log),
            r#"Log { format: Json, level: "debug,h2=off" }"#,
        ),
        ("spark.remote: sc://a:1", remote, "sc://a:1"),
        (
            "spark:\n  remote:\n  - sc://a:1\n  - sc://b:1/;token=x,y",
            remote,
            "sc://a:1 sc://b:1/;token=x,y",
        ),
        (
            "spark:\n  config:\n    spark.scheduler.mode: FIFO",
            |c| c.spark.scheduler_mode.as_str_name().to_owned(),
            "SCHEDULING_MODE_FIFO",
        ),
        (
            "spark:\n  config:\n    spark:\n      scheduler:\n        mode: fifo",
            |c| c.spark.scheduler_mode.as_str_name().to_owned(),
            "SCHEDULING_MODE_FIFO",
        ),
        (
            "spark:\n  config:\n    spark.sql.shuffle.partitions: 08\n    spark.Camel_case-x: yes",
            conf,
            r#"{"spark.Camel_case-x": "yes", "spark.sql.shuffle.partitions": "08"}"#,
        ),
        ("spark:\n  config:\n    # all commented out\n", conf, "{}"),
        (
            "spark.config.spark.executor.memory: 4g",
            conf,
            r#"{"spark.executor.memory": "4g"}"#,
        ),
    ];
    for (yaml, look, expected) in cases {
        let loaded = load(yaml, &[], &[]).unwrap_or_else(|e| panic!("{yaml}: {e}"));
        assert_eq!(look(&loaded.config), *expected, "{yaml}");
        assert_eq!(loaded.warnings, [""; 0]);
    }
}

#[test]
fn the_environment_is_read() {
    let cases: &[(Env, Look, &str)] = &[
        (&[("LIBRA_SESSION_MODE", "ISOLATED")], mode, "ISOLATED"),
        (&[("LIBRA_SESSION_MODE", "")], mode, "SHARED"),
        (
            &[("libra_session_mode", "ISOLATED"), ("SESSION_MODE", "x")],
            mode,
            "SHARED",
        ),
        (&[("LIBRA_SESSION_MAX_SESSIONS", "7")], max_sessions, "7"),
        (&[("LIBRA_SESSION_MAXSESSIONS", "7")], max_sessions, "7"),
        (
            &[("LIBRA_SPARK_REMOTE", "sc://a:1,sc://b:1")],
            remote,
            "sc://a:1 sc://b:1",
        ),
        (
            &[(
                "LIBRA_SPARK_REMOTE",
                r#"["sc://a:1/;token=x,y","sc://b:1"]"#,
            )],
            remote,
            "sc://a:1/;token=x,y sc://b:1",
        ),
        (
            &[("LIBRA_CLUSTER_ELECTION_MS", "[1000,2000]")],
            election,
            "1s-2s",
        ),
        (
            &[("LIBRA_CLUSTER_ELECTIONMS", "1000, 2000")],
            election,
            "1s-2s",
        ),
        (
            &[("LIBRA_CLUSTER_PEERS", r#"{"1":"a:9090","2":"b:9090"}"#)],
            peers,
            r#"["a:9090", "b:9090"]"#,
        ),
        (
            &[("LIBRA_CLUSTER_PEERS", "1=a:9090,2=b:9090")],
            peers,
            r#"["a:9090", "b:9090"]"#,
        ),
        (
            &[(
                "LIBRA_SPARK_CONFIG",
                r#"{"spark.x.y": "1", "spark.z": true}"#,
            )],
            conf,
            r#"{"spark.x.y": "1", "spark.z": "true"}"#,
        ),
        (
            &[("LIBRA_SPARK_CONFIG", "spark.x.y=a=b, spark.z=2")],
            conf,
            r#"{"spark.x.y": "a=b", "spark.z": "2"}"#,
        ),
        (
            &[("LIBRA_SPARK_CONFIG_SPARK_SCHEDULER_MODE", "FIFO")],
            |c| c.spark.scheduler_mode.as_str_name().to_owned(),
            "SCHEDULING_MODE_FIFO",
        ),
        (
            &[("LIBRA_SPARK_CONFIG", "spark.scheduler.mode=FIFO")],
            |c| c.spark.scheduler_mode.as_str_name().to_owned(),
            "SCHEDULING_MODE_FIFO",
        ),
        (
            &[("LIBRA_NODE_DATA_DIR", "/x/y")],
            |c| c.node.data_dir.display().to_string(),
            "/x/y",
        ),
    ];
    for (env, look, expected) in cases {
        let loaded = load("", env, &[]).unwrap_or_else(|e| panic!("{env:?}: {e}"));
        assert_eq!(look(&loaded.config), *expected, "{env:?}");
        assert_eq!(loaded.warnings, [""; 0], "{env:?}");
    }
}

#[test]
fn an_unknown_variable_is_one_warning() {
    let env = [
        ("LIBRA_PORT", "tcp://10.0.0.1:8080"),
        ("LIBRA_SERVICE_HOST", "10.0.0.1"),
        ("LIBRA_SESSION_MOD", "ISOLATED"),
        ("LIBRA_CACHE_DIR", "/cache"),
        ("LIBRA_TEST_PANIC", "1"),
        ("PATH", "/bin"),
    ];
    let loaded = load("", &env, &[]).unwrap();
    assert_eq!(loaded.config.session, Config::default().session);
    assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    assert!(
        loaded.warnings[0].contains("LIBRA_PORT is no setting"),
        "{:?}",
        loaded.warnings
    );
    assert!(
        !loaded.warnings[0].contains("10.0.0.1"),
        "values are not repeated"
    );
    assert!(
        loaded.warnings[2].ends_with("libra.session.mode?"),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn later_layers_win() {
    let file = "libra.session: {mode: ISOLATED, max-sessions: 20}\n\
                spark: {remote: ['sc://f:1', 'sc://g:1'], config: {spark.a: f, spark.b: f}}";
    let env = [
        ("LIBRA_SESSION_MAX_SESSIONS", "30"),
        ("LIBRA_SPARK_REMOTE", "sc://e:1"),
        ("LIBRA_SPARK_CONFIG", "spark.b=e,spark.c=e"),
    ];
    let set = [
        "libra.session.maxSessions=40",
        "spark.config.spark.c=s",
        "libra.session.max-sessions=50",
    ];
    let config = |env: &[(&str, &str)], set: &[&str]| load(file, env, set).unwrap().config;
    assert_eq!(max_sessions(&config(&[], &[])), "20");
    assert_eq!(max_sessions(&config(&env, &[])), "30");
    let all = config(&env, &set);
    assert_eq!(
        (mode(&all), max_sessions(&all)),
        ("ISOLATED".to_owned(), "50".to_owned())
    );
    assert_eq!(remote(&all), "sc://e:1");
    assert_eq!(
        conf(&all),
        r#"{"spark.a": "f", "spark.b": "e", "spark.c": "s"}"#
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = TempDir::new().unwrap();
    let nested = folder.path().join("conf");
    std::fs::create_dir(&nested).unwrap();
    std::fs::write(
        nested.join("my.yml"),
        "spark.config.spark.scheduler.allocation.file: f.xml",
    )
    .unwrap();
    std::fs::write(
        nested.join("f.xml"),
        "<allocations><pool name='a'/></allocations>",
    )
    .unwrap();
    let loaded = Config::load(LoadOptions {
        config_path: Some(nested.join("my.yml")),
        ..LoadOptions::default()
    })
    .unwrap();
    assert_eq!(loaded.config.node.data_dir, nested.join("./data"));
    assert_eq!(
        loaded.config.spark.allocation_file,
        Some(nested.join("f.xml"))
    );
    assert_eq!(loaded.file, Some(nested.join("my.yml")));
    let pools: Vec<_> = loaded
        .config
        .pools
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(pools, ["a", "default"]);
}

#[test]
fn no_file_is_needed_unless_named() {
    let folder = TempDir::new().unwrap();
    let loaded = load_from(&folder, &[], &[]).unwrap();
    assert_eq!(loaded.file, None);
    let e = Config::load(LoadOptions {
        config_path: Some(folder.path().join("no.yml")),
        ..LoadOptions::default()
    });
    assert!(e.unwrap_err().to_string().ends_with("no.yml"));
}

#[test]
fn secrets_are_not_printed() {
    let yaml = "spark: {remote: 'sc://a:1/;token=secret', config: {spark.hadoop.fs.s3a.secret.key: secret}}";
    let config = load(yaml, &[], &[]).unwrap().config;
    assert!(!format!("{config:?}").contains("secret\""), "{config:?}");
    let e = load(
        "spark.remote: 'sx://a:1/;token=secret;use_ssl=true'",
        &[],
        &[],
    )
    .unwrap_err();
    assert!(!e.contains("secret"), "{e}");
}

fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "libra",
        "spark",
        "session",
        "mode",
        "config",
        "remote",
        "cluster",
        "peers",
        "election-ms",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: ",
        "|",
        ">",
        "~",
        "010",
        "1GiB",
        "sc://h:1",
        ".",
        "#",
        "? ",
        "---",
        "!!int ",
        "\t",
        "\u{feff}",
        "é",
    ]);
    prop_oneof![words.prop_map(str::to_owned), ".{0,3}"]
}

proptest! {
    #[test]
    fn no_file_panics_the_loader(pieces in prop::collection::vec(piece(), 0..40)) {
        let _ = load(&pieces.concat(), &[], &[]);
    }

    #[test]
    fn no_variable_panics_the_loader(key in 0..KEYS.len(), value in "\\PC{0,30}", tail in "[A-Z_]{0,3}") {
        let path = KEYS[key].path;
        let short = path.strip_prefix("libra.").unwrap_or(path);
        let name = format!("LIBRA_{}{tail}", short.replace(['.', '-'], "_").to_uppercase());
        let _ = load("", &[(&name, &value)], &[]);
    }

    #[test]
    fn no_assignment_panics_the_loader(
        key in 0..KEYS.len(),
        pieces in prop::collection::vec(piece(), 0..10),
        bare in any::<bool>(),
    ) {
        let value = pieces.concat();
        let set = if bare { value } else { format!("{}={value}", KEYS[key].path) };
        let _ = load("", &[], &[&set]);
    }
}

#[test]
fn at_all_interfaces_a_node_is_where_its_peers_say() {
    let peers = ("LIBRA_CLUSTER_PEERS", r#"{"1":"a:9090","2":"b:9091"}"#);
    let all = [
        ("LIBRA_NODE_ID", "2"),
        ("LIBRA_NODE_HTTP", "0.0.0.0:8080"),
        ("LIBRA_NODE_GRPC", "[::]:9090"),
    ];
    let told = |env: &[(&str, &str)], set: &[&str]| {
        let node = load("", env, set).unwrap().config.node;
        (
            node.public_http().to_string(),
            node.public_grpc().to_string(),
        )
    };
    let own = |http: &str, grpc: &str| (http.to_owned(), grpc.to_owned());
    let of_peers = [&all[..], &[peers]].concat();
    assert_eq!(told(&of_peers, &[]), own("b:8080", "b:9091"));
    // What is said goes first, and so does an interface of its own.
    let said = ["libra.node.advertise-http=c:1", "libra.node.grpc=d:9091"];
    assert_eq!(told(&of_peers, &said), own("c:1", "d:9091"));
    let any_port = ["libra.node.http=0.0.0.0:0"];
    assert_eq!(told(&of_peers, &any_port), own("0.0.0.0:0", "b:9091"));
    assert_eq!(told(&all, &[]), own("0.0.0.0:8080", "[::]:9090"));
}
