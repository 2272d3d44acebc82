//! What was found, as it is shown.
//!
//! PURE: findings in, a document out.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::facts::Facts;
use super::judge::{Check, Finding, Severity};
use crate::cli::admin::output::{Block, Cell, Column, Grid, Page, Shown, Tone};
use crate::cli::admin::view::count;

/// `libra admin doctor`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    cluster_name: String,
    /// Whether there is no warning and no problem.
    healthy: bool,
    /// Nodes that were asked, and those that answered.
    nodes_known: usize,
    nodes_answered: usize,
    leader: Option<u64>,
    /// Every check that was made, in the order it is shown in.
    checks: Vec<CheckView>,
    /// The worst first.
    findings: Vec<FindingView>,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckView {
    /// `--ignore` takes it.
    check: &'static str,
    /// `ok`, `note`, `warning`, `problem`, or `ignored`.
    result: &'static str,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingView {
    check: &'static str,
    /// `note`, `warning` or `problem`.
    severity: &'static str,
    /// Of one node; none = of the cluster.
    node_id: Option<u64>,
    what: String,
    next_step: String,
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    }
}

fn tone(word: &str) -> Tone {
    match word {
        "ok" => Tone::Good,
        "warning" => Tone::Warn,
        "problem" => Tone::Bad,
        _ => Tone::Plain,
    }
}

impl Report {
    pub(super) fn new(facts: &Facts, findings: Vec<Finding>, ignored: &[Check]) -> Self {
        let ignored: BTreeSet<Check> = ignored.iter().copied().collect();
        let kept: Vec<Finding> = findings
            .into_iter()
            .filter(|found| !ignored.contains(&found.check))
            .collect();
        let result = |check: Check| {
            let worst = kept.iter().filter(|found| found.check == check);
            match worst.map(|found| found.severity).max() {
                _ if ignored.contains(&check) => "ignored",
                Some(severity) => word(severity),
                None => "ok",
            }
        };
        let checks = Check::ALL.map(|check| CheckView {
            check: check.name(),
            result: result(check),
        });
        let answered = facts.nodes.iter().filter(|node| node.diagnosis().is_some());
        Self {
            cluster_name: facts.cluster.cluster_name.clone(),
            healthy: kept.iter().all(|found| found.severity == Severity::Note),
            nodes_known: facts.nodes.len(),
            nodes_answered: answered.count(),
            leader: Some(facts.cluster.leader).filter(|leader| *leader != 0),
            checks: checks.into(),
            findings: kept.into_iter().map(FindingView::from).collect(),
        }
    }

    /// Whether nobody has to do anything.
    pub(super) fn is_well(&self) -> bool {
        self.healthy
    }

    fn head(&self) -> String {
        let known = u64::try_from(self.nodes_known).unwrap_or(u64::MAX);
        let leader = match self.leader {
            Some(leader) => format!("leader node {leader}"),
            None => "no leader".to_owned(),
        };
        format!(
            "cluster {}: {} of {} answered, {leader}",
            self.cluster_name,
            self.nodes_answered,
            count(known, "node")
        )
    }

    fn verdict(&self) -> String {
        let of = |severity| {
            let found = self
                .findings
                .iter()
                .filter(|found| found.severity == severity);
            u64::try_from(found.count()).unwrap_or(u64::MAX)
        };
        let (problems, warnings) = (of("problem"), of("warning"));
        match (problems, warnings) {
            (0, 0) => "all is well".to_owned(),
            (0, warnings) => count(warnings, "warning"),
            (problems, 0) => count(problems, "problem"),
            (problems, warnings) => {
                format!(
                    "{}, {}",
                    count(problems, "problem"),
                    count(warnings, "warning")
                )
            }
        }
    }
}

impl From<Finding> for FindingView {
    fn from(found: Finding) -> Self {
        Self {
            check: found.check.name(),
            severity: word(found.severity),
            node_id: found.node,
            what: found.what,
            next_step: found.next,
        }
    }
}

impl Shown for Report {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let row = |check: &CheckView| {
            let result = Cell::new(check.result).toned(tone(check.result));
            vec![Cell::new(check.check), result]
        };
        let checks = Grid {
            columns: const { &[Column::key("CHECK"), Column::key("RESULT")] },
            rows: self.checks.iter().map(row).collect(),
            none: "no checks",
        };
        let mut page = Page::line(self.head()).and(Block::Grid(checks));
        for found in &self.findings {
            let whose = match found.node_id {
                Some(node) => format!("node {node}: {}", found.what),
                None => found.what.clone(),
            };
            page = page.and(Block::Facts(vec![
                (found.severity, Cell::new(whose).toned(tone(found.severity))),
                ("→", Cell::new(&found.next_step)),
            ]));
        }
        page.and(Block::Line(self.verdict()))
    }
}

#[cfg(test)]
mod tests {
    use libra_proto::admin::ClusterStatusResponse;

    use super::*;
    use crate::cli::admin::output::{Look, OutputFormat, Series, text_of};

    fn report(ignored: &[Check]) -> Report {
        let cluster = ClusterStatusResponse {
            cluster_name: "prod".to_owned(),
            leader: 2,
            ..ClusterStatusResponse::default()
        };
        let facts = Facts {
            cluster,
            nodes: Vec::new(),
        };
        let found = |check, severity, node, what: &str| Finding {
            check,
            severity,
            node,
            what: what.to_owned(),
            next: "do this".to_owned(),
        };
        let findings = vec![
            found(Check::Disk, Severity::Problem, Some(3), "its disk is full"),
            found(Check::Plugin, Severity::Note, None, "nobody knows"),
        ];
        Report::new(&facts, findings, ignored)
    }

    fn shown(report: &Report, format: OutputFormat) -> String {
        let look = Look {
            columns: Some(80),
            colours: false,
        };
        text_of(report, format, look, Series::One, DateTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn people_read_it_so() {
        let text = shown(&report(&[]), OutputFormat::Table);
        let end = "\
settings  ok
limits    ok

problem  node 3: its disk is full
→        do this

note  nobody knows
→     do this

1 problem";
        let begin = "cluster prod: 0 of 0 nodes answered, leader node 2\n\nCHECK     RESULT\n";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with(end), "{text}");
        assert!(text.contains("\ndisk      problem\n"), "{text}");
        assert!(text.contains("\nplugin    note\n"), "{text}");
    }

    #[test]
    fn programs_read_it_so() {
        let text = shown(&report(&[]), OutputFormat::Json);
        let it: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(it["healthy"], false);
        assert_eq!(it["findings"][0]["nodeId"], 3);
        assert_eq!(it["findings"][0]["nextStep"], "do this");
        assert_eq!(it["findings"][1]["nodeId"], serde_json::Value::Null);
        assert_eq!(it["checks"].as_array().unwrap().len(), Check::ALL.len());
    }

    #[test]
    fn what_is_ignored_is_said_and_does_not_count() {
        let report = report(&[Check::Disk]);
        assert!(report.is_well());
        let text = shown(&report, OutputFormat::Table);
        assert!(text.contains("disk      ignored"), "{text}");
        assert!(text.ends_with("all is well"), "{text}");
    }
}
