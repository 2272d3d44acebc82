//! Types as Spark's DDL text, in lower case as `DESCRIBE` shows them, but never shortened.
//!
//! **Invariant:** total; a type that this build does not know reads `unknown`.

use libra_proto::spark::DataType;
use libra_proto::spark::data_type::{Kind, Struct, StructField};

/// Where Spark keeps the declared type of a char or varchar column, whose values are strings.
const DECLARED: &str = "__CHAR_VARCHAR_TYPE_STRING";

/// The SRID that stands for "any" in a geometry's or geography's type.
const ANY_SRID: i32 = -1;

/// The type of a column: the declared one where Spark kept it.
pub(super) fn field_ddl(field: &StructField) -> String {
    declared(field).unwrap_or_else(|| field.data_type.as_ref().map_or_else(unknown, ddl))
}

fn declared(field: &StructField) -> Option<String> {
    let metadata = field.metadata.as_deref()?;
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    Some(metadata.get(DECLARED)?.as_str()?.to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// A type as text.
pub(crate) fn ddl(kind: &DataType) -> String {
    let Some(kind) = &kind.kind else {
        return unknown();
    };
    match kind {
        Kind::Decimal(decimal) => {
            let (precision, scale) = (decimal.precision(), decimal.scale());
            format!("decimal({precision},{scale})")
        }
        Kind::String(string) if !string.collation.is_empty() => {
            format!("string collate {}", string.collation)
        }
        Kind::Char(char) => format!("char({})", char.length),
        Kind::VarChar(varchar) => format!("varchar({})", varchar.length),
        Kind::Time(time) => format!("time({})", time.precision.unwrap_or(6)),
        Kind::TimestampNtzNanos(nanos) => {
            format!("timestamp_ntz({})", nanos.precision.unwrap_or(9))
        }
        Kind::TimestampLtzNanos(nanos) => {
            format!("timestamp_ltz({})", nanos.precision.unwrap_or(9))
        }
        Kind::YearMonthInterval(interval) => {
            interval_ddl(&["year", "month"], interval.start_field, interval.end_field)
        }
        Kind::DayTimeInterval(interval) => interval_ddl(
            &["day", "hour", "minute", "second"],
            interval.start_field,
            interval.end_field,
        ),
        Kind::Array(array) => format!("array<{}>", inner(array.element_type.as_deref())),
        Kind::Struct(fields) => struct_ddl(fields),
        Kind::Map(map) => format!(
            "map<{},{}>",
            inner(map.key_type.as_deref()),
            inner(map.value_type.as_deref())
        ),
        Kind::Geometry(geometry) => spatial_ddl("geometry", geometry.srid),
        Kind::Geography(geography) => spatial_ddl("geography", geography.srid),
        Kind::Udt(udt) => udt
            .sql_type
            .as_deref()
            .map_or_else(|| udt.r#type.clone(), ddl),
        Kind::Unparsed(unparsed) => unparsed.data_type_string.clone(),
        plain => plain_ddl(plain).to_owned(),
    }
}

/// Types that a name says all of.
fn plain_ddl(kind: &Kind) -> &'static str {
    match kind {
        Kind::Null(_) => "void",
        Kind::Binary(_) => "binary",
        Kind::Boolean(_) => "boolean",
        Kind::Byte(_) => "tinyint",
        Kind::Short(_) => "smallint",
        Kind::Integer(_) => "int",
        Kind::Long(_) => "bigint",
        Kind::Float(_) => "float",
        Kind::Double(_) => "double",
        Kind::String(_) => "string",
        Kind::Date(_) => "date",
        Kind::Timestamp(_) => "timestamp",
        Kind::TimestampNtz(_) => "timestamp_ntz",
        Kind::CalendarInterval(_) => "interval",
        Kind::Variant(_) => "variant",
        Kind::Decimal(_)
        | Kind::Char(_)
        | Kind::VarChar(_)
        | Kind::Time(_)
        | Kind::TimestampNtzNanos(_)
        | Kind::TimestampLtzNanos(_)
        | Kind::YearMonthInterval(_)
        | Kind::DayTimeInterval(_)
        | Kind::Array(_)
        | Kind::Struct(_)
        | Kind::Map(_)
        | Kind::Geometry(_)
        | Kind::Geography(_)
        | Kind::Udt(_)
        | Kind::Unparsed(_) => "unknown",
    }
}

fn inner(kind: Option<&DataType>) -> String {
    kind.map_or_else(unknown, ddl)
}

fn struct_ddl(fields: &Struct) -> String {
    let fields: Vec<String> = fields
        .fields
        .iter()
        .map(|field| format!("{}:{}", field.name, inner(field.data_type.as_ref())))
        .collect();
    format!("struct<{}>", fields.join(","))
}

/// The units an interval reaches over; without word of them, all.
fn interval_ddl(units: &[&str], start: Option<i32>, end: Option<i32>) -> String {
    let unit = |at: i32| {
        let at = usize::try_from(at).ok();
        at.and_then(|at| units.get(at))
            .copied()
            .unwrap_or("unknown")
    };
    let last = i32::try_from(units.len()).unwrap_or(i32::MAX) - 1;
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(last));
    if start == end {
        format!("interval {}", unit(start))
    } else {
        format!("interval {} to {}", unit(start), unit(end))
    }
}

fn spatial_ddl(name: &str, srid: i32) -> String {
    if srid == ANY_SRID {
        format!("{name}(any)")
    } else {
        format!("{name}({srid})")
    }
}

#[cfg(test)]
mod tests {
    use libra_proto::spark::data_type as kinds;

    use super::*;
    use crate::results::render::{columns, fields};
    use crate::results::testing::{field, spark, string, structure};

    fn int() -> Kind {
        Kind::Integer(kinds::Integer {})
    }

    fn array_of(kind: Kind) -> Kind {
        Kind::Array(Box::new(kinds::Array {
            element_type: Some(Box::new(spark(kind))),
            contains_null: true,
        }))
    }

    fn interval(start: i32, end: i32) -> Kind {
        Kind::DayTimeInterval(kinds::DayTimeInterval {
            start_field: Some(start),
            end_field: Some(end),
        })
    }

    fn udt(sql_type: Option<Kind>) -> Kind {
        Kind::Udt(Box::new(kinds::Udt {
            r#type: "udt".to_owned(),
            sql_type: sql_type.map(|kind| Box::new(spark(kind))),
            ..kinds::Udt::default()
        }))
    }

    #[test]
    fn types_as_ddl() {
        let collated = Kind::String(kinds::String {
            collation: "UNICODE_CI".to_owned(),
        });
        let time = Kind::Time(kinds::Time { precision: Some(0) });
        let parts = vec![field("a b", int()), field("a b", array_of(string()))];
        for (kind, expected) in [
            (Kind::Null(kinds::Null {}), "void"),
            (collated, "string collate UNICODE_CI"),
            (Kind::Char(kinds::Char { length: 3 }), "char(3)"),
            (Kind::VarChar(kinds::VarChar { length: 3 }), "varchar(3)"),
            (time, "time(0)"),
            (interval(0, 3), "interval day to second"),
            (interval(1, 1), "interval hour"),
            (interval(7, 9), "interval unknown to unknown"),
            (
                Kind::YearMonthInterval(kinds::YearMonthInterval::default()),
                "interval year to month",
            ),
            (
                Kind::Geometry(kinds::Geometry { srid: -1 }),
                "geometry(any)",
            ),
            (
                Kind::Geography(kinds::Geography { srid: 4326 }),
                "geography(4326)",
            ),
            (
                array_of(structure(parts)),
                "array<struct<a b:int,a b:array<string>>>",
            ),
            (udt(Some(int())), "int"),
            (udt(None), "udt"),
        ] {
            assert_eq!(ddl(&spark(kind)), expected);
        }
        assert_eq!(ddl(&DataType::default()), "unknown");
    }

    #[test]
    fn columns_show_the_declared_type() {
        let mut declared = field("c", string());
        declared.metadata = Some(r#"{"__CHAR_VARCHAR_TYPE_STRING":"char(5)"}"#.to_owned());
        let mut commented = field("d", string());
        commented.metadata = Some(r#"{"comment":"x"}"#.to_owned());
        let schema = spark(structure(vec![declared, commented]));
        let columns = columns(&fields(schema));
        assert_eq!(
            serde_json::to_string(&columns).unwrap(),
            r#"[{"name":"c","type":"char(5)","nullable":true},{"name":"d","type":"string","nullable":true}]"#
        );
        assert!(fields(DataType::default()).is_empty());
    }
}
