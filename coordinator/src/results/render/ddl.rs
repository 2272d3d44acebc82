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
        Kind::Null(_) => "void".to_owned(),
        Kind::Binary(_) => "binary".to_owned(),
        Kind::Boolean(_) => "boolean".to_owned(),
        Kind::Byte(_) => "tinyint".to_owned(),
        Kind::Short(_) => "smallint".to_owned(),
        Kind::Integer(_) => "int".to_owned(),
        Kind::Long(_) => "bigint".to_owned(),
        Kind::Float(_) => "float".to_owned(),
        Kind::Double(_) => "double".to_owned(),
        Kind::Decimal(decimal) => {
            let (precision, scale) = (decimal.precision(), decimal.scale());
            format!("decimal({precision},{scale})")
        }
        Kind::String(string) if string.collation.is_empty() => "string".to_owned(),
        Kind::String(string) => format!("string collate {}", string.collation),
        Kind::Char(char) => format!("char({})", char.length),
        Kind::VarChar(varchar) => format!("varchar({})", varchar.length),
        Kind::Date(_) => "date".to_owned(),
        Kind::Timestamp(_) => "timestamp".to_owned(),
        Kind::TimestampNtz(_) => "timestamp_ntz".to_owned(),
        Kind::Time(time) => format!("time({})", time.precision.unwrap_or(6)),
        Kind::TimestampNtzNanos(nanos) => {
            format!("timestamp_ntz({})", nanos.precision.unwrap_or(9))
        }
        Kind::TimestampLtzNanos(nanos) => {
            format!("timestamp_ltz({})", nanos.precision.unwrap_or(9))
        }
        Kind::CalendarInterval(_) => "interval".to_owned(),
        Kind::YearMonthInterval(interval) => interval_ddl(
            &["year", "month"],
            interval.start_field.unwrap_or(0),
            interval.end_field.unwrap_or(1),
        ),
        Kind::DayTimeInterval(interval) => interval_ddl(
            &["day", "hour", "minute", "second"],
            interval.start_field.unwrap_or(0),
            interval.end_field.unwrap_or(3),
        ),
        Kind::Array(array) => format!("array<{}>", inner(array.element_type.as_deref())),
        Kind::Struct(fields) => struct_ddl(fields),
        Kind::Map(map) => format!(
            "map<{},{}>",
            inner(map.key_type.as_deref()),
            inner(map.value_type.as_deref())
        ),
        Kind::Variant(_) => "variant".to_owned(),
        Kind::Geometry(geometry) => spatial_ddl("geometry", geometry.srid),
        Kind::Geography(geography) => spatial_ddl("geography", geography.srid),
        Kind::Udt(udt) => udt
            .sql_type
            .as_deref()
            .map_or_else(|| udt.r#type.clone(), ddl),
        Kind::Unparsed(unparsed) => unparsed.data_type_string.clone(),
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

fn interval_ddl(units: &[&str], start: i32, end: i32) -> String {
    let unit = |at: i32| {
        usize::try_from(at)
            .ok()
            .and_then(|at| units.get(at))
            .copied()
            .unwrap_or("unknown")
    };
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
