//! What concerns all nodes together: quorum, leader, clocks, versions, limits.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::admin::{NodeState, Totals};

use super::{Check, Facts, Findings, Severity, listed};
use crate::cli::admin::doctor::facts::NodeFacts;

/// Clocks that differ more than this make times in logs and retention hard to read.
const CLOCKS_WARN_MS: i64 = 500;
/// And more than this nothing is reaped any more.
const CLOCKS_STOP_MS: i64 = 5_000;
/// A limit is near where so much of it is taken.
const NEAR_PERCENT: u64 = 90;

pub(super) fn judge(facts: &Facts, findings: &mut Findings) {
    quorum(facts, findings);
    leader(facts, findings);
    clocks(facts, findings);
    versions(facts, findings);
    limits(facts.cluster.totals.unwrap_or_default(), findings);
}

/// Whether it takes part in votes, as far as can be known from here.
fn works(node: &NodeFacts) -> bool {
    match node.diagnosis().and_then(|said| said.raft.as_ref()) {
        Some(raft) => raft.failure.is_empty() && raft.role != "stopped",
        None => false,
    }
}

fn quorum(facts: &Facts, findings: &mut Findings) {
    let voters: Vec<&NodeFacts> = facts.nodes.iter().filter(|node| node.known.voter).collect();
    let (all, working) = (
        voters.len(),
        voters.iter().filter(|node| works(node)).count(),
    );
    let majority = all / 2 + 1;
    let missing = listed(
        voters
            .iter()
            .filter(|node| !works(node))
            .map(|node| node.id()),
    );
    let mut add = |severity, what: String, next: &str| {
        findings.add(Check::Quorum, severity, None, what, next);
    };
    if working < majority {
        add(
            Severity::Problem,
            format!(
                "only {working} of {all} voters work, {majority} are needed: nothing is accepted; \
                 missing: node {missing}"
            ),
            "start the missing nodes again, on their own data directories; what is stored is safe",
        );
    } else if all > 1 && working == majority && working < all {
        add(
            Severity::Problem,
            format!(
                "{working} of {all} voters work: one more that fails stops the cluster; missing: \
                 node {missing}"
            ),
            "start the missing node again; if it is gone for good, remove it and add another: \
             libra admin nodes remove, add, promote",
        );
    } else if working < all {
        add(
            Severity::Warning,
            format!("{working} of {all} voters work; missing: node {missing}"),
            "start the missing node again; if it is gone for good, remove it and add another",
        );
    }
    if all == 1 {
        add(
            Severity::Note,
            "the cluster has one voter: while that node is down, nothing is served".to_owned(),
            "add two more nodes if it has to go on without one: libra admin nodes add, promote",
        );
    } else if all.is_multiple_of(2) && all > 0 {
        add(
            Severity::Warning,
            format!(
                "there are {all} voters: an even number bears no more failures than {}",
                all - 1
            ),
            "add a voter, or remove one: libra admin nodes",
        );
    }
}

fn leader(facts: &Facts, findings: &mut Findings) {
    let cluster = &facts.cluster;
    if cluster.leader == 0 {
        findings.add(
            Check::Leader,
            Severity::Problem,
            None,
            "no node leads: nothing is accepted",
            "without a majority of voters none can be elected: see quorum; else wait for an \
             election, and look into the nodes' logs if none succeeds",
        );
    }
    let named: BTreeMap<u64, BTreeSet<u64>> = facts
        .diagnosed()
        .filter_map(|(node, said)| Some((said.raft.as_ref()?.leader, node.id())))
        .fold(BTreeMap::new(), |mut named, (leader, node)| {
            named.entry(leader).or_default().insert(node);
            named
        });
    if cluster.leader != 0 && (named.len() > 1 || named.keys().any(|it| *it != cluster.leader)) {
        let said = named.iter().map(|(leader, nodes)| match leader {
            0 => format!("node {} none", listed(nodes)),
            leader => format!("node {} node {leader}", listed(nodes)),
        });
        let said: Vec<String> = said.collect();
        findings.add(
            Check::Leader,
            Severity::Warning,
            None,
            format!("nodes name different leaders: {}", said.join(", ")),
            "an election may be under way: look again; if it stays so, those nodes cannot reach \
             the leader's gRPC address",
        );
    }
}

