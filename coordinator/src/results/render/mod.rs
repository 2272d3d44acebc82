//! Spark's types as DDL text, and its values as JSON and CSV: our own, because the rules are api.md's
//! ("Values in JSON"), not those of an Arrow library.
//!
//! **Invariant:** pure; a value's form depends on its Spark type, never on how Arrow carried it.

mod calendar;
mod cells;
mod csv;
mod ddl;
mod decimal;
mod interval;
mod json;
mod text;
pub(super) mod variant;

#[cfg(test)]
mod tests;

use libra_proto::spark::{DataType, data_type};
use serde::Serialize;
use thiserror::Error;

pub(crate) use cells::Cells;
pub(crate) use csv::{write_header, write_row as write_csv_row};
pub(crate) use ddl::ddl;
pub(crate) use json::write_row as write_json_row;

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name; names may repeat.
    pub name: String,
    /// Its type, as Spark's DDL writes it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may hold null.
    pub nullable: bool,
}

/// What a caller may choose about JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RenderOptions {
    /// Values of type `bigint` as strings, for readers whose numbers are floats. Numbers inside a
    /// variant stay numbers.
    pub bigint_as_string: bool,
}

/// Something that cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// The type is not known, or its values came in an unknown form.
    #[error("a value of type `{kind}` that came as Arrow {arrow} cannot be rendered")]
    Unsupported {
        /// Spark's type.
        kind: String,
        /// Arrow's.
        arrow: String,
    },
    /// A variant that is not encoded as Spark's variants are.
    #[error("a variant is not encoded as it should be: {0}")]
    BadVariant(&'static str),
}

/// The columns of a result's schema.
pub(crate) fn columns(fields: &[data_type::StructField]) -> Vec<Column> {
    fields
        .iter()
        .map(|field| Column {
            name: field.name.clone(),
            kind: ddl::field_ddl(field),
            nullable: field.nullable,
        })
        .collect()
}

/// The fields of a result's schema; none if the result has no columns.
pub(crate) fn fields(schema: DataType) -> Vec<data_type::StructField> {
    if let Some(data_type::Kind::Struct(columns)) = schema.kind {
        columns.fields
    } else {
        Vec::new()
    }
}
