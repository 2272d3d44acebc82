//! Turns serde's word on what is wrong into field, value and what is allowed.

use serde_json::Value;

use crate::service::{Allowed, FieldError};

/// What is wrong in `parsed`, by serde's error.
pub(crate) fn explain(
    error: &serde_path_to_error::Error<serde_json::Error>,
    parsed: &Value,
) -> FieldError {
    let message = error.inner().to_string();
    // " at line 1 column 12" says nothing that the field's path does not.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(start, _)| start);
    let path = error.path().to_string();
    let path = if path == "." { String::new() } else { path };
    if let Some(name) = between(message, "unknown field `") {
        let parent = path.strip_suffix(&name).unwrap_or(&path);
        let parent = parent.strip_suffix('.').unwrap_or(parent);
        let field = join(parent, &name);
        let value = shown(at(parsed, parent).and_then(|v| v.get(&name)));
        return FieldError::new(field, value, listed(message));
    }
    if let Some(name) = between(message, "missing field `") {
        let allowed = "a value: this field is required";
        return FieldError::new(join(&path, &name), "(missing)", allowed);
    }
    if let Some(name) = between(message, "duplicate field `") {
        let parent = path.strip_suffix(&name).unwrap_or(&path);
        let parent = parent.strip_suffix('.').unwrap_or(parent);
        return FieldError::new(join(parent, &name), "(twice)", "to be given once");
    }
    let field = if path.is_empty() { "body" } else { &path };
    let value = shown(at(parsed, &path));
    let allowed = message
        .rsplit_once("expected ")
        .map_or(message, |(_, expected)| expected);
    FieldError::new(field, value, Allowed::from(in_words(allowed)))
}

fn between(message: &str, start: &str) -> Option<String> {
    let rest = message.strip_prefix(start)?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

/// The names in "expected one of `a`, `b`".
fn listed(message: &str) -> Allowed {
    let expected = message.rsplit_once("expected ").map_or("", |(_, e)| e);
    let names: Vec<String> = expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(ToOwned::to_owned)
        .collect();
    if names.is_empty() {
        Allowed::from("no fields")
    } else {
        Allowed::OneOf(names)
    }
}

/// Rust's words for types, in JSON's.
fn in_words(expected: &str) -> String {
    match expected {
        "u64" | "u32" | "u8" => "a whole number from 0".to_owned(),
        "f64" => "a number".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// The value at a path as serde_path_to_error writes it. Keys may hold dots
/// (`conf.spark.sql.x`), so the longest fitting key is taken at each step.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    let object = value.as_object()?;
    let fits =
        |key: &str| path == key || path.strip_prefix(key).is_some_and(|r| r.starts_with('.'));
    let key = object.keys().filter(|k| fits(k)).max_by_key(|k| k.len())?;
    let rest = path.get(key.len()..).unwrap_or_default();
    at(object.get(key)?, rest.strip_prefix('.').unwrap_or(rest))
}

pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value.to_string(),
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only read")]
    struct Sample {
        code: String,
        count: Option<u64>,
        #[serde(default)]
        conf: BTreeMap<String, String>,
    }

    #[test]
    fn every_error_names_field_value_and_what_is_allowed() {
        let fields = Allowed::one_of(&["code", "count", "conf"]);
        let table: [(&str, &str, &str, Allowed); 8] = [
            (r#"{"code":1}"#, "code", "1", "a string".into()),
            (r#"{"code":null}"#, "code", "null", "a string".into()),
            (
                r"{}",
                "code",
                "(missing)",
                "a value: this field is required".into(),
            ),
            (r#"{"code":"a","x":true}"#, "x", "true", fields),
            (
                r#"{"code":"a","code":"b"}"#,
                "code",
                "(twice)",
                "to be given once".into(),
            ),
            (
                r#"{"code":"a","count":-1}"#,
                "count",
                "-1",
                "a whole number from 0".into(),
            ),
            (
                r#"{"code":"a","conf":{"spark.sql.x":[1]}}"#,
                "conf.spark.sql.x",
                "an array",
                "a string".into(),
            ),
            (
                r#"{"code":"a","conf":"x"}"#,
                "conf",
                "x",
                "an object".into(),
            ),
        ];
        for (text, field, value, allowed) in table {
            let parsed: Value = serde_json::from_str(text).unwrap();
            let mut reader = serde_json::Deserializer::from_str(text);
            let error = serde_path_to_error::deserialize::<_, Sample>(&mut reader).unwrap_err();
            let explained = explain(&error, &parsed);
            assert_eq!(
                explained,
                FieldError::new(field, value, allowed),
                "{text}: {error}"
            );
        }
    }
}
