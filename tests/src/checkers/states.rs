//! States and epochs go forward for everybody: no answer that began after another was complete may
//! show an earlier one. And once Spark has heard a node under a newer epoch, nobody speaks for the
//! session under an older one. A node that the others do not reach lets its lease go in time, and before
//! they give its sessions away.

use std::collections::{BTreeMap, BTreeSet};

use super::{Class, Violation};
use crate::evidence::{Evidence, Injection, LeaseSeen, Micros, Owned, Seen, Span};
use crate::harness::State;
use crate::stub::speakers::Turn;

/// How late a call may arrive that was made while its node still might, ms: one hop on one machine.
const LATE_MS: u64 = 250;
/// How long a lease lasts that was renewed last just before its node was cut off, us.
const LEASE: Micros = 1_200_000;
/// Between the clocks of two programs on one machine, under load.
const SLACK: Micros = 150_000;

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

/// What a node that the others did not reach said of its lease.
fn leases(injection: &Injection, owned: &[Owned]) -> Vec<Violation> {
    let while_cut = |span: Span| injection.began <= span.began && span.ended <= injection.healed;
    let mut violations = Vec::new();
    let victims: BTreeSet<u64> = injection.leases.iter().map(|lease| lease.node).collect();
    for node in victims {
        let of_node = injection.leases.iter().filter(|lease| lease.node == node);
        let said: Vec<&LeaseSeen> = of_node.filter(|lease| while_cut(lease.span)).collect();
        // The first question came when it was cut off already.
        let cut = said.first().map(|lease| lease.span.began);
        let last_held = said.iter().rfind(|lease| lease.held);
        let (Some(cut), Some(last_held)) = (cut, last_held) else {
            continue;
        };
        let held_for = last_held.span.began - cut;
        if held_for > LEASE + SLACK {
            let text = format!("node {node} held its lease {held_for} us after it was cut off");
            violations.push(Violation::new(Class::Owners, None, text));
        }
        let lost = |sight: &&Owned| {
            let before = injection.owners.get(&sight.session);
            while_cut(sight.span) && before == Some(&node) && sight.owner != node
        };
        let given_away = owned
            .iter()
            .filter(lost)
            .min_by_key(|sight| sight.span.ended);
        if let Some(sight) = given_away
            && last_held.span.began >= sight.span.ended
        {
            let late = last_held.span.began - sight.span.ended;
            let (session, owner) = (&sight.session, sight.owner);
            let text = format!(
                "node {node} held its lease {late} us after {session} was seen to be node {owner}'s"
            );
            violations.push(Violation::new(Class::Owners, None, text));
        }
    }
    violations
}
