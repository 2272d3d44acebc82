//! Intervals as ISO 8601 durations. Every part carries its own sign, as java.time and PostgreSQL
//! write it, because the parts of a calendar interval may differ in sign.
//!
//! **Invariant:** a part that is zero is left out; an interval of nothing is `P0M` where it counts
//! months and `PT0S` elsewhere.

use std::io::Write;

use super::calendar::write_fraction;

const DAY_MICROS: i64 = 86_400_000_000;

/// Writes an interval of months.
pub(super) fn write_months(out: &mut Vec<u8>, months: i32) {
    out.push(b'P');
    write_part(out, i64::from(months / 12), 'Y');
    write_part(out, i64::from(months % 12), 'M');
    if months == 0 {
        out.extend_from_slice(b"0M");
    }
}

/// Writes an interval of microseconds, in days and below.
pub(super) fn write_micros(out: &mut Vec<u8>, micros: i64) {
    out.push(b'P');
    write_part(out, micros / DAY_MICROS, 'D');
    write_clock(out, micros % DAY_MICROS * 1_000);
    if micros == 0 {
        out.extend_from_slice(b"T0S");
    }
}

/// Writes a calendar interval, whose parts are not carried into one another.
pub(super) fn write_calendar(out: &mut Vec<u8>, months: i32, days: i32, nanos: i64) {
    out.push(b'P');
    write_part(out, i64::from(months / 12), 'Y');
    write_part(out, i64::from(months % 12), 'M');
    write_part(out, i64::from(days), 'D');
    write_clock(out, nanos);
    if months == 0 && days == 0 && nanos == 0 {
        out.extend_from_slice(b"T0S");
    }
}

fn write_part(out: &mut Vec<u8>, value: i64, unit: char) {
    if value != 0 {
        let _ = write!(out, "{value}{unit}");
    }
}

/// Writes `T…`: hours, minutes, and seconds with their fraction.
fn write_clock(out: &mut Vec<u8>, nanos: i64) {
    if nanos == 0 {
        return;
    }
    out.push(b'T');
    let seconds = nanos / 1_000_000_000;
    write_part(out, seconds / 3600, 'H');
    write_part(out, seconds / 60 % 60, 'M');
    let (second, fraction) = (seconds % 60, nanos % 1_000_000_000);
    if second != 0 || fraction != 0 {
        let sign = if nanos < 0 { "-" } else { "" };
        let _ = write!(out, "{sign}{}", second.abs());
        write_fraction(out, fraction.abs(), 9);
        out.push(b'S');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn months() {
        for (value, expected) in [
            (0, "P0M"),
            (14, "P1Y2M"),
            (12, "P1Y"),
            (11, "P11M"),
            (-14, "P-1Y-2M"),
            (i32::MIN, "P-178956970Y-8M"),
        ] {
            assert_eq!(text(|out| write_months(out, value)), expected);
        }
    }

    #[test]
    fn micros() {
        for (value, expected) in [
            (0, "PT0S"),
            (93_784_500_000, "P1DT2H3M4.5S"),
            (-93_784_500_000, "P-1DT-2H-3M-4.5S"),
            (86_400_000_000, "P1D"),
            (-500_000, "PT-0.5S"),
            (1, "PT0.000001S"),
            (60_000_000, "PT1M"),
            (i64::MAX, "P106751991DT4H54.775807S"),
            (i64::MIN, "P-106751991DT-4H-54.775808S"),
        ] {
            assert_eq!(text(|out| write_micros(out, value)), expected);
        }
    }

    #[test]
    fn calendar() {
        for ((months, days, nanos), expected) in [
            ((0, 0, 0), "PT0S"),
            ((14, 25, 18_367_500_000_000), "P1Y2M25DT5H6M7.5S"),
            ((-1, 4, -18_000_000_000_000), "P-1M4DT-5H"),
            ((0, 0, 90_000_000_000_000), "PT25H"),
        ] {
            assert_eq!(
                text(|out| write_calendar(out, months, days, nanos)),
                expected
            );
        }
    }

    /// Reads a duration back; only for the test.
    fn read(text: &str) -> (i64, i128) {
        let (mut months, mut micros, mut clock) = (0, 0, false);
        let mut number = String::new();
        for letter in text.strip_prefix('P').unwrap().chars() {
            let value = |scale: i128| {
                let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
                let sign = if number.starts_with('-') { -1 } else { 1 };
                let digits = format!("{fraction:0<6}").parse::<i128>().unwrap();
                whole.parse::<i128>().unwrap() * scale + sign * digits * scale / 1_000_000
            };
            match (letter, clock) {
                ('T', false) => clock = true,
                ('Y', false) => months += value(12),
                ('M', false) => months += value(1),
                ('D', false) => micros += value(86_400_000_000),
                ('H', true) => micros += value(3_600_000_000),
                ('M', true) => micros += value(60_000_000),
                ('S', true) => micros += value(1_000_000),
                _ => {
                    number.push(letter);
                    continue;
                }
            }
            number.clear();
        }
        (i64::try_from(months).unwrap(), micros)
    }

    proptest! {
        #[test]
        fn read_back(months: i32, micros: i64) {
            let written = text(|out| write_months(out, months));
            prop_assert_eq!(read(&written), (i64::from(months), 0));
            let written = text(|out| write_micros(out, micros));
            prop_assert_eq!(read(&written), (0, i128::from(micros)));
        }
    }
}
