//! What no single key can say: values that contradict each other.

use std::collections::BTreeSet;

use super::parse::Allowed;
use super::settings::Config;

/// Values that do not go together.
pub(super) struct Contradiction {
    pub(super) keys: &'static [&'static str],
    pub(super) problem: String,
}

/// Checks the configuration as a whole.
pub(super) fn contradictions(config: &Config) -> Vec<Contradiction> {
    [
        peers(config),
        addresses(config),
        raft_times(config),
        lease(config),
        limits(config),
        remotes(config),
        origins(config),
        allocation_file(config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn found(keys: &'static [&'static str], problem: String) -> Option<Contradiction> {
    Some(Contradiction { keys, problem })
}

fn peers(config: &Config) -> Option<Contradiction> {
    let (peers, id) = (&config.cluster.peers, config.node.id);
    let keys = &["libra.cluster.peers", "libra.node.id"];
    if peers.is_empty() {
        return None;
    }
    if !peers.contains_key(&id) {
        let ids: Vec<_> = peers.keys().map(ToString::to_string).collect();
        let ids = ids.join(", ");
        return found(
            keys,
            format!(
                "`{ids}` does not contain this node, {id}; allowed: all nodes, this one included"
            ),
        );
    }
    let distinct: BTreeSet<_> = peers.values().collect();
    if distinct.len() < peers.len() {
        return found(
            &["libra.cluster.peers"],
            "two nodes have the same address; allowed: one address for each".to_owned(),
        );
    }
    let unreachable = peers
        .iter()
        .find(|(_, address)| address.port() == 0 || address.is_any_host());
    unreachable.and_then(|(id, address)| {
        found(
            &["libra.cluster.peers"],
            format!(
                "node {id} cannot be reached at `{address}`; allowed: a host and a port from 1"
            ),
        )
    })
}

fn addresses(config: &Config) -> Option<Contradiction> {
    let node = &config.node;
    if node.http == node.grpc && node.http.port() != 0 {
        return found(
            &["libra.node.http", "libra.node.grpc"],
            format!("both are `{}`; allowed: two addresses", node.http),
        );
    }
    let advertised = [
        (&["libra.node.advertise-http"], &node.advertise_http),
        (&["libra.node.advertise-grpc"], &node.advertise_grpc),
    ];
    advertised.into_iter().find_map(|(keys, address)| {
        let address = address.as_ref()?;
        (address.port() == 0 || address.is_any_host()).then_some(())?;
        found(
            keys,
            format!("nobody can connect to `{address}`; allowed: a host and a port from 1"),
        )
    })
}

fn raft_times(config: &Config) -> Option<Contradiction> {
    let cluster = &config.cluster;
    let (min, max) = (
        cluster.election_min.as_millis(),
        cluster.election_max.as_millis(),
    );
    if min >= max {
        return found(
            &["libra.cluster.election-ms"],
            format!("`[{min}, {max}]` is not allowed; allowed: the first below the second"),
        );
    }
    let heartbeat = cluster.heartbeat.as_millis();
    if heartbeat >= min {
        return found(
            &["libra.cluster.heartbeat-ms", "libra.cluster.election-ms"],
            format!(
                "a heartbeat of {heartbeat} ms comes too late for elections after {min} ms; allowed: less than {min}"
            ),
        );
    }
    None
}

/// Heartbeats that must fit in a lease, so that one lost round does not cost the ownership.
const HEARTBEATS_IN_LEASE: u32 = 3;

fn lease(config: &Config) -> Option<Contradiction> {
    let least = config.cluster.heartbeat * HEARTBEATS_IN_LEASE;
    if config.cluster.lease >= least {
        return None;
    }
    found(
        &["libra.cluster.lease-ms", "libra.cluster.heartbeat-ms"],
        format!(
            "a lease of {} ms is too short for heartbeats every {} ms; allowed: from {} ms",
            config.cluster.lease.as_millis(),
            config.cluster.heartbeat.as_millis(),
            least.as_millis()
        ),
    )
}

fn limits(config: &Config) -> Option<Contradiction> {
    let limits = &config.limits;
    if limits.code_bytes > limits.body_bytes {
        return found(
            &["libra.limits.code-bytes", "libra.limits.body-bytes"],
            format!(
                "code of {} bytes never fits in a body of {}; allowed: code-bytes up to body-bytes",
                limits.code_bytes, limits.body_bytes
            ),
        );
    }
    if limits.code_bytes as u64 > limits.queued_bytes {
        return found(
            &["libra.limits.code-bytes", "libra.limits.queued-bytes"],
            format!(
                "code of {} bytes never fits in a queue of {}; allowed: code-bytes up to queued-bytes",
                limits.code_bytes, limits.queued_bytes
            ),
        );
    }
    None
}

fn remotes(config: &Config) -> Option<Contradiction> {
    let names: BTreeSet<_> = config
        .spark
        .remote
        .iter()
        .map(|remote| remote.reveal().split("/;").next())
        .collect();
    if names.len() == config.spark.remote.len() {
        return None;
    }
    found(
        &["spark.remote"],
        "names an endpoint twice; allowed: each once".to_owned(),
    )
}

fn origins(config: &Config) -> Option<Contradiction> {
    let origins = &config.http.cors_origins;
    if origins.len() < 2 || !origins.iter().any(|origin| origin == "*") {
        return None;
    }
    found(
        &["libra.http.cors-origins"],
        "holds `*` and others; allowed: `*` alone, or origins without it".to_owned(),
    )
}

fn allocation_file(config: &Config) -> Option<Contradiction> {
    let file = config.spark.allocation_file.as_ref()?;
    if file.is_file() {
        return None;
    }
    found(
        &["spark.config.spark.scheduler.allocation.file"],
        format!(
            "`{}` is no file; allowed: a file that is there, or no such key",
            file.display()
        ),
    )
}

/// Filter directives that the tracing subscriber takes.
pub(super) fn log_level(text: &str) -> Result<String, Allowed> {
    let allowed = || {
        "a level (error, warn, info, debug, trace, off), and module=level, separated by commas"
            .to_owned()
    };
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"]
            .iter()
            .any(|level| level.eq_ignore_ascii_case(word))
    };
    // The subscriber takes any lone word for a module: a typo would silence everything.
    let well_formed = text.split(',').map(str::trim).all(|directive| {
        let (_, level) = directive.rsplit_once('=').unwrap_or(("", directive));
        is_level(level)
    });
    if !well_formed || tracing_subscriber::EnvFilter::try_new(text).is_err() {
        return Err(allowed());
    }
    Ok(text.to_owned())
}
