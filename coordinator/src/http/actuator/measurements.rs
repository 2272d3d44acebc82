//! Metrics as Spring prints them: made from the same families as Prometheus' text.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde::Serialize;

use super::check;
use crate::http::Api;
use crate::http::problem::Problem;
use crate::http::routes::mark_stale;
use crate::service::ErrorCode;

/// The names of all metrics.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MetricNames {
    /// By name.
    #[schema(example = json!(["libra.jobs.concurrent", "libra.sessions.active"]))]
    names: BTreeSet<String>,
}

/// One metric, summed over what its tags tell apart.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Metric)]
pub(crate) struct MetricView {
    /// Its name.
    #[schema(example = "libra.sessions.active")]
    name: String,
    /// What it says.
    description: String,
    /// Its unit, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    base_unit: Option<&'static str>,
    /// Its values.
    measurements: Vec<MeasurementView>,
    /// What tells its parts apart.
    available_tags: Vec<TagView>,
}

/// One value.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Measurement)]
pub(crate) struct MeasurementView {
    /// `VALUE`, `COUNT` or `TOTAL_TIME`.
    #[schema(example = "VALUE")]
    statistic: &'static str,
    /// The value.
    value: f64,
}

/// One tag.
#[derive(Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Tag)]
pub(crate) struct TagView {
    /// Its name.
    tag: String,
    /// The values it has.
    values: BTreeSet<String>,
}

fn families(api: &Api) -> Vec<MetricFamily> {
    api.metrics().refresh(api.service().node_load());
    api.metrics().registry().gather()
}

/// The names of all metrics.
#[utoipa::path(get, path = "/actuator/metrics", operation_id = "listMetrics", tag = "actuator", responses(
    (status = 200, description = "The names", body = MetricNames)
))]
pub(crate) async fn metric_names(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    check(&headers, &uri, &[])?;
    let names = families(&api).iter().map(dotted).collect();
    Ok(mark_stale(
        &api,
        Json(MetricNames { names }).into_response(),
    ))
}

/// One metric of this node.
#[utoipa::path(get, path = "/actuator/metrics/{name}", operation_id = "getMetric", tag = "actuator",
    params(("name" = String, Path, description = "Its name", example = "libra.sessions.active")),
    responses(
        (status = 200, description = "The metric", body = MetricView),
        (status = 404, description = "There is none of that name",
            body = crate::http::problem::ProblemBody, content_type = "application/problem+json")
    ))]
pub(crate) async fn metric(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    check(&headers, &uri, &[])?;
    let families = families(&api);
    let found = families.iter().find(|family| dotted(family) == name);
    let found = found.ok_or_else(|| {
        Problem::new(
            ErrorCode::MetricNotFound,
            format!("there is no metric `{name}`; /actuator/metrics lists them"),
        )
    })?;
    Ok(mark_stale(&api, Json(view(found)).into_response()))
}

/// The name with dots, without what Prometheus puts behind it.
fn dotted(family: &MetricFamily) -> String {
    let name = family.name();
    let name = name.strip_suffix("_total").unwrap_or(name);
    let name = name.strip_suffix("_seconds").unwrap_or(name);
    name.replace('_', ".")
}

fn view(family: &MetricFamily) -> MetricView {
    let metrics = family.get_metric();
    let sum = |value: fn(&Metric) -> f64| metrics.iter().map(value).sum::<f64>();
    let measurement = |statistic, value| MeasurementView { statistic, value };
    let measurements = match family.get_field_type() {
        MetricType::COUNTER => vec![measurement("COUNT", sum(|m| m.get_counter().get_value()))],
        MetricType::GAUGE => vec![measurement("VALUE", sum(|m| m.get_gauge().get_value()))],
        MetricType::HISTOGRAM => vec![
            measurement(
                "COUNT",
                sum(|m| count(m.get_histogram().get_sample_count())),
            ),
            measurement("TOTAL_TIME", sum(|m| m.get_histogram().get_sample_sum())),
        ],
        MetricType::SUMMARY | MetricType::UNTYPED => Vec::new(),
    };
    MetricView {
        name: dotted(family),
        description: family.help().to_owned(),
        base_unit: family.name().contains("_seconds").then_some("seconds"),
        measurements,
        available_tags: tags(metrics),
    }
}

// A count beyond 2^53 loses its last digits in JSON anyway.
fn count(n: u64) -> f64 {
    n as f64
}

fn tags(metrics: &[Metric]) -> Vec<TagView> {
    let mut tags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for label in metrics.iter().flat_map(Metric::get_label) {
        let values = tags.entry(label.name().to_owned()).or_default();
        values.insert(label.value().to_owned());
    }
    let view = |(tag, values)| TagView { tag, values };
    tags.into_iter().map(view).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::metrics::Metrics;
    use crate::service::NodeLoad;

    fn found(metrics: &Metrics, name: &str) -> MetricView {
        let families = metrics.registry().gather();
        view(families.iter().find(|f| dotted(f) == name).unwrap())
    }

    #[test]
    fn gauges_and_timers_read_as_spring_prints_them() {
        let metrics = Metrics::default();
        metrics.refresh(NodeLoad {
            sessions: 3,
            max_sessions: 10,
            running: 2,
            queued: 7,
        });
        let active = found(&metrics, "libra.sessions.active");
        assert_eq!(
            active.measurements,
            [MeasurementView {
                statistic: "VALUE",
                value: 3.0
            }]
        );
        assert!(active.available_tags.is_empty());
        let get = http::Method::GET;
        metrics.http_request_ended(&get, "/a", 200, Duration::from_millis(500));
        metrics.http_request_ended(&get, "/b", 404, Duration::from_millis(250));
        let requests = found(&metrics, "http.server.requests");
        let statistics: Vec<_> = requests
            .measurements
            .iter()
            .map(|m| (m.statistic, m.value))
            .collect();
        assert_eq!(statistics, [("COUNT", 2.0), ("TOTAL_TIME", 0.75)]);
        let tags: Vec<_> = requests
            .available_tags
            .iter()
            .map(|t| t.tag.as_str())
            .collect();
        assert_eq!(tags, ["method", "status", "uri"]);
    }
}
