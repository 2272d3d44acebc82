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

impl Fault {
    /// All of them.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// What it needs of the machine.
    pub(super) fn needs(self) -> &'static [Need] {
        match self {
            Self::OwnerKill
            | Self::LeaderKill
            | Self::FollowerKill
            | Self::MajorityKill
            | Self::AllKill
            | Self::OwnerStop
            | Self::LeaderStop
            | Self::RollingRestart
            | Self::Membership => &[],
            Self::BlackHole | Self::LeaderBlackHole => &[Need::Namespaces],
            Self::OneWay | Self::Partial | Self::RaftCut => &[Need::Network],
            Self::SparkCut | Self::Loss => &[Need::Namespaces],
            Self::Delay => &[Need::PacketQueue],
            Self::LowRate => &[Need::Shaping],
            Self::ClockJump => &[Need::FakeClock],
            Self::ClockCut => &[Need::FakeClock, Need::Network],
            Self::DiskFull => &[Need::LoopDevices],
            Self::SlowFsync | Self::FsyncError => &[Need::SystemCalls],
            Self::PowerCut | Self::PowerCutAll => &[Need::PowerCut],
            Self::DiskLoss => &[Need::PowerCut, Need::SystemCalls],
            Self::SparkKill | Self::Pools | Self::Mixed => &[Need::Stub],
        }
    }

    /// Whether nodes need file systems of their own.
    pub(super) fn on_own_disks(self) -> bool {
        self.needs().contains(&Need::LoopDevices) || self.needs().contains(&Need::PowerCut)
    }

    /// Whether nodes need clocks of their own.
    pub(super) fn on_own_clocks(self) -> bool {
        self.needs().contains(&Need::FakeClock)
    }

    /// Error classes that statements may end with because of it.
    pub(super) fn tolerated(self) -> &'static [&'static str] {
        match self {
            Self::SparkKill => &[
                "LIBRA_OUTCOME_UNKNOWN",
                "LIBRA_SESSION_RESET",
                "LIBRA_RESULT_LOST",
            ],
            Self::OwnerKill
            | Self::LeaderKill
            | Self::FollowerKill
            | Self::MajorityKill
            | Self::AllKill
            | Self::OwnerStop
            | Self::LeaderStop
            | Self::RollingRestart
            | Self::BlackHole
            | Self::LeaderBlackHole
            | Self::OneWay
            | Self::Partial
            | Self::RaftCut
            | Self::SparkCut
            | Self::Delay
            | Self::Loss
            | Self::LowRate
            | Self::ClockJump
            | Self::ClockCut
            | Self::DiskFull
            | Self::SlowFsync
            | Self::FsyncError
            | Self::PowerCut
            | Self::PowerCutAll
            | Self::DiskLoss
            | Self::Membership
            | Self::Pools
            | Self::Mixed => &[],
        }
    }

    /// From when on times are taken, and of whose sessions.
    pub(super) fn measured(self) -> (From, Whose) {
        match self {
            Self::OwnerKill => (From::Fault, Whose::Victims),
            Self::LeaderKill | Self::FollowerKill => (From::Fault, Whose::Others),
            // Two faults at a time may leave no majority.
            Self::MajorityKill
            | Self::AllKill
            | Self::PowerCutAll
            | Self::DiskLoss
            | Self::SparkKill
            | Self::Mixed => (From::Return, Whose::All),
            Self::OwnerStop
            | Self::LeaderStop
            | Self::RollingRestart
            | Self::BlackHole
            | Self::LeaderBlackHole
            | Self::OneWay
            | Self::Partial
            | Self::RaftCut
            | Self::SparkCut
            | Self::Delay
            | Self::Loss
            | Self::LowRate
            | Self::ClockJump
            | Self::ClockCut
            | Self::DiskFull
            | Self::SlowFsync
            | Self::FsyncError
            | Self::PowerCut
            | Self::Membership
            | Self::Pools => (From::Fault, Whose::All),
        }
    }

    /// What times have to be met.
    pub(super) fn goal(self) -> Goal {
        let most = |millis| Goal {
            p99: None,
            most: Some(Duration::from_millis(millis)),
        };
        match self {
            Self::OwnerKill => Goal {
                p99: Some(Duration::from_millis(2_500)),
                most: Some(Duration::from_millis(4_000)),
            },
            Self::LeaderKill => Goal {
                p99: Some(Duration::from_millis(1_500)),
                most: None,
            },
            Self::BlackHole
            | Self::LeaderBlackHole
            | Self::OneWay
            | Self::Partial
            | Self::RaftCut
            | Self::SparkCut => most(6_000),
            Self::MajorityKill | Self::AllKill => most(5_000),
            Self::FollowerKill
            | Self::OwnerStop
            | Self::LeaderStop
            | Self::RollingRestart
            | Self::Delay
            | Self::Loss
            | Self::LowRate
            | Self::ClockJump
            | Self::ClockCut
            | Self::DiskFull
            | Self::SlowFsync
            | Self::FsyncError
            | Self::PowerCut
            | Self::PowerCutAll
            | Self::DiskLoss
            | Self::SparkKill
            | Self::Membership
            | Self::Pools
            | Self::Mixed => Goal::default(),
        }
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
