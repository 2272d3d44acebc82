//! Results in JSON. Rows come rendered from the result store and go out as they are: their
//! numbers never pass through a float.

use serde::Serialize;
use serde_json::value::RawValue;

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Column)]
pub struct ColumnView {
    /// Its name; names may repeat.
    #[schema(example = "id")]
    pub name: String,
    /// Its type, as Spark's DDL writes it.
    #[serde(rename = "type")]
    #[schema(example = "decimal(38,18)")]
    pub kind: String,
    /// Whether it may hold null.
    pub nullable: bool,
}

/// Rows, rendered: an array of arrays, in the order of the columns.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Rows(pub Box<RawValue>);

impl utoipa::PartialSchema for Rows {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType};
        let value = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let row = ArrayBuilder::new().items(value.build());
        ArrayBuilder::new()
            .items(row)
            .description(Some(
                "One array of values per row, in the order of `schema`",
            ))
            .into()
    }
}

impl utoipa::ToSchema for Rows {
    fn name() -> std::borrow::Cow<'static, str> {
        "Rows".into()
    }
}

/// The result inside a statement.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Result)]
pub struct ResultView {
    /// The columns; none for a statement without rows.
    pub schema: Vec<ColumnView>,
    /// Rows of the whole result.
    pub row_count: u64,
    /// Whether the result was cut at a limit.
    pub truncated: bool,
    /// The first rows; left out in lists and events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
    /// The `offset` at which `/result` goes on, if not all rows are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One page of a result.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultPage {
    /// The statement.
    #[schema(example = "job-17")]
    pub job_id: String,
    /// The columns.
    pub schema: Vec<ColumnView>,
    /// The first row of this page, from 0.
    pub offset: u64,
    /// Rows of the whole result.
    pub row_count: u64,
    /// Whether the result was cut at a limit.
    pub truncated: bool,
    /// The rows of this page.
    pub rows: Rows,
    /// The `offset` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}
