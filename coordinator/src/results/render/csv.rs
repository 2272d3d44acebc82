//! Values as CSV (RFC 4180): our own, because the csv crate cannot tell null (nothing) from an empty
//! string (`""`).
//!
//! **Invariant:** a field is quoted exactly if it is an empty string or holds a comma, a quote or a
//! line end; so a result of one column shows null as an empty line.

use super::cells::Cells;
use super::json::{write_plain, write_value};
use super::{Column, RenderError, RenderOptions};

/// Writes the header line.
pub(crate) fn write_header(out: &mut Vec<u8>, columns: &[Column]) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_field(out, column.name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a row. `field` is scratch space.
pub(crate) fn write_row(
    out: &mut Vec<u8>,
    columns: &[Cells<'_>],
    row: usize,
    field: &mut Vec<u8>,
) -> Result<(), RenderError> {
    for (at, cells) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if cells.is_null(row) {
            continue;
        }
        field.clear();
        match cells {
            Cells::Array(..) | Cells::Map(..) | Cells::Struct(..) | Cells::Variant(..) => {
                write_value(field, cells, row, RenderOptions::default())?;
            }
            Cells::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes.value(row));
                field.extend_from_slice(text.as_bytes());
            }
            plain => write_plain(field, plain, row),
        }
        write_field(out, field);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn write_field(out: &mut Vec<u8>, field: &[u8]) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    if !field.is_empty() && !field.iter().any(special) {
        out.extend_from_slice(field);
        return;
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
