//! Answers as they are shown: structs of this program's own, made from what the service says.
//!
//! In JSON and YAML a field has the name that it has here, in camelCase; times are RFC 3339 in UTC;
//! what is not known, or is not, is `null`; durations and sizes carry their unit in the name.
//!
//! PURE: an answer in, a document out.
//!
//! **Invariant:** a field that stands here keeps its name and meaning: programs read it.

mod backup;
mod change;
mod cluster;
mod diagnosis;
mod event;
mod pool;
mod session;
mod statement;
mod words;

pub(super) use backup::{BackupView, RestoreView};
pub(super) use change::{
    CancelView, ChangeView, MembersView, PoolView, RebalanceView, SessionView,
};
pub(super) use cluster::{ClusterView, NodesView};
pub(super) use diagnosis::DiagnosisView;
pub(super) use event::EventView;
#[cfg(test)]
pub(super) use event::kind_name;
pub(super) use pool::PoolsView;
pub(super) use session::{SessionAndStatements, SessionsView};
pub(super) use statement::{OneStatement, StatementsView};

/// What proto3 says with 0.
fn known(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// What proto3 says with an empty text.
fn said(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// `1 session`, `2 sessions`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

/// Bytes as people read them: `1.5 GiB`.
fn bytes(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    for (shift, unit) in UNITS {
        if bytes >> shift > 0 {
            let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (size, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!(count(1, "node"), "1 node");
        assert_eq!(count(0, "node"), "0 nodes");
    }
}
