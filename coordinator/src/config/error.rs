//! What is wrong with a configuration, in the words of whoever wrote it.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In a file, at a line if that is known.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: Option<u64>,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// In a `--set` on the command line.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Set => f.write_str("--set"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub origin: Origin,
    /// The key, as it was written.
    pub key: String,
    /// What is wrong, with the value and what is allowed instead.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file that was asked for cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is longer than any configuration is.
    #[error("{} is {size} bytes long; allowed: {allowed}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        size: u64,
        /// The longest that is read, in bytes.
        allowed: u64,
    },
    /// Everything that is wrong, at once.
    #[error("{}", list(mistakes))]
    Mistakes {
        /// At least one.
        mistakes: Vec<Mistake>,
    },
}

/// Mistakes shown in one message.
const MAX_SHOWN: usize = 20;

fn list(mistakes: &[Mistake]) -> String {
    if let [only] = mistakes {
        return only.to_string();
    }
    let mut text = format!("{} mistakes in the configuration", mistakes.len());
    for mistake in mistakes.iter().take(MAX_SHOWN) {
        text.push_str("\n  ");
        text.push_str(&mistake.to_string());
    }
    if mistakes.len() > MAX_SHOWN {
        text.push_str("\n  …");
    }
    text
}
