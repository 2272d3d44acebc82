//! What clients send.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The body of a submit.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = SubmitRequest)]
pub struct SubmitBody {
    /// The statement's text.
    #[schema(example = "SELECT COUNT(*) FROM range(1000000)", min_length = 1)]
    pub code: String,
    /// Always `sql`.
    #[schema(example = "sql")]
    pub kind: Option<String>,
    /// The pool; `default` if it is left out.
    #[schema(example = "interactive")]
    pub pool: Option<String>,
    /// Words for people, shown wherever the statement is.
    pub description: Option<String>,
    /// Who sends it; the header `X-Libra-User` says the same.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,128}$")]
    pub user: Option<String>,
    /// After how many seconds it ends as `LIBRA_TIMEOUT`, counted from acceptance.
    #[schema(exclusive_minimum = 0)]
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
    pub conf: Option<BTreeMap<String, String>>,
    /// Who makes it; the header `X-Libra-User` says the same.
    #[schema(pattern = "^[A-Za-z0-9._@-]{1,128}$")]
    pub user: Option<String>,
    /// After how many minutes without activity it is closed; 0 = never.
    #[schema(example = 30)]
    pub timeout_minutes: Option<u64>,
}

/// The body that sets a pool.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = PutPoolRequest)]
pub struct PutPoolBody {
    /// From 1.
    #[schema(example = 3, minimum = 1)]
    pub weight: u64,
    /// From 0.
    #[schema(example = 4)]
    pub min_share: u64,
    /// `FIFO` or `FAIR`.
    #[schema(example = "FAIR")]
    pub scheduling_mode: String,
    /// The pool's own limit of running statements; no limit if it is left out.
    #[schema(minimum = 1)]
    pub max_running: Option<u64>,
}
