//! Values as text → values as types. Every error is what would have been allowed.

use std::time::Duration;

/// What a key takes, in words: the only thing a failed parse has to say.
pub(super) type Allowed = String;

/// A whole number in decimal digits, `min` to `max`.
pub(super) fn whole<T>(text: &str, min: T, max: T) -> Result<T, Allowed>
where
    T: Copy + PartialOrd + std::fmt::Display + std::str::FromStr,
{
    decimal(text)
        .and_then(|digits| digits.parse::<T>().ok())
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| format!("a whole number from {min} to {max}"))
}

/// `text` if it is a plain decimal number: no sign, no leading zero (YAML 1.1 would read it as
/// octal), no underscore.
fn decimal(text: &str) -> Option<&str> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text.len() == 1 || !text.starts_with('0'))).then_some(text)
}

/// A number of bytes: plain, or with one of B, KiB, MiB, GiB, TiB.
pub(super) fn bytes(text: &str, min: u64, max: u64) -> Result<u64, Allowed> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "kib" => Some(10),
        "mib" => Some(20),
        "gib" => Some(30),
        "tib" => Some(40),
        _ => None,
    };
    decimal(digits)
        .and_then(|digits| digits.parse::<u64>().ok())
        .zip(shift)
        .and_then(|(n, shift)| n.checked_mul(1 << shift))
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| {
            format!(
                "bytes, plain or in B, KiB, MiB, GiB, TiB, from {} to {}",
                show_bytes(min),
                show_bytes(max)
            )
        })
}

/// A number of bytes for memory, so that it also fits `usize`.
pub(super) fn memory(text: &str, min: usize, max: usize) -> Result<usize, Allowed> {
    let n = bytes(text, min as u64, max as u64)?;
    Ok(usize::try_from(n).unwrap_or(max))
}

fn show_bytes(n: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    units
        .iter()
        .find(|(shift, _)| n > 0 && n.is_multiple_of(1 << shift))
        .map_or_else(
            || n.to_string(),
            |(shift, unit)| format!("{}{unit}", n >> shift),
        )
}

/// Milliseconds, `min` to `max`.
pub(super) fn millis(text: &str, min: u64, max: u64) -> Result<Duration, Allowed> {
    whole(text, min, max).map(Duration::from_millis)
}

/// Minutes, whole or with up to three decimals, `min` to `max`.
pub(super) fn minutes(text: &str, min: u64, max: u64) -> Result<Duration, Allowed> {
    thousandths(text)
        .filter(|n| (min.saturating_mul(1_000)..=max.saturating_mul(1_000)).contains(n))
        .map(|n| Duration::from_millis(n * 60))
        .ok_or_else(|| format!("a number of minutes from {min} to {max}, such as 30 or 0.5"))
}

/// A decimal number in thousandths: `1.5` is 1500.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = (1..=3).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u64 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    let whole: u64 = decimal(whole)?.parse().ok()?;
    whole.checked_mul(1_000)?.checked_add(fraction)
}

/// A part of 1 in thousandths.
pub(super) fn ratio(text: &str) -> Result<u16, Allowed> {
    thousandths(text)
        .filter(|n| *n <= 1_000)
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| "a number from 0 to 1 with at most three decimals, such as 0.1".to_owned())
}

/// Where a collector of traces listens.
pub(super) fn collector(text: &str) -> Result<String, Allowed> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let uri = text.parse::<http::Uri>().ok();
    let fits = uri.is_some_and(|uri| {
        let host = uri.host().is_some_and(|host| !host.is_empty());
        host && uri.path() == "/" && uri.query().is_none()
    });
    rest.filter(|_| fits)
        .map(|_| text.to_owned())
        .ok_or_else(|| "`http://host:port` or `https://host:port`".to_owned())
}

/// One of a few words, in any case, as Spring binds an enum.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Allowed> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            names.join(" or ")
        })
}

/// 1 to 64 letters, digits, `.`, `_`, `-`.
pub(super) fn label(text: &str) -> Result<String, Allowed> {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    fits.then(|| text.to_owned())
        .ok_or_else(|| "1 to 64 letters, digits, `.`, `_`, `-`".to_owned())
}

