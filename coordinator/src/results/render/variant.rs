//! Spark's variants (a value and a dictionary of field names, both binary) as JSON. The encoding is
//! that of the Parquet project, "Variant Binary Encoding".
//!
//! **Invariant:** bounded by the value's own size: no nesting deeper than [`DEEPEST`], no more values
//! written than the encoding has bytes, whatever its offsets say.

use super::RenderError;
use super::calendar::{self, Unit};
use super::decimal::write_decimal;
use super::text::{write_base64, write_double, write_float, write_string};

/// Nesting that is followed; Spark's own parser stops at 1000.
const DEEPEST: usize = 1_024;

const CUT_SHORT: RenderError = RenderError::BadVariant("it is cut short");

/// Writes a variant as JSON.
pub(in crate::results) fn write_variant(
    out: &mut Vec<u8>,
    value: &[u8],
    metadata: &[u8],
) -> Result<(), RenderError> {
    let names = Names::new(metadata)?;
    let mut writer = Writer {
        out,
        names,
        budget: value.len(),
    };
    writer.value(value, 0)
}

/// The dictionary of field names.
struct Names<'a> {
    bytes: &'a [u8],
    width: usize,
    count: usize,
}

impl<'a> Names<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, RenderError> {
        let header = *bytes.first().ok_or(CUT_SHORT)?;
        if header & 0x0f != 1 {
            return Err(RenderError::BadVariant("its version is not 1"));
        }
        let width = usize::from(header >> 6) + 1;
        let count = number(bytes, 1, width)?;
        Ok(Self {
            bytes,
            width,
            count,
        })
    }

    fn name(&self, id: usize) -> Result<&'a [u8], RenderError> {
        if id >= self.count {
            return Err(RenderError::BadVariant("a field has no name"));
        }
        let offset = |at: usize| number(self.bytes, 1 + self.width * (at + 1), self.width);
        let (from, to) = (offset(id)?, offset(id + 1)?);
        let names = 1 + self.width * (self.count + 2);
        self.bytes.get(names + from..names + to).ok_or(CUT_SHORT)
    }
}

/// Reads a little-endian number of 1 to 4 bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize, RenderError> {
    let bytes = bytes.get(at..at + width).ok_or(CUT_SHORT)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RenderError> {
    bytes.first_chunk().copied().ok_or(CUT_SHORT)
}

/// The parts of an array or object: where the lists begin.
struct Container {
    count: usize,
    ids: usize,
    id_width: usize,
    offsets: usize,
    offset_width: usize,
    values: usize,
}

impl Container {
    fn new(
        value: &[u8],
        large: bool,
        id_width: usize,
        offset_width: usize,
    ) -> Result<Self, RenderError> {
        let count_width = if large { 4 } else { 1 };
        let count = number(value, 1, count_width)?;
        let ids = 1 + count_width;
        let offsets = ids + count * id_width;
        let values = offsets + (count + 1) * offset_width;
        Ok(Self {
            count,
            ids,
            id_width,
            offsets,
            offset_width,
            values,
        })
    }

    fn id(&self, value: &[u8], at: usize) -> Result<usize, RenderError> {
        number(value, self.ids + at * self.id_width, self.id_width)
    }

