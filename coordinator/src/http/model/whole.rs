//! Whole numbers in bodies. JSON does not tell `4` from `4.0`, and some clients write the latter.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Above it a double may not be what was written.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number from 0, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Whole(u64);

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole, E> {
        if number.fract() == 0.0 && (0.0..=MOST_EXACT).contains(&number) {
            Ok(Whole(number as u64))
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(WholeVisitor)
    }
}

/// Reads a whole number.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Whole::deserialize(deserializer).map(|whole| whole.0)
}

/// Reads a whole number or null.
pub(super) fn whole_opt<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    let whole = Option::<Whole>::deserialize(deserializer)?;
    Ok(whole.map(|whole| whole.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_taken_however_they_are_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("43", Some(43)),
            ("43.0", Some(43)),
            ("4e1", Some(40)),
            ("-0.0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("1e30", None),
            ("-1", None),
            ("-1.0", None),
            ("1.5", None),
            ("\"5\"", None),
            ("true", None),
            ("[]", None),
        ] {
            let read = serde_json::from_str::<Whole>(text);
            assert_eq!(read.as_ref().ok(), expected.map(Whole).as_ref(), "{text}");
            if let Err(error) = read {
                let error = error.to_string();
                assert!(error.contains("expected a whole number from 0"), "{error}");
            }
        }
    }
}
