//! Results of statements that succeeded.

use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;
use bytes::Bytes;
use libra_proto::spark::DataType;
use libra_proto::types::{JobId, SessionId};
use prost::Message;

use super::{Consistency, Service, ServiceError, StatementSnapshot};
use crate::results::{Column, ReadError, ResultReader, render};

/// A result that is open for reading.
#[derive(Debug, Clone)]
pub struct OpenResult {
    /// Its statement.
    pub job: JobId,
    /// Where its rows are; none for a statement that gave no table at all.
    pub reader: Option<ResultReader>,
}

/// What is known of a result without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSummary {
    /// Its columns.
    pub schema: Vec<Column>,
    /// Its rows.
    pub row_count: u64,
    /// Whether it was cut at a limit.
    pub truncated: bool,
}

impl StatementSnapshot {
    /// What is known of the result; none unless the statement succeeded.
    ///
    /// # Errors
    /// When the schema in the registry cannot be read.
    pub fn result_summary(&self) -> Result<Option<ResultSummary>, ServiceError> {
        if !self.has_result() {
            return Ok(None);
        }
        let Some(manifest) = &self.record.result else {
            return Ok(Some(ResultSummary {
                schema: Vec::new(),
                row_count: 0,
                truncated: false,
            }));
        };
        let schema = DataType::decode(manifest.schema.as_slice());
        let schema = schema.map_err(|error| ServiceError::Internal {
            cause: format!("schema of {} in the registry: {error}", self.job()),
        })?;
        Ok(Some(ResultSummary {
            schema: render::columns(&render::fields(schema)),
            row_count: manifest.rows,
            truncated: manifest.truncated,
        }))
    }
}

impl Service {
    /// Opens the result of a statement.
    ///
    /// # Errors
    /// When there is no such statement, it has not ended or has no result, the result cannot be
    /// read, or there is no leader.
    pub async fn result(
        &self,
        job: JobId,
        session: Option<&SessionId>,
        consistency: Consistency,
    ) -> Result<OpenResult, ServiceError> {
        let found = self.statement(job, session, consistency).await?;
        self.open_result(&found).await
    }

    /// Opens the result of a statement that was read.
    ///
    /// # Errors
    /// When it has not ended or has no result, or the result cannot be read.
    pub async fn open_result(&self, found: &StatementSnapshot) -> Result<OpenResult, ServiceError> {
        let job = found.job();
        let state = found.record.state();
        if !state.has_ended() {
            let state = state.label();
            return Err(ServiceError::NotFinished { job, state });
        }
        if !found.has_result() {
            let error = found.record.error.as_ref();
            return Err(ServiceError::NoResult {
                job,
                state: state.label(),
                error_class: error.map(|e| e.error_class.clone()).unwrap_or_default(),
            });
        }
        let reader = match &found.record.result {
            None => None,
            // After a restore: there is nobody to ask.
            Some(manifest) if manifest.holders.is_empty() && manifest.inline.is_empty() => {
                return Err(ServiceError::ResultLost { job });
            }
            Some(manifest) => {
                let opened = self.inner.results.reader(job, manifest).await;
                Some(opened.map_err(|error| unreadable(job, error))?)
            }
        };
        Ok(OpenResult { job, reader })
    }
}

impl OpenResult {
    /// An Arrow stream without columns and rows.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn empty_arrow() -> Result<Bytes, ServiceError> {
        let failed = |error: arrow_schema::ArrowError| ServiceError::Internal {
            cause: error.to_string(),
        };
        let mut writer = StreamWriter::try_new(Vec::new(), &Schema::empty()).map_err(failed)?;
        writer.finish().map_err(failed)?;
        writer.into_inner().map(Bytes::from).map_err(failed)
    }
}

/// What a client is told of a result that could not be read.
#[must_use]
pub fn unreadable(job: JobId, error: ReadError) -> ServiceError {
    match error {
        ReadError::NotHere { .. } | ReadError::Damaged { .. } | ReadError::Io { .. } => {
            ServiceError::ResultUnavailable {
                job,
                cause: error.to_string(),
            }
        }
        ReadError::Unsupported { .. } => ServiceError::Unrenderable {
            cause: error.to_string(),
        },
    }
}
