//! What Spark says about an error, put together from the `ErrorInfo` detail of the status and
//! the answer to `FetchErrorDetails`. PURE.
//!
//! **Invariant:** what is read here is bounded: an error never outgrows [`MAX_BYTES`] of text.

use std::collections::BTreeMap;

use libra_proto::registry::{QueryContext, StatementError};
use libra_proto::spark::FetchErrorDetailsResponse;
use libra_proto::spark::fetch_error_details_response::{Error, SparkThrowable};
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt as _};

/// The most text that one error keeps, in bytes.
pub(super) const MAX_BYTES: usize = 64 << 10;
/// Spark's mark.
const DOMAIN: &str = "org.apache.spark";
/// The SQLSTATE of a failure that Spark gives none to.
const NO_SQL_STATE: &str = "HY000";
/// How many causes are looked through for the one that carries an error class.
const MAX_CAUSES: usize = 16;

/// The error class of a status that is Spark's own; `None` where it is not.
pub(super) fn spark_class(status: &Status) -> Option<String> {
    match spark_info(status) {
        Some(info) => Some(class_of(&info)),
        None => marked_message(status).map(|(class, _)| class.to_owned()),
    }
}

/// What a status says, if it is Spark's own.
pub(super) fn from_status(status: &Status) -> Option<StatementError> {
    let message = bounded(status.message().trim());
    let mut error = match spark_info(status) {
        Some(mut info) => StatementError {
            error_class: class_of(&info),
            sql_state: info
                .metadata
                .remove("sqlState")
                .unwrap_or_else(|| NO_SQL_STATE.to_owned()),
            message,
            query_context: Vec::new(),
            message_parameters: parameters(info.metadata.get("messageParameters")),
        },
        None => {
            let (class, sql_state) = marked_message(status)?;
            StatementError {
                error_class: class.to_owned(),
                sql_state: sql_state.unwrap_or(NO_SQL_STATE).to_owned(),
                message,
                ..StatementError::default()
            }
        }
    };
    limit(&mut error);
    Some(error)
}

/// The id by which Spark keeps the rest of an error, for a while.
pub(super) fn error_id(status: &Status) -> Option<String> {
    spark_info(status)?.metadata.remove("errorId")
}

/// Adds what `FetchErrorDetails` answered: the whole message, the parameters and the contexts.
pub(super) fn complete(error: &mut StatementError, response: FetchErrorDetailsResponse) {
    let mut errors = response.errors;
    let Some(root) = response
        .root_error_idx
        .and_then(|index| usize::try_from(index).ok())
    else {
        return;
    };
    if let Some(message) = errors.get(root).map(|root| root.message.trim())
        && !message.is_empty()
    {
        error.message = message.to_owned();
    }
    if let Some(throwable) = first_with_class(&mut errors, root) {
        error.error_class = throwable.error_class.unwrap_or_default();
        error.sql_state = throwable
            .sql_state
            .unwrap_or_else(|| error.sql_state.clone());
        error.query_context = throwable.query_contexts.into_iter().map(context).collect();
        error.message_parameters = throwable.message_parameters.into_iter().collect();
    }
    limit(error);
}

/// Cuts a text to [`MAX_BYTES`], at the end of a character.
pub(super) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_BYTES)].to_owned()
}

/// The error itself, or the nearest of its causes, that has an error class.
fn first_with_class(errors: &mut [Error], root: usize) -> Option<SparkThrowable> {
    let mut index = root;
    for _ in 0..MAX_CAUSES {
        let error = errors.get_mut(index)?;
        match error
            .spark_throwable
            .take_if(|throwable| throwable.error_class.is_some())
        {
            Some(throwable) => return Some(throwable),
            None => index = usize::try_from(error.cause_idx?).ok()?,
        }
    }
    None
}

fn spark_info(status: &Status) -> Option<ErrorInfo> {
    status
        .get_details_error_info()
        .filter(|info| info.domain == DOMAIN)
}

/// The error class; the exception's own name where Spark gives it no class.
fn class_of(info: &ErrorInfo) -> String {
    info.metadata
        .get("errorClass")
        .unwrap_or(&info.reason)
        .clone()
}

fn parameters(json: Option<&String>) -> BTreeMap<String, String> {
    json.and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

/// Class and SQLSTATE of `[CLASS] … SQLSTATE: xxxxx`, the form in which Spark writes its messages:
/// what is left of an error whose details got lost on the way.
fn marked_message(status: &Status) -> Option<(&str, Option<&str>)> {
    if status.code() != Code::Internal {
        return None;
    }
    let message = status.message().trim_start();
    let (class, rest) = message.strip_prefix('[')?.split_once(']')?;
    let is_class = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.');
    if class.is_empty() || !class.bytes().all(is_class) {
        return None;
    }
    let state = rest
        .rsplit_once("SQLSTATE: ")
        .and_then(|(_, tail)| tail.get(..5));
    Some((
        class,
        state.filter(|state| state.bytes().all(|b| b.is_ascii_alphanumeric())),
    ))
}

fn context(
    context: libra_proto::spark::fetch_error_details_response::QueryContext,
) -> QueryContext {
    QueryContext {
        object_type: context.object_type,
        object_name: context.object_name,
        start_index: context.start_index,
        stop_index: context.stop_index,
        fragment: context.fragment,
        call_site: context.call_site,
        summary: context.summary,
    }
}

/// Keeps the error within [`MAX_BYTES`]: the message first, then whole contexts, then whole
/// parameters, as far as they fit.
fn limit(error: &mut StatementError) {
    error
        .message
        .truncate(error.message.floor_char_boundary(MAX_BYTES));
    let mut left = MAX_BYTES - error.message.len();
    let mut fits = |bytes: usize| {
        let fits = bytes <= left;
        left -= if fits { bytes } else { 0 };
        fits
    };
    error.query_context.retain(|c| {
        fits(
            c.object_type.len()
                + c.object_name.len()
                + c.fragment.len()
                + c.call_site.len()
                + c.summary.len(),
        )
    });
    error
        .message_parameters
        .retain(|key, value| fits(key.len() + value.len()));
}

#[cfg(test)]
#[path = "details_tests.rs"]
pub(super) mod tests;
