//! What a checker can say.

use std::fmt;

use serde::Serialize;

/// The judgement of a check, or of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// True: all promises were kept, and there was enough to see.
    Pass,
    /// False: a promise was broken.
    Violated,
    /// It cannot be said; why.
    Unknown(String),
}

impl Verdict {
    /// The exit code of a program that judged so.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Violated => 1,
            Self::Unknown(_) => 2,
        }
    }

    /// The verdict over both: broken if one is, else unknown if one is.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (&self, other) {
            (Self::Violated, _) | (_, Self::Pass) => self,
            (_, Self::Violated) | (Self::Pass, Self::Unknown(_)) => other.clone(),
            (Self::Unknown(one), Self::Unknown(two)) => Self::Unknown(format!("{one}; {two}")),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Violated => f.write_str("VIOLATED"),
            Self::Unknown(why) => write!(f, "UNKNOWN, which is no pass: {why}"),
        }
    }
}

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Acknowledged, and not found or not ended.
    Lost,
    /// Ran more than once, or is there more than once.
    Doubled,
    /// A state or an epoch that went back.
    Back,
    /// Two owners of one session in one epoch.
    Owners,
    /// Ended otherwise than it had to.
    WrongEnd,
    /// A result that is not what it must be, or not the same when read again.
    Bytes,
    /// More ran at once than there are slots, or a slot was leaked.
    Slots,
    /// A pool that got another share than its own.
    Share,
    /// An Idempotency-Key that stands for more than one statement.
    Key,
    /// There, although it was refused.
    Phantom,
    /// A read that no order of what was done explains.
    Stale,
    /// Nodes that hold different things, or do not serve, when all is over.
    Differs,
    /// Sessions that did not serve again in the time given.
    Never,
    /// An answer that no client should get.
    Odd,
}

impl Class {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 14] = [
        Self::Lost,
        Self::Doubled,
        Self::Back,
        Self::Owners,
        Self::WrongEnd,
        Self::Bytes,
        Self::Slots,
        Self::Share,
        Self::Key,
        Self::Phantom,
        Self::Stale,
        Self::Differs,
        Self::Never,
        Self::Odd,
    ];

    /// The check that looks for it.
    #[must_use]
    pub fn check(self) -> Check {
        match self {
            Self::Lost => Check::Lost,
            Self::Doubled | Self::Key => Check::Doubled,
            Self::WrongEnd | Self::Phantom | Self::Odd => Check::Ends,
            Self::Back | Self::Owners => Check::States,
            Self::Bytes => Check::Bytes,
            Self::Slots => Check::Slots,
            Self::Share => Check::Pools,
            Self::Stale => Check::Reads,
            Self::Differs => Check::Agreement,
            Self::Never => Check::Rates,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "run twice",
            Self::Back => "back",
            Self::Owners => "two owners",
            Self::WrongEnd => "wrong end",
            Self::Bytes => "bytes",
            Self::Slots => "slots",
            Self::Share => "share",
            Self::Key => "key",
            Self::Phantom => "phantom",
            Self::Stale => "stale",
            Self::Differs => "differs",
            Self::Never => "never served again",
            Self::Odd => "odd answer",
        })
    }
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What was broken.
    pub class: Class,
    /// The statement, where it is known.
    pub job: Option<String>,
    /// The evidence.
    pub text: String,
}

impl Violation {
    pub(super) fn new(class: Class, job: Option<&str>, text: impl Into<String>) -> Self {
        Self {
            class,
            job: job.map(str::to_owned),
            text: text.into(),
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// I2, I10: what was acknowledged is there, and ended.
    Lost,
    /// I3: nothing ran twice.
    Doubled,
    /// I3, I8: everything ended as it must.
    Ends,
    /// I1, I4: nothing goes back, and an epoch has one owner.
    States,
    /// I5: results are what they must be, and stay so.
    Bytes,
    /// I6: reads are linearizable.
    Reads,
    /// I7: never more than the slots, and none leaked.
    Slots,
    /// I7: pools get their share.
    Pools,
    /// I9: all nodes hold the same in the end, and serve.
    Agreement,
    /// Whether there was enough to see, and service came back.
    Rates,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Ends => "ends",
            Self::States => "states",
            Self::Bytes => "bytes",
            Self::Reads => "reads",
            Self::Slots => "slots",
            Self::Pools => "pools",
            Self::Agreement => "agreement",
            Self::Rates => "rates",
        })
    }
}

/// What one check says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// All that is wrong.
    pub violations: Vec<Violation>,
}

impl Finding {
    pub(super) fn of(check: Check, violations: Vec<Violation>) -> Self {
        let verdict = if violations.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Violated
        };
        Self {
            check,
            verdict,
            violations,
        }
    }

    /// The same, but unknown where it would be a pass, if `unseen`.
    pub(super) fn unless(mut self, unseen: bool, why: impl Into<String>) -> Self {
        if unseen && self.verdict == Verdict::Pass {
            self.verdict = Verdict::Unknown(why.into());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_outweighs_all_and_unknown_is_no_pass() {
        let unknown = || Verdict::Unknown("x".to_owned());
        assert_eq!(Verdict::Pass.and(&Verdict::Pass), Verdict::Pass);
        assert_eq!(Verdict::Pass.and(&unknown()), unknown());
        assert_eq!(unknown().and(&Verdict::Pass), unknown());
        assert_eq!(unknown().and(&Verdict::Violated), Verdict::Violated);
        assert_eq!(Verdict::Violated.and(&unknown()), Verdict::Violated);
        let codes = [Verdict::Pass, Verdict::Violated, unknown()].map(|v| v.exit_code());
        assert_eq!(codes, [0, 1, 2]);
    }

    #[test]
    fn every_class_belongs_to_a_check_and_stands_in_the_list_once() {
        for class in Class::ALL {
            let times = Class::ALL.iter().filter(|other| **other == class).count();
            assert_eq!(times, 1, "{class}");
        }
        let finding = Finding::of(Check::Lost, vec![]).unless(true, "why");
        assert_eq!(finding.verdict, Verdict::Unknown("why".to_owned()));
    }
}
