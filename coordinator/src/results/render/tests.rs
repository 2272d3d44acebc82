//! Every type, built by hand: Spark's type, Arrow's values, what JSON and CSV say.

use std::sync::Arc;

use arrow_array::builder::{
    Int32Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder, StructBuilder,
};
use arrow_array::types::IntervalMonthDayNano;
use arrow_array::*;
use arrow_schema::{DataType as ArrowType, Field, Fields};
use libra_proto::spark::DataType;
use libra_proto::spark::data_type::{self as spark_type, Kind};

use super::*;
use crate::results::testing::{field, long, spark, string, structure};

fn json(kind: &Kind, array: &dyn Array, options: RenderOptions) -> Vec<String> {
    let cells = [Cells::new(&spark(kind.clone()), array).unwrap()];
    let rows = 0..array.len();
    rows.map(|row| {
        let mut out = Vec::new();
        write_json_row(&mut out, &cells, row, options).unwrap();
        String::from_utf8(out).unwrap()
    })
    .collect()
}

fn csv(kind: &Kind, array: &dyn Array) -> Vec<String> {
    let cells = [Cells::new(&spark(kind.clone()), array).unwrap()];
    let rows = 0..array.len();
    rows.map(|row| {
        let mut out = Vec::new();
        write_csv_row(&mut out, &cells, row, &mut Vec::new()).unwrap();
        String::from_utf8(out).unwrap()
    })
    .collect()
}

/// Checks values against their JSON and CSV; each array's last value is null.
fn check(kind: Kind, array: impl Array, expected: &[(&str, &str)]) {
    let mut expected = expected.to_vec();
    expected.push(("null", ""));
    let name = ddl(&spark(kind.clone()));
    let (wanted_json, wanted_csv): (Vec<_>, Vec<_>) = expected
        .iter()
        .map(|(json, csv)| (format!("[{json}]"), format!("{csv}\r\n")))
        .unzip();
    assert_eq!(
        json(&kind, &array, RenderOptions::default()),
        wanted_json,
        "{name}"
    );
    assert_eq!(csv(&kind, &array), wanted_csv, "{name}");
}

/// A value whose CSV is its JSON without quotes.
fn same<'a>(values: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    values
        .iter()
        .map(|value| (*value, value.trim_matches('"')))
        .collect()
}

