//! What is refused: place, key, value, and what is allowed.

use super::*;

/// Every mistake in a file, with all the parts that its message must have.
const FILES: &[(&str, &[&str])] = &[
    // Unknown keys.
    (
        "libra:\n  sesion:\n    mode: SHARED",
        &[
            "application.yml:3: libra.sesion.mode: unknown key",
            "`SHARED`",
            "libra.session.mode?",
        ],
    ),
    (
        "libra.session.max-session: 5",
        &["unknown key", "`5`", "libra.session.max-sessions?"],
    ),
    (
        "max-sessions: 10",
        &["unknown key", "libra.session.max-sessions?"],
    ),
    (
        "spark.scheduler.mode: FAIR",
        &["unknown key", "spark.config.spark.scheduler.mode?"],
    ),
    (
        "server:\n  port: 8080",
        &[
            "application.yml:2: server.port: unknown key",
            "`8080`",
            "deploy/application.yml",
        ],
    ),
    (
        "libra:\n  session:\n    mode:\n      x: 1",
        &[
            "libra.session.mode.x",
            "unknown key: libra.session.mode takes SHARED or ISOLATED",
        ],
    ),
    (
        "spark.remotes: sc://a:1",
        &["spark.remotes", "spark.remote?"],
    ),
    ("'': 1", &["unknown key"]),
    ("libra..mode: 1", &["libra..mode", "unknown key"]),
    // Wrong types and values.
    (
        "libra: 5",
        &[
            "application.yml:1: libra: `5` is not allowed",
            "libra.node.id",
        ],
    ),
    (
        "libra.session: [a]",
        &["libra.session: `[a]` is not allowed", "libra.session.mode"],
    ),
    (
        "libra.session.mode: SHRED",
        &[
            "application.yml:1: libra.session.mode: `SHRED` is not allowed; allowed: SHARED or ISOLATED",
        ],
    ),
    (
        "libra.session.mode: true",
        &["`true`", "SHARED or ISOLATED"],
    ),
    (
        "libra.session.mode:",
        &["has no value", "SHARED or ISOLATED"],
    ),
    (
        "libra.session.mode: [SHARED]",
        &["`[SHARED]`", "SHARED or ISOLATED"],
    ),
    (
        "libra.session.max-sessions: many",
        &["`many`", "a whole number from 1 to"],
    ),
    ("libra.session.max-sessions: 0", &["`0`", "from 1"]),
    ("libra.session.max-sessions: -1", &["`-1`"]),
    ("libra.session.max-sessions: 1.5", &["`1.5`"]),
    ("libra.session.max-sessions: 010", &["`010`"]),
    (
        "libra.session.max-sessions: 99999999999999999999",
        &["`99999999999999999999`"],
    ),
    ("libra.session.max-sessions: {}", &["`{}`"]),
    (
        "libra.session.timeout-minutes: 30m",
        &["`30m`", "a number of minutes from 0"],
    ),
    (
        "libra.scheduler.slots: 0",
        &["libra.scheduler.slots: `0`", "from 1"],
    ),
    (
        "libra.scheduler.max-queued: x",
        &["libra.scheduler.max-queued"],
    ),
    ("libra.node.id: 0", &["libra.node.id: `0`", "from 1"]),
    ("libra.node.http: 8080", &["`8080`", "`host:port`"]),
    (
        "libra.node.grpc: 127.0.0.1:99999",
        &["`127.0.0.1:99999`", "`host:port`"],
    ),
    (
        "libra.node.data-dir: ''",
        &["libra.node.data-dir", "a path"],
    ),
    (
        "libra.node.advertise-http: ''",
        &["libra.node.advertise-http", "`host:port`"],
    ),
    ("libra.cluster.name: 'a b'", &["`a b`", "letters"]),
    ("libra.cluster.heartbeat-ms: fast", &["`fast`"]),
    ("libra.cluster.election-ms: 300", &["`300`", "[300, 600]"]),
    (
        "libra.cluster.election-ms: [1, 2, 3]",
        &["`[1, 2, 3]`", "[300, 600]"],
    ),
    ("libra.cluster.election-ms: [a, b]", &["`[a, b]`"]),
    (
        "libra.cluster.election-ms: [[1], 2]",
        &["libra.cluster.election-ms", "single values"],
    ),
    (
        "libra.cluster.peers: [a:1]",
        &["libra.cluster.peers: `[a:1]`", "{key: value}"],
    ),
    (
        "libra.cluster.peers: {x: a:1}",
        &["libra.cluster.peers.x", "node ids"],
    ),
    (
        "libra.cluster.peers: {1: a}",
        &["libra.cluster.peers.1: `a`", "`host:port`"],
    ),
    (
        "libra.cluster.peers: {1: [a:1]}",
        &["libra.cluster.peers.1", "one value"],
    ),
    ("libra.results.max-bytes: 1GB", &["`1GB`", "GiB"]),
    ("libra.results.replicas: 0", &["libra.results.replicas"]),
    ("libra.limits.body-bytes: 12", &["`12`", "from 1KiB"]),
    ("libra.limits.request-seconds: 10", &["`10`", "from 61"]),
    (
        "libra.http.cors-origins: [a.example]",
        &["`[a.example]`", "https://"],
    ),
    ("libra.log.format: xml", &["`xml`", "text or json"]),
    ("libra.log.level: inof", &["`inof`", "error, warn, info"]),
    ("spark.remote: []", &["spark.remote", "at least one"]),
    (
        "spark.remote: 127.0.0.1:15002",
        &["`127.0.0.1:15002`", "sc://host:port"],
    ),
    (
        "spark.remote: [sc://a:1, {b: c}]",
        &["spark.remote", "single values"],
    ),
    (
        "spark.config.spark.scheduler.mode: LIFO",
        &[
            "application.yml:1: spark.config.spark.scheduler.mode: `LIFO`",
            "FAIR or FIFO",
        ],
    ),
    (
        "spark.config: {'a b': 1}",
        &["spark.config.a b", "keys of Spark"],
    ),
    (
        "spark.config: {spark.x: [1]}",
        &["spark.config.spark.x: `[1]`", "one value"],
    ),
    (
        "spark.config: {spark.x: }",
        &["spark.config.spark.x", "has no value"],
    ),
    // Contradictions.
    (
        "libra.cluster.peers: {2: a:1}",
        &[
            "application.yml:1: libra.cluster.peers and libra.node.id",
            "`2`",
            "this node, 1",
        ],
    ),
    (
        "libra.cluster.peers: {1: a:1, 2: a:1}",
        &["the same address"],
    ),
    ("libra.cluster.peers: {1: 0.0.0.0:1}", &["`0.0.0.0:1`"]),
    ("libra.cluster.peers: {1: a:0}", &["`a:0`"]),
    (
        "libra.node: {http: 'h:1', grpc: 'h:1'}",
        &["libra.node.http and libra.node.grpc", "`h:1`"],
    ),
    (
        "libra.node.advertise-http: 0.0.0.0:8080",
        &["libra.node.advertise-http", "`0.0.0.0:8080`"],
    ),
    (
        "libra.cluster.election-ms: [600, 300]",
        &["`[600, 300]`", "the first below the second"],
    ),
    (
        "libra.cluster.heartbeat-ms: 300",
        &[
            "libra.cluster.heartbeat-ms and libra.cluster.election-ms",
            "less than 300",
        ],
    ),
    (
        "libra.cluster.lease-ms: 200",
        &["libra.cluster.lease-ms", "from 300 ms"],
    ),
    (
        "libra.limits: {code-bytes: 1MiB, body-bytes: 512KiB}",
        &["libra.limits.code-bytes and libra.limits.body-bytes"],
    ),
    (
        "libra.limits: {queued-bytes: 1KiB}",
        &["application.yml:1: libra.limits.code-bytes and libra.limits.queued-bytes"],
    ),
    (
        "spark.remote: [sc://a:1, sc://a:1]",
        &["spark.remote", "twice"],
    ),
    ("libra.http.cors-origins: ['*', 'http://a']", &["`*` alone"]),
    (
        "spark.config.spark.scheduler.allocation.file: no.xml",
        &["spark.scheduler.allocation.file", "no.xml` is no file"],
    ),
    // Twice.
    (
        "libra.session.mode: SHARED\nlibra:\n  session:\n    mode: ISOLATED",
        &["application.yml:4: libra.session.mode: is given twice, first at application.yml:1"],
    ),
    (
        "libra.session: {max-sessions: 1, maxSessions: 1}",
        &["libra.session.maxSessions: is given twice"],
    ),
    ("a: 1\na: 2", &["application.yml:2", "duplicate"]),
    // No YAML.
    ("libra: [", &["application.yml", "no valid YAML"]),
    ("just words", &["no configuration"]),
    ("- a", &["no configuration"]),
    ("libra: *x", &["no valid YAML"]),
    ("libra: {}\n---\nspark: {}", &["second document"]),
];

