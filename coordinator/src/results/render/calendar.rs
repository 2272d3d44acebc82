//! Dates, times and timestamps as ISO 8601, over Spark's whole range (years −290 308 to +294 247 and
//! far beyond for dates), which is wider than chrono's.
//!
//! **Invariant:** proleptic Gregorian, as Spark counts; years outside 0 to 9999 carry a sign.

use std::io::Write;

const DAY_SECONDS: i64 = 86_400;

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Eras of 400 years that begin on the first of March, so that a leap day ends its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Writes a day counted from 1970-01-01.
pub(super) fn write_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    let _ = match year {
        0..=9999 => write!(out, "{year:04}-{month:02}-{day:02}"),
        10_000.. => write!(out, "+{year}-{month:02}-{day:02}"),
        _ => write!(out, "-{:04}-{month:02}-{day:02}", -year),
    };
}

/// Writes a time of day in nanoseconds, with as many digits of a fraction as it has.
pub(super) fn write_time(out: &mut Vec<u8>, nanos: i64) {
    let seconds = nanos.div_euclid(1_000_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    write_fraction(out, nanos.rem_euclid(1_000_000_000), 9);
}

/// Writes `.digits` without trailing zeros, nothing for zero.
pub(super) fn write_fraction(out: &mut Vec<u8>, fraction: i64, width: usize) {
    if fraction == 0 {
        return;
    }
    let digits = format!("{fraction:0width$}");
    out.push(b'.');
    out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
}

/// A timestamp's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Micros,
    Nanos,
}

/// Writes a timestamp counted from 1970-01-01, with `Z` if it is a moment.
pub(super) fn write_timestamp(out: &mut Vec<u8>, value: i64, unit: Unit, moment: bool) {
    let (per_second, to_nanos) = match unit {
        Unit::Micros => (1_000_000, 1_000),
        Unit::Nanos => (1_000_000_000, 1),
    };
    let day = DAY_SECONDS * per_second;
    write_date(out, value.div_euclid(day));
    out.push(b'T');
    write_time(out, value.rem_euclid(day) * to_nanos);
    if moment {
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_over_the_whole_range() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_162, "0001-01-01"),
            (-719_163, "0000-12-31"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (i64::from(i32::MAX), "+5881580-07-11"),
            (i64::from(i32::MIN), "-5877641-06-23"),
        ] {
            assert_eq!(text(|out| write_date(out, days)), expected);
        }
    }

    #[test]
    fn timestamps_over_the_whole_range() {
        use Unit::{Micros, Nanos};
        for (value, unit, moment, expected) in [
            (0, Micros, true, "1970-01-01T00:00:00Z"),
            (-1, Micros, true, "1969-12-31T23:59:59.999999Z"),
            (1_500_000, Micros, false, "1970-01-01T00:00:01.5"),
            (1, Nanos, false, "1970-01-01T00:00:00.000000001"),
            (i64::MAX, Micros, true, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, Micros, true, "-290308-12-21T19:59:05.224192Z"),
            (i64::MIN, Nanos, true, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(
                text(|out| write_timestamp(out, value, unit, moment)),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn dates_are_those_of_chrono(days in -95_000_000_i32..95_000_000) {
            let expected = NaiveDate::from_epoch_days(days).unwrap();
            let (year, month, day) = civil(i64::from(days));
            prop_assert_eq!(year, i64::from(expected.year()));
            prop_assert_eq!(month, i64::from(expected.month()));
            prop_assert_eq!(day, i64::from(expected.day()));
        }

        #[test]
        fn timestamps_read_back(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let written = text(|out| write_timestamp(out, micros, Unit::Micros, true));
            let read = DateTime::parse_from_rfc3339(&written).unwrap();
            prop_assert_eq!(read.timestamp_micros(), micros);
        }
    }
}
