//! Makes lost copies of results anew, while this node leads.
//!
//! **Invariant:** a node becomes a holder only after it has said that the whole file is durable
//! there; what is no longer under-copied by then is left alone by `apply`. What cannot be copied
//! keeps nothing else from its turn: each round goes on behind the last one tried.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::peer::FileId;
use libra_proto::registry::{Holder, PutHolders, ResultManifest, command};
use libra_proto::types::{JobId, NodeId};
use libra_raft::registry::UnderCopied;
use tokio::time::sleep;

use crate::adapters::RaftRegistry;
use crate::peer::Peers;
use crate::results::ResultMetrics;

/// How often it is looked for results with too few copies. Longer than a restart of a node takes:
/// what a node holds counts again once it is back.
const EVERY: Duration = Duration::from_secs(5);
/// Until the next round after one that has made as many copies as it may, and could make all of them:
/// after the loss of a disk there are thousands to make, and statements need the processors too.
const SOON: Duration = Duration::from_millis(100);
/// How many copies one round tries to make at most.
const BATCH: usize = 64;
/// How many of them at a time: each waits for disks and for the log.
const AT_ONCE: usize = 8;
/// How many statements are looked at without a break: the registry waits meanwhile.
const LOOKED_AT: usize = 4096;
/// For one copy, and a second more for so many bytes.
const LIMIT: Duration = Duration::from_secs(10);
const BYTES_IN_A_SECOND: u64 = 20 << 20;

/// Looks for results with too few copies, for ever.
pub(crate) async fn run(registry: RaftRegistry, peers: Peers, metrics: ResultMetrics) {
    let leadership = registry.leadership();
    let mut turns = Turns::new();
    loop {
        turns.begin();
        let leads = || leadership.borrow().is_some();
        let short = |left| {
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            metrics.under_replicated.set(left);
        };
        let round = round(&registry, &peers, &mut turns, leads, short).await;
        let pause = round.pause();
        metrics.repaired.made.inc_by(round.copied as u64);
        metrics.repaired.failed.inc_by(round.failed as u64);
        if round.copied > 0 {
            tracing::info!(copied = round.copied, "copies of results made anew");
        }
        if let Some((job, error)) = round.last_error {
            let failed = round.failed;
            tracing::warn!(failed, last = %job, error, "copies of results not made anew");
        }
        sleep(pause).await;
    }
}

/// What one round has done.
#[derive(Debug, Default)]
struct Round {
    /// On too few nodes.
    found: usize,
    copied: usize,
    failed: usize,
    last_error: Option<(JobId, String)>,
}

impl Round {
    /// Of those that were found.
    fn left(&self) -> usize {
        self.found.saturating_sub(self.copied)
    }

    fn pause(&self) -> Duration {
        if self.copied == BATCH { SOON } else { EVERY }
    }
}

/// Looks at every statement once, or until enough was tried.
async fn round(
    registry: &RaftRegistry,
    peers: &Peers,
    turns: &mut Turns,
    leads: impl Fn() -> bool,
    short: impl Fn(usize),
) -> Round {
    let mut round = Round::default();
    loop {
        if !leads() {
            short(0);
            return round;
        }
        let left = BATCH.saturating_sub(round.copied + round.failed);
        if left == 0 {
            return round;
        }
        let looked = registry.under_copied(turns.from, LOOKED_AT, left);
        round.found += looked.found.len();
        short(round.left());
        for found in looked.found.chunks(AT_ONCE) {
            if !leads() {
                return round;
            }
            let targets = found.iter().map(|found| (found, turns.target(found)));
            let copies = targets.filter_map(|(found, target)| {
                let target = target?;
                Some(async move {
                    (
                        found.job,
                        target,
                        copy(registry, peers, found, target).await,
                    )
                })
            });
            for (job, target, copied) in join_all(copies).await {
                match copied {
                    Ok(()) => {
                        round.copied += 1;
                        turns.copied(target);
                    }
                    Err(error) => {
                        round.failed += 1;
                        turns.failed(target);
                        round.last_error = Some((job, error));
                    }
                }
            }
            short(round.left());
        }
        if !turns.go_on(looked.next) {
            return round;
        }
        tokio::task::yield_now().await;
    }
}

/// Whose turn it is.
#[derive(Debug)]
struct Turns {
    /// The statement to go on with.
    from: JobId,
    /// The one that the round under way began with, until it has come around to the first.
    to_the_end: Option<JobId>,
    /// Where the round ends that has come around.
    until: JobId,
    /// Nodes that did not take a copy lately, the more so the higher.
    failures: BTreeMap<NodeId, u32>,
}

impl Turns {
    /// More is not held against anybody: a minute's worth of rounds.
    const FAILURES_MOST: u32 = 12;
    /// No statement comes before this one.
    const START: JobId = JobId(0);

    fn new() -> Self {
        Self {
            from: Self::START,
            to_the_end: None,
            until: Self::START,
            failures: BTreeMap::new(),
        }
    }

    /// A round begins: what was long ago counts less and less.
    fn begin(&mut self) {
        self.to_the_end = Some(self.from);
        self.failures.retain(|_, failures| {
            *failures = failures.saturating_sub(1);
            *failures > 0
        });
    }

