//! Errors as Spark words them: class, message, SQLSTATE, parameters, Java classes.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

const SQL: &[&str] = &[
    "org.apache.spark.SparkSQLException",
    "java.sql.SQLException",
];
const PARSE: &[&str] = &[
    "org.apache.spark.sql.catalyst.parser.ParseException",
    "org.apache.spark.sql.AnalysisException",
];
const ANALYSIS: &[&str] = &[
    "org.apache.spark.sql.catalyst.ExtendedAnalysisException",
    "org.apache.spark.sql.AnalysisException",
];
const ARITHMETIC: &[&str] = &[
    "org.apache.spark.SparkArithmeticException",
    "java.lang.ArithmeticException",
    "java.lang.RuntimeException",
];
const RUNTIME: &[&str] = &[
    "org.apache.spark.SparkRuntimeException",
    "java.lang.RuntimeException",
];
const ROOTS: &[&str] = &[
    "java.lang.Exception",
    "java.lang.Throwable",
    "java.lang.Object",
];

/// Where in the statement an error arose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryContext {
    /// First character, counted from 0.
    pub start_index: i32,
    /// Last character, counted from 0.
    pub stop_index: i32,
    /// The piece of SQL between them.
    pub fragment: String,
}

/// One of Spark's errors; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparkError(Arc<ErrorParts>);

impl Deref for SparkError {
    type Target = ErrorParts;

    fn deref(&self) -> &ErrorParts {
        &self.0
    }
}

/// What an error of Spark's says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorParts {
    /// Error class, with its sub class: `INVALID_HANDLE.SESSION_CLOSED`.
    pub class: String,
    /// The whole message, as the gRPC status carries it.
    pub message: String,
    /// SQLSTATE.
    pub sql_state: String,
    /// Message parameters.
    pub parameters: BTreeMap<String, String>,
    /// Java classes, the thrown one first.
    pub hierarchy: Vec<String>,
    /// Where in the statement, if the error knows.
    pub context: Option<QueryContext>,
}

impl SparkError {
    /// An error whose message is `[class] text SQLSTATE: state`.
    pub fn new(class: &str, text: &str, sql_state: &str) -> Self {
        Self::of(RUNTIME, class, text, sql_state, &[])
    }

    pub(super) fn handle(sub_class: &str, handle: &str) -> Self {
        let (text, state) = match sub_class {
            "OPERATION_ALREADY_EXISTS" => ("Operation already exists.", "HY000"),
            "OPERATION_ABANDONED" => (
                "Operation was considered abandoned because of inactivity and removed.",
                "HY000",
            ),
            "OPERATION_NOT_FOUND" => ("Operation not found.", "HY000"),
            "SESSION_NOT_FOUND" => ("Session not found.", "08003"),
            "SESSION_CLOSED" => ("Session was closed.", "08003"),
            "SESSION_CHANGED" => (
                "The existing Spark server driver instance has restarted. Please reconnect.",
                "08003",
            ),
            _ => (
                "Handle must be an UUID string of the format '00112233-4455-6677-8899-aabbccddeeff'",
                "HY000",
            ),
        };
        Self::of(
            SQL,
            &format!("INVALID_HANDLE.{sub_class}"),
            &format!("The handle {handle} is invalid. {text}"),
            state,
            &[("handle", handle)],
        )
    }

    pub(super) fn cursor(sub_class: &str, text: &str) -> Self {
        Self::of(
            SQL,
            &format!("INVALID_CURSOR.{sub_class}"),
            &format!("The cursor is invalid. {text}"),
            "HY109",
            &[],
        )
    }

    pub(super) fn disconnected() -> Self {
        Self::cursor(
            "DISCONNECTED",
            "The cursor has been disconnected by the server.",
        )
    }

    pub(super) fn not_reattachable() -> Self {
        Self::cursor("NOT_REATTACHABLE", "The cursor is not reattachable.")
    }

    pub(super) fn position_not_found(response_id: &str) -> Self {
        Self::cursor(
            "POSITION_NOT_FOUND",
            &format!("The cursor position id {response_id} is not found."),
        )
        .with("responseId", response_id)
    }

    pub(super) fn position_not_available(response_id: &str, index: usize) -> Self {
        Self::cursor(
            "POSITION_NOT_AVAILABLE",
            &format!(
                "The cursor position id {response_id} is no longer available at index {index}."
            ),
        )
        .with("responseId", response_id)
        .with("index", &index.to_string())
    }

    pub(super) fn orphaned(user_id: &str, session_id: &str, operation_id: &str) -> Self {
        Self::of(
            RUNTIME,
            "SPARK_CONNECT_ILLEGAL_STATE.EXECUTION_STATE_OPERATION_ORPHANED",
            &format!(
                "Spark Connect encountered an illegal state condition. Operation \
                 ExecuteKey({user_id},{session_id},{operation_id}) has been orphaned."
            ),
            "XXSC0",
            &[],
        )
    }

    pub(super) fn operation_canceled() -> Self {
        Self::of(
            SQL,
            "OPERATION_CANCELED",
            "Operation has been canceled.",
            "HY008",
            &[],
        )
    }

    pub(super) fn parse(near: &str, hint: &str, sql: &str, position: usize) -> Self {
        let mut error = Self::of(
            PARSE,
            "PARSE_SYNTAX_ERROR",
            &format!("Syntax error at or near {near}{hint}."),
            "42601",
            &[("error", near), ("hint", hint)],
        );
        error.point_at(sql, position);
        error
    }

    pub(super) fn empty_statement(sql: &str) -> Self {
        let mut error = Self::of(
            PARSE,
            "PARSE_EMPTY_STATEMENT",
            "Syntax error, unexpected empty statement.",
            "42617",
            &[],
        );
        error.point_at(sql, 0);
        error
    }

