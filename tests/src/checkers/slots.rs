//! Slots, counted from what ran and when, by nobody's books but Spark's; and whether as many as
//! there are still run at once when all is over.

use super::{Class, Violation};
use crate::evidence::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    let (most, slots) = (evidence.executions.most_at_once(), evidence.slots);
    if most > slots {
        let text = format!("{most} ran at once on {slots} slots");
        violations.push(Violation::new(Class::Slots, None, text));
    }
    if let Some(Err(why)) = &evidence.slots_whole {
        violations.push(Violation::new(Class::Slots, None, why.clone()));
    }
    violations
}
