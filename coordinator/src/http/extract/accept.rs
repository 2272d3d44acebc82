//! Which of the forms that can be made the client wants (RFC 9110, `Accept`).

use http::{HeaderMap, header};

use crate::http::problem::Problem;
use crate::service::{Allowed, ErrorCode, FieldError};

/// JSON.
pub(crate) const JSON: &str = "application/json";
/// RFC 4180.
pub(crate) const CSV: &str = "text/csv";
/// One Arrow IPC stream.
pub(crate) const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Server-sent events.
pub(crate) const EVENTS: &str = "text/event-stream";

/// Chooses among `offered` (the first is the default).
///
/// # Errors
/// 406 when the client accepts none of them.
pub(crate) fn negotiate<'a>(
    headers: &HeaderMap,
    offered: &'a [&'a str],
) -> Result<&'a str, Problem> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return Ok(offered.first().copied().unwrap_or(JSON));
    }
    // Equal weights: the more specific range, then the order of what is offered.
    let mut best: Option<(&str, (u16, u8))> = None;
    for form in offered {
        let rank = rank_of(form, &ranges);
        if rank.0 > 0 && best.is_none_or(|(_, found)| rank > found) {
            best = Some((form, rank));
        }
    }
    best.map(|(form, _)| form).ok_or_else(|| {
        let asked = ranges.iter().map(|r| r.text.as_str());
        let asked = asked.collect::<Vec<_>>().join(", ");
        Problem::new(
            ErrorCode::NotAcceptable,
            format!("`Accept: {asked}` names no form that this path has"),
        )
        .with_errors(vec![FieldError::new(
            "Accept",
            asked,
            Allowed::one_of(offered),
        )])
    })
}

#[derive(Debug)]
struct Range {
    text: String,
    // Thousandths, as `q` has at most three decimals.
    weight: u16,
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(header::ACCEPT).iter();
    let texts = values.filter_map(|v| v.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .filter(|part| !part.trim().is_empty())
        .map(range)
        .collect()
}

fn range(part: &str) -> Range {
    let mut pieces = part.split(';').map(str::trim);
    let text = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let quality = pieces.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    let weight = match quality.map(str::parse::<f32>) {
        None => 1000,
        Some(Ok(q)) if q.is_finite() => (q.clamp(0.0, 1.0) * 1000.0) as u16,
        Some(_) => 0,
    };
    Range { text, weight }
}

/// The weight and the precision of the most precise range that covers `form`.
fn rank_of(form: &str, ranges: &[Range]) -> (u16, u8) {
    let precision = |range: &Range| {
        if range.text == form {
            return Some(3);
        }
        if range.text == "*/*" {
            return Some(1);
        }
        let family = range.text.strip_suffix("/*")?;
        let (form_family, _) = form.split_once('/')?;
        (form_family == family).then_some(2)
    };
    let covering = ranges
        .iter()
        .filter_map(|r| precision(r).map(|p| (p, r.weight)));
    let (precision, weight) = covering.max().unwrap_or_default();
    (weight, precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: Option<&str>) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        negotiate(&headers, &[JSON, CSV, ARROW]).ok()
    }

    #[test]
    fn the_client_gets_what_it_prefers() {
        for (accept, expected) in [
            (None, Some(JSON)),
            (Some("*/*"), Some(JSON)),
            (Some("application/json"), Some(JSON)),
            (Some("APPLICATION/JSON; charset=utf-8"), Some(JSON)),
            (Some("text/csv"), Some(CSV)),
            (Some("text/*"), Some(CSV)),
            (Some("text/csv, */*"), Some(CSV)),
            (Some("text/csv;q=0.5, application/json;q=0.4"), Some(CSV)),
            (Some("text/csv;q=0.5, */*;q=0.9"), Some(JSON)),
            (Some("application/json;q=0, */*"), Some(CSV)),
            (Some("application/vnd.apache.arrow.stream"), Some(ARROW)),
            (Some("application/xml"), None),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
            (Some("text/html, */*;q=0.8"), Some(JSON)),
            (Some("nonsense"), None),
            (Some(""), Some(JSON)),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }
}
