//! What concerns one node: whether it answers, its log, lease, disk and settings.

use libra_proto::admin::{DiagnoseResponse, NodeRole, NodeState};

use super::cluster::is_down;
use super::{Check, Findings, Severity};
use crate::cli::admin::doctor::facts::{NodeFacts, Said};

/// A node that lacks more than this needs a while to take over.
const LAG_WARN: u64 = 1_000;
/// And more than this gets a snapshot rather than entries.
const LAG_BAD: u64 = 10_000;
/// Of the disk.
const ROOM_WARN_PERCENT: u64 = 10;
/// Above this every statement waits for the disk.
const SYNC_WARN_US: u64 = 100_000;
/// And above this elections are near: the shortest one is due after 300 ms.
const SYNC_BAD_US: u64 = 300_000;

pub(super) fn judge(node: &NodeFacts, findings: &mut Findings) {
    answer(node, findings);
    membership(node, findings);
    if let Some(said) = node.diagnosis() {
        ready(node, said, findings);
        raft(node, said, findings);
        lease(node, said, findings);
        disk(node, said, findings);
        fsync(node, said, findings);
        settings(node, said, findings);
    }
    lag(node, findings);
}

fn answer(node: &NodeFacts, findings: &mut Findings) {
    let (id, grpc) = (Some(node.id()), &node.known.grpc);
    match &node.said {
        Said::Direct { .. } => {}
        Said::Relayed { why, .. } => findings.add(
            Check::Nodes,
            Severity::Note,
            id,
            format!("it cannot be asked from here at {grpc} ({why}), other nodes reach it"),
            "nothing, if this machine is not meant to reach it; its clock was not compared. \
             --endpoint may give an address at which it is reached from here",
        ),
        Said::Nothing { why } if node.known.state() == NodeState::Unregistered => findings.add(
            Check::Nodes,
            Severity::Warning,
            id,
            format!("it was added, and never heard of ({grpc}: {why})"),
            "start it with the others' addresses in libra.cluster.peers, or remove it: \
             libra admin nodes remove",
        ),
        Said::Nothing { why } if node.known.role() == NodeRole::None => findings.add(
            Check::Nodes,
            Severity::Note,
            id,
            format!("it is known, is in no group and does not answer ({grpc}: {why})"),
            "forget it: libra admin nodes remove",
        ),
        Said::Nothing { why } => findings.add(
            Check::Nodes,
            Severity::Problem,
            id,
            format!("it does not answer, neither from here nor from other nodes ({grpc}: {why})"),
            "start it again on its own data directory, or look into its log; its sessions are \
             with others",
        ),
    }
}

fn membership(node: &NodeFacts, findings: &mut Findings) {
    let id = Some(node.id());
    match node.known.state() {
        // Said already, if it does not answer.
        NodeState::Down if node.diagnosis().is_some() => findings.add(
            Check::Nodes,
            Severity::Problem,
            id,
            "it answers, and its lease is over: the leader does not hear it, its sessions are \
             with others",
            "see its disk and its lease; else it cannot reach the leader's gRPC address",
        ),
        NodeState::Suspect => findings.add(
            Check::Nodes,
            Severity::Warning,
            id,
            "the leader has not heard of it for a while",
            "look again; if it stays so, it is too busy or cannot reach the leader",
        ),
        NodeState::Draining => findings.add(
            Check::Nodes,
            Severity::Note,
            id,
            "it is draining: it takes no sessions",
            format!("if that is over: libra admin nodes undrain {}", node.id()),
        ),
        NodeState::Down | NodeState::Up | NodeState::Unregistered | NodeState::Unspecified => {}
    }
    let caught_up = node.known.lag.is_some_and(|lag| lag <= LAG_WARN);
    if node.known.role() == NodeRole::Learner && caught_up {
        findings.add(
            Check::Nodes,
            Severity::Note,
            id,
            "it has caught up, and has no vote",
            format!("give it one: libra admin nodes promote {}", node.id()),
        );
    }
}

fn ready(node: &NodeFacts, said: &DiagnoseResponse, findings: &mut Findings) {
    let draining = node.known.state() == NodeState::Draining;
    if said.ready || draining {
        return;
    }
    let down = said.components.iter().filter(|component| !component.up);
    let down: Vec<&str> = down.map(|component| component.name.as_str()).collect();
    let why = match (said.not_ready_reason.as_str(), down.as_slice()) {
        ("", []) => String::new(),
        ("", down) => format!(": down is {}", down.join(", ")),
        (reason, _) => format!(": {reason}"),
    };
    findings.add(
        Check::Nodes,
        Severity::Problem,
        Some(node.id()),
        format!("it is not ready{why}"),
        "it takes no requests until it is; what stands beside this may say why, else its log",
    );
}

