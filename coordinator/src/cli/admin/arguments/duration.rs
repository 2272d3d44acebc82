//! Lengths of time as one writes them.

use std::time::Duration;

/// `90`, `90s`, `5m`, `2h`, `7d`; without a unit it is seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(allowed()),
    };
    let number = digits.parse::<u32>().ok().filter(|number| *number > 0);
    let number = number.ok_or_else(allowed)?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}

fn allowed() -> String {
    "allowed: a number from 1 with s, m, h or d behind it, such as 90s or 5m".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("1", Some(1)),
            ("90s", Some(90)),
            ("5m", Some(300)),
            ("2h", Some(7_200)),
            ("7d", Some(604_800)),
            ("0s", None),
            ("", None),
            ("s", None),
            ("5 m", None),
            ("-5s", None),
            ("1.5h", None),
            ("5ms", None),
            ("5000000000s", None),
            ("5µ", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(time(text).ok(), expected, "{text:?}");
        }
    }
}
