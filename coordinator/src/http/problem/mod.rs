//! `application/problem+json` (RFC 9457): the one form of every error answer.
//!
//! A handler answers with a [`Problem`]; the outermost layer (`layers::problems`) writes the body,
//! because only there the path and the request's id are known.
//!
//! **Invariant:** no error leaves the server in any other form, those of axum included.

mod from_service;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::service::{Allowed, ErrorCode, FieldError, Limit};

/// The media type of errors.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error answer in the making. Boxed: it travels in results that mostly are no errors.
#[derive(Debug, Clone)]
pub struct Problem {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    code: ErrorCode,
    detail: String,
    errors: Vec<FieldError>,
    outcome_unknown: bool,
    limit: Option<Limit>,
    headers: HeaderMap,
}

/// The body, as RFC 9457 and api.md have it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:libra:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:libra:problem:session-not-found")]
    pub kind: String,
    /// What went wrong, for programs.
    #[schema(example = "session-not-found")]
    pub code: &'static str,
    /// The same for every problem of this code.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What went wrong here.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// The wrong values, if it was that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldErrorBody>,
    /// `unknown` if what was asked may have been done all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "unknown")]
    pub outcome: Option<&'static str>,
    /// The request's id, as in `X-Request-Id` and in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// One wrong value.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = FieldError)]
pub struct FieldErrorBody {
    /// The field, parameter or header.
    pub field: String,
    /// What it held; long values are cut.
    pub value: String,
    /// What it may hold.
    pub allowed: AllowedBody,
}

/// What a field may hold: in words, or a list to choose from.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = Allowed)]
pub enum AllowedBody {
    /// In words.
    Text(String),
    /// One of these.
    OneOf(Vec<String>),
}

impl From<FieldError> for FieldErrorBody {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field,
            value: error.value,
            allowed: match error.allowed {
                Allowed::Text(text) => AllowedBody::Text(text),
                Allowed::OneOf(values) => AllowedBody::OneOf(values),
            },
        }
    }
}

impl Problem {
    /// A problem of this code.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                detail: detail.into(),
                errors: Vec::new(),
                outcome_unknown: false,
                limit: None,
                headers: HeaderMap::new(),
            }),
        }
    }

    /// 400 with the wrong values.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        crate::service::ServiceError::Invalid { errors }.into()
    }

    /// The problem that a bare status stands for (answers that axum itself makes).
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => (ErrorCode::NotFound, "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => (
                ErrorCode::MethodNotAllowed,
                "the header `Allow` names the methods of this path",
            ),
            StatusCode::NOT_ACCEPTABLE => (ErrorCode::NotAcceptable, "no acceptable form"),
            StatusCode::PAYLOAD_TOO_LARGE => (ErrorCode::BodyTooLarge, "the body is too long"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (ErrorCode::UnsupportedMediaType, "the body must be JSON")
            }
            status if status.is_client_error() => (
                ErrorCode::InvalidRequest,
                "the request could not be understood",
            ),
            _ => (ErrorCode::Internal, "internal error"),
        };
        Self::new(code, detail)
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.inner.headers.insert(name, value);
        self
    }

    /// With the wrong values.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.inner.errors = errors;
        self
    }

    /// Says which limit refused it.
    #[must_use]
    pub(crate) fn met(mut self, limit: Limit) -> Self {
        self.inner.limit = Some(limit);
        self
    }

    /// Says that what was asked may have been done all the same.
    #[must_use]
    pub fn with_unknown_outcome(mut self) -> Self {
        self.inner.outcome_unknown = true;
        self
    }

    /// The problem's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// The body, once path and request id are known.
    #[must_use]
    pub fn body(&self, instance: &str, request_id: Option<&str>) -> ProblemBody {
        let kind = self.inner.code.kind();
        ProblemBody {
            kind: format!("urn:libra:problem:{}", kind.name),
            code: kind.name,
            title: kind.title,
            status: kind.status,
            detail: self.inner.detail.clone(),
            instance: instance.to_owned(),
            errors: self.inner.errors.iter().cloned().map(Into::into).collect(),
            outcome: self.inner.outcome_unknown.then_some("unknown"),
            request_id: request_id.map(ToOwned::to_owned),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.inner.code.kind().status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.headers_mut().extend(self.inner.headers.clone());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(limit) = self.inner.limit {
            response.extensions_mut().insert(limit);
        }
        response.extensions_mut().insert(self);
        response
    }
}