/// A path that is not empty and has no NUL.
pub(super) fn path(text: &str) -> Result<std::path::PathBuf, Allowed> {
    (!text.trim().is_empty() && !text.contains('\0'))
        .then(|| text.into())
        .ok_or_else(|| "a path".to_owned())
}

/// Anything that reads from text and whose error says what is allowed.
pub(super) fn read<T>(text: &str) -> Result<T, Allowed>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| e.to_string())
}

/// `*`, or `scheme://host[:port]`.
pub(super) fn origin(text: &str) -> Result<String, Allowed> {
    let fits = text == "*"
        || text.split_once("://").is_some_and(|(scheme, host)| {
            matches!(scheme, "http" | "https")
                && (super::address::is_host_name(host) || host.parse::<super::Address>().is_ok())
        });
    fits.then(|| text.to_owned())
        .ok_or_else(|| "a list of origins, each `*` or like https://host:8443".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_part_of_one() {
        for (text, parts) in [("0", 0), ("1", 1_000), ("1.0", 1_000), ("0.125", 125)] {
            assert_eq!(ratio(text), Ok(parts), "{text}");
        }
        for bad in ["", "-0.1", "1.001", "2", ".5", "0.1234", "10%", "1e-1"] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_collector_is_a_scheme_a_host_and_a_port() {
        for text in [
            "http://127.0.0.1:4317",
            "https://collector.example:443",
            "http://[::1]:4317/",
        ] {
            assert_eq!(collector(text), Ok(text.to_owned()));
        }
        for bad in [
            "",
            "collector:4317",
            "grpc://collector:4317",
            "http://",
            "http://collector:4317/v1/traces",
            "http://collector:4317?x=1",
            "http://a b:4317",
        ] {
            assert!(collector(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        let read = |text| bytes(text, 1, 1 << 50);
        for (text, n) in [
            ("1", 1),
            ("1024", 1024),
            ("1B", 1),
            ("256KiB", 256 << 10),
            ("4 MiB", 4 << 20),
            ("1gib", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(read(text), Ok(n), "{text}");
        }
        for bad in [
            "",
            "0",
            "-1",
            "1.5GiB",
            "1GB",
            "1KB",
            "GiB",
            "1GiBs",
            "99999999999TiB",
            "0x10",
            "010",
            "1e3",
            "１",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            bytes("x", 1024, 1 << 30).unwrap_err(),
            "bytes, plain or in B, KiB, MiB, GiB, TiB, from 1KiB to 1GiB"
        );
    }

    #[test]
    fn numbers_are_plain_decimals() {
        let read = |text| whole(text, 1_u32, 10);
        assert_eq!((read("1"), read("10")), (Ok(1), Ok(10)));
        for bad in [
            "",
            " 1",
            "0",
            "11",
            "-1",
            "+1",
            "1.0",
            "1_0",
            "01",
            "0x1",
            "ten",
            "4294967296",
        ] {
            assert_eq!(
                read(bad),
                Err("a whole number from 1 to 10".to_owned()),
                "{bad}"
            );
        }
    }

    #[test]
    fn minutes_may_have_decimals() {
        let read = |text| minutes(text, 0, 60);
        for (text, ms) in [
            ("0", 0),
            ("30", 1_800_000),
            ("0.05", 3_000),
            ("1.5", 90_000),
            ("0.001", 60),
            ("60.000", 3_600_000),
        ] {
            assert_eq!(read(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in [
            "",
            ".",
            ".5",
            "1.",
            "1.0000",
            "60.001",
            "-1",
            "+1",
            "1e1",
            "01",
            "0x1",
            "1.-5",
            "1,5",
            "NaN",
            "99999999999999999999",
            "99999999999999999.999",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(minutes("0.999", 1, 60).is_err());
    }

    #[test]
    fn words_go_by_any_case() {
        let words = [("FAIR", 1), ("FIFO", 2)];
        assert_eq!(word("fair", &words), Ok(1));
        assert_eq!(word("FARE", &words), Err("FAIR or FIFO".to_owned()));
    }

    #[test]
    fn origins_are_bare() {
        for good in ["*", "http://localhost:3000", "https://a.example"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in ["", "a.example", "https://a.example/", "ftp://a", "https://"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
