//! Times as RFC 3339 in UTC, with milliseconds and `Z`.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// A point in time, milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A time of the registry; 0 there means "not yet".
    #[must_use]
    pub fn of(ms: u64) -> Option<Self> {
        (ms != 0).then_some(Self(ms))
    }

    /// A time of the registry that is always there.
    #[must_use]
    pub fn at(ms: u64) -> Self {
        Self(ms)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        let time: DateTime<Utc> =
            DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC);
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-08-23T10:15:30.123Z"])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {
    fn name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_fractions() {
        for (ms, text) in [
            (1, "1970-01-01T00:00:00.001Z"),
            (1_755_944_130_000, "2025-08-23T10:15:30.000Z"),
            (1_755_944_130_120, "2025-08-23T10:15:30.120Z"),
        ] {
            assert_eq!(Timestamp::at(ms).to_string(), text);
        }
        assert_eq!(Timestamp::of(0), None);
        assert!(!Timestamp::at(u64::MAX).to_string().is_empty(), "no panic");
    }
}
