//! What concerns Spark: who reaches it, its versions, the pool plugin.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::admin::{EndpointDiagnosis, PluginState, Reachable};

use super::{Check, Facts, Findings, Severity, listed};

/// What nodes say of one endpoint, by node.
type Seen<'a> = BTreeMap<u64, &'a EndpointDiagnosis>;

pub(super) fn judge(facts: &Facts, findings: &mut Findings) {
    let mut endpoints: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for (node, said) in facts.diagnosed() {
        asked.insert(node.id());
        for endpoint in &said.endpoints {
            let seen = endpoints.entry(endpoint.name.as_str()).or_default();
            seen.insert(node.id(), endpoint);
        }
    }
    for (name, seen) in &endpoints {
        reached(name, seen, findings);
        versions(name, seen, findings);
        memory(name, seen, findings);
        plugin(name, seen, findings);
        let without = asked.iter().filter(|node| !seen.contains_key(node));
        let without: Vec<_> = without.collect();
        if !without.is_empty() {
            findings.add(
                Check::Settings,
                Severity::Warning,
                None,
                format!(
                    "{name} is not among the endpoints of node {}",
                    listed(without)
                ),
                "give all nodes the same spark.remote: sessions on it cannot move there",
            );
        }
    }
}

fn reached(name: &str, seen: &Seen<'_>, findings: &mut Findings) {
    let not = seen
        .iter()
        .filter(|(_, it)| it.reachable() == Reachable::No);
    let not: Vec<u64> = not.map(|(node, _)| *node).collect();
    if not.is_empty() {
        return;
    }
    let next = "is Spark Connect running there, and is its port open to the nodes?";
    if not.len() == seen.len() {
        findings.add(
            Check::Spark,
            Severity::Problem,
            None,
            format!("no node reaches {name}: statements on it wait"),
            next,
        );
    } else {
        findings.add(
            Check::Spark,
            Severity::Warning,
            None,
            format!("node {} does not reach {name}, others do", listed(not)),
            format!("{next} Sessions on it are not placed on those nodes"),
        );
    }
}

fn versions(name: &str, seen: &Seen<'_>, findings: &mut Findings) {
    let versions = seen.values().flat_map(|it| &it.spark_versions);
    let versions: BTreeSet<&String> = versions.collect();
    if versions.len() > 1 {
        findings.add(
            Check::Spark,
            Severity::Note,
            None,
            format!(
                "sessions on {name} were opened in Spark {}",
                listed(versions)
            ),
            "nothing, if Spark was updated: older sessions get the new one when they are opened \
             anew",
        );
    }
}

fn memory(name: &str, seen: &Seen<'_>, findings: &mut Findings) {
    if seen
        .values()
        .any(|it| it.remembers_operations == Some(false))
    {
        findings.add(
            Check::Spark,
            Severity::Note,
            None,
            format!(
                "{name} does not remember operation ids: a statement whose fate is unknown there \
                 is never sent again (at most once)"
            ),
            "Spark 4.1 and newer remember them",
        );
    }
}

fn plugin(name: &str, seen: &Seen<'_>, findings: &mut Findings) {
    let states: BTreeSet<PluginState> = seen.values().map(|it| it.pool_interceptor()).collect();
    if states.contains(&PluginState::Missing) {
        findings.add(
            Check::Plugin,
            Severity::Warning,
            None,
            format!(
                "the pool plugin is not loaded in {name}: Libra shares the slots between pools, \
                 and inside Spark their tasks are not told apart"
            ),
            "start Spark with deploy/spark-plugin (its README says how); --ignore plugin if that \
             is as it should be",
        );
    } else if !states.contains(&PluginState::Loaded) && !states.is_empty() {
        findings.add(
            Check::Plugin,
            Severity::Note,
            None,
            format!("nobody knows yet whether the pool plugin is loaded in {name}"),
            "it is known when a session has been opened there",
        );
    }
}