#[test]
fn integers() {
    check(
        Kind::Byte(spark_type::Byte {}),
        Int8Array::from(vec![Some(i8::MIN), None]),
        &same(&["-128"]),
    );
    check(
        Kind::Short(spark_type::Short {}),
        Int16Array::from(vec![Some(i16::MAX), None]),
        &same(&["32767"]),
    );
    check(
        Kind::Integer(spark_type::Integer {}),
        Int32Array::from(vec![Some(i32::MIN), None]),
        &same(&["-2147483648"]),
    );
    let longs = Int64Array::from(vec![Some(i64::MAX), Some(0), None]);
    check(long(), longs.clone(), &same(&["9223372036854775807", "0"]));
    let strings = RenderOptions {
        bigint_as_string: true,
    };
    let rows = json(&long(), &longs, strings);
    assert_eq!(rows, [r#"["9223372036854775807"]"#, r#"["0"]"#, "[null]"]);
}

#[test]
fn other_numbers_and_boolean() {
    check(
        Kind::Boolean(spark_type::Boolean {}),
        BooleanArray::from(vec![Some(true), Some(false), None]),
        &same(&["true", "false"]),
    );
    check(
        Kind::Float(spark_type::Float {}),
        Float32Array::from(vec![Some(0.1), Some(f32::NAN), Some(1e20), None]),
        &same(&["0.1", "\"NaN\"", "1e20"]),
    );
    check(
        Kind::Double(spark_type::Double {}),
        Float64Array::from(vec![
            Some(0.1),
            Some(f64::INFINITY),
            Some(f64::NEG_INFINITY),
            None,
        ]),
        &same(&["0.1", "\"Infinity\"", "\"-Infinity\""]),
    );
    let decimals = Decimal128Array::from(vec![Some(12_340), Some(-5), None]);
    check(
        Kind::Decimal(spark_type::Decimal {
            scale: Some(3),
            precision: Some(5),
        }),
        decimals.with_precision_and_scale(5, 3).unwrap(),
        &same(&["\"12.340\"", "\"-0.005\""]),
    );
}

#[test]
fn strings_and_binary() {
    let strings = [
        ("\"a\"", "a"),
        ("\"\"", "\"\""),
        (r#""a,\"b\"\r\n\u0001ü""#, "\"a,\"\"b\"\"\r\n\u{1}ü\""),
    ];
    let values = vec![Some("a"), Some(""), Some("a,\"b\"\r\n\u{1}ü"), None];
    let declared = [
        string(),
        Kind::Char(spark_type::Char { length: 3 }),
        Kind::VarChar(spark_type::VarChar { length: 3 }),
    ];
    for kind in declared {
        check(kind.clone(), StringArray::from(values.clone()), &strings);
        check(kind, LargeStringArray::from(values.clone()), &strings);
    }
    let invalid: Vec<Option<&[u8]>> = vec![Some(b"\xffA"), None];
    let shown = [("\"\u{fffd}A\"", "\u{fffd}A")];
    check(string(), BinaryArray::from(invalid.clone()), &shown);
    let binary = Kind::Binary(spark_type::Binary {});
    let encoded = same(&["\"/0E=\""]);
    check(binary.clone(), BinaryArray::from(invalid.clone()), &encoded);
    check(binary, LargeBinaryArray::from(invalid), &encoded);
}

#[test]
fn dates_and_times() {
    check(
        Kind::Date(spark_type::Date {}),
        Date32Array::from(vec![Some(19_782), Some(-719_163), None]),
        &same(&["\"2024-02-29\"", "\"0000-12-31\""]),
    );
    let micros = TimestampMicrosecondArray::from(vec![Some(1_500_000), Some(-1), None]);
    check(
        Kind::Timestamp(spark_type::Timestamp {}),
        micros.clone().with_timezone("America/New_York"),
        &same(&[
            "\"1970-01-01T00:00:01.5Z\"",
            "\"1969-12-31T23:59:59.999999Z\"",
        ]),
    );
    check(
        Kind::TimestampNtz(spark_type::TimestampNtz {}),
        micros,
        &same(&[
            "\"1970-01-01T00:00:01.5\"",
            "\"1969-12-31T23:59:59.999999\"",
        ]),
    );
    let nanos = TimestampNanosecondArray::from(vec![Some(1), None]);
    check(
        Kind::TimestampLtzNanos(spark_type::TimestampLtzNanos { precision: Some(9) }),
        nanos.clone().with_timezone("UTC"),
        &same(&["\"1970-01-01T00:00:00.000000001Z\""]),
    );
    check(
        Kind::TimestampNtzNanos(spark_type::TimestampNtzNanos { precision: Some(9) }),
        nanos,
        &same(&["\"1970-01-01T00:00:00.000000001\""]),
    );
    check(
        Kind::Time(spark_type::Time { precision: Some(6) }),
        Time64NanosecondArray::from(vec![Some(0), Some(86_399_999_999_000), None]),
        &same(&["\"00:00:00\"", "\"23:59:59.999999\""]),
    );
}

#[test]
fn intervals() {
    check(
        Kind::YearMonthInterval(spark_type::YearMonthInterval::default()),
        IntervalYearMonthArray::from(vec![Some(14), Some(-1), None]),
        &same(&["\"P1Y2M\"", "\"P-1M\""]),
    );
    check(
        Kind::DayTimeInterval(spark_type::DayTimeInterval::default()),
        DurationMicrosecondArray::from(vec![Some(93_784_500_000), Some(0), None]),
        &same(&["\"P1DT2H3M4.5S\"", "\"PT0S\""]),
    );
    let value = IntervalMonthDayNano::new(14, -3, 1_000_000_000);
    check(
        Kind::CalendarInterval(spark_type::CalendarInterval {}),
        IntervalMonthDayNanoArray::from(vec![Some(value), None]),
        &same(&["\"P1Y2M-3DT1S\""]),
    );
}

#[test]
fn void_is_null() {
    check(Kind::Null(spark_type::Null {}), NullArray::new(1), &[]);
}

fn array_of(kind: Kind) -> Kind {
    Kind::Array(Box::new(spark_type::Array {
        element_type: Some(Box::new(spark(kind))),
        contains_null: true,
    }))
}

fn int() -> Kind {
    Kind::Integer(spark_type::Integer {})
}

#[test]
fn arrays_and_maps() {
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    lists.append_value([Some(vec![Some(1), None]), None, Some(vec![])]);
    lists.append_value(Vec::<Option<Vec<Option<i32>>>>::new());
    lists.append_null();
    let lists = lists.finish();
    let nested = array_of(array_of(int()));
    let expected = [
        ("[[1,null],null,[]]", "\"[[1,null],null,[]]\""),
        ("[]", "[]"),
    ];
    check(nested.clone(), lists.clone(), &expected);
    check(nested, lists.slice(1, 2), &expected[1..]);

    let names = MapFieldNames {
        entry: "entries".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), Int32Builder::new());
    maps.keys().append_value("a");
    maps.values().append_value(1);
    maps.keys().append_value("a");
    maps.values().append_null();
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    let map = Kind::Map(Box::new(spark_type::Map {
        key_type: Some(Box::new(spark(string()))),
        value_type: Some(Box::new(spark(int()))),
        value_contains_null: true,
    }));
    let entries = r#"[["a",1],["a",null]]"#;
    check(
        map,
        maps.finish(),
        &[(entries, "\"[[\"\"a\"\",1],[\"\"a\"\",null]]\"")],
    );
}

#[test]
fn structs() {
    let fields = vec![
        Field::new("a_0", ArrowType::Int32, true),
        Field::new("a_1", ArrowType::Utf8, true),
    ];
    let mut rows = StructBuilder::from_fields(fields, 3);
    for (number, text) in [(Some(1), Some("x")), (None, None)] {
        rows.field_builder::<Int32Builder>(0)
            .unwrap()
            .append_option(number);
        rows.field_builder::<StringBuilder>(1)
            .unwrap()
            .append_option(text);
        rows.append(true);
    }
    rows.field_builder::<Int32Builder>(0).unwrap().append_null();
    rows.field_builder::<StringBuilder>(1)
        .unwrap()
        .append_null();
    rows.append(false);
    let rows = rows.finish();
    check(
        structure(vec![field("a", int()), field("b\"", string())]),
        rows.clone(),
        &[
            (r#"{"a":1,"b\"":"x"}"#, r#""{""a"":1,""b\"""":""x""}""#),
            (
                r#"{"a":null,"b\"":null}"#,
                r#""{""a"":null,""b\"""":null}""#,
            ),
        ],
    );
    check(
        structure(vec![field("a", int()), field("a", string())]),
        rows,
        &[
            (r#"[1,"x"]"#, r#""[1,""x""]""#),
            ("[null,null]", "\"[null,null]\""),
        ],
    );
}

fn binary_struct(parts: [(&str, Vec<&[u8]>); 2]) -> StructArray {
    let nulls = vec![true, false].into();
    let fields: Fields = parts
        .iter()
        .map(|(name, _)| Field::new(*name, ArrowType::Binary, false))
        .collect();
    let arrays = parts.map(|(_, values)| Arc::new(BinaryArray::from(values)) as ArrayRef);
    StructArray::new(fields, arrays.to_vec(), Some(nulls))
}

#[test]
fn variant_and_spatial() {
    let value: &[u8] = b"\x02\x01\x00\x00\x02\x0c\x05";
    let variants = binary_struct([
        ("value", vec![value, b""]),
        ("metadata", vec![b"\x01\x01\x00\x01a", b""]),
    ]);
    check(
        Kind::Variant(spark_type::Variant {}),
        variants,
        &[(r#"{"a":5}"#, r#""{""a"":5}""#)],
    );
    let points = binary_struct([("srid", vec![b"", b""]), ("wkb", vec![b"\x01\x02", b""])]);
    for kind in [
        Kind::Geometry(spark_type::Geometry { srid: 0 }),
        Kind::Geography(spark_type::Geography { srid: 4326 }),
    ] {
        check(kind, points.clone(), &[("\"AQI=\"", "AQI=")]);
    }
}

#[test]
fn what_cannot_be_rendered_is_named() {
    let ints = Int32Array::from(vec![1]);
    let refused = Cells::new(&spark(array_of(long())), &ints);
    let said = refused.err().unwrap().to_string();
    assert_eq!(
        said,
        "a value of type `array<bigint>` that came as Arrow Int32 cannot be rendered"
    );
    let refused = Cells::new(&DataType { kind: None }, &ints);
    assert!(refused.is_err());
    let bad = binary_struct([("value", vec![b"", b""]), ("metadata", vec![b"\x02", b""])]);
    let cells = Cells::new(&spark(Kind::Variant(spark_type::Variant {})), &bad).unwrap();
    let outcome = write_json_row(&mut Vec::new(), &[cells], 0, RenderOptions::default());
    assert_eq!(
        outcome,
        Err(RenderError::BadVariant("its version is not 1"))
    );
}