    fn child<'a>(&self, value: &'a [u8], at: usize) -> Result<&'a [u8], RenderError> {
        let place = self.offsets + at * self.offset_width;
        let offset = number(value, place, self.offset_width)?;
        value.get(self.values + offset..).ok_or(CUT_SHORT)
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    names: Names<'a>,
    budget: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &[u8], depth: usize) -> Result<(), RenderError> {
        if depth > DEEPEST {
            return Err(RenderError::BadVariant("it is nested too deep"));
        }
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or(RenderError::BadVariant("its parts overlap"))?;
        let (header, rest) = value.split_first().ok_or(CUT_SHORT)?;
        let info = usize::from(header >> 2);
        match header & 0b11 {
            0 => self.primitive(info, rest),
            1 => {
                write_string(self.out, rest.get(..info).ok_or(CUT_SHORT)?);
                Ok(())
            }
            2 => self.object(info, value, depth),
            _ => self.array(info, value, depth),
        }
    }

    fn object(&mut self, info: usize, value: &[u8], depth: usize) -> Result<(), RenderError> {
        let widths = ((info >> 2 & 0b11) + 1, (info & 0b11) + 1);
        let fields = Container::new(value, info >> 4 & 1 == 1, widths.0, widths.1)?;
        self.out.push(b'{');
        for at in 0..fields.count {
            if at > 0 {
                self.out.push(b',');
            }
            write_string(self.out, self.names.name(fields.id(value, at)?)?);
            self.out.push(b':');
            self.value(fields.child(value, at)?, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn array(&mut self, info: usize, value: &[u8], depth: usize) -> Result<(), RenderError> {
        let items = Container::new(value, info >> 2 & 1 == 1, 0, (info & 0b11) + 1)?;
        self.out.push(b'[');
        for at in 0..items.count {
            if at > 0 {
                self.out.push(b',');
            }
            self.value(items.child(value, at)?, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn primitive(&mut self, kind: usize, bytes: &[u8]) -> Result<(), RenderError> {
        match kind {
            0 => self.out.extend_from_slice(b"null"),
            1 => self.out.extend_from_slice(b"true"),
            2 => self.out.extend_from_slice(b"false"),
            3 => self.integer(i8::from_le_bytes(fixed(bytes)?).into()),
            4 => self.integer(i16::from_le_bytes(fixed(bytes)?).into()),
            5 => self.integer(i32::from_le_bytes(fixed(bytes)?).into()),
            6 => self.integer(i64::from_le_bytes(fixed(bytes)?)),
            7 => write_double(self.out, f64::from_le_bytes(fixed(bytes)?), "\""),
            8..=10 => self.decimal(kind, bytes)?,
            11..=13 | 17..=20 => self.quoted(kind, bytes)?,
            14 => write_float(self.out, f32::from_le_bytes(fixed(bytes)?), "\""),
            15 | 16 => self.sized(kind, bytes)?,
            _ => return Err(RenderError::BadVariant("a value is of an unknown type")),
        }
        Ok(())
    }

    fn integer(&mut self, value: i64) {
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    /// A decimal is a JSON number, as in Spark's own JSON of a variant, without zeros at its end.
    fn decimal(&mut self, kind: usize, bytes: &[u8]) -> Result<(), RenderError> {
        let (scale, bytes) = bytes.split_first().ok_or(CUT_SHORT)?;
        let mut value = match kind {
            8 => i128::from(i32::from_le_bytes(fixed(bytes)?)),
            9 => i128::from(i64::from_le_bytes(fixed(bytes)?)),
            _ => i128::from_le_bytes(fixed(bytes)?),
        };
        let mut scale = i32::from(*scale);
        while scale > 0 && value % 10 == 0 {
            value /= 10;
            scale -= 1;
        }
        write_decimal(self.out, value, scale);
        Ok(())
    }

    fn sized(&mut self, kind: usize, bytes: &[u8]) -> Result<(), RenderError> {
        let length = number(bytes, 0, 4)?;
        let bytes = bytes.get(4..4 + length).ok_or(CUT_SHORT)?;
        if kind == 16 {
            write_string(self.out, bytes);
        } else {
            self.out.push(b'"');
            write_base64(self.out, bytes);
            self.out.push(b'"');
        }
        Ok(())
    }

    fn quoted(&mut self, kind: usize, bytes: &[u8]) -> Result<(), RenderError> {
        self.out.push(b'"');
        let out = &mut *self.out;
        let long = || fixed(bytes).map(i64::from_le_bytes);
        match kind {
            11 => calendar::write_date(out, i32::from_le_bytes(fixed(bytes)?).into()),
            12 => calendar::write_timestamp(out, long()?, Unit::Micros, true),
            13 => calendar::write_timestamp(out, long()?, Unit::Micros, false),
            17 => calendar::write_time(out, long()?.saturating_mul(1_000)),
            18 => calendar::write_timestamp(out, long()?, Unit::Nanos, true),
            19 => calendar::write_timestamp(out, long()?, Unit::Nanos, false),
            _ => {
                let uuid = uuid::Uuid::from_bytes(fixed(bytes)?);
                out.extend_from_slice(uuid.to_string().as_bytes());
            }
        }
        self.out.push(b'"');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(value: &[u8], metadata: &[u8]) -> Result<String, RenderError> {
        let mut out = Vec::new();
        write_variant(&mut out, value, metadata)?;
        Ok(String::from_utf8(out).unwrap())
    }

    const NO_NAMES: &[u8] = &[1, 0, 0];

    #[test]
    fn primitives() {
        let long = |kind: u8, value: i64| {
            let mut bytes = vec![kind << 2];
            bytes.extend(value.to_le_bytes());
            bytes
        };
        let wide = [&[10 << 2, 2], 150_i128.to_le_bytes().as_slice()].concat();
        for (value, expected) in [
            (vec![0], "null"),
            (vec![4], "true"),
            (vec![8], "false"),
            (vec![0x0c, 0xff], "-1"),
            (vec![0x10, 0x2c, 1], "300"),
            (vec![0x14, 0x70, 0x11, 1, 0], "70000"),
            (long(6, i64::MAX), "9223372036854775807"),
            (vec![0x20, 1, 0x19, 0, 0, 0], "2.5"),
            (vec![0x20, 2, 0xf4, 1, 0, 0], "5"),
            (long(7, 1.5_f64.to_bits().cast_signed()), "1.5"),
            (long(7, f64::NAN.to_bits().cast_signed()), "\"NaN\""),
            (wide, "1.5"),
            (vec![0x2c, 0x56, 0x47, 0, 0], "\"2020-01-01\""),
            (long(12, 500_000), "\"1970-01-01T00:00:00.5Z\""),
            (long(13, 0), "\"1970-01-01T00:00:00\""),
            (long(17, 3_600_000_000), "\"01:00:00\""),
            (long(19, 1), "\"1970-01-01T00:00:00.000000001\""),
            (vec![0x3c, 2, 0, 0, 0, 0, 0xff], "\"AP8=\""),
            (vec![0x40, 1, 0, 0, 0, b'"'], "\"\\\"\""),
            (vec![0x05, b'x'], "\"x\""),
            (
                [&[20 << 2], [0xab; 16].as_slice()].concat(),
                "\"abababab-abab-abab-abab-abababababab\"",
            ),
        ] {
            assert_eq!(json(&value, NO_NAMES).as_deref(), Ok(expected));
        }
    }

    /// Taken from Spark: `to_variant_object(named_struct('zz',1,'a',array(1,2)))`.
    #[test]
    fn containers() {
        let value = b"\x02\x02\x01\x00\x02\x00\x0b\x0c\x01\x03\x02\x00\x02\x04\x0c\x01\x0c\x02";
        let metadata = b"\x01\x02\x00\x02\x03zza";
        let written = json(value, metadata);
        assert_eq!(written.as_deref(), Ok(r#"{"a":[1,2],"zz":1}"#));
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        // An array of one element that lies right behind its header.
        let nest = |depth: usize| {
            let mut value = [0x03, 1, 0, 0].repeat(depth);
            value.push(0);
            value
        };
        assert!(json(&nest(1_000), NO_NAMES).is_ok());
        let refused = json(&nest(2_000), NO_NAMES);
        assert_eq!(
            refused,
            Err(RenderError::BadVariant("it is nested too deep"))
        );
    }

    #[test]
    fn parts_that_overlap_are_refused() {
        // Each array holds the next one 16 times over: 16^100 values in 2 kB.
        let level = [&[0x03, 16], [0; 17].as_slice()].concat();
        let mut value = level.repeat(100);
        value.push(0);
        let refused = json(&value, NO_NAMES);
        assert_eq!(refused, Err(RenderError::BadVariant("its parts overlap")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_json_or_refused(value: Vec<u8>, metadata: Vec<u8>) {
            let metadata = [&[1], metadata.as_slice()].concat();
            if let Ok(written) = json(&value, &metadata) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
            }
        }
    }
}
