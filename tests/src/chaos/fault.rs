//! The faults by name: what each needs, when service may stop, and what times it has to meet.
//! PURE.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use super::place::Need;

/// What is done to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// kill -9 of a node that owns sessions and does not lead.
    OwnerKill,
    /// kill -9 of the leader.
    LeaderKill,
    /// kill -9 of a node that does not lead, seen by all other sessions.
    FollowerKill,
    /// kill -9 of a majority at once, started again later.
    MajorityKill,
    /// kill -9 of all nodes at once.
    AllKill,
    /// SIGSTOP of an owner for longer than its lease, then SIGCONT.
    OwnerStop,
    /// The same with the leader.
    LeaderStop,
    /// SIGTERM and a new start, one node after another.
    RollingRestart,
    /// A black hole around a node that does not lead: nothing in, nothing out, nothing said.
    BlackHole,
    /// A black hole around the leader: a leader in a minority.
    LeaderBlackHole,
    /// A node that hears and is not heard, or the other way round.
    OneWay,
    /// Two nodes that do not reach each other; a third reaches both.
    Partial,
    /// A node that the others do not reach; Spark and clients do.
    RaftCut,
    /// A node that does not reach Spark; the others do, and it them.
    SparkCut,
    /// Packets to one node 10 to 90 ms late.
    Delay,
    /// A fifth of the packets to one node lost.
    Loss,
    /// One node sends 4 Mbit in a second at most.
    LowRate,
    /// The wall clock of one node jumps by ten minutes, on or back.
    ClockJump,
    /// The wall clock of an owner jumps back while the others do not reach it; Spark does.
    ClockCut,
    /// The disk of one node is full.
    DiskFull,
    /// Every fsync of one node takes 0.3 s, or 3 s.
    SlowFsync,
    /// One fsync of one node fails with EIO.
    FsyncError,
    /// Power cut of one node: what was not synced is lost.
    PowerCut,
    /// Power cut of all nodes at once.
    PowerCutAll,
    /// The same, with one node's fsync slow before it, and another node's disk gone after it.
    DiskLoss,
    /// Spark's driver dies, and is back knowing nothing.
    SparkKill,
    /// A new node joins and gets a vote, an old one is taken out, under load.
    Membership,
    /// Sessions with statements in flight are given to other nodes, as an operator does it.
    SessionMoves,
    /// Owner and leader are killed in turn while three pools have more to do than there are slots.
    Pools,
    /// Two faults at a time, drawn from the seed.
    Mixed,
}

/// What times have to be met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Goal {
    /// From the fault until a session serves again, at the 99th percentile.
    pub(super) p99: Option<Duration>,
    /// The longest of them.
    pub(super) most: Option<Duration>,
}

/// Whose sessions are looked at when times are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those that the victim owned.
    Victims,
    /// Those that it did not own.
    Others,
    /// All.
    All,
}

/// From when on times are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// From the fault: service has to go on in spite of it.
    Fault,
    /// From its end: without a majority, or without Spark, there is no service.
    Return,
}

/// What a statement may end with when Spark has died under it.
const SPARK_DIED: &[&str] = &[
    "LIBRA_OUTCOME_UNKNOWN",
    "LIBRA_SESSION_RESET",
    "LIBRA_RESULT_LOST",
];

/// What is known of a fault before it is done.
#[derive(Debug, Clone, Copy)]
struct Nature {
    needs: &'static [Need],
    holds_calls_back: bool,
    tolerated: &'static [&'static str],
    from: From,
    whose: Whose,
    goal: Goal,
}

