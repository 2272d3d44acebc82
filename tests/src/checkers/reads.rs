//! Whether reads are linearizable: per session its newest statement, a number that only rises, and
//! per key of a register its value.

use std::collections::{BTreeMap, HashMap};

use super::linearizable::{Does, Event, Found, Model, order};
use super::{Check, Class, Finding, Violation};
use crate::evidence::{Answer, Evidence, Micros, Outcome, Span, Submitted};

/// Steps of one search; some seconds.
const BOUND: usize = 400_000;

pub(super) fn check(evidence: &Evidence) -> Finding {
    let (mut violations, mut unknown, mut reads) = (Vec::new(), Vec::new(), 0);
    let sessions = sessions(evidence).into_iter();
    let sessions = sessions.map(|(name, events)| (name, Model::Rising, 0, events));
    let registers = registers(evidence).into_iter();
    let registers = registers.map(|(name, events)| (name, Model::Register, FIRST, events));
    for (name, model, initial, events) in sessions.chain(registers) {
        reads += events.iter().filter(|e| is_read(e)).count();
        match order(model, initial, &events, BOUND) {
            Found::Order => {}
            Found::None(stuck) => {
                let text = format!("{name}: no order explains {}", told(&stuck));
                violations.push(Violation::new(Class::Stale, None, text));
            }
            Found::Unknown => unknown.push(name),
        }
    }
    let why = if unknown.is_empty() {
        "no read was made".to_owned()
    } else {
        format!("the search was broken off for {}", unknown.join(", "))
    };
    Finding::of(Check::Reads, violations).unless(!unknown.is_empty() || reads == 0, why)
}

/// What a register holds before anything is written by a client.
pub(crate) const FIRST: u64 = 1;

fn is_read(event: &Event) -> bool {
    matches!(event.does, Does::Read(_))
}

fn told(event: &Event) -> String {
    let what = match event.does {
        Does::Read(value) => format!("a read of {value}"),
        Does::Write(value) => format!("a write of {value}"),
    };
    let ended = event.ended.unwrap_or_default();
    format!("{what} from {} to {ended} us", event.began)
}

fn event(span: Span, does: Does) -> Event {
    Event {
        began: span.began,
        ended: Some(span.ended),
        does,
    }
}

fn sessions(evidence: &Evidence) -> BTreeMap<String, Vec<Event>> {
    let history = &evidence.history;
    let mut sessions: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for newest in &history.newest {
        let events = sessions.entry(newest.session.clone()).or_default();
        events.push(event(newest.span, Does::Read(newest.job)));
    }
    let found: HashMap<&str, u64> = evidence
        .finals
        .iter()
        .filter_map(|s| Some((s.code.as_str(), s.job_number().ok()?)))
        .collect();
    let mut works: BTreeMap<u64, Vec<&Submitted>> = BTreeMap::new();
    for submit in &history.submits {
        let marker = submit.work.marker.number();
        works.entry(marker).or_default().push(submit);
    }
    for attempts in works.values() {
        let Some(first) = attempts.first() else {
            continue;
        };
        // Sessions that nobody reads of need no order.
        let Some(events) = sessions.get_mut(&first.session) else {
            continue;
        };
        events.extend(accepted(attempts, &found));
    }
    sessions
}

/// The one moment at which a work became a statement: after its first submit began, before the
/// first acknowledgement was complete.
fn accepted(attempts: &[&Submitted], found: &HashMap<&str, u64>) -> Option<Event> {
    let first = attempts.first()?;
    let began = attempts.iter().map(|attempt| attempt.span.began).min()?;
    let ok = attempts.iter().filter_map(|attempt| match &attempt.answer {
        Answer::Ok(job) => Some((attempt.span.ended, number(job)?)),
        Answer::Refused(_) | Answer::Unknown(_) => None,
    });
    let acknowledged: Option<(Micros, u64)> = ok.min();
    match acknowledged {
        Some((ended, job)) => Some(event(Span { began, ended }, Does::Write(job))),
        None => Some(Event {
            began,
            ended: None,
            does: Does::Write(*found.get(first.work.code.as_str())?),
        }),
    }
}

fn number(job: &str) -> Option<u64> {
    job.strip_prefix("job-")?.parse().ok()
}

fn registers(evidence: &Evidence) -> BTreeMap<String, Vec<Event>> {
    let history = &evidence.history;
    let mut registers: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for wrote in &history.wrote {
        let ended = match wrote.outcome {
            Outcome::Ok => Some(wrote.span.ended),
            Outcome::Unknown => None,
            Outcome::Refused => continue,
        };
        let events = registers.entry(wrote.key.clone()).or_default();
        events.push(Event {
            began: wrote.span.began,
            ended,
            does: Does::Write(wrote.value),
        });
    }
    for kept in &history.kept {
        let events = registers.entry(kept.key.clone()).or_default();
        events.push(event(kept.span, Does::Read(kept.value)));
    }
    registers
}
