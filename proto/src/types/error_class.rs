//! Libra's own error classes; every other class that a statement shows is Spark's.

use crate::registry::StatementError;

/// Why Libra itself ended a statement, or could not open a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// `timeoutSeconds` passed, counted from acceptance.
    Timeout,
    /// It was sent to Spark, and nobody can know any more whether it ran to its end.
    OutcomeUnknown,
    /// It ran to its end in Spark, but its result cannot be had.
    ResultLost,
    /// The Spark session it was accepted for is gone, and with it what the statement may rely on.
    SessionReset,
    /// Its session was closed.
    SessionClosed,
    /// Spark cancelled it, and nobody had asked for that here.
    Interrupted,
    /// Spark could not be reached in time.
    SparkUnreachable,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Timeout,
        Self::OutcomeUnknown,
        Self::ResultLost,
        Self::SessionReset,
        Self::SessionClosed,
        Self::Interrupted,
        Self::SparkUnreachable,
    ];

    /// The class of that name, if it is Libra's own.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class as the REST API writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "LIBRA_TIMEOUT",
            Self::OutcomeUnknown => "LIBRA_OUTCOME_UNKNOWN",
            Self::ResultLost => "LIBRA_RESULT_LOST",
            Self::SessionReset => "LIBRA_SESSION_RESET",
            Self::SessionClosed => "LIBRA_SESSION_CLOSED",
            Self::Interrupted => "LIBRA_INTERRUPTED",
            Self::SparkUnreachable => "LIBRA_SPARK_UNREACHABLE",
        }
    }

    /// The nearest SQLSTATE: query cancelled for timeouts and interrupts, connection exceptions
    /// for the rest.
    #[must_use]
    pub fn sql_state(self) -> &'static str {
        match self {
            Self::Timeout | Self::Interrupted => "HY008",
            Self::OutcomeUnknown => "08007",
            Self::ResultLost => "58030",
            Self::SessionReset | Self::SessionClosed => "08003",
            Self::SparkUnreachable => "08001",
        }
    }

    /// A statement error of this class.
    #[must_use]
    pub fn error(self, message: impl Into<String>) -> StatementError {
        StatementError {
            error_class: self.name().to_owned(),
            sql_state: self.sql_state().to_owned(),
            message: message.into(),
            ..StatementError::default()
        }
    }
}