fn raft(node: &NodeFacts, said: &DiagnoseResponse, findings: &mut Findings) {
    let Some(raft) = &said.raft else { return };
    let id = Some(node.id());
    if !raft.failure.is_empty() {
        findings.add(
            Check::Nodes,
            Severity::Problem,
            id,
            format!("its part of the log has stopped: {}", raft.failure),
            "start it again; if it refuses its own data, its log says how it rejoins",
        );
    } else if raft.formation != "member" && !raft.formation.is_empty() {
        findings.add(
            Check::Nodes,
            Severity::Problem,
            id,
            format!("it is no member of the group: {}", raft.formation),
            "see libra.cluster.name and libra.cluster.peers there; a node that was removed or \
             wiped rejoins with an empty data directory: libra admin nodes add, promote",
        );
    }
}

fn lag(node: &NodeFacts, findings: &mut Findings) {
    let Some(lag) = node.known.lag.filter(|lag| *lag > LAG_WARN) else {
        return;
    };
    if is_down(node) || matches!(node.said, Said::Nothing { .. }) {
        return;
    }
    let severity = if lag > LAG_BAD {
        Severity::Problem
    } else {
        Severity::Warning
    };
    findings.add(
        Check::Lag,
        severity,
        Some(node.id()),
        format!("it lacks {lag} log entries of the leader's"),
        "look again: if it grows, its disk or the network to it is too slow; if it shrinks, it \
         catches up",
    );
}

fn lease(node: &NodeFacts, said: &DiagnoseResponse, findings: &mut Findings) {
    let Some(lease) = &said.lease else { return };
    // A learner or a node that is down has no need of one, or is told of already.
    if lease.needed && !lease.held && node.known.state() == NodeState::Up {
        findings.add(
            Check::Leases,
            Severity::Problem,
            Some(node.id()),
            "it holds no lease, and acts for none of its sessions",
            "it renews by itself when its disk takes writes and it reaches the leader: see disk, \
             fsync and leader",
        );
    }
}

fn disk(node: &NodeFacts, said: &DiagnoseResponse, findings: &mut Findings) {
    let Some(disk) = &said.disk else { return };
    let (free, total, least) = (disk.free_bytes, disk.total_bytes, disk.min_free_bytes);
    let mib = |bytes: u64| bytes >> 20;
    let room = format!(
        "{} MiB of {} MiB are free at {}",
        mib(free),
        mib(total),
        disk.data_dir
    );
    if disk.full || free < least {
        findings.add(
            Check::Disk,
            Severity::Problem,
            Some(node.id()),
            format!("its disk is full: {room}; it accepts nothing and owns no sessions"),
            "make room there: it comes back by itself",
        );
    } else if free < least.saturating_mul(2)
        || free.saturating_mul(100) < total.saturating_mul(ROOM_WARN_PERCENT)
    {
        findings.add(
            Check::Disk,
            Severity::Warning,
            Some(node.id()),
            format!(
                "its disk is nearly full: {room}; below {} MiB nothing is accepted",
                mib(least)
            ),
            "make room, or keep results for a shorter time (libra.results.retention-minutes)",
        );
    }
}

fn fsync(node: &NodeFacts, said: &DiagnoseResponse, findings: &mut Findings) {
    let Some(fsync) = said.fsync.as_ref().filter(|fsync| fsync.samples > 0) else {
        return;
    };
    let severity = match fsync.p99_us {
        p99 if p99 > SYNC_BAD_US => Severity::Problem,
        p99 if p99 > SYNC_WARN_US => Severity::Warning,
        _ => return,
    };
    findings.add(
        Check::Fsync,
        severity,
        Some(node.id()),
        format!(
            "its disk is slow: of the last {} syncs one in a hundred took longer than {} ms, the \
             longest {} ms",
            fsync.samples,
            fsync.p99_us / 1_000,
            fsync.max_us / 1_000
        ),
        "give libra.node.data-dir a disk of its own, with a write cache that outlives a power \
         cut; from 300 ms on leaders change for no other reason",
    );
}

fn settings(node: &NodeFacts, said: &DiagnoseResponse, findings: &mut Findings) {
    for setting in said.settings.iter().filter(|setting| setting.differs) {
        findings.add(
            Check::Settings,
            Severity::Warning,
            Some(node.id()),
            format!(
                "{} is {} there, and {} in the cluster, which is what counts",
                setting.key, setting.configured, setting.in_force
            ),
            "make its application.yml say what counts, so that nobody is misled",
        );
    }
}