    pub(super) fn table_not_found(name: &str, sql: &str) -> Self {
        let quoted = format!("`{}`", name.replace('.', "`.`"));
        let mut error = Self::of(
            ANALYSIS,
            "TABLE_OR_VIEW_NOT_FOUND",
            &format!(
                "The table or view {quoted} cannot be found. Verify the spelling and correctness \
                 of the schema and catalog."
            ),
            "42P01",
            &[("relationName", &quoted)],
        );
        error.parts().context = context(sql, name);
        error
    }

    pub(super) fn divide_by_zero(sql: &str, fragment: &str) -> Self {
        let mut error = Self::of(
            ARITHMETIC,
            "DIVIDE_BY_ZERO",
            "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL \
             instead. If necessary set \"spark.sql.ansi.enabled\" to \"false\" to bypass this error.",
            "22012",
            &[("config", "\"spark.sql.ansi.enabled\"")],
        );
        error.parts().context = context(sql, fragment);
        error
    }

    pub(super) fn user_raised(text: &str) -> Self {
        Self::of(
            RUNTIME,
            "USER_RAISED_EXCEPTION",
            text,
            "P0001",
            &[("errorMessage", text)],
        )
    }

    pub(super) fn conf_not_found(key: &str) -> Self {
        Self::of(
            SQL,
            "SQL_CONF_NOT_FOUND",
            &format!(
                "The SQL config \"{key}\" cannot be found. Please verify that the config exists."
            ),
            "42K0I",
            &[("sqlConf", key)],
        )
    }

    pub(super) fn cannot_modify(key: &str, is_static: bool) -> Self {
        let (class, text) = if is_static {
            (
                "CANNOT_MODIFY_STATIC_CONFIG",
                format!("Cannot modify the value of the static Spark config: \"{key}\"."),
            )
        } else {
            (
                "CANNOT_MODIFY_CONFIG",
                format!(
                    "Cannot modify the value of the Spark config: \"{key}\".\nSee also \
                     'https://spark.apache.org/docs/latest/sql-migration-guide.html#ddl-statements'."
                ),
            )
        };
        Self::of(ANALYSIS, class, &text, "46110", &[("key", key)])
    }

    pub(super) fn no_plan() -> Self {
        Self::of(
            SQL,
            "CONNECT_INVALID_PLAN.INVALID_ONE_OF_FIELD_NOT_SET",
            "The Spark Connect plan is invalid. This oneOf field in spark.connect.Plan is not set: \
             OPTYPE_NOT_SET",
            "56K00",
            &[],
        )
    }

    pub(super) fn interrupt_needs(parameter: &str, kind: &str) -> Self {
        Self::of(
            SQL,
            &format!("INVALID_PARAMETER_VALUE.{kind}"),
            &format!(
                "The value of parameter(s) {parameter} in interrupt is invalid: no {parameter} \
                 provided."
            ),
            "22023",
            &[("parameter", parameter), ("functionName", "interrupt")],
        )
    }

    pub(super) fn interrupt_kind() -> Self {
        Self::of(
            SQL,
            "UNSUPPORTED_FEATURE.INTERRUPT_TYPE",
            "The feature is not supported: Unsupported interrupt type: INTERRUPT_TYPE_UNSPECIFIED.",
            "0A000",
            &[],
        )
    }

    fn of(
        classes: &[&str],
        class: &str,
        text: &str,
        sql_state: &str,
        parameters: &[(&str, &str)],
    ) -> Self {
        Self(Arc::new(ErrorParts {
            class: class.into(),
            message: format!("[{class}] {text} SQLSTATE: {sql_state}"),
            sql_state: sql_state.into(),
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            hierarchy: classes
                .iter()
                .chain(ROOTS)
                .map(|class| (*class).into())
                .collect(),
            context: None,
        }))
    }

    fn parts(&mut self) -> &mut ErrorParts {
        Arc::make_mut(&mut self.0)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.parts().parameters.insert(name.into(), value.into());
        self
    }

    /// Adds the picture of the statement that a parser's error ends with.
    fn point_at(&mut self, sql: &str, position: usize) {
        let dashes = "-".repeat(position);
        self.parts().message = format!(
            "\n{} (line 1, pos {position})\n\n== SQL ==\n{sql}\n{dashes}^^^\n",
            self.message
        );
    }
}

fn context(sql: &str, fragment: &str) -> Option<QueryContext> {
    let start = sql.find(fragment)?;
    Some(QueryContext {
        start_index: i32::try_from(start).ok()?,
        stop_index: i32::try_from(start + fragment.len().checked_sub(1)?).ok()?,
        fragment: fragment.into(),
    })
}

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// Spark refused, or the statement failed.
    #[error("{}", error.message)]
    Spark {
        /// What Spark says.
        error: SparkError,
        /// Under which id `FetchErrorDetails` gives more; absent if no session was found.
        error_id: Option<String>,
    },
    /// This server does not have that call.
    #[error("method not found: spark.connect.SparkConnectService/{method}")]
    Unimplemented {
        /// Name of the call.
        method: &'static str,
    },
    /// The driver died under the call.
    #[error("network closed for unknown reason")]
    Unavailable,
}

impl From<SparkError> for RpcError {
    fn from(error: SparkError) -> Self {
        Self::Spark {
            error,
            error_id: None,
        }
    }
}

impl RpcError {
    /// Spark's error class, if it is Spark that refused.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Spark { error, .. } => Some(&error.class),
            Self::Unimplemented { .. } | Self::Unavailable => None,
        }
    }
}
