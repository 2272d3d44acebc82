//! The request headers that the API gives a meaning to.

use http::HeaderMap;
use libra_proto::types::UserName;

use crate::http::problem::Problem;
use crate::service::FieldError;

/// Who sends the request, as a label: `X-Libra-User`.
pub(crate) const USER: &str = "x-libra-user";
/// Makes a POST repeatable.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Where a client left an event stream.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

fn single<'a>(
    headers: &'a HeaderMap,
    name: &str,
    allowed: &str,
) -> Result<Option<&'a str>, Problem> {
    let wrong = |value: String| Problem::invalid(vec![FieldError::new(name, value, allowed)]);
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(wrong("(given more than once)".to_owned()));
    }
    let text = first.to_str();
    text.map(Some)
        .map_err(|_| wrong(String::from_utf8_lossy(first.as_bytes()).into_owned()))
}

/// The header `X-Libra-User`.
///
/// # Errors
/// 400 when it is no user name.
pub(crate) fn user(headers: &HeaderMap) -> Result<Option<UserName>, Problem> {
    let allowed = "one of ^[A-Za-z0-9._@-]{1,128}$";
    let Some(text) = single(headers, USER, allowed)? else {
        return Ok(None);
    };
    let wrong = |_| Problem::invalid(vec![FieldError::new("X-Libra-User", text, allowed)]);
    text.parse().map(Some).map_err(wrong)
}

/// The header `Idempotency-Key`.
///
/// # Errors
/// 400 when it is not 1 to 255 visible ASCII characters.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let allowed = "1 to 255 visible ASCII characters";
    let Some(text) = single(headers, IDEMPOTENCY_KEY, allowed)? else {
        return Ok(None);
    };
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        Ok(Some(text.to_owned()))
    } else {
        let error = FieldError::new("Idempotency-Key", text, allowed);
        Err(Problem::invalid(vec![error]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        let longest = "k".repeat(255);
        let too_long = "k".repeat(256);
        for (key, fine) in [
            ("a", true),
            ("3f2e-~!", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("a b", false),
            ("", false),
            ("ä", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                IDEMPOTENCY_KEY,
                http::HeaderValue::from_bytes(key.as_bytes()).unwrap(),
            );
            assert_eq!(idempotency_key(&headers).is_ok(), fine, "{key}");
        }
    }

    #[test]
    fn a_header_given_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append(USER, "alice".parse().unwrap());
        assert_eq!(user(&headers).unwrap().unwrap().as_str(), "alice");
        headers.append(USER, "bob".parse().unwrap());
        assert!(user(&headers).is_err());
    }
}
