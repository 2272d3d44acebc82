//! The routes below `/api/v1`: one file per resource. A handler reads the request, calls the
//! service, and writes the answer.
//!
//! **Invariant:** handlers hold no state and decide nothing.

pub(crate) mod cluster;
pub(crate) mod events;
pub(crate) mod pools;
mod present;
pub(crate) mod result;
pub(crate) mod sessions;
pub(crate) mod statements;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use libra_proto::trace::TraceContext;
use tokio::time::Instant;

use super::Api;
use super::extract::Query;
use super::extract::accept::{JSON, negotiate};
use super::layers::observe::Arrival;
use super::layers::trace::Place;
use super::problem::Problem;
use crate::service::{Consistency, Patience};

const LIBRA_STALE: HeaderName = HeaderName::from_static("libra-stale");
const LIBRA_APPLIED_INDEX: HeaderName = HeaderName::from_static("libra-applied-index");

/// The head of a request that is answered in JSON: the client takes JSON, and it is known when
/// the request arrived.
#[derive(Debug)]
pub(crate) struct Head {
    parts: Parts,
    arrival: Instant,
    place: Option<TraceContext>,
}

impl<S: Send + Sync> FromRequestParts<S> for Head {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        negotiate(&parts.headers, &[JSON])?;
        AnyHead::from_request_parts(parts, state)
            .await
            .map(|AnyHead(head)| head)
    }
}

/// The head of a request whose answer has a form of its own.
#[derive(Debug)]
pub(crate) struct AnyHead(pub(crate) Head);

impl<S: Send + Sync> FromRequestParts<S> for AnyHead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Arrival>();
        let arrival = arrival.map_or_else(Instant::now, |Arrival(at)| *at);
        let mut copy = http::Request::new(()).into_parts().0;
        copy.method = parts.method.clone();
        copy.uri = parts.uri.clone();
        copy.headers = parts.headers.clone();
        let place = parts.extensions.get::<Place>();
        Ok(Self(Head {
            parts: copy,
            arrival,
            place: place.map(|Place(place)| place.clone()),
        }))
    }
}

impl Head {
    pub(crate) fn headers(&self) -> &http::HeaderMap {
        &self.parts.headers
    }

    /// The query of a request that changes something.
    pub(crate) fn query(&self, known: &[&str]) -> Query {
        Query::of(&self.parts.uri, known)
    }

    /// The query of a GET, which may always ask for a stale answer.
    pub(crate) fn read_query(&self, known: &[&str]) -> Query {
        let mut known = known.to_vec();
        known.push("stale");
        self.query(&known)
    }

    /// Where the request is in a trace.
    pub(crate) fn place(&self) -> Option<TraceContext> {
        self.place.clone()
    }

    pub(crate) fn arrival(&self) -> Instant {
        self.arrival
    }

    pub(crate) fn patience(&self, api: &Api) -> Patience {
        api.service().patience(self.arrival)
    }

    pub(crate) fn consistency(&self, api: &Api, stale: bool) -> Consistency {
        if stale {
            Consistency::Stale
        } else {
            Consistency::Linearizable(self.patience(api))
        }
    }
}

/// Says that an answer is only what this node has applied.
pub(crate) fn mark_stale(api: &Api, mut response: Response) -> Response {
    let index = api.service().applied_index();
    let headers = response.headers_mut();
    headers.insert(LIBRA_STALE, HeaderValue::from_static("true"));
    headers.insert(LIBRA_APPLIED_INDEX, HeaderValue::from(index));
    response
}

/// Marks the answer if the client had asked for a stale one.
pub(crate) fn marked(api: &Api, stale: bool, response: Response) -> Response {
    if stale {
        mark_stale(api, response)
    } else {
        response
    }
}
