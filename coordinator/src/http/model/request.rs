//! What clients send.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::whole::{whole, whole_opt};

/// The body of a submit.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = SubmitRequest)]
pub struct SubmitBody {
    /// The statement's text.
    #[schema(
        example = "SELECT COUNT(*) FROM range(1000000)",
        min_length = 1,
        pattern = r"\S"
    )]
    pub code: String,
    /// Always `sql`.
    #[schema(example = "sql", pattern = "^sql$")]
    pub kind: Option<String>,
    /// The pool; `default` if it is left out.
    #[schema(
        example = "interactive",
        pattern = "^[!-.0-~]([ -.0-~]{0,126}[!-.0-~])?$"
    )]
    pub pool: Option<String>,
    /// Words for people, shown wherever the statement is; at most 4096 bytes.
    pub description: Option<String>,
    /// Who sends it; the header `X-Libra-User` says the same.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,128}$")]
    pub user: Option<String>,
    /// After how many seconds it ends as `LIBRA_TIMEOUT`, counted from acceptance.
    #[schema(exclusive_minimum = 0, maximum = 31536000)]
    pub timeout_seconds: Option<f64>,
}

/// The body that makes a session.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CreateSessionRequest)]
pub struct CreateSessionBody {
    /// Its id; `s-<uuid>` if it is left out.
    #[schema(
        example = "user-alice",
        pattern = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"
    )]
    pub session_id: Option<String>,
    /// Settings of the Spark session.
    #[schema(schema_with = conf_schema)]
    pub conf: Option<BTreeMap<String, String>>,
    /// Who makes it; the header `X-Libra-User` says the same.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,128}$")]
    pub user: Option<String>,
    /// After how many minutes without activity it is closed; 0 = never.
    #[schema(example = 30, maximum = 527040)]
    #[serde(default, deserialize_with = "whole_opt")]
    pub timeout_minutes: Option<u64>,
}

/// Keys are visible ASCII; which of them Spark lets a session set only Spark knows.
fn conf_schema() -> Schema {
    let key = ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("Settings of the Spark session"))
        .property_names(Some(key.pattern(Some("^[!-~]{1,256}$"))))
        .additional_properties(Some(ObjectBuilder::new().schema_type(Type::String)))
        .into()
}

/// The body that sets a pool.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PutPoolRequest)]
pub struct PutPoolBody {
    /// From 1.
    #[schema(example = 3, minimum = 1, maximum = 1000000)]
    #[serde(deserialize_with = "whole")]
    pub weight: u64,
    /// From 0.
    #[schema(example = 4, maximum = 1000000)]
    #[serde(deserialize_with = "whole")]
    pub min_share: u64,
    /// `FIFO` or `FAIR`.
    #[schema(example = "FAIR", pattern = "^(FIFO|FAIR)$")]
    pub scheduling_mode: String,
    /// The pool's own limit of running statements; no limit if it is left out.
    #[schema(minimum = 1, maximum = 1000000)]
    #[serde(default, deserialize_with = "whole_opt")]
    pub max_running: Option<u64>,
}
