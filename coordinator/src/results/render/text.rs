//! Strings, floats and binary as JSON text.
//!
//! **Invariant:** what is written is valid UTF-8 and valid JSON, whatever the bytes were: Spark lets
//! a string hold any bytes (`cast(X'ff' as string)`), JSON does not.

use std::borrow::Cow;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Writes bytes that should be UTF-8 as a JSON string; what is not becomes U+FFFD.
pub(super) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let Some(escape) = escape(*byte) else {
            continue;
        };
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        out.extend_from_slice(escape.as_bytes());
        plain = at + 1;
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

fn escape(byte: u8) -> Option<Cow<'static, str>> {
    Some(match byte {
        b'"' => "\\\"".into(),
        b'\\' => "\\\\".into(),
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\t' => "\\t".into(),
        0..0x20 => format!("\\u{byte:04x}").into(),
        _ => return None,
    })
}

/// Appends bytes in base64.
pub(super) fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
}

/// A float that JSON has no number for.
fn unwritable(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("Infinity")
    } else if value == f64::NEG_INFINITY {
        Some("-Infinity")
    } else {
        None
    }
}

/// Writes a double: the shortest digits that read back as the same double; NaN and the infinities
/// in quotes if asked for.
pub(super) fn write_double(out: &mut Vec<u8>, value: f64, quote: &str) {
    let _ = match unwritable(value) {
        Some(word) => write!(out, "{quote}{word}{quote}"),
        None => write!(out, "{value:?}"),
    };
}

/// Writes a float: the shortest digits that read back as the same float.
pub(super) fn write_float(out: &mut Vec<u8>, value: f32, quote: &str) {
    let _ = match unwritable(f64::from(value)) {
        Some(word) => write!(out, "{quote}{word}{quote}"),
        None => write!(out, "{value:?}"),
    };
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
    fn floats() {
        for (value, expected) in [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(text(|out| write_double(out, value, "\"")), expected);
        }
        assert_eq!(text(|out| write_float(out, 0.1, "\"")), "0.1");
        assert_eq!(text(|out| write_float(out, f32::INFINITY, "")), "Infinity");
    }

    #[test]
    fn strings_that_are_not_utf8() {
        assert_eq!(text(|out| write_string(out, b"\xffA")), "\"\u{fffd}A\"");
    }

    proptest! {
        #[test]
        fn strings_read_back(value: String) {
            let written = text(|out| write_string(out, value.as_bytes()));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), value);
        }

        #[test]
        fn any_bytes_give_json(value: Vec<u8>) {
            let written = text(|out| write_string(out, &value));
            prop_assert!(serde_json::from_str::<String>(&written).is_ok());
        }

        #[test]
        fn floats_read_back(double: f64, float: f32) {
            prop_assume!(double.is_finite() && float.is_finite());
            let written = text(|out| write_double(out, double, "\""));
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), double.to_bits());
            let written = text(|out| write_float(out, float, "\""));
            prop_assert_eq!(written.parse::<f32>().unwrap().to_bits(), float.to_bits());
        }
    }
}
