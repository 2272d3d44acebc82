//! Newtypes for the ids that cross crate borders.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An id that does not have its form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is no {what}: {allowed}")]
pub struct InvalidId {
    /// What kind of id was expected.
    pub what: &'static str,
    /// The offending value.
    pub value: String,
    /// The form that is allowed.
    pub allowed: &'static str,
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A coordinator, unique in its cluster; from 1.
    NodeId
);
number_id!(
    /// The generation of a session's ownership: only rises (invariant I1).
    Epoch
);

/// A statement's number in the cluster, counted in `apply`; written `job-1`, `job-2`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job-{}", self.0)
    }
}

impl FromStr for JobId {
    type Err = InvalidId;

    fn from_str(value: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            what: "job id",
            value: value.to_owned(),
            allowed: "`job-` and a number from 1 without leading zeros",
        };
        let digits = value.strip_prefix("job-").ok_or_else(invalid)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
            return Err(invalid());
        }
        digits.parse().map(Self).map_err(|_| invalid())
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                let accepts: fn(&[u8]) -> bool = $accepts;
                if accepts(value.as_bytes()) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(InvalidId { what: $what, value: value.to_owned(), allowed: $allowed })
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-')
}

text_id!(
    /// A session's id as its users write it; case-sensitive.
    SessionId,
    "session id",
    "^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$",
    |bytes| {
        bytes.len() <= 128
            && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|b| is_label_byte(*b))
    }
);

text_id!(
    /// The label that sharing and limits go by until authentication comes.
    UserName,
    "user",
    "^[A-Za-z0-9._@-]{1,128}$",
    |bytes| (1..=128).contains(&bytes.len()) && bytes.iter().all(|b| is_label_byte(*b))
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_ids_read_back_as_written() {
        assert_eq!("job-17".parse(), Ok(JobId(17)));
        assert_eq!(JobId(u64::MAX).to_string().parse(), Ok(JobId(u64::MAX)));
        for bad in [
            "",
            "17",
            "job-",
            "job-0",
            "job-01",
            "job-+1",
            "JOB-1",
            "job-18446744073709551616",
        ] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn session_ids_are_plain_labels() {
        let longest = "a".repeat(128);
        for good in [
            "default",
            "user-alice",
            "a",
            "9",
            "A.b_c@d-e",
            longest.as_str(),
        ] {
            assert!(good.parse::<SessionId>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(129);
        for bad in [
            "",
            ".x",
            "-x",
            "a b",
            "a/b",
            "../x",
            "ä",
            too_long.as_str(),
            "a\n",
        ] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }
}
