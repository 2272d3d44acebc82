//! Times as Spark writes them in its settings: `3600000ms`, `60m`, `1h`, or a bare number.

/// Milliseconds of a time whose bare form counts milliseconds; none if it is not one, or negative
/// (Spark's word for "no limit").
pub(super) fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.parse().ok()?;
    let unit = match unit {
        "us" => return Some(number / 1_000),
        "" | "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_spark_writes_them() {
        for (text, expected) in [
            ("3600000ms", Some(3_600_000)),
            ("3600000", Some(3_600_000)),
            ("12s", Some(12_000)),
            ("60m", Some(3_600_000)),
            ("60min", Some(3_600_000)),
            ("1h", Some(3_600_000)),
            ("2d", Some(172_800_000)),
            ("1500us", Some(1)),
            ("0", Some(0)),
            ("-1", None),
            ("", None),
            ("ms", None),
            ("1.5h", None),
            ("1 fortnight", None),
            ("99999999999999999999s", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
