//! States and epochs go forward for everybody: no answer that began after another was complete may
//! show an earlier one.

use std::collections::BTreeMap;

use super::{Class, Violation};
use crate::evidence::{Evidence, Owned, Seen, Span};
use crate::harness::State;

pub(super) fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut jobs: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in &evidence.history.seen {
        jobs.entry(&seen.job).or_default().push(seen);
    }
    for (job, sights) in jobs {
        let sights: Vec<(Span, Option<State>)> =
            sights.iter().map(|seen| (seen.span, seen.state)).collect();
        for (before, after) in pairs(&sights) {
            match (before, after) {
                (_, None) => {
                    violations.push(Violation::new(Class::Lost, Some(job), "answered 404"));
                }
                (Some(Some(before)), Some(after)) if !may_follow(before, after) => {
                    let text = format!("{after} seen after {before}");
                    violations.push(Violation::new(Class::Back, Some(job), text));
                }
                (Some(_) | None, Some(_)) => {}
            }
        }
    }
    violations.extend(epochs(&evidence.history.owned));
    violations
}

/// Every sight with the furthest that was complete before it began.
fn pairs<T: Copy + Ord>(sights: &[(Span, T)]) -> Vec<(Option<T>, T)> {
    let mut by_end = sights.to_vec();
    by_end.sort_by_key(|(span, _)| span.ended);
    let mut by_begin = sights.to_vec();
    by_begin.sort_by_key(|(span, _)| span.began);
    let mut complete = by_end.iter().peekable();
    let mut furthest: Option<T> = None;
    let mut pairs = Vec::new();
    for (span, now) in by_begin {
        while let Some((_, before)) = complete.next_if(|(s, _)| s.ended <= span.began) {
            furthest = furthest.max(Some(*before));
        }
        pairs.push((furthest, now));
    }
    pairs
}

/// The order of states, and that an end is for ever.
fn may_follow(before: State, after: State) -> bool {
    if before.ended() {
        return before == after;
    }
    after >= before
}

fn epochs(owned: &[Owned]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut sessions: BTreeMap<&str, Vec<&Owned>> = BTreeMap::new();
    for sight in owned {
        sessions.entry(&sight.session).or_default().push(sight);
    }
    for (session, sights) in sessions {
        let epochs: Vec<(Span, u64)> = sights.iter().map(|s| (s.span, s.epoch)).collect();
        for (before, after) in pairs(&epochs) {
            if before.is_some_and(|before| before > after) {
                let text = format!("{session}: epoch {after} seen after {before:?}");
                violations.push(Violation::new(Class::Back, None, text));
            }
        }
        let mut owners: BTreeMap<u64, u64> = BTreeMap::new();
        for sight in sights {
            let owner = *owners.entry(sight.epoch).or_insert(sight.owner);
            if owner != sight.owner {
                let (epoch, other) = (sight.epoch, sight.owner);
                let text = format!("{session}: {owner} and {other} own epoch {epoch}");
                violations.push(Violation::new(Class::Owners, None, text));
            }
        }
    }
    violations
}
