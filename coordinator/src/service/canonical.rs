//! When two JSON bodies are the same: equal values, whatever the order of fields and the spaces.

use std::collections::BTreeMap;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

/// The XXH3-128 of a body's canonical form.
#[must_use]
pub fn body_hash(body: &Value) -> Vec<u8> {
    let mut text = String::new();
    write(body, &mut text);
    xxh3_128(text.as_bytes()).to_be_bytes().to_vec()
}

/// Sorted by hand: serde_json keeps the order of the text if any crate of the build asks it to.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            text.push('{');
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            for (name, value) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(text: &str) -> Vec<u8> {
        body_hash(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn order_and_spaces_do_not_count() {
        assert_eq!(
            hash(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#),
            hash(" { \"b\" : {\"d\":null,\"c\":[1, 2]}, \"a\":1 } ")
        );
    }

    #[test]
    fn different_values_differ() {
        let texts = [
            "{}",
            "[]",
            "null",
            "\"\"",
            "[[]]",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a,b":1}"#,
            r#"{"a":1,"b":1}"#,
            r#"["a","b"]"#,
            r#"["a,b"]"#,
            r#"["a\",\"b"]"#,
        ];
        for (i, a) in texts.iter().enumerate() {
            for b in texts.iter().skip(i + 1) {
                assert_ne!(hash(a), hash(b), "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_texts_are_told_apart(a in "\\PC{0,8}", b in "\\PC{0,8}") {
            let one = serde_json::json!({ "code": a });
            let two = serde_json::json!({ "code": b });
            prop_assert_eq!(body_hash(&one) == body_hash(&two), a == b);
        }
    }
}