    /// Goes on where to look next, `None` being the end; whether this round has something left.
    fn go_on(&mut self, next: Option<JobId>) -> bool {
        self.from = next.unwrap_or(Self::START);
        match (next, self.to_the_end) {
            (Some(_), Some(_)) => true,
            (None, Some(began)) => {
                self.to_the_end = None;
                self.until = began;
                began > self.from
            }
            (Some(next), None) => next < self.until,
            (None, None) => false,
        }
    }

    /// The one that has failed the least, of equal ones the first.
    fn target(&self, found: &UnderCopied) -> Option<NodeId> {
        let failures = |node: &&NodeId| self.failures.get(node).copied().unwrap_or(0);
        found.targets.iter().min_by_key(failures).copied()
    }

    fn failed(&mut self, target: NodeId) {
        let failures = self.failures.entry(target).or_default();
        *failures = failures.saturating_add(2).min(Self::FAILURES_MOST);
    }

    fn copied(&mut self, target: NodeId) {
        self.failures.remove(&target);
    }
}

async fn copy(
    registry: &RaftRegistry,
    peers: &Peers,
    found: &UnderCopied,
    target: NodeId,
) -> Result<(), String> {
    let manifest = &found.manifest;
    let file = file_of(found.job, manifest);
    let limit = LIMIT + Duration::from_secs(file.length / BYTES_IN_A_SECOND);
    let mut failed = String::new();
    for holder in &found.within_reach {
        let copied = peers.copy_result(target, limit, file, *holder).await;
        match copied {
            Ok(store_uuid) => return note(registry, found, target, store_uuid).await,
            Err(error) => failed = error.to_string(),
        }
    }
    Err(failed)
}

fn file_of(job: JobId, manifest: &ResultManifest) -> FileId {
    FileId {
        job: job.0,
        epoch: manifest.epoch,
        length: manifest.file_length,
        hash: manifest.file_hash,
    }
}

async fn note(
    registry: &RaftRegistry,
    found: &UnderCopied,
    target: NodeId,
    store_uuid: String,
) -> Result<(), String> {
    let NodeId(node_id) = target;
    let mut holders = found.manifest.holders.clone();
    holders.retain(|holder| holder.node_id != node_id);
    holders.push(Holder {
        node_id,
        store_uuid,
    });
    let put = PutHolders {
        job: found.job.0,
        file_hash: found.manifest.file_hash,
        holders,
    };
    match registry.propose(command::Kind::PutHolders(put)).await {
        Proposed::Applied(_) => Ok(()),
        Proposed::Rejected(rejection) => Err(format!("refused: {:?}", rejection.code())),
        Proposed::Unknown(reason) => Err(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(targets: &[u64]) -> UnderCopied {
        UnderCopied {
            job: JobId(1),
            manifest: ResultManifest::default(),
            within_reach: vec![NodeId(9)],
            targets: targets.iter().copied().map(NodeId).collect(),
        }
    }

    #[test]
    fn the_next_round_comes_soon_only_after_one_in_which_all_went_well_and_more_is_left() {
        let pause = |copied, failed| {
            let round = Round {
                found: BATCH,
                copied,
                failed,
                last_error: None,
            };
            round.pause()
        };
        assert_eq!(pause(BATCH, 0), SOON);
        assert_eq!(pause(BATCH - 1, 1), EVERY);
        assert_eq!(pause(BATCH - 1, 0), EVERY);
        assert_eq!(pause(0, 0), EVERY);
    }

    #[test]
    fn a_round_looks_at_everything_once_and_the_next_goes_on_behind_it() {
        let mut turns = Turns::new();
        let next = |job: u64| Some(JobId(job));
        turns.begin();
        assert!(turns.go_on(next(4_000)));
        // Enough was tried: the next round begins there, and comes around to it.
        turns.begin();
        assert_eq!(turns.from, JobId(4_000));
        assert!(turns.go_on(next(8_000)));
        assert!(turns.go_on(None), "the first ones are left");
        assert_eq!(turns.from, JobId(0));
        assert!(turns.go_on(next(3_000)));
        assert!(!turns.go_on(next(7_000)));
        // It was all retired meanwhile.
        turns.begin();
        assert!(turns.go_on(None));
        assert!(!turns.go_on(None));
        turns.begin();
        assert!(!turns.go_on(None), "it has begun with the first");
    }

    #[test]
    fn another_target_is_tried_after_a_failure_and_it_is_forgiven() {
        let mut turns = Turns::new();
        let target = |turns: &Turns, of: &[u64]| turns.target(&found(of)).map(|node| node.0);
        assert_eq!(target(&turns, &[]), None);
        assert_eq!(target(&turns, &[2, 3]), Some(2));
        turns.failed(NodeId(2));
        turns.begin();
        assert_eq!(target(&turns, &[2, 3]), Some(3));
        assert_eq!(target(&turns, &[2]), Some(2), "there is no other");
        turns.failed(NodeId(3));
        turns.failed(NodeId(3));
        assert_eq!(target(&turns, &[3, 2]), Some(2), "it has failed less");
        turns.begin();
        assert_eq!(target(&turns, &[2, 3]), Some(2), "a while ago");
        turns.copied(NodeId(3));
        assert_eq!(target(&turns, &[3, 2]), Some(3), "it took one");
        for _ in 0..100 {
            turns.failed(NodeId(2));
        }
        for _ in 0..Turns::FAILURES_MOST {
            turns.begin();
        }
        assert_eq!(target(&turns, &[2, 3]), Some(2), "a minute ago");
    }
}
