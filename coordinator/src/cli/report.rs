//! How a failure is told.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use super::tell;

/// What ends the command: a message and an exit code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// A failure with an error's whole chain.
    pub(super) fn new(code: u8, error: &dyn Error) -> Self {
        Self {
            code,
            message: chain(error),
        }
    }

    /// The same, with what to do about it on a line of its own.
    pub(super) fn advised(code: u8, error: &dyn Error, next: Option<&str>) -> Self {
        let mut failure = Self::new(code, error);
        if let Some(next) = next {
            failure.message.push_str("\n  next: ");
            failure.message.push_str(next);
        }
        failure
    }

    /// An exit code alone: what there is to say was said.
    pub(super) fn silent(code: u8) -> Self {
        Self {
            code,
            message: String::new(),
        }
    }

    /// Tells it on standard error.
    pub(super) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            tell(&format!("libra: {}", self.message));
        }
        ExitCode::from(self.code)
    }
}

/// The error and its sources, joined by colons; a source that its error repeats is left out.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;

    #[test]
    fn the_whole_chain_is_told() {
        let e = ConfigError::Unreadable {
            path: "x.yml".into(),
            source: std::io::Error::other("no such luck"),
        };
        let failure = Failure::new(2, &e);
        assert_eq!(
            failure.message,
            "cannot read the configuration x.yml: no such luck"
        );
    }
}