#[test]
fn files_with_mistakes_are_refused() {
    for (yaml, parts) in FILES {
        let message = load(yaml, &[], &[]).map(|_| ()).unwrap_err();
        for part in *parts {
            assert!(
                message.contains(part),
                "{yaml}\n -> {message}\n is missing: {part}"
            );
        }
        assert_eq!(message.lines().count(), 1, "{yaml}\n -> {message}");
    }
}

#[test]
fn assignments_with_mistakes_are_refused() {
    for (set, parts) in [
        (
            "libra.session.mode",
            ["--set: libra.session.mode", "key=value"],
        ),
        ("=x", ["--set: unknown key", "`x`"]),
        (
            "libra.session.mode=",
            ["`` is not allowed", "SHARED or ISOLATED"],
        ),
        (
            "libra.sessions.mode=SHARED",
            [
                "--set: libra.sessions.mode: unknown key",
                "libra.session.mode?",
            ],
        ),
        (
            "libra.session=x",
            ["--set: libra.session: `x`", "libra.session.mode"],
        ),
        (
            "libra.cluster.peers=x",
            ["--set: libra.cluster.peers: `x`", "key=value"],
        ),
        (
            "libra.cluster.peers={1: [2]}",
            ["libra.cluster.peers", "JSON object"],
        ),
        ("spark.remote=[", ["spark.remote: `[`", "JSON list"]),
        ("spark.remote=sc://a:1/;token=geheim", ["", ""]),
    ] {
        match load("", &[], &[set]) {
            Ok(_) => assert_eq!(parts, ["", ""], "{set} is taken"),
            Err(message) => {
                for part in parts {
                    assert!(
                        !part.is_empty() && message.contains(part),
                        "{set} -> {message}"
                    );
                }
            }
        }
    }
}

