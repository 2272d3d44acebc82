//! Results as real Arrow: each batch a whole IPC stream of its own, as Spark sends them.
//!
//! **Invariant:** pure; the bytes of a batch depend on its rows alone, its length on their number.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, NullArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use bytes::Bytes;
use libra_proto::spark;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The same INT in every row.
    Int(i32),
    /// The same BIGINT in every row.
    Long(i64),
    /// The same STRING in every row.
    Text(String),
    /// The same BOOLEAN in every row.
    Boolean(bool),
    /// NULL, of type VOID.
    Null,
    /// BIGINT: `start + step * row`.
    Sequence {
        /// Value of row 0.
        start: i64,
        /// From each row to the next.
        step: i64,
    },
}

/// A column: its name and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Contents.
    pub content: Content,
}

impl Column {
    /// Makes a column.
    pub fn new(name: impl Into<String>, content: Content) -> Self {
        Self {
            name: name.into(),
            content,
        }
    }
}

/// A result: columns, and how many rows there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: u64,
}

impl Table {
    /// Makes a table.
    #[must_use]
    pub fn new(columns: Vec<Column>, rows: u64) -> Self {
        Self { columns, rows }
    }

    /// What a command answers: no column, no row.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(Vec::new(), 0)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The schema as Spark Connect words it.
    #[must_use]
    pub fn spark_schema(&self) -> spark::DataType {
        let fields = self
            .columns
            .iter()
            .map(|column| spark::data_type::StructField {
                name: column.name.clone(),
                data_type: Some(column.content.spark_type()),
                nullable: column.content == Content::Null,
                metadata: None,
            })
            .collect();
        spark::DataType {
            kind: Some(spark::data_type::Kind::Struct(spark::data_type::Struct {
                fields,
            })),
        }
    }

    /// The rows from `start` on, as one Arrow IPC stream.
    ///
    /// # Errors
    /// Only what Arrow's writer refuses, which no table of ours gives cause for.
    pub fn render(&self, start: u64, rows: u64) -> Result<Bytes, ArrowError> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|column| {
                let nullable = column.content == Content::Null;
                Field::new(&column.name, column.content.arrow_type(), nullable)
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = self
            .columns
            .iter()
            .map(|column| column.content.array(start, rows))
            .collect();
        let count = usize::try_from(rows).unwrap_or(usize::MAX);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        Ok(writer.into_inner()?.into())
    }
}

impl Content {
    fn arrow_type(&self) -> DataType {
        match self {
            Self::Int(_) => DataType::Int32,
            Self::Long(_) | Self::Sequence { .. } => DataType::Int64,
            Self::Text(_) => DataType::Utf8,
            Self::Boolean(_) => DataType::Boolean,
            Self::Null => DataType::Null,
        }
    }

    fn spark_type(&self) -> spark::DataType {
        use spark::data_type::{Boolean, Integer, Kind, Long, Null, String as Text};
        let kind = match self {
            Self::Int(_) => Kind::Integer(Integer {}),
            Self::Long(_) | Self::Sequence { .. } => Kind::Long(Long {}),
            Self::Text(_) => Kind::String(Text {
                collation: String::new(),
            }),
            Self::Boolean(_) => Kind::Boolean(Boolean {}),
            Self::Null => Kind::Null(Null {}),
        };
        spark::DataType { kind: Some(kind) }
    }

    fn array(&self, start: u64, rows: u64) -> ArrayRef {
        let count = usize::try_from(rows).unwrap_or(usize::MAX);
        match self {
            Self::Int(value) => Arc::new(Int32Array::from_value(*value, count)),
            Self::Long(value) => Arc::new(Int64Array::from_value(*value, count)),
            Self::Text(value) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                value, count,
            ))),
            Self::Boolean(value) => Arc::new(BooleanArray::from(vec![*value; count])),
            Self::Null => Arc::new(NullArray::new(count)),
            Self::Sequence { start: first, step } => {
                let row = |row: u64| {
                    let row = i64::try_from(row).unwrap_or(i64::MAX);
                    first.wrapping_add(step.wrapping_mul(row))
                };
                Arc::new(Int64Array::from_iter_values((start..start + rows).map(row)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_ipc::reader::StreamReader;

    use super::{Column, Content, Table};

    fn table() -> Table {
        let columns = vec![
            Column::new("id", Content::Sequence { start: 5, step: 2 }),
            Column::new("v", Content::Text("xx".into())),
            Column::new("n", Content::Null),
        ];
        Table::new(columns, 100)
    }

    #[test]
    fn a_batch_is_a_whole_ipc_stream() {
        let bytes = table().render(10, 3).unwrap();
        let mut reader = StreamReader::try_new(bytes.as_ref(), None).unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert!(reader.next().is_none());
        let ids =
            arrow_array::cast::as_primitive_array::<arrow_array::types::Int64Type>(batch.column(0));
        assert_eq!(ids.values(), &[25, 27, 29]);
    }

    #[test]
    fn the_length_of_a_batch_depends_on_its_row_count_alone() {
        let length = |start| table().render(start, 10).unwrap().len();
        assert_eq!(length(0), length(90));
    }

    #[test]
    fn a_command_gives_a_batch_without_columns() {
        let bytes = Table::nothing().render(0, 0).unwrap();
        let mut reader = StreamReader::try_new(bytes.as_ref(), None).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().num_columns(), 0);
    }
}
