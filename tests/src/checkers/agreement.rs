//! When all is over every node holds the same registry, shows the same, and serves.

use std::collections::BTreeMap;

use super::{Check, Class, Finding, Violation};
use crate::evidence::Evidence;

/// How many requests each node has to answer at the very end.
const LAST_REQUESTS: u32 = 3;

pub(super) fn check(evidence: &Evidence) -> Finding {
    let mut violations = Vec::new();
    let mut note = |text: String| violations.push(Violation::new(Class::Differs, None, text));
    let mut hashes: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for last in &evidence.nodes {
        let (node, index) = (last.node, last.index);
        let (other, hash) = *hashes.entry(index).or_insert((node, last.hash));
        if hash != last.hash {
            note(format!(
                "nodes {other} and {node} hold different registries at index {index}"
            ));
        }
        if !last.same_statements {
            note(format!("node {node} shows other statements"));
        }
        if last.answered < LAST_REQUESTS {
            let answered = last.answered;
            note(format!(
                "node {node} answered {answered} of its last {LAST_REQUESTS} requests"
            ));
        }
    }
    if hashes.len() > 1 {
        let indexes: Vec<u64> = hashes.keys().copied().collect();
        note(format!("nodes stand at different indexes: {indexes:?}"));
    }
    let unseen = evidence.nodes.is_empty();
    Finding::of(Check::Agreement, violations).unless(unseen, "no node was asked at the end")
}
