//! Whether there was enough to see, and how long sessions did not serve.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Class, Finding, Violation, acknowledged};
use crate::evidence::{Evidence, Injection, Micros, Served};

/// Below these a run says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Least {
    /// How often the fault was injected.
    pub(crate) injections: usize,
    /// Operations of probing clients for each injection.
    pub(crate) served: usize,
    /// Acknowledged statements for each injection.
    pub(crate) acknowledged: usize,
    /// Calls in a second, of all clients, from the first to the last.
    pub(crate) calls_per_second: usize,
}

pub(super) fn check(evidence: &Evidence, least: &Least) -> Finding {
    let mut violations = Vec::new();
    for injection in evidence.injections.iter().filter(|i| i.well.is_none()) {
        let text = format!("{} ({})", injection.turn, injection.what);
        violations.push(Violation::new(Class::Never, None, text));
    }
    let lacking = lacking(evidence, least);
    let lacks = !lacking.is_empty();
    Finding::of(Check::Rates, violations).unless(lacks, lacking.join("; "))
}

fn lacking(evidence: &Evidence, least: &Least) -> Vec<String> {
    let history = &evidence.history;
    let injections = evidence.injections.len();
    let began = history.calls.iter().map(|call| call.span.began).min();
    let ended = history.calls.iter().map(|call| call.span.ended).max();
    let lasted = ended.unwrap_or(0).saturating_sub(began.unwrap_or(0));
    let seconds = usize::try_from(lasted / 1_000_000)
        .unwrap_or(usize::MAX)
        .max(1);
    let flying = evidence.injections.iter().filter(|i| i.in_flight > 0);
    let wanted = [
        ("injections", injections, least.injections),
        (
            "injections with statements on their way",
            flying.count(),
            least.injections / 2,
        ),
        (
            "operations of probing clients",
            history.served.len(),
            least.served * injections,
        ),
        (
            "acknowledged statements",
            acknowledged(history).len(),
            least.acknowledged * injections,
        ),
        (
            "calls a second",
            history.calls.len() / seconds,
            least.calls_per_second,
        ),
    ];
    let few = wanted.into_iter().filter(|(_, is, least)| is < least);
    few.map(|(what, is, least)| format!("{is} {what}, {least} wanted"))
        .collect()
}

/// How long each session did not serve within an injection, from `from` until all was well: the
/// longest that an operation took that was on its way then, and how long it took until one that
/// was begun afterwards was done.
pub(crate) fn gaps(
    served: &[Served],
    injection: &Injection,
    from: Micros,
) -> BTreeMap<String, Micros> {
    let Some(well) = injection.well else {
        return BTreeMap::new();
    };
    let sessions: BTreeSet<&str> = served.iter().map(|s| s.session.as_str()).collect();
    let mut gaps = BTreeMap::new();
    for session in sessions {
        let of_it = served.iter().filter(|s| s.session == session);
        let on_its_way = of_it.filter(|s| s.span.ended > from && s.span.began < well);
        let longest = on_its_way
            .clone()
            .map(|s| s.span.ended - s.span.began.max(from))
            .max();
        let first = on_its_way
            .filter(|s| s.span.began >= from)
            .map(|s| s.span.ended - from)
            .min();
        if let Some(gap) = longest.max(first) {
            gaps.insert(session.to_owned(), gap);
        }
    }
    gaps
}
