//! What a call brought: a stream read response by response, or why there was none.

use anyhow::{Context, Result, ensure};
use libra_proto::spark;
use libra_proto::spark::execute_plan_response::ResponseType;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

/// Why a call gave nothing.
#[derive(Debug, Clone)]
pub(in crate::stub) struct Failure {
    pub(in crate::stub) code: Code,
    pub(in crate::stub) message: String,
    /// Spark's error class, from the details or, where they are too long, from the message.
    pub(in crate::stub) class: String,
    pub(in crate::stub) metadata: std::collections::HashMap<String, String>,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let metadata = status
            .get_details_error_info()
            .map(|info| info.metadata)
            .unwrap_or_default();
        let bracketed = status
            .message()
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
            .unwrap_or("");
        Self {
            code: status.code(),
            class: metadata
                .get("errorClass")
                .map_or(bracketed, String::as_str)
                .to_owned(),
            message: status.message().to_owned(),
            metadata,
        }
    }
}

/// A stream that was read to its end.
#[derive(Debug, Clone)]
pub(in crate::stub) struct Read {
    pub(in crate::stub) responses: Vec<spark::ExecutePlanResponse>,
    pub(in crate::stub) failure: Option<Failure>,
}

impl Read {
    /// Whether it ended with `result_complete` and no error.
    pub(in crate::stub) fn is_complete(&self) -> bool {
        let last = self.responses.last().and_then(|r| r.response_type.as_ref());
        self.failure.is_none() && matches!(last, Some(ResponseType::ResultComplete(_)))
    }

    /// Spark's error class; empty if it ended without an error.
    pub(in crate::stub) fn class(&self) -> &str {
        self.failure.as_ref().map_or("", |failure| &failure.class)
    }

    pub(in crate::stub) fn ids(&self) -> Vec<&str> {
        self.responses
            .iter()
            .map(|response| response.response_id.as_str())
            .collect()
    }

    /// The batches, with their places among the responses.
    pub(in crate::stub) fn batches(
        &self,
    ) -> Vec<(usize, &spark::execute_plan_response::ArrowBatch)> {
        self.responses
            .iter()
            .enumerate()
            .filter_map(|(at, response)| match &response.response_type {
                Some(ResponseType::ArrowBatch(batch)) => Some((at, batch)),
                _ => None,
            })
            .collect()
    }

    pub(in crate::stub) fn rows(&self) -> i64 {
        self.batches()
            .iter()
            .map(|(_, batch)| batch.row_count)
            .sum()
    }

    pub(in crate::stub) fn progress_reports(&self) -> usize {
        self.responses
            .iter()
            .filter(|r| matches!(r.response_type, Some(ResponseType::ExecutionProgress(_))))
            .count()
    }
}

/// A stream being read.
#[derive(Debug)]
pub(in crate::stub) struct Reading {
    stream: Option<Streaming<spark::ExecutePlanResponse>>,
    read: Read,
}

impl Reading {
    pub(super) fn new(
        opened: Result<tonic::Response<Streaming<spark::ExecutePlanResponse>>, Status>,
    ) -> Self {
        let (stream, failure) = match opened {
            Ok(response) => (Some(response.into_inner()), None),
            Err(status) => (None, Some(status.into())),
        };
        Self {
            stream,
            read: Read {
                responses: Vec::new(),
                failure,
            },
        }
    }

    /// Reads one more response: its id, or none at the end.
    pub(in crate::stub) async fn next(&mut self) -> Option<String> {
        let stream = self.stream.as_mut()?;
        match stream.message().await {
            Ok(Some(response)) => {
                let id = response.response_id.clone();
                self.read.responses.push(response);
                Some(id)
            }
            Ok(None) => {
                self.stream = None;
                None
            }
            Err(status) => {
                self.stream = None;
                self.read.failure = Some(status.into());
                None
            }
        }
    }

    /// Reads one more response, which must be there.
    pub(in crate::stub) async fn first(&mut self) -> Result<String> {
        let id = self.next().await;
        id.with_context(|| format!("no response: {:?}", self.read.failure))
    }

    /// Reads to the end.
    pub(in crate::stub) async fn rest(mut self) -> Read {
        while self.next().await.is_some() {}
        self.read
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// Makes sure that a call was refused with that error class.
pub(in crate::stub) fn refused<T: std::fmt::Debug>(
    answer: Result<T, Failure>,
    class: &str,
) -> Result<()> {
    match answer {
        Err(failure) => {
            ensure!(failure.class == class, "{failure} instead of {class}");
            ensure!(failure.code == Code::Internal, "{:?}", failure.code);
            Ok(())
        }
        Ok(answer) => anyhow::bail!("{answer:?} instead of {class}"),
    }
}

/// Makes sure that a stream ended with that error class.
pub(in crate::stub) fn failed(read: &Read, class: &str) -> Result<()> {
    ensure!(
        read.class() == class,
        "{:?} instead of {class}",
        read.failure
    );
    Ok(())
}

/// Makes sure that a stream ended with one of two error classes: which of them is a race in Spark.
pub(in crate::stub) fn failed_either(read: &Read, classes: [&str; 2]) -> Result<()> {
    ensure!(
        classes.contains(&read.class()),
        "{:?} instead of {classes:?}",
        read.failure
    );
    Ok(())
}
