//! Errors on the wire: the gRPC status with its `ErrorInfo`, and `FetchErrorDetails`.

use std::collections::HashMap;

use libra_proto::spark::fetch_error_details_response as details;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::engine::{RpcError, SparkError};

/// Longest message in a status, characters; the whole of it comes by `FetchErrorDetails`.
const MESSAGE_CHARS: usize = 2_048;
/// Longest `messageParameters` in a status, `spark.connect.grpc.maxMetadataSize`.
const PARAMETERS_BYTES: usize = 1_024;

/// The status that Spark sends for an error.
pub(super) fn status(error: &RpcError) -> Status {
    match error {
        RpcError::Spark { error, error_id } => spark_status(error, error_id.as_deref()),
        RpcError::Unimplemented { .. } => Status::unimplemented(error.to_string()),
        RpcError::Unavailable => Status::unavailable(error.to_string()),
    }
}

fn spark_status(error: &SparkError, error_id: Option<&str>) -> Status {
    let json = |value: serde_json::Value| value.to_string();
    let mut metadata = HashMap::from([
        ("classes".to_owned(), json(error.hierarchy.clone().into())),
        ("sqlState".to_owned(), error.sql_state.clone()),
    ]);
    let parameters = json(serde_json::json!(error.parameters));
    if parameters.len() <= PARAMETERS_BYTES {
        metadata.insert("messageParameters".into(), parameters);
        metadata.insert("errorClass".into(), error.class.clone());
    }
    if let Some(id) = error_id {
        metadata.insert("errorId".into(), id.into());
    }
    let reason = error.hierarchy.first().cloned().unwrap_or_default();
    let details = ErrorDetails::with_error_info(reason, "org.apache.spark", metadata);
    Status::with_error_details(Code::Internal, abbreviated(&error.message), details)
}

fn abbreviated(message: &str) -> String {
    if message.chars().count() <= MESSAGE_CHARS {
        return message.to_owned();
    }
    let kept: String = message.chars().take(MESSAGE_CHARS - 3).collect();
    kept + "..."
}

/// The same error as `FetchErrorDetails` words it.
pub(super) fn detailed(error: &SparkError) -> details::Error {
    let context = error.context.as_ref().map(|context| details::QueryContext {
        start_index: context.start_index,
        stop_index: context.stop_index,
        summary: format!("== SQL ==\n{}\n", context.fragment),
        fragment: context.fragment.clone(),
        ..details::QueryContext::default()
    });
    details::Error {
        error_type_hierarchy: error.hierarchy.clone(),
        message: error.message.clone(),
        cause_idx: None,
        spark_throwable: Some(details::SparkThrowable {
            error_class: Some(error.class.clone()),
            message_parameters: error.parameters.clone().into_iter().collect(),
            query_contexts: context.into_iter().collect(),
            sql_state: Some(error.sql_state.clone()),
        }),
    }
}
