//! The values of one column of one batch, typed: Spark's type joined with the Arrow array that
//! carries it.
//!
//! **Invariant:** made once per batch; afterwards a value is read by its row without any look at types.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    IntervalYearMonthType, Time64NanosecondType, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, BooleanArray, ListArray, MapArray, PrimitiveArray, StructArray};
use libra_proto::spark::DataType;
use libra_proto::spark::data_type::{self, Kind};

use super::RenderError;
use super::text::write_string;

/// A column's values.
pub(crate) enum Cells<'a> {
    Void,
    Boolean(&'a BooleanArray),
    Byte(&'a PrimitiveArray<Int8Type>),
    Short(&'a PrimitiveArray<Int16Type>),
    Int(&'a PrimitiveArray<Int32Type>),
    Long(&'a PrimitiveArray<Int64Type>),
    Float(&'a PrimitiveArray<Float32Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i32),
    Text(Bytes<'a>),
    Binary(Bytes<'a>),
    Date(&'a PrimitiveArray<Date32Type>),
    Timestamp(&'a PrimitiveArray<TimestampMicrosecondType>, Moment),
    TimestampNanos(&'a PrimitiveArray<TimestampNanosecondType>, Moment),
    Time(&'a PrimitiveArray<Time64NanosecondType>),
    YearMonth(&'a PrimitiveArray<IntervalYearMonthType>),
    DayTime(&'a PrimitiveArray<DurationMicrosecondType>),
    Calendar(&'a PrimitiveArray<IntervalMonthDayNanoType>),
    Array(&'a ListArray, Box<Cells<'a>>),
    Map(&'a MapArray, Box<(Cells<'a>, Cells<'a>)>),
    Struct(&'a StructArray, Fields<'a>),
    Variant(&'a StructArray, Box<(Bytes<'a>, Bytes<'a>)>),
    Spatial(&'a StructArray, Bytes<'a>),
}

/// Whether a timestamp is a moment (`Z`) or a reading of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Utc,
    Local,
}

/// The fields of a struct.
pub(crate) struct Fields<'a> {
    pub(super) cells: Vec<Cells<'a>>,
    /// Names as JSON strings; `None` if a name repeats, when only places tell fields apart.
    pub(super) names: Option<Vec<Vec<u8>>>,
}

/// Strings or binary, in either of Arrow's widths. What Spark calls a string may hold any bytes.
pub(crate) enum Bytes<'a> {
    Short(&'a arrow_array::BinaryArray),
    Long(&'a arrow_array::LargeBinaryArray),
    ShortText(&'a arrow_array::StringArray),
    LongText(&'a arrow_array::LargeStringArray),
}

impl<'a> Bytes<'a> {
    fn new(array: &'a dyn Array) -> Option<Self> {
        None.or_else(|| array.as_binary_opt().map(Self::Short))
            .or_else(|| array.as_binary_opt().map(Self::Long))
            .or_else(|| array.as_string_opt().map(Self::ShortText))
            .or_else(|| array.as_string_opt().map(Self::LongText))
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Short(array) => array.is_null(row),
            Self::Long(array) => array.is_null(row),
            Self::ShortText(array) => array.is_null(row),
            Self::LongText(array) => array.is_null(row),
        }
    }

    pub(super) fn value(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Short(array) => array.value(row),
            Self::Long(array) => array.value(row),
            Self::ShortText(array) => array.value(row).as_bytes(),
            Self::LongText(array) => array.value(row).as_bytes(),
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&PrimitiveArray<T>> {
    array.as_primitive_opt()
}

impl<'a> Cells<'a> {
    /// Joins a Spark type with its values.
    ///
    /// # Errors
    /// When the type is unknown or its values came in another form than Spark's.
    pub(crate) fn new(kind: &DataType, array: &'a dyn Array) -> Result<Self, RenderError> {
        let unsupported = || RenderError::Unsupported {
            kind: super::ddl(kind),
            arrow: array.data_type().to_string(),
        };
        let kind = kind.kind.as_ref().ok_or_else(unsupported)?;
        match kind {
            Kind::Array(list) => Self::array(list, array)?,
            Kind::Map(map) => Self::map(map, array)?,
            Kind::Struct(fields) => Self::fields(fields, array)?,
            Kind::Udt(udt) => udt
                .sql_type
                .as_deref()
                .map(|kind| Self::new(kind, array))
                .transpose()?,
            Kind::Variant(_) => Self::variant(array),
            Kind::Geometry(_) | Kind::Geography(_) => Self::spatial(array),
            plain => Self::plain(plain, array),
        }
        .ok_or_else(unsupported)
    }

    fn plain(kind: &Kind, array: &'a dyn Array) -> Option<Self> {
        match kind {
            Kind::Null(_) => Some(Self::Void),
            Kind::Binary(_) => Bytes::new(array).map(Self::Binary),
            Kind::String(_) | Kind::Char(_) | Kind::VarChar(_) => Bytes::new(array).map(Self::Text),
            Kind::Boolean(_) => array.as_boolean_opt().map(Self::Boolean),
            Kind::Byte(_) => primitive(array).map(Self::Byte),
            Kind::Short(_) => primitive(array).map(Self::Short),
            Kind::Integer(_) => primitive(array).map(Self::Int),
            Kind::Long(_) => primitive(array).map(Self::Long),
            Kind::Float(_) => primitive(array).map(Self::Float),
            Kind::Double(_) => primitive(array).map(Self::Double),
            Kind::Decimal(decimal) => {
                primitive(array).map(|values| Self::Decimal(values, decimal.scale()))
            }
            Kind::Date(_) => primitive(array).map(Self::Date),
            Kind::Timestamp(_) | Kind::TimestampLtzNanos(_) => Self::timestamp(array, Moment::Utc),
            Kind::TimestampNtz(_) | Kind::TimestampNtzNanos(_) => {
                Self::timestamp(array, Moment::Local)
            }
            Kind::Time(_) => primitive(array).map(Self::Time),
            Kind::YearMonthInterval(_) => primitive(array).map(Self::YearMonth),
            Kind::DayTimeInterval(_) => primitive(array).map(Self::DayTime),
            Kind::CalendarInterval(_) => primitive(array).map(Self::Calendar),
            Kind::Array(_)
            | Kind::Map(_)
            | Kind::Struct(_)
            | Kind::Udt(_)
            | Kind::Variant(_)
            | Kind::Geometry(_)
            | Kind::Geography(_)
            | Kind::Unparsed(_) => None,
        }
    }

    fn timestamp(array: &'a dyn Array, moment: Moment) -> Option<Self> {
        let micros = primitive(array).map(|values| Self::Timestamp(values, moment));
        micros.or_else(|| primitive(array).map(|values| Self::TimestampNanos(values, moment)))
    }

    fn array(list: &data_type::Array, array: &'a dyn Array) -> Result<Option<Self>, RenderError> {
        let (Some(kind), Some(values)) = (&list.element_type, array.as_list_opt::<i32>()) else {
            return Ok(None);
        };
        let items = Self::new(kind, values.values())?;
        Ok(Some(Self::Array(values, Box::new(items))))
    }

    fn map(map: &data_type::Map, array: &'a dyn Array) -> Result<Option<Self>, RenderError> {
        let types = (&map.key_type, &map.value_type);
        let ((Some(key), Some(value)), Some(values)) = (types, array.as_map_opt()) else {
            return Ok(None);
        };
        let keys = Self::new(key, values.keys())?;
        let items = Self::new(value, values.values())?;
        Ok(Some(Self::Map(values, Box::new((keys, items)))))
    }

    fn fields(
        fields: &data_type::Struct,
        array: &'a dyn Array,
    ) -> Result<Option<Self>, RenderError> {
        let Some(values) = array.as_struct_opt() else {
            return Ok(None);
        };
        if values.num_columns() != fields.fields.len() {
            return Ok(None);
        }
        let mut cells = Vec::with_capacity(fields.fields.len());
        for (field, column) in fields.fields.iter().zip(values.columns()) {
            let kind = field.data_type.clone().unwrap_or_default();
            cells.push(Self::new(&kind, column)?);
        }
        let names = distinct_names(&fields.fields);
        Ok(Some(Self::Struct(values, Fields { cells, names })))
    }

    fn variant(array: &'a dyn Array) -> Option<Self> {
        let values = array.as_struct_opt()?;
        let value = Bytes::new(values.column_by_name("value")?)?;
        let metadata = Bytes::new(values.column_by_name("metadata")?)?;
        Some(Self::Variant(values, Box::new((value, metadata))))
    }

    fn spatial(array: &'a dyn Array) -> Option<Self> {
        let values = array.as_struct_opt()?;
        Some(Self::Spatial(
            values,
            Bytes::new(values.column_by_name("wkb")?)?,
        ))
    }

    /// Whether the value of a row is null.
    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Void => true,
            Self::Boolean(array) => array.is_null(row),
            Self::Byte(array) => array.is_null(row),
            Self::Short(array) => array.is_null(row),
            Self::Int(array) => array.is_null(row),
            Self::Long(array) => array.is_null(row),
            Self::Float(array) => array.is_null(row),
            Self::Double(array) => array.is_null(row),
            Self::Decimal(array, _) => array.is_null(row),
            Self::Text(bytes) | Self::Binary(bytes) => bytes.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Timestamp(array, _) => array.is_null(row),
            Self::TimestampNanos(array, _) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
            Self::YearMonth(array) => array.is_null(row),
            Self::DayTime(array) => array.is_null(row),
            Self::Calendar(array) => array.is_null(row),
            Self::Array(array, _) => array.is_null(row),
            Self::Map(array, _) => array.is_null(row),
            Self::Struct(array, _) | Self::Variant(array, _) | Self::Spatial(array, _) => {
                array.is_null(row)
            }
        }
    }
}

fn distinct_names(fields: &[data_type::StructField]) -> Option<Vec<Vec<u8>>> {
    let mut seen = std::collections::HashSet::new();
    fields
        .iter()
        .map(|field| {
            let mut name = Vec::new();
            write_string(&mut name, field.name.as_bytes());
            seen.insert(&field.name).then_some(name)
        })
        .collect()
}

impl Moment {
    pub(super) fn is_utc(self) -> bool {
        self == Self::Utc
    }
}
