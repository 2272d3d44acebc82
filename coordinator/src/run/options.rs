//! What each part of a coordinator is set to, by the configuration.

use std::sync::Arc;

use libra_actors::lease;
use libra_actors::spark::Endpoint;

use super::RunError;
use crate::adapters::{RaftLease, Renewing};
use crate::admin::Facts;
use crate::bootstrap::settings_of;
use crate::config::Config;
use crate::http::HttpOptions;
use crate::peer::LeaseTerms;
use crate::results::{Limits, StoreOptions, Threads};
use crate::service::ServiceOptions;
use crate::upkeep::Probes;

pub(super) fn raft(config: &Config, public_grpc: &str) -> libra_raft::Options {
    let mut options = libra_raft::Options::new(
        config.cluster.name.clone(),
        config.node.id,
        config.node.data_dir.join("raft"),
    );
    let peers = config.cluster.peers.iter();
    options.peers = peers
        .map(|(id, address)| (*id, address.to_string()))
        .collect();
    public_grpc.clone_into(&mut options.advertise);
    options.heartbeat = config.cluster.heartbeat;
    options.election_min = config.cluster.election_min;
    options.election_max = config.cluster.election_max;
    options
}

/// How this node holds its sessions; alone it needs no lease.
pub(super) fn lease(
    config: &Config,
    with: Renewing,
    threads: Threads,
) -> Result<Option<lease::Setup>, RunError> {
    if config.cluster.peers.is_empty() {
        return Ok(None);
    }
    let opened = RaftLease::open(with, &config.node.data_dir, threads).map_err(RunError::Lease)?;
    let length = config.cluster.lease;
    Ok(Some(lease::Setup {
        port: Arc::new(opened),
        options: lease::Options {
            length,
            margin: length / 6,
            ..lease::Options::default()
        },
    }))
}

/// What the operator is told of this node's configuration.
pub(super) fn facts(config: &Config, endpoints: &[Endpoint]) -> Facts {
    let names = endpoints.iter().map(|endpoint| endpoint.name().to_owned());
    Facts {
        cluster_name: config.cluster.name.clone(),
        data_dir: config.node.data_dir.clone(),
        configured: settings_of(config),
        lease: config.cluster.lease,
        alone: config.cluster.peers.is_empty(),
        endpoints: names.collect(),
    }
}

pub(super) fn results(config: &Config, store_uuid: String) -> StoreOptions {
    StoreOptions {
        dir: config.node.data_dir.join("results"),
        node_id: config.node.id,
        store_uuid,
        limits: Limits {
            max_rows: config.results.max_rows,
            max_bytes: config.results.max_bytes,
        },
        inline_bytes: usize::try_from(config.results.inline_bytes).unwrap_or(0),
    }
}

pub(super) fn service(
    config: &Config,
    endpoints: &[Endpoint],
    probes: &Probes,
    terms: &LeaseTerms,
) -> ServiceOptions {
    let names = endpoints
        .iter()
        .map(|endpoint| endpoint.name().to_owned())
        .collect();
    let mut options = ServiceOptions::new(config.node.id, config.cluster.name.clone(), names);
    options.reachability = probes.reachability.clone();
    options.watch = Some(Arc::new(terms.clone()));
    options.code_bytes = config.limits.code_bytes;
    // A long poll is a request in work, an event stream is an open stream: these are the limits.
    let (requests, streams) = (
        config.limits.concurrent_requests,
        config.limits.open_streams,
    );
    options.max_waiters = requests.saturating_add(streams);
    options.session_timeout = config.session.idle_timeout.unwrap_or_default();
    options
}

pub(super) fn http(config: &Config) -> HttpOptions {
    HttpOptions {
        body_bytes: config.limits.body_bytes,
        header_bytes: config.limits.header_bytes,
        max_requests: config.limits.concurrent_requests,
        max_streams: config.limits.open_streams,
        request_deadline: config.limits.request_timeout,
        stalled_reader: config.limits.stalled_reader,
        cors_origins: config.http.cors_origins.clone(),
        ..HttpOptions::default()
    }
}