#[test]
fn variables_with_mistakes_are_refused() {
    for (name, value, part) in [
        (
            "LIBRA_SESSION_MODE",
            "BOTH",
            "environment variable LIBRA_SESSION_MODE: libra.session.mode: `BOTH`",
        ),
        (
            "LIBRA_SPARK_REMOTE",
            "[1",
            "environment variable LIBRA_SPARK_REMOTE: spark.remote: `[1`",
        ),
        ("LIBRA_CLUSTER_PEERS", "{1", "JSON object"),
        (
            "LIBRA_CLUSTER_PEERS",
            "2=a:1",
            "environment variable LIBRA_CLUSTER_PEERS: libra.cluster.peers and libra.node.id",
        ),
    ] {
        let message = load("", &[(name, value)], &[]).map(|_| ()).unwrap_err();
        assert!(message.contains(part), "{name}={value} -> {message}");
    }
    let twice = [
        ("LIBRA_SESSION_MAX_SESSIONS", "1"),
        ("LIBRA_SESSION_MAXSESSIONS", "2"),
    ];
    let message = load("", &twice, &[]).map(|_| ()).unwrap_err();
    assert!(message.contains("is given twice"), "{message}");
}

#[test]
fn a_mistake_below_a_better_layer_is_still_one() {
    let message = load("libra.session.mode: X", &[], &["libra.session.mode=SHARED"]);
    assert!(message.map(|_| ()).unwrap_err().contains("`X`"));
}

#[test]
fn all_mistakes_come_in_one_message() {
    let yaml = "libra.session.mode: X\nlibra.scheduler.slots: 0\nspark.remot: y";
    let message = load(yaml, &[], &["libra.node.id=z"])
        .map(|_| ())
        .unwrap_err();
    assert!(
        message.starts_with("4 mistakes in the configuration\n"),
        "{message}"
    );
    for part in [
        "application.yml:1:",
        "application.yml:2:",
        "application.yml:3:",
        "--set:",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn values_are_shown_short_and_on_one_line() {
    let long = format!("libra.session.mode: \"{}\\nx\"", "y".repeat(5_000));
    let message = load(&long, &[], &[]).map(|_| ()).unwrap_err();
    assert!(message.len() < 400 && !message.contains('\n'), "{message}");
}

#[test]
fn a_bad_allocation_file_is_refused_with_its_line() {
    let folder = TempDir::new().unwrap();
    let yaml = "spark.config.spark.scheduler.allocation.file: f.xml";
    std::fs::write(folder.path().join("application.yml"), yaml).unwrap();
    let xml = "<allocations>\n<pool name='a'><weight>0</weight></pool></allocations>";
    std::fs::write(folder.path().join("f.xml"), xml).unwrap();
    let message = load_from(&folder, &[], &[]).map(|_| ()).unwrap_err();
    assert!(
        message.starts_with("f.xml:2: pool `a`: <weight> `0`"),
        "{message}"
    );
}

#[test]
fn an_unreadable_file_is_refused() {
    let folder = TempDir::new().unwrap();
    let load = |path: std::path::PathBuf| {
        let options = LoadOptions {
            config_path: Some(path),
            ..LoadOptions::default()
        };
        Config::load(options).map(|_| ()).unwrap_err().to_string()
    };
    assert!(load(folder.path().to_owned()).starts_with("cannot read the configuration"));
    let binary = folder.path().join("binary.yml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    assert!(load(binary).starts_with("cannot read the configuration"));
    let huge = folder.path().join("huge.yml");
    std::fs::write(&huge, vec![b'#'; 2 << 20]).unwrap();
    assert!(load(huge).contains("allowed: 1048576"));
}
