//! States and epochs go forward for everybody: no answer that began after another was complete may
//! show an earlier one. And once Spark has heard a node under a newer epoch, nobody speaks for the
//! session under an older one; and a node that the others do not reach has let its lease go before
//! they give its sessions away.

use std::collections::BTreeMap;

use super::{Class, Violation};
use crate::evidence::{Evidence, Injection, Owned, Seen, Span};
use crate::harness::State;
use crate::stub::speakers::Turn;

/// How late a call may arrive that was made while its node still might, ms: one hop on one machine.
const LATE_MS: u64 = 250;

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
    violations.extend(speakers(&evidence.turns));
    for injection in &evidence.injections {
        violations.extend(leases(injection, &evidence.history.owned));
    }
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

fn speakers(turns: &[Turn]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut newest: BTreeMap<&str, &Turn> = BTreeMap::new();
    for turn in turns {
        let newest = newest.entry(&turn.session_id).or_insert(turn);
        if turn.epoch > newest.epoch {
            *newest = turn;
        }
        let late = turn.until_ms.saturating_sub(newest.from_ms);
        let is_older = turn.epoch < newest.epoch && late > LATE_MS;
        let is_another = turn.epoch == newest.epoch && turn.node != newest.node;
        if is_older || is_another {
            let text = format!(
                "Spark session {}: node {} under epoch {} ({}) {late} ms after node {} under epoch {}",
                turn.session_id, turn.node, turn.epoch, turn.call, newest.node, newest.epoch
            );
            violations.push(Violation::new(Class::Owners, None, text));
        }
    }
    violations
}

fn leases(injection: &Injection, owned: &[Owned]) -> Vec<Violation> {
    let while_cut = |span: Span| injection.began <= span.began && span.ended <= injection.healed;
    let owner_before = |session: &str| injection.owners.get(session).copied();
    let mut given_away: BTreeMap<u64, &Owned> = BTreeMap::new();
    for sight in owned.iter().filter(|sight| while_cut(sight.span)) {
        let Some(before) = owner_before(&sight.session) else {
            continue;
        };
        if before != sight.owner {
            let first = given_away.entry(before).or_insert(sight);
            if sight.span.ended < first.span.ended {
                *first = sight;
            }
        }
    }
    let too_long = injection.leases.iter().filter_map(|lease| {
        let sight = given_away.get(&lease.node)?;
        let overlaps = lease.held && lease.span.began >= sight.span.ended;
        (overlaps && while_cut(lease.span)).then_some((lease, sight))
    });
    // One is enough.
    let too_long = too_long.max_by_key(|(lease, _)| lease.span.began);
    let too_long = too_long.map(|(lease, sight)| {
        let text = format!(
            "injection {}: node {} held its lease {} us after {} was seen to be node {}'s",
            injection.turn,
            lease.node,
            lease.span.began - sight.span.ended,
            sight.session,
            sight.owner
        );
        Violation::new(Class::Owners, None, text)
    });
    too_long.into_iter().collect()
}