fn clocks(facts: &Facts, findings: &mut Findings) {
    let clocks = facts
        .nodes
        .iter()
        .filter_map(|node| Some((node.id(), node.clock()?)));
    let clocks: Vec<_> = clocks.collect();
    let first = clocks.iter().min_by_key(|(_, clock)| clock.ahead_ms);
    let last = clocks.iter().max_by_key(|(_, clock)| clock.ahead_ms);
    let (Some((slow, behind)), Some((fast, ahead))) = (first, last) else {
        return;
    };
    let apart = ahead.ahead_ms - behind.ahead_ms;
    // What the calls do not prove is not said.
    let proven = apart - ahead.unsure_ms - behind.unsure_ms;
    if proven <= CLOCKS_WARN_MS {
        return;
    }
    let (severity, what) = if proven > CLOCKS_STOP_MS {
        (
            Severity::Problem,
            "idle sessions and old statements are not cleaned up while they differ so much",
        )
    } else {
        (
            Severity::Warning,
            "times in logs and answers do not fit each other",
        )
    };
    findings.add(
        Check::Clocks,
        severity,
        None,
        format!("the clock of node {fast} is {apart} ms ahead of that of node {slow}: {what}"),
        "have all nodes follow one time service (chrony, systemd-timesyncd)",
    );
}

fn versions(facts: &Facts, findings: &mut Findings) {
    let mut versions: BTreeMap<(&str, u32), BTreeSet<u64>> = BTreeMap::new();
    let mut for_tests = Vec::new();
    for (node, said) in facts.diagnosed() {
        let Some(build) = &said.build else { continue };
        let nodes = versions.entry((build.version.as_str(), build.feature_level));
        nodes.or_default().insert(node.id());
        if build.for_tests {
            for_tests.push(node.id());
        }
    }
    if !for_tests.is_empty() {
        findings.add(
            Check::Versions,
            Severity::Warning,
            None,
            format!(
                "a build for tests, in which safeties may be off, is on node {}",
                listed(for_tests)
            ),
            "run a release build there",
        );
    }
    if versions.len() > 1 {
        let said = versions.iter().map(|((version, level), nodes)| {
            format!(
                "{version} (feature level {level}) on node {}",
                listed(nodes)
            )
        });
        findings.add(
            Check::Versions,
            Severity::Warning,
            None,
            format!("nodes run different versions: {}", listed(said)),
            "finish the update: what is new works when all nodes have it",
        );
    }
    let behind = facts.diagnosed().filter_map(|(node, said)| {
        let level = said.build.as_ref()?.feature_level;
        (level < facts.cluster.feature_level).then_some(node.id())
    });
    for node in behind {
        findings.add(
            Check::Versions,
            Severity::Problem,
            Some(node),
            format!(
                "its build does not understand feature level {}, which is in use",
                facts.cluster.feature_level
            ),
            "update it: it cannot follow the others",
        );
    }
}

fn limits(totals: Totals, findings: &mut Findings) {
    let (live, most) = (totals.live_sessions, totals.max_sessions);
    // One session of one, in SHARED mode, is not near anything.
    if most > 1 && live.saturating_mul(100) >= most.saturating_mul(NEAR_PERCENT) {
        let (severity, what) = if live >= most {
            (Severity::Problem, "a new one is refused with 429")
        } else {
            (Severity::Warning, "beyond it a new one is refused with 429")
        };
        findings.add(
            Check::Limits,
            severity,
            None,
            format!("{live} of {most} sessions are in use: {what}"),
            "close what is not needed (libra admin sessions list, close), shorten \
             libra.session.timeout-minutes, or raise libra.session.max-sessions",
        );
    }
    if totals.cleanups > 0 {
        findings.add(
            Check::Limits,
            Severity::Warning,
            None,
            format!(
                "{} slots are held by operations whose statements have ended",
                totals.cleanups
            ),
            "they are free as soon as Spark can be told to stop them: see spark",
        );
    }
}

/// Whether the others count on it no more.
pub(super) fn is_down(node: &NodeFacts) -> bool {
    node.known.state() == NodeState::Down
}
