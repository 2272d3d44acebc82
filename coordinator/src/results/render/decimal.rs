//! Decimals as text in their scale.
//!
//! **Invariant:** every digit of the scale is there, zeros too; no exponent.

use std::io::Write;

/// Writes `value × 10^-scale`.
pub(super) fn write_decimal(out: &mut Vec<u8>, value: i128, scale: i32) {
    if value < 0 {
        out.push(b'-');
    }
    let digits = value.unsigned_abs().to_string();
    let Some(scale) = usize::try_from(scale).ok().filter(|scale| *scale > 0) else {
        out.extend_from_slice(digits.as_bytes());
        if value != 0 {
            out.resize(out.len() + scale.unsigned_abs() as usize, b'0');
        }
        return;
    };
    let (whole, fraction) = digits
        .len()
        .checked_sub(scale)
        .filter(|whole| *whole > 0)
        .map_or(("0", digits.as_str()), |whole| digits.split_at(whole));
    let _ = write!(out, "{whole}.{fraction:0>scale$}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: i128, scale: i32) -> String {
        let mut out = Vec::new();
        write_decimal(&mut out, value, scale);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keeps_the_scale() {
        for (value, scale, expected) in [
            (12_340, 3, "12.340"),
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (-123, 3, "-0.123"),
            (7, -2, "700"),
            (0, -2, "0"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(text(value, scale), expected);
        }
    }

    proptest! {
        #[test]
        fn reads_back(value: i128, scale in 0_i32..=38) {
            let written = text(value, scale);
            let fraction = written.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            prop_assert_eq!(fraction, usize::try_from(scale).unwrap());
            prop_assert_eq!(written.replace('.', "").parse::<i128>().unwrap(), value);
        }
    }
}
