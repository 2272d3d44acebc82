//! From facts to findings.
//!
//! PURE: facts in, findings out; which limits count is said here and nowhere else.
//!
//! **Invariant:** every finding says what is wrong, of which node, and what to do next.

mod cluster;
mod nodes;
mod spark;
#[cfg(test)]
mod tests;

use clap::ValueEnum;

use super::facts::Facts;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli::admin) enum Check {
    /// Every node answers, is ready, and is in the group as it should be.
    Nodes,
    /// A majority of voters works, and would without any one of them.
    Quorum,
    /// There is one leader, and all nodes name the same.
    Leader,
    /// Nodes have applied what the leader has.
    Lag,
    /// Nodes hold their leases.
    Leases,
    /// There is room on the disks.
    Disk,
    /// The disks take what must be durable soon enough.
    Fsync,
    /// The clocks agree.
    Clocks,
    /// All nodes run the same version.
    Versions,
    /// All nodes reach all Spark Connect endpoints.
    Spark,
    /// The pool plugin is loaded in Spark.
    Plugin,
    /// All nodes are configured as the cluster works.
    Settings,
    /// No limit is near.
    Limits,
}

impl Check {
    /// All checks, in the order they are shown in.
    pub(super) const ALL: [Self; 13] = [
        Self::Nodes,
        Self::Quorum,
        Self::Leader,
        Self::Lag,
        Self::Leases,
        Self::Disk,
        Self::Fsync,
        Self::Clocks,
        Self::Versions,
        Self::Spark,
        Self::Plugin,
        Self::Settings,
        Self::Limits,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Quorum => "quorum",
            Self::Leader => "leader",
            Self::Lag => "lag",
            Self::Leases => "leases",
            Self::Disk => "disk",
            Self::Fsync => "fsync",
            Self::Clocks => "clocks",
            Self::Versions => "versions",
            Self::Spark => "spark",
            Self::Plugin => "plugin",
            Self::Settings => "settings",
            Self::Limits => "limits",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Good to know; all may be well.
    Note,
    /// It works, and may not much longer, or less well.
    Warning,
    /// It does not work.
    Problem,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) severity: Severity,
    /// Of one node; none = of the cluster.
    pub(super) node: Option<u64>,
    /// What is wrong.
    pub(super) what: String,
    /// What to do.
    pub(super) next: String,
}

/// Where findings go.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        check: Check,
        severity: Severity,
        node: Option<u64>,
        what: impl Into<String>,
        next: impl Into<String>,
    ) {
        self.0.push(Finding {
            check,
            severity,
            node,
            what: what.into(),
            next: next.into(),
        });
    }
}

/// All that is to be said, the worst first, in the order of the checks.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Findings::default();
    cluster::judge(facts, &mut findings);
    for node in &facts.nodes {
        nodes::judge(node, &mut findings);
    }
    spark::judge(facts, &mut findings);
    let Findings(mut findings) = findings;
    findings.sort_by_key(|found| (std::cmp::Reverse(found.severity), found.check, found.node));
    findings
}

/// `1`, `1 and 2`, `1, 2 and 3`.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
