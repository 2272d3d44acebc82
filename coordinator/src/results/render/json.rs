//! Values as JSON, as api.md's "Values in JSON" says.
//!
//! **Invariant:** one form per type, at the top and nested alike.

use std::io::Write;

use super::calendar::{self, Unit};
use super::cells::{Cells, Fields};
use super::decimal::write_decimal;
use super::interval;
use super::text::{write_base64, write_double, write_float, write_string};
use super::variant::write_variant;
use super::{RenderError, RenderOptions};

/// Writes a row as an array of its values.
pub(crate) fn write_row(
    out: &mut Vec<u8>,
    columns: &[Cells<'_>],
    row: usize,
    options: RenderOptions,
) -> Result<(), RenderError> {
    write_list(out, columns.iter(), |out, cells| {
        write_value(out, cells, row, options)
    })
}

/// Writes one value.
pub(super) fn write_value(
    out: &mut Vec<u8>,
    cells: &Cells<'_>,
    row: usize,
    options: RenderOptions,
) -> Result<(), RenderError> {
    if cells.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let quote = needs_quotes(cells, options);
    if quote {
        out.push(b'"');
    }
    match cells {
        Cells::Text(bytes) => write_string(out, bytes.value(row)),
        Cells::Float(array) => write_float(out, array.value(row), "\""),
        Cells::Double(array) => write_double(out, array.value(row), "\""),
        Cells::Array(list, items) => {
            let rows = list.value_offsets();
            write_list(out, span(rows, row), |out, row| {
                write_value(out, items, row, options)
            })?;
        }
        Cells::Map(map, entries) => {
            write_list(out, span(map.value_offsets(), row), |out, row| {
                out.push(b'[');
                write_value(out, &entries.0, row, options)?;
                out.push(b',');
                write_value(out, &entries.1, row, options)?;
                out.push(b']');
                Ok(())
            })?;
        }
        Cells::Struct(_, fields) => write_struct(out, fields, row, options)?,
        Cells::Variant(_, parts) => write_variant(out, parts.0.value(row), parts.1.value(row))?,
        plain => write_plain(out, plain, row),
    }
    if quote {
        out.push(b'"');
    }
    Ok(())
}

/// Whether a value that is not a JSON string by itself goes in quotes.
fn needs_quotes(cells: &Cells<'_>, options: RenderOptions) -> bool {
    match cells {
        Cells::Long(_) => options.bigint_as_string,
        Cells::Decimal(..)
        | Cells::Binary(_)
        | Cells::Spatial(..)
        | Cells::Date(_)
        | Cells::Timestamp(..)
        | Cells::TimestampNanos(..)
        | Cells::Time(_)
        | Cells::YearMonth(_)
        | Cells::DayTime(_)
        | Cells::Calendar(_) => true,
        Cells::Void
        | Cells::Boolean(_)
        | Cells::Byte(_)
        | Cells::Short(_)
        | Cells::Int(_)
        | Cells::Float(_)
        | Cells::Double(_)
        | Cells::Text(_)
        | Cells::Array(..)
        | Cells::Map(..)
        | Cells::Struct(..)
        | Cells::Variant(..) => false,
    }
}

/// Writes a value whose text is the same in JSON and in CSV, without quotes.
pub(super) fn write_plain(out: &mut Vec<u8>, cells: &Cells<'_>, row: usize) {
    match cells {
        Cells::Boolean(array) => write_display(out, array.value(row)),
        Cells::Byte(array) => write_display(out, array.value(row)),
        Cells::Short(array) => write_display(out, array.value(row)),
        Cells::Int(array) => write_display(out, array.value(row)),
        Cells::Long(array) => write_display(out, array.value(row)),
        Cells::Float(array) => write_float(out, array.value(row), ""),
        Cells::Double(array) => write_double(out, array.value(row), ""),
        Cells::Decimal(array, scale) => write_decimal(out, array.value(row), *scale),
        Cells::Binary(bytes) | Cells::Spatial(_, bytes) => write_base64(out, bytes.value(row)),
        Cells::Date(array) => calendar::write_date(out, array.value(row).into()),
        Cells::Timestamp(array, moment) => {
            calendar::write_timestamp(out, array.value(row), Unit::Micros, moment.is_utc());
        }
        Cells::TimestampNanos(array, moment) => {
            calendar::write_timestamp(out, array.value(row), Unit::Nanos, moment.is_utc());
        }
        Cells::Time(array) => calendar::write_time(out, array.value(row)),
        Cells::YearMonth(array) => interval::write_months(out, array.value(row)),
        Cells::DayTime(array) => interval::write_micros(out, array.value(row)),
        Cells::Calendar(array) => {
            let value = array.value(row);
            interval::write_calendar(out, value.months, value.days, value.nanoseconds);
        }
        Cells::Text(bytes) => out.extend_from_slice(bytes.value(row)),
        Cells::Void
        | Cells::Array(..)
        | Cells::Map(..)
        | Cells::Struct(..)
        | Cells::Variant(..) => {}
    }
}

fn write_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

/// An object; an array of the values if names repeat.
fn write_struct(
    out: &mut Vec<u8>,
    fields: &Fields<'_>,
    row: usize,
    options: RenderOptions,
) -> Result<(), RenderError> {
    let Some(names) = &fields.names else {
        return write_row(out, &fields.cells, row, options);
    };
    out.push(b'{');
    for (at, (name, cells)) in names.iter().zip(&fields.cells).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        write_value(out, cells, row, options)?;
    }
    out.push(b'}');
    Ok(())
}

/// The rows of a list's items.
fn span(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |row: usize| {
        let offset = offsets.get(row).copied().unwrap_or_default();
        usize::try_from(offset).unwrap_or_default()
    };
    at(row)..at(row + 1)
}

fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item)?;
    }
    out.push(b']');
    Ok(())
}
