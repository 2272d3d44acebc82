//! Names that the service gives a form to.

use std::fmt;
use std::str::FromStr;

use libra_proto::types::InvalidId;

/// A pool's name: 1 to 128 printable ASCII characters, no slash, no space at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolName(String);

impl PoolName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PoolName {
    type Err = InvalidId;

    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let printable = |b: u8| (b.is_ascii_graphic() && b != b'/') || b == b' ';
        let fits = (1..=128).contains(&value.len())
            && value.bytes().all(printable)
            && value.trim() == value;
        if fits {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidId {
                what: "pool name",
                value: value.to_owned(),
                allowed: "1 to 128 printable ASCII characters, no `/`, no space at its ends",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_names_are_printable() {
        for (name, fine) in [
            ("default", true),
            ("high-priority", true),
            ("my pool", true),
            ("", false),
            (" x", false),
            ("a/b", false),
            ("a\n", false),
            ("ä", false),
        ] {
            assert_eq!(name.parse::<PoolName>().is_ok(), fine, "{name}");
        }
    }
}
