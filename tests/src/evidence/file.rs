//! Evidence as lines of JSON: one fact a line, so that a run can be checked again by others.
//!
//! **Invariant:** what is read is what was written; a line of an unknown kind is an error.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::history::{Call, Kept, Newest, Owned, Reading, Seen, Served, Submitted, Wrote};
use super::{Evidence, Execution, Injection, LastWords, Logged, Share};
use crate::harness::Statement;
use crate::stub::speakers::Turn;

/// What a history file begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The name of what was done.
    pub(crate) fault: String,
    pub(crate) seed: u64,
    pub(crate) nodes: u64,
    pub(crate) slots: usize,
    /// Error classes that the fault explains.
    pub(crate) tolerated: Vec<String>,
    /// How often it was to be done.
    pub(crate) wanted: usize,
    /// Why the run was broken off, if it was.
    pub(crate) broken: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", content = "of", rename_all = "kebab-case")]
enum Line {
    Head(Head),
    Call(Call),
    Submit(Submitted),
    Seen(Seen),
    Cancel(String),
    Reading(Reading),
    Served(Served),
    Newest(Newest),
    Wrote(Wrote),
    Kept(Kept),
    Owned(Owned),
    Odd(String),
    Injection(Injection),
    Execution(Execution),
    Turn(Turn),
    Log(Logged),
    Final(Box<Statement>),
    Node(LastWords),
    SlotsWhole(Result<(), String>),
    Share(Share),
}

/// Writes everything.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path, head: &Head, evidence: &Evidence) -> Result<()> {
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    let mut out = BufWriter::new(file);
    for line in lines(head, evidence) {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

fn lines<'a>(head: &Head, evidence: &'a Evidence) -> impl Iterator<Item = Line> + use<'a> {
    let of = &evidence.history;
    let head = Line::Head(head.clone());
    let calls = of.calls.iter().cloned().map(Line::Call);
    let submits = of.submits.iter().cloned().map(Line::Submit);
    let seen = of.seen.iter().cloned().map(Line::Seen);
    let cancels = of.cancels.iter().cloned().map(Line::Cancel);
    let readings = of.readings.iter().cloned().map(Line::Reading);
    let served = of.served.iter().cloned().map(Line::Served);
    let newest = of.newest.iter().cloned().map(Line::Newest);
    let wrote = of.wrote.iter().cloned().map(Line::Wrote);
    let kept = of.kept.iter().cloned().map(Line::Kept);
    let owned = of.owned.iter().cloned().map(Line::Owned);
    let odd = of.oddities.iter().cloned().map(Line::Odd);
    let injections = evidence.injections.iter().cloned().map(Line::Injection);
    let executions = evidence.executions.0.iter().cloned().map(Line::Execution);
    let turns = evidence.turns.iter().cloned().map(Line::Turn);
    let log = evidence.log.iter().cloned().map(Line::Log);
    let finals = evidence.finals.iter().cloned();
    let finals = finals.map(|statement| Line::Final(Box::new(statement)));
    let nodes = evidence.nodes.iter().cloned().map(Line::Node);
    let whole = evidence.slots_whole.iter().cloned().map(Line::SlotsWhole);
    let shares = evidence.shares.iter().cloned().map(Line::Share);
    std::iter::once(head)
        .chain(injections)
        .chain(calls)
        .chain(submits)
        .chain(seen)
        .chain(cancels)
        .chain(readings)
        .chain(served)
        .chain(newest)
        .chain(wrote)
        .chain(kept)
        .chain(owned)
        .chain(odd)
        .chain(executions)
        .chain(turns)
        .chain(log)
        .chain(finals)
        .chain(nodes)
        .chain(whole)
        .chain(shares)
}

/// Reads everything.
///
/// # Errors
/// When it is not what [`write()`] wrote; says which line.
pub(crate) fn read(path: &Path) -> Result<(Head, Evidence)> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let (mut head, mut evidence) = (None, Evidence::default());
    for (number, text) in BufReader::new(file).lines().enumerate() {
        let line: Line =
            serde_json::from_str(&text?).with_context(|| format!("line {}", number + 1))?;
        match line {
            Line::Head(read) => head = Some(read),
            line => evidence.take(line),
        }
    }
    let head = head.context("no head")?;
    evidence.slots = head.slots;
    evidence.tolerated.clone_from(&head.tolerated);
    Ok((head, evidence))
}

impl Evidence {
    fn take(&mut self, line: Line) {
        let of = &mut self.history;
        match line {
            Line::Head(_) => {}
            Line::Call(call) => of.calls.push(call),
            Line::Submit(submit) => of.submits.push(submit),
            Line::Seen(seen) => of.seen.push(seen),
            Line::Cancel(job) => of.cancels.push(job),
            Line::Reading(reading) => of.readings.push(reading),
            Line::Served(served) => of.served.push(served),
            Line::Newest(newest) => of.newest.push(newest),
            Line::Wrote(wrote) => of.wrote.push(wrote),
            Line::Kept(kept) => of.kept.push(kept),
            Line::Owned(owned) => of.owned.push(owned),
            Line::Odd(text) => of.oddities.push(text),
            Line::Injection(injection) => self.injections.push(injection),
            Line::Execution(execution) => self.executions.0.push(execution),
            Line::Turn(turn) => self.turns.push(turn),
            Line::Log(logged) => self.log.push(logged),
            Line::Final(statement) => self.finals.push(*statement),
            Line::Node(node) => self.nodes.push(node),
            Line::SlotsWhole(whole) => self.slots_whole = Some(whole),
            Line::Share(share) => self.shares.push(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::sample;
    use crate::evidence::LoggedWhat;

    #[test]
    fn what_is_read_is_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let mut evidence = sample();
        evidence.tolerated = vec!["X".to_owned()];
        evidence.slots_whole = Some(Err("why".to_owned()));
        evidence.turns.push(Turn::default());
        evidence.log.push(Logged {
            index: 7,
            ordinal: 1,
            session: "s".to_owned(),
            epoch: 2,
            what: LoggedWhat::Ended("job-1".to_owned()),
        });
        evidence.injections.push(Injection::default());
        evidence.history.cancels.push("job-1".to_owned());
        let head = Head {
            fault: "owner-kill".to_owned(),
            slots: evidence.slots,
            tolerated: evidence.tolerated.clone(),
            ..Head::default()
        };
        write(&path, &head, &evidence).unwrap();
        let (read_head, read) = read(&path).unwrap();
        assert_eq!(read_head, head);
        assert_eq!(read.history, evidence.history);
        assert_eq!(read.finals, evidence.finals);
        assert_eq!(read.executions.0, evidence.executions.0);
        assert_eq!(read.turns, evidence.turns);
        assert_eq!(read.log, evidence.log);
        assert_eq!(read.injections, evidence.injections);
        assert_eq!(read.slots_whole, evidence.slots_whole);

        std::fs::write(&path, "{\"is\": \"something\"}\n").unwrap();
        assert!(super::read(&path).is_err());
    }
}
