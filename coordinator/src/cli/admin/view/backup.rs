//! Backups.

use chrono::{DateTime, Utc};
use libra_proto::admin::{BackupDone, BackupHeader, RestoreResponse};
use serde::Serialize;

use super::super::output::{Block, Cell, Page, Shown, Time};
use super::{bytes, known};

/// `libra admin backup`: the file that was written.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct BackupView {
    file: String,
    bytes: u64,
    #[serde(rename = "backup")]
    of: OfBackup,
    records: u64,
    sessions: u64,
    statements: u64,
    pools: u64,
}

/// Which registry a backup is of.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfBackup {
    cluster_name: String,
    /// The registry as of this log index.
    applied_index: u64,
    taken_at: Option<Time>,
    /// The node that wrote it, and its version of Libra.
    node_id: u64,
    version: String,
    feature_level: u32,
}

/// `libra admin restore`: what became of the file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct RestoreView {
    /// Whether this only says what would be done.
    dry_run: bool,
    backup: OfBackup,
    sessions: u64,
    statements: u64,
    pools: u64,
    /// Sessions that live again.
    sessions_reopened: u64,
    /// Statements that had not ended, and end with LIBRA_OUTCOME_UNKNOWN.
    outcomes_unknown: u64,
    /// Statements whose rows are lost.
    results_lost: u64,
    /// The log index at which the cluster became what the file says.
    index: Option<u64>,
}

impl BackupView {
    pub(in crate::cli::admin) fn new(file: String, of: BackupHeader, done: &BackupDone) -> Self {
        Self {
            file,
            bytes: done.bytes,
            of: of.into(),
            records: done.records,
            sessions: done.sessions,
            statements: done.statements,
            pools: done.pools,
        }
    }
}

impl RestoreView {
    pub(in crate::cli::admin) fn new(dry_run: bool, answer: RestoreResponse) -> Self {
        Self {
            dry_run,
            backup: answer.info.unwrap_or_default().into(),
            sessions: answer.sessions,
            statements: answer.statements,
            pools: answer.pools,
            sessions_reopened: answer.sessions_reopened,
            outcomes_unknown: answer.outcomes_unknown,
            results_lost: answer.results_lost,
            index: known(answer.index),
        }
    }

    /// What restoring means, for whoever is asked whether it is meant.
    pub(in crate::cli::admin) fn consequence(&self) -> String {
        let of = &self.backup;
        let taken = of.taken_at.map(Time::text).unwrap_or_default();
        format!(
            "The backup is of cluster {}, taken {taken}: {} sessions, {} statements, {} pools. \
             {} sessions live again, with new sessions in Spark; {} statements had not ended and \
             end LIBRA_OUTCOME_UNKNOWN; the rows of {} results are lost.",
            of.cluster_name,
            self.sessions,
            self.statements,
            self.pools,
            self.sessions_reopened,
            self.outcomes_unknown,
            self.results_lost
        )
    }
}

impl From<BackupHeader> for OfBackup {
    fn from(header: BackupHeader) -> Self {
        Self {
            cluster_name: header.cluster_name,
            applied_index: header.applied_index,
            taken_at: Time::of_millis(header.taken_at_ms),
            node_id: header.node_id,
            version: header.version,
            feature_level: header.feature_level,
        }
    }
}

impl OfBackup {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let by = format!("node {}, libra {}", self.node_id, self.version);
        vec![
            ("cluster", Cell::new(&self.cluster_name)),
            ("taken", Cell::of(self.taken_at.map(Time::text))),
            ("log index", Cell::new(self.applied_index)),
            ("written by", Cell::new(by)),
        ]
    }
}

fn holds(sessions: u64, statements: u64, pools: u64) -> Cell {
    Cell::new(format!(
        "{sessions} sessions, {statements} statements, {pools} pools"
    ))
}

impl Shown for BackupView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let mut facts = vec![
            ("file", Cell::new(&self.file)),
            ("size", Cell::new(bytes(self.bytes))),
        ];
        facts.extend(self.of.facts());
        facts.push(("holds", holds(self.sessions, self.statements, self.pools)));
        Page::facts(facts)
    }
}

impl Shown for RestoreView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let mut facts = self.backup.facts();
        facts.push(("holds", holds(self.sessions, self.statements, self.pools)));
        facts.push(("sessions reopened", Cell::new(self.sessions_reopened)));
        facts.push(("outcomes unknown", Cell::new(self.outcomes_unknown)));
        facts.push(("results lost", Cell::new(self.results_lost)));
        let said = match (self.dry_run, self.index) {
            (true, _) => "Nothing was changed.".to_owned(),
            (false, Some(index)) => format!("Restored at log index {index}."),
            (false, None) => "Restored.".to_owned(),
        };
        Page::facts(facts).and(Block::Line(said))
    }
}
