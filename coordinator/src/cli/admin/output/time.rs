//! Points in time, and how long ago they were.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Serialize, Serializer};

/// A point in time; written as RFC 3339 in UTC with milliseconds and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli::admin) struct Time(DateTime<Utc>);

impl Time {
    /// Of milliseconds since the Unix epoch; 0 and what no calendar holds is none.
    pub(in crate::cli::admin) fn of_millis(millis: u64) -> Option<Self> {
        let millis = i64::try_from(millis).ok().filter(|millis| *millis > 0)?;
        DateTime::from_timestamp_millis(millis).map(Self)
    }

    pub(in crate::cli::admin) fn at(self) -> DateTime<Utc> {
        self.0
    }

    pub(in crate::cli::admin) fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// How long ago, in its two largest units: `12s`, `4m 7s`, `3h 12m`, `9d 4h`. What is not yet is
/// `0s`: clocks differ a little.
pub(in crate::cli::admin) fn age(at: Option<Time>, now: DateTime<Utc>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| span(now - at.at()))
}

fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        (_, _, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        let time = Time::of_millis(1_767_225_600_042).unwrap();
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2026-01-01T00:00:00.042Z\"");
        assert_eq!(Time::of_millis(0), None);
        assert_eq!(Time::of_millis(u64::MAX), None);
    }

    #[test]
    fn ages_are_short() {
        let at = Time::of_millis(1_767_225_600_000);
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3_599, "59m 59s"),
            (3_600, "1h 0m"),
            (90_000, "1d 1h"),
        ] {
            let now = at.unwrap().at() + TimeDelta::seconds(seconds);
            assert_eq!(age(at, now), expected);
        }
        assert_eq!(age(None, at.unwrap().at()), "-");
    }
}
