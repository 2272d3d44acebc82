//! Query parameters, read strictly: an unknown one, one given twice, or a value out of its range
//! is refused, all of them in one answer.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;

use crate::http::problem::Problem;
use crate::service::{Allowed, FieldError};

/// The query of one request, and what is wrong with it so far.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Reads the query of `uri`, which may have the parameters `known` and no others.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Self {
        let raw = uri.query().unwrap_or_default();
        let mut query = Self {
            pairs: Vec::new(),
            errors: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let allowed = if known.is_empty() {
                    Allowed::from("no query parameters")
                } else {
                    Allowed::one_of(known)
                };
                query.errors.push(FieldError::new(name, value, allowed));
            } else if query.get(&name).is_some() {
                query
                    .errors
                    .push(FieldError::new(name, value, "to be given once"));
            } else {
                query.pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        query
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    fn read<T>(
        &mut self,
        name: &str,
        allowed: impl Into<Allowed>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let read = read(value);
        if read.is_none() {
            let error = FieldError::new(name, value, allowed);
            self.errors.push(error);
        }
        read
    }

    /// A whole number in a range.
    pub(crate) fn number(&mut self, name: &str, range: &RangeInclusive<u64>, default: u64) -> u64 {
        self.number_opt(name, range).unwrap_or(default)
    }

    /// A whole number in a range, or nothing.
    pub(crate) fn number_opt(&mut self, name: &str, range: &RangeInclusive<u64>) -> Option<u64> {
        let allowed = if *range.end() >= i64::MAX.unsigned_abs() {
            format!("a whole number from {}", range.start())
        } else {
            format!("a whole number from {} to {}", range.start(), range.end())
        };
        self.read(name, allowed, |text| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let number = text.parse().ok().filter(|n| range.contains(n));
            number.filter(|_| digits)
        })
    }

    /// A decimal number of seconds from 0 to `most`.
    pub(crate) fn seconds(&mut self, name: &str, most: u32, default: Duration) -> Duration {
        let allowed = format!("a decimal number of seconds from 0 to {most}");
        self.read(name, allowed, |text| {
            // As JSON writes numbers: clients that compute a wait may write 5e-05.
            let number = |b: u8| b.is_ascii_digit() || b".eE+-".contains(&b);
            let plain = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(number);
            let seconds: f64 = text.parse().ok().filter(|_| plain)?;
            let duration = Duration::try_from_secs_f64(seconds).ok()?;
            (duration <= Duration::from_secs(u64::from(most))).then_some(duration)
        })
        .unwrap_or(default)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.choice(name, &[("true", true), ("false", false)])
            .unwrap_or_default()
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.read(name, Allowed::one_of(&words), |text| {
            let found = choices.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value)
        })
    }

    /// Anything that has a text form of its own.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, allowed: &str) -> Option<T> {
        self.read(name, allowed, |text| text.parse().ok())
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 with everything that was wrong.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(
            &format!("/x?{text}").parse().unwrap(),
            &["wait", "rows", "stale", "pool"],
        )
    }

    fn wrong_fields(query: Query) -> Vec<String> {
        query.errors.into_iter().map(|e| e.field).collect()
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        for (text, wrong) in [
            ("", vec![]),
            ("wait=1", vec![]),
            ("wait=1&wait=1", vec!["wait"]),
            ("w%61it=1&wait=1", vec!["wait"]),
            ("Wait=1", vec!["Wait"]),
            ("x=1&y=2", vec!["x", "y"]),
            ("wait", vec![]),
        ] {
            assert_eq!(wrong_fields(query(text)), wrong, "{text}");
        }
    }

    #[test]
    fn seconds_are_decimal_and_bounded() {
        for (text, expected) in [
            ("0", Some(0)),
            ("2.5", Some(2_500)),
            ("60", Some(60_000)),
            ("60.001", None),
            ("-1", None),
            ("1e1", Some(10_000)),
            ("5e-05", Some(0)),
            ("1e2", None),
            ("1e999", None),
            ("1e", None),
            (".5", None),
            ("NaN", None),
            ("inf", None),
            ("", None),
            (".", None),
            ("%2B1", None),
            ("99999999999999999999999", None),
        ] {
            let mut query = query(&format!("wait={text}"));
            let seconds = query.seconds("wait", 60, Duration::MAX);
            match expected {
                Some(ms) => assert_eq!(seconds.as_millis(), ms, "{text}"),
                None => assert_eq!(wrong_fields(query), ["wait"], "{text}"),
            }
        }
    }

    #[test]
    fn numbers_are_whole_and_bounded() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("1001", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("", None),
            ("x", None),
            ("18446744073709551616", None),
        ] {
            let mut query = query(&format!("rows={text}"));
            let number = query.number_opt("rows", &(0..=1000));
            assert_eq!(number, expected, "{text}");
            assert_eq!(query.finish().is_err(), expected.is_none(), "{text}");
        }
    }

    #[test]
    fn flags_are_words() {
        for (text, expected, fine) in [
            ("stale=true", true, true),
            ("stale=false", false, true),
            ("", false, true),
            ("stale=1", false, false),
            ("stale=", false, false),
            ("stale=TRUE", false, false),
        ] {
            let mut query = query(text);
            assert_eq!(query.flag("stale"), expected, "{text}");
            assert_eq!(query.finish().is_ok(), fine, "{text}");
        }
    }
}
