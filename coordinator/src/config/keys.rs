//! The table of keys: for each one its path, default, meaning, and how a text becomes its field.
//! Files, environment, `--set`, the reference file and every message are driven by it.

use libra_proto::registry::{Mode, SchedulingMode};
use libra_proto::types::NodeId;

use super::parse::{
    Allowed, bytes, collector, label, memory, millis, minutes, origin, path, ratio, read, whole,
    word,
};
use super::settings::{Config, LogFormat};

/// What a key holds, and how it is bound.
#[derive(Clone, Copy)]
pub(super) enum Bind {
    /// One value.
    One(fn(&mut Config, &str) -> Result<(), Allowed>),
    /// A list of values, bound as a whole.
    List(fn(&mut Config, &[String]) -> Result<(), Allowed>),
    /// Entries of a map, bound one by one: key, value.
    Map(fn(&mut Config, &str, &str) -> Result<(), Allowed>),
}

/// One key of the configuration.
pub struct Key {
    /// The path in dotted kebab case.
    pub path: &'static str,
    /// The default as one writes it; `None` = unset.
    pub default: Option<&'static str>,
    /// Meaning, and unit where the name does not say it.
    pub doc: &'static str,
    pub(super) bind: Bind,
}

const fn one(
    path: &'static str,
    default: &'static str,
    doc: &'static str,
    bind: fn(&mut Config, &str) -> Result<(), Allowed>,
) -> Key {
    Key {
        path,
        default: Some(default),
        doc,
        bind: Bind::One(bind),
    }
}

const fn unset(
    path: &'static str,
    doc: &'static str,
    bind: fn(&mut Config, &str) -> Result<(), Allowed>,
) -> Key {
    Key {
        path,
        default: None,
        doc,
        bind: Bind::One(bind),
    }
}

fn put<T>(field: &mut T, parsed: Result<T, Allowed>) -> Result<(), Allowed> {
    *field = parsed?;
    Ok(())
}

/// The map whose keys are Spark's own, kept as written.
pub(super) const SPARK_CONFIG: &str = "spark.config";

const MAX: u32 = 1_000_000_000;
const MINUTES_OF_TEN_YEARS: u64 = 5_256_000;

