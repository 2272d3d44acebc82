//! Which state may follow which: the one table that `apply` and the actors share, so that two
//! state machines cannot drift.

use crate::registry::{NodeState, SessionState, StatementState};

impl StatementState {
    /// Whether a statement in this state has reached its end.
    #[must_use]
    pub fn has_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Unspecified | Self::Queued | Self::Running => false,
        }
    }

    /// Whether a statement may go from this state to `next`: forward only (invariant I4).
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Running | Self::Failed | Self::Cancelled),
            Self::Running => next.has_ended(),
            Self::Unspecified | Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }

    /// The state as the REST API writes it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl SessionState {
    /// Whether the session takes statements, now or as soon as it has opened.
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::Starting | Self::Open => true,
            Self::Unspecified | Self::Closing | Self::Closed | Self::Failed => false,
        }
    }

    /// Whether the session has an owner that acts for it: it takes statements, or is winding up.
    #[must_use]
    pub fn is_owned(self) -> bool {
        match self {
            Self::Starting | Self::Open | Self::Closing => true,
            Self::Unspecified | Self::Closed | Self::Failed => false,
        }
    }

    /// Whether a session may go from this state to `next`. A closed or failed session may be
    /// opened anew (epoch + 1), a running one starts again when Spark has lost it.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Starting => {
                matches!(
                    next,
                    Self::Open | Self::Starting | Self::Closing | Self::Closed | Self::Failed
                )
            }
            Self::Open => matches!(next, Self::Starting | Self::Closing | Self::Failed),
            Self::Closing => matches!(next, Self::Closed | Self::Failed),
            Self::Closed | Self::Failed => matches!(next, Self::Starting),
            Self::Unspecified => false,
        }
    }
}

impl NodeState {
    /// Whether the node takes sessions. A registry written before nodes had states says nothing.
    #[must_use]
    pub fn is_up(self) -> bool {
        match self {
            Self::Unspecified | Self::Up => true,
            Self::Down | Self::Draining => false,
        }
    }

    /// Whether the node does its work: what it holds can be had from it.
    #[must_use]
    pub fn is_working(self) -> bool {
        match self {
            Self::Unspecified | Self::Up | Self::Draining => true,
            Self::Down => false,
        }
    }

    /// The state as the REST API writes it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Unspecified | Self::Up => "up",
            Self::Down => "down",
            Self::Draining => "draining",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT_STATES: [StatementState; 5] = [
        StatementState::Queued,
        StatementState::Running,
        StatementState::Succeeded,
        StatementState::Failed,
        StatementState::Cancelled,
    ];

    #[test]
    fn statements_never_go_back() {
        let rank = |s: StatementState| match s {
            StatementState::Unspecified | StatementState::Queued => 0,
            StatementState::Running => 1,
            StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled => 2,
        };
        for from in STATEMENT_STATES {
            for to in STATEMENT_STATES {
                if from.may_become(to) {
                    assert!(rank(from) < rank(to), "{from:?} -> {to:?}");
                }
            }
        }
        assert!(
            !StatementState::Queued.may_become(StatementState::Succeeded),
            "nothing succeeds unrun"
        );
    }
}
