//! The Arrow schema that Spark would have sent with a batch, for a result of which no batch is stored
//! (the first one was beyond a limit).
//!
//! **Invariant:** pure; names, nullability and field metadata as Spark 4.3 writes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use libra_proto::spark::DataType as SparkType;
use libra_proto::spark::data_type::{Array, Kind, Map, Struct, StructField};

use crate::results::render::{self, RenderError};

/// The zone of timestamps that are moments; Spark writes that of the session, which changes how a
/// reader shows them but not what they are.
const ZONE: &str = "UTC";

/// A column that has no Arrow type.
#[derive(Debug)]
pub(super) struct NoArrowType {
    pub(super) column: String,
    pub(super) source: RenderError,
}

/// The Arrow schema of a result's columns.
pub(super) fn arrow_schema(fields: &[StructField]) -> Result<Schema, NoArrowType> {
    let fields: Result<Vec<Field>, NoArrowType> = fields
        .iter()
        .map(|field| arrow_field(&field.name, field.data_type.as_ref(), field.nullable))
        .collect();
    Ok(Schema::new(fields?))
}

fn arrow_field(name: &str, kind: Option<&SparkType>, nullable: bool) -> Result<Field, NoArrowType> {
    let kind = kind.cloned().unwrap_or_default();
    let arrow = arrow_type(&kind).map_err(|source| NoArrowType {
        column: name.to_owned(),
        source,
    })?;
    Ok(Field::new(name, arrow, nullable).with_metadata(metadata(&kind)))
}

/// What Spark adds to a field where Arrow's type does not say it all.
fn metadata(kind: &SparkType) -> HashMap<String, String> {
    const TIME: &str = "SPARK::time::precision";
    const NANOS: &str = "SPARK::timestampNanos::precision";
    let precision = if let Some(Kind::Time(time)) = &kind.kind {
        (TIME, time.precision.unwrap_or(6))
    } else if let Some(Kind::TimestampNtzNanos(nanos)) = &kind.kind {
        (NANOS, nanos.precision.unwrap_or(9))
    } else if let Some(Kind::TimestampLtzNanos(nanos)) = &kind.kind {
        (NANOS, nanos.precision.unwrap_or(9))
    } else {
        return HashMap::new();
    };
    HashMap::from([(precision.0.to_owned(), precision.1.to_string())])
}

fn arrow_type(kind: &SparkType) -> Result<DataType, RenderError> {
    let unsupported = || RenderError::Unsupported {
        kind: render::ddl(kind),
        arrow: "nothing".to_owned(),
    };
    Ok(match kind.kind.as_ref().ok_or_else(unsupported)? {
        Kind::Null(_) => DataType::Null,
        Kind::Binary(_) => DataType::Binary,
        Kind::Boolean(_) => DataType::Boolean,
        Kind::Byte(_) => DataType::Int8,
        Kind::Short(_) => DataType::Int16,
        Kind::Integer(_) => DataType::Int32,
        Kind::Long(_) => DataType::Int64,
        Kind::Float(_) => DataType::Float32,
        Kind::Double(_) => DataType::Float64,
        Kind::Decimal(decimal) => DataType::Decimal128(
            u8::try_from(decimal.precision()).map_err(|_| unsupported())?,
            i8::try_from(decimal.scale()).map_err(|_| unsupported())?,
        ),
        Kind::String(_) | Kind::Char(_) | Kind::VarChar(_) => DataType::Utf8,
        Kind::Date(_) => DataType::Date32,
        Kind::Timestamp(_) => timestamp(TimeUnit::Microsecond, Some(ZONE)),
        Kind::TimestampNtz(_) => timestamp(TimeUnit::Microsecond, None),
        Kind::TimestampLtzNanos(_) => timestamp(TimeUnit::Nanosecond, Some(ZONE)),
        Kind::TimestampNtzNanos(_) => timestamp(TimeUnit::Nanosecond, None),
        Kind::Time(_) => DataType::Time64(TimeUnit::Nanosecond),
        Kind::CalendarInterval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        Kind::YearMonthInterval(_) => DataType::Interval(IntervalUnit::YearMonth),
        Kind::DayTimeInterval(_) => DataType::Duration(TimeUnit::Microsecond),
        Kind::Array(array) => list(array)?,
        Kind::Map(entries) => map(entries)?,
        Kind::Struct(fields) => DataType::Struct(struct_fields(fields)?),
        Kind::Variant(_) => DataType::Struct(variant_fields()),
        Kind::Geometry(spatial) => DataType::Struct(spatial_fields("geometry", spatial.srid)),
        Kind::Geography(spatial) => DataType::Struct(spatial_fields("geography", spatial.srid)),
        Kind::Udt(udt) => udt
            .sql_type
            .as_deref()
            .map_or_else(|| Err(unsupported()), arrow_type)?,
        Kind::Unparsed(_) => return Err(unsupported()),
    })
}

fn timestamp(unit: TimeUnit, zone: Option<&str>) -> DataType {
    DataType::Timestamp(unit, zone.map(Arc::from))
}

fn nested(name: &str, kind: Option<&SparkType>, nullable: bool) -> Result<Arc<Field>, RenderError> {
    let field = arrow_field(name, kind, nullable).map_err(|error| error.source)?;
    Ok(Arc::new(field))
}

fn list(array: &Array) -> Result<DataType, RenderError> {
    let item = nested(
        "element",
        array.element_type.as_deref(),
        array.contains_null,
    )?;
    Ok(DataType::List(item))
}

fn map(map: &Map) -> Result<DataType, RenderError> {
    let key = nested("key", map.key_type.as_deref(), false)?;
    let value = nested("value", map.value_type.as_deref(), map.value_contains_null)?;
    let entries = Field::new_struct("entries", vec![key, value], false);
    Ok(DataType::Map(Arc::new(entries), false))
}

/// Names that repeat get a number, as Spark gives them: `a_0`, `a_1`.
fn struct_fields(fields: &Struct) -> Result<Fields, RenderError> {
    let mut seen = HashSet::new();
    let repeated: HashSet<&String> = fields
        .fields
        .iter()
        .filter_map(|field| (!seen.insert(&field.name)).then_some(&field.name))
        .collect();
    let mut numbers: HashMap<&String, usize> = HashMap::new();
    let named = fields.fields.iter().map(|field| {
        let name = if repeated.contains(&field.name) {
            let number = numbers.entry(&field.name).or_default();
            *number += 1;
            format!("{}_{}", field.name, *number - 1)
        } else {
            field.name.clone()
        };
        nested(&name, field.data_type.as_ref(), field.nullable)
    });
    named.collect()
}

fn variant_fields() -> Fields {
    let flag = HashMap::from([("variant".to_owned(), "true".to_owned())]);
    Fields::from(vec![
        Field::new("value", DataType::Binary, false),
        Field::new("metadata", DataType::Binary, false).with_metadata(flag),
    ])
}

fn spatial_fields(name: &str, srid: i32) -> Fields {
    let flags = HashMap::from([
        (name.to_owned(), "true".to_owned()),
        ("srid".to_owned(), srid.to_string()),
    ]);
    Fields::from(vec![
        Field::new("srid", DataType::Int32, false),
        Field::new("wkb", DataType::Binary, false).with_metadata(flags),
    ])
}