/// Every key that there is, in the order of the reference file.
pub static KEYS: &[Key] = &[
    one(
        "libra.node.id",
        "1",
        "This node's number, from 1, unique in the cluster",
        |c, v| put(&mut c.node.id, whole(v, 1, u64::from(MAX)).map(NodeId)),
    ),
    one(
        "libra.node.data-dir",
        "./data",
        "Raft log, registry, results",
        |c, v| put(&mut c.node.data_dir, path(v)),
    ),
    one(
        "libra.node.http",
        "127.0.0.1:8080",
        "REST; port 0 takes a free one",
        |c, v| put(&mut c.node.http, read(v)),
    ),
    unset(
        "libra.node.advertise-http",
        "Where others reach REST, if not at `http`; at 0.0.0.0 its host among the peers, if there",
        |c, v| put(&mut c.node.advertise_http, read(v).map(Some)),
    ),
    one(
        "libra.node.grpc",
        "127.0.0.1:9090",
        "Admin, peers and Raft; port 0 takes a free one",
        |c, v| put(&mut c.node.grpc, read(v)),
    ),
    unset(
        "libra.node.advertise-grpc",
        "Where others reach gRPC, if not at `grpc`; at 0.0.0.0 its entry among the peers, if there",
        |c, v| put(&mut c.node.advertise_grpc, read(v).map(Some)),
    ),
    one(
        "libra.cluster.name",
        "libra",
        "Marks every stored file: the data of another cluster is refused",
        |c, v| put(&mut c.cluster.name, label(v)),
    ),
    Key {
        path: "libra.cluster.peers",
        default: Some("{}"),
        doc: "gRPC addresses of all nodes, this one included: {1: \"host:9090\", 2: …}; \
              empty = a cluster of one",
        bind: Bind::Map(|c, id, address| {
            let id =
                whole(id, 1, u64::from(MAX)).map_err(|allowed| format!("node ids: {allowed}"))?;
            c.cluster.peers.insert(NodeId(id), read(address)?);
            Ok(())
        }),
    },
    one(
        "libra.cluster.heartbeat-ms",
        "100",
        "How often a leader shows that it lives",
        |c, v| put(&mut c.cluster.heartbeat, millis(v, 10, 60_000)),
    ),
    Key {
        path: "libra.cluster.election-ms",
        default: Some("[300, 600]"),
        doc: "Shortest and longest silence after which a node stands for election",
        bind: Bind::List(|c, items| {
            let allowed = || "two numbers, shortest and longest, such as [300, 600]".to_owned();
            let [min, max] = items else {
                return Err(allowed());
            };
            let ms = |text: &str| millis(text, 20, 600_000).map_err(|_| allowed());
            (c.cluster.election_min, c.cluster.election_max) = (ms(min)?, ms(max)?);
            Ok(())
        }),
    },
    one(
        "libra.cluster.lease-ms",
        "1200",
        "How long the ownership of sessions lasts without renewal",
        |c, v| put(&mut c.cluster.lease, millis(v, 100, 600_000)),
    ),
    one(
        "libra.session.mode",
        "SHARED",
        "SHARED: one Spark session for all; ISOLATED: one for each session id",
        |c, v| {
            put(
                &mut c.session.mode,
                word(v, &[("SHARED", Mode::Shared), ("ISOLATED", Mode::Isolated)]),
            )
        },
    ),
    one(
        "libra.session.max-sessions",
        "10",
        "In the whole cluster; closed and failed ones do not count",
        |c, v| put(&mut c.session.max_sessions, whole(v, 1, 1_000_000)),
    ),
    one(
        "libra.session.timeout-minutes",
        "30",
        "Idle time after which a session is closed; 0 = never; the shared session never idles out",
        |c, v| {
            let timeout = minutes(v, 0, MINUTES_OF_TEN_YEARS)?;
            c.session.idle_timeout = Some(timeout).filter(|t| !t.is_zero());
            Ok(())
        },
    ),
    one(
        "libra.scheduler.slots",
        "10",
        "Statements running at once on one Spark endpoint",
        |c, v| put(&mut c.scheduler.slots, whole(v, 1, 100_000)),
    ),
    one(
        "libra.scheduler.max-queued",
        "10000",
        "Statements waiting in one pool; beyond it 429",
        |c, v| put(&mut c.scheduler.max_queued, whole(v, 1, 10_000_000)),
    ),
    one(
        "libra.results.max-rows",
        "1000000",
        "Beyond it a result is cut exactly there and says \"truncated\": true",
        |c, v| put(&mut c.results.max_rows, whole(v, 1, 1_000_000_000_000)),
    ),
    one(
        "libra.results.max-bytes",
        "1GiB",
        "Likewise, after the last whole batch",
        |c, v| put(&mut c.results.max_bytes, bytes(v, 1 << 10, 1 << 50)),
    ),
    one(
        "libra.results.inline-bytes",
        "1KiB",
        "Results up to this size are in the memory of every node, 128MiB in all, others in files; 0B: none",
        |c, v| put(&mut c.results.inline_bytes, bytes(v, 0, 4 << 10)),
    ),
    one(
        "libra.results.retention-minutes",
        "1440",
        "How long ended statements and their results are kept",
        |c, v| {
            put(
                &mut c.results.retention,
                minutes(v, 1, MINUTES_OF_TEN_YEARS),
            )
        },
    ),
    one(
        "libra.results.retention-statements",
        "100000",
        "How many ended statements are kept",
        |c, v| put(&mut c.results.retention_statements, whole(v, 1, 10_000_000)),
    ),
    one(
        "libra.results.replicas",
        "2",
        "Nodes that hold each result, at most the number of nodes",
        |c, v| put(&mut c.results.replicas, whole(v, 1, 100)),
    ),
    one(
        "libra.limits.body-bytes",
        "4MiB",
        "A request's body; beyond it 413",
        |c, v| put(&mut c.limits.body_bytes, memory(v, 1 << 10, 1 << 30)),
    ),
    one(
        "libra.limits.code-bytes",
        "256KiB",
        "A statement's text; beyond it 413",
        |c, v| put(&mut c.limits.code_bytes, memory(v, 1, 1 << 20)),
    ),
    one(
        "libra.limits.queued-bytes",
        "64MiB",
        "All queued statement texts; beyond it 429",
        |c, v| put(&mut c.limits.queued_bytes, bytes(v, 1 << 10, 1 << 40)),
    ),
    one(
        "libra.limits.header-bytes",
        "32KiB",
        "A request's header lines; beyond it 431",
        |c, v| put(&mut c.limits.header_bytes, memory(v, 8 << 10, 1 << 20)),
    ),
    one(
        "libra.limits.concurrent-requests",
        "2000",
        "Requests in work at once, long polls included; beyond it 429",
        |c, v| put(&mut c.limits.concurrent_requests, whole(v, 1, 1_000_000)),
    ),
    one(
        "libra.limits.open-streams",
        "2000",
        "Event streams and downloads open at once; beyond it 429",
        |c, v| put(&mut c.limits.open_streams, whole(v, 1, 1_000_000)),
    ),
    one(
        "libra.limits.statements-per-session",
        "20000",
        "Statements of one session that have not ended; beyond it 429",
        |c, v| put(&mut c.limits.statements_per_session, whole(v, 1, MAX)),
    ),
    one(
        "libra.limits.statements-per-user",
        "20000",
        "Statements of one user that have not ended; beyond it 429",
        |c, v| put(&mut c.limits.statements_per_user, whole(v, 1, MAX)),
    ),
    one(
        "libra.limits.request-seconds",
        "90",
        "From a request's arrival to the head of its answer, long polls included; beyond it 504",
        |c, v| {
            put(
                &mut c.limits.request_timeout,
                whole(v, 61, 86_400).map(std::time::Duration::from_secs),
            )
        },
    ),
    one(
        "libra.limits.stalled-reader-seconds",
        "300",
        "A client that takes nothing of its answer for so long is cut off",
        |c, v| {
            put(
                &mut c.limits.stalled_reader,
                whole(v, 1, 86_400).map(std::time::Duration::from_secs),
            )
        },
    ),
    Key {
        path: "libra.http.cors-origins",
        default: Some("[]"),
        doc: "Origins that browsers may call from, such as [\"https://app.example\"]; empty = CORS is off",
        bind: Bind::List(|c, items| {
            let origins = items.iter().map(|item| origin(item)).collect();
            put(&mut c.http.cors_origins, origins)
        }),
    },
    one(
        "libra.log.format",
        "text",
        "text or json, one object a line",
        |c, v| {
            put(
                &mut c.log.format,
                word(v, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            )
        },
    ),
    one(
        "libra.log.level",
        "info,ractor=warn,openraft=error,sled=warn",
        "Filter directives: a level (error, warn, info, debug, trace), and module=level",
        |c, v| put(&mut c.log.level, super::validate::log_level(v)),
    ),
    unset(
        "libra.telemetry.otlp-endpoint",
        "Where traces go: a collector's OTLP over gRPC, such as http://127.0.0.1:4317; unset = none",
        |c, v| put(&mut c.telemetry.otlp_endpoint, collector(v).map(Some)),
    ),
    one(
        "libra.telemetry.sampling-ratio",
        "1",
        "How many of the traces that begin here are kept, 0 to 1; a client's traceparent decides for its own",
        |c, v| put(&mut c.telemetry.sampled_in_1000, ratio(v)),
    ),
    Key {
        path: "spark.remote",
        default: Some("[\"sc://127.0.0.1:15002\"]"),
        doc: "Spark Connect endpoints",
        bind: Bind::List(|c, items| {
            let remotes = items
                .iter()
                .map(|item| read(item))
                .collect::<Result<Vec<_>, _>>()?;
            if remotes.is_empty() {
                return Err("at least one `sc://host:port`".to_owned());
            }
            c.spark.remote = remotes;
            Ok(())
        }),
    },
    one(
        "spark.config.spark.scheduler.mode",
        "FAIR",
        "FAIR or FIFO between pools",
        |c, v| {
            let modes = [
                ("FAIR", SchedulingMode::Fair),
                ("FIFO", SchedulingMode::Fifo),
            ];
            c.spark.scheduler_mode = word(v, &modes)?;
            Ok(())
        },
    ),
    unset(
        "spark.config.spark.scheduler.allocation.file",
        "Pools in Spark's format, such as fairscheduler.xml; set but missing is refused",
        |c, v| put(&mut c.spark.allocation_file, path(v).map(Some)),
    ),
    Key {
        path: SPARK_CONFIG,
        default: Some("{}"),
        doc: "Any other key: default conf of every Spark session, and of the server that \
              `libra dev` starts",
        bind: Bind::Map(|c, key, value| {
            if key.is_empty() || key.contains(|ch: char| ch.is_whitespace() || ch.is_control()) {
                return Err("keys of Spark, such as spark.sql.shuffle.partitions".to_owned());
            }
            c.spark.conf.insert(key.to_owned(), value.to_owned());
            Ok(())
        }),
    },
];
