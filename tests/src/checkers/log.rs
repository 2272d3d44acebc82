//! An owner's word is good until the session is another's: behind an entry of the log that gives a
//! session away, nothing comes of what is said under its older epoch (I1).

use std::collections::BTreeMap;

use super::{Class, Violation};
use crate::evidence::{Logged, LoggedWhat};

/// What is wrong with what was read of the log, in whatever order it was read.
pub(super) fn check(log: &[Logged]) -> Vec<Violation> {
    let mut log: Vec<&Logged> = log.iter().collect();
    log.sort_by_key(|logged| (logged.index, logged.ordinal));
    let mut given: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut violations = Vec::new();
    for logged in log {
        let newest = given.entry(&logged.session).or_default();
        match &logged.what {
            LoggedWhat::Owned => *newest = (*newest).max((logged.epoch, logged.index)),
            LoggedWhat::Ended(job) if logged.epoch != 0 && logged.epoch < newest.0 => {
                let (session, epoch, index) = (&logged.session, logged.epoch, logged.index);
                let text = format!(
                    "ended by the owner of epoch {epoch} of {session} at index {index}, behind epoch \
                     {} at index {}",
                    newest.0, newest.1
                );
                violations.push(Violation::new(Class::Owners, Some(job), text));
            }
            LoggedWhat::Ended(_) => {}
        }
    }
    violations
}
