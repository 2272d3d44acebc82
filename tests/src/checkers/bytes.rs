//! A result is what it must be, and the same whenever and wherever it is read.

use std::collections::BTreeMap;

use super::{Class, Violation};
use crate::evidence::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut first: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for reading in &evidence.history.readings {
        let (job, form) = (reading.job.as_str(), reading.form.as_str());
        if let Some(wrong) = &reading.wrong {
            let text = format!("{form}: {wrong}");
            violations.push(Violation::new(Class::Bytes, Some(job), text));
        }
        let known = *first.entry((job, form)).or_insert(reading.hash);
        if known != reading.hash {
            let text = format!("{form} differs when read again");
            violations.push(Violation::new(Class::Bytes, Some(job), text));
        }
    }
    violations
}