impl Fault {
    /// All of them.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// All that is known of it before it is done.
    fn nature(self) -> Nature {
        const NONE: &[Need] = &[];
        let of = Nature::needing;
        match self {
            Self::OwnerKill => of(NONE).seen_by(Whose::Victims).p99(2_500).most(4_000),
            Self::LeaderKill => of(NONE).seen_by(Whose::Others).p99(1_500),
            Self::FollowerKill => of(NONE).seen_by(Whose::Others),
            Self::MajorityKill | Self::AllKill => of(NONE).since_return().most(5_000),
            Self::OwnerStop | Self::LeaderStop => of(NONE).holding_calls_back(),
            Self::RollingRestart | Self::Membership | Self::SessionMoves => of(NONE),
            Self::BlackHole | Self::LeaderBlackHole | Self::SparkCut => {
                of(&[Need::Namespaces]).holding_calls_back().most(6_000)
            }
            Self::OneWay => of(&[Need::Network]).holding_calls_back().most(6_000),
            Self::Partial | Self::RaftCut => of(&[Need::Network]).most(6_000),
            Self::Loss => of(&[Need::Namespaces]).holding_calls_back(),
            Self::Delay => of(&[Need::PacketQueue]).holding_calls_back(),
            Self::LowRate => of(&[Need::Shaping]).holding_calls_back(),
            Self::ClockJump => of(&[Need::FakeClock]),
            Self::ClockCut => of(&[Need::FakeClock, Need::Network]),
            Self::DiskFull => of(&[Need::LoopDevices]),
            Self::SlowFsync | Self::FsyncError => of(&[Need::SystemCalls]),
            Self::PowerCut => of(&[Need::PowerCut]),
            Self::PowerCutAll => of(&[Need::PowerCut]).since_return(),
            Self::DiskLoss => of(&[Need::PowerCut, Need::SystemCalls]).since_return(),
            Self::SparkKill => of(&[Need::Stub])
                .since_return()
                .holding_calls_back()
                .tolerating(SPARK_DIED),
            Self::Pools => of(&[Need::Stub]),
            // Two faults at a time may leave no majority.
            Self::Mixed => of(&[Need::Stub]).since_return().holding_calls_back(),
        }
    }

    /// What it needs of the machine.
    pub(super) fn needs(self) -> &'static [Need] {
        self.nature().needs
    }

    /// Whether nodes need file systems of their own.
    pub(super) fn on_own_disks(self) -> bool {
        self.needs().contains(&Need::LoopDevices) || self.needs().contains(&Need::PowerCut)
    }

    /// Whether nodes need clocks of their own.
    pub(super) fn on_own_clocks(self) -> bool {
        self.needs().contains(&Need::FakeClock)
    }

    /// Whether calls that a node has made may reach Spark long after: a network that keeps them,
    /// or a process stopped with them in hand.
    pub(super) fn holds_calls_back(self) -> bool {
        self.nature().holds_calls_back
    }

    /// Whether a disk goes, with the copies of results on it: before the next one goes they have to
    /// be made anew.
    pub(super) fn copies_all_anew(self) -> bool {
        matches!(self, Self::DiskLoss | Self::Membership)
    }

    /// Error classes that statements may end with because of it.
    pub(super) fn tolerated(self) -> &'static [&'static str] {
        self.nature().tolerated
    }

    /// From when on times are taken, and of whose sessions.
    pub(super) fn measured(self) -> (From, Whose) {
        let Nature { from, whose, .. } = self.nature();
        (from, whose)
    }

    /// What times have to be met.
    pub(super) fn goal(self) -> Goal {
        self.nature().goal
    }
}

impl Nature {
    /// Service goes on in spite of it, no matter how fast.
    fn needing(needs: &'static [Need]) -> Self {
        Self {
            needs,
            holds_calls_back: false,
            tolerated: &[],
            from: From::Fault,
            whose: Whose::All,
            goal: Goal::default(),
        }
    }

    fn holding_calls_back(self) -> Self {
        Self {
            holds_calls_back: true,
            ..self
        }
    }

    fn tolerating(self, tolerated: &'static [&'static str]) -> Self {
        Self { tolerated, ..self }
    }

    fn since_return(self) -> Self {
        Self {
            from: From::Return,
            ..self
        }
    }

    fn seen_by(self, whose: Whose) -> Self {
        Self { whose, ..self }
    }

    fn p99(mut self, millis: u64) -> Self {
        self.goal.p99 = Some(Duration::from_millis(millis));
        self
    }

    fn most(mut self, millis: u64) -> Self {
        self.goal.most = Some(Duration::from_millis(millis));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => write!(f, "{self:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_printed() {
        for fault in Fault::all() {
            let read = Fault::from_str(&fault.to_string(), false);
            assert_eq!(read.as_ref(), Ok(fault));
        }
        assert_eq!(Fault::OwnerKill.to_string(), "owner-kill");
    }

    #[test]
    fn without_a_majority_times_run_from_its_return() {
        for fault in Fault::all() {
            let (from, whose) = fault.measured();
            if from == From::Return {
                assert_eq!(whose, Whose::All, "{fault}");
            }
            if let (Some(p99), Some(most)) = (fault.goal().p99, fault.goal().most) {
                assert!(p99 <= most, "{fault}");
            }
        }
    }
}
