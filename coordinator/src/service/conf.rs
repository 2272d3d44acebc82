//! Which settings a Spark session cannot have of its own.
//!
//! `fixed_conf.txt` is what a Spark 4.3.0 Connect server refuses to set in a session
//! (CANNOT_MODIFY_CONFIG, CANNOT_MODIFY_STATIC_CONFIG), asked key by key; what the prefixes below
//! cover is left out of it. A key that only another version refuses is refused by that Spark when
//! the session opens.

use std::collections::BTreeMap;

use super::FieldError;

const FIXED: &str = include_str!("fixed_conf.txt");
const FIXED_PREFIXES: [&str; 2] = ["spark.driver.", "spark.executor."];
const MAX_ENTRIES: usize = 1_000;
const MAX_BYTES: usize = 256 << 10;

/// Whether Spark sets this key for the whole server: no session can have a value of its own.
#[must_use]
pub fn is_fixed_conf(key: &str) -> bool {
    FIXED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || FIXED.lines().any(|line| line == key)
}

/// What is wrong with a session's settings.
pub(super) fn check_conf(conf: &BTreeMap<String, String>) -> Vec<FieldError> {
    let bytes: usize = conf
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if conf.len() > MAX_ENTRIES || bytes > MAX_BYTES {
        let size = format!("{} entries, {bytes} bytes", conf.len());
        let allowed = format!("at most {MAX_ENTRIES} entries and {MAX_BYTES} bytes");
        return vec![FieldError::new("conf", size, allowed)];
    }
    conf.iter()
        .filter_map(|(key, value)| wrong(key, value))
        .collect()
}

fn wrong(key: &str, value: &str) -> Option<FieldError> {
    let field = format!("conf.{key}");
    let plain = |b: u8| b.is_ascii_graphic();
    if key.is_empty() || key.len() > 256 || !key.bytes().all(plain) {
        let allowed = "a key of 1 to 256 visible ASCII characters";
        return Some(FieldError::new(field, value, allowed));
    }
    is_fixed_conf(key).then(|| {
        let allowed = "no value here: Spark sets this key for the whole server, not for a session";
        FieldError::new(field, value, allowed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_and_core_keys_are_named() {
        for (key, fixed) in [
            ("spark.executor.memory", true),
            ("spark.driver.memory", true),
            ("spark.sql.warehouse.dir", true),
            ("spark.sql.extensions", true),
            ("spark.scheduler.mode", true),
            ("spark.sql.shuffle.partitions", false),
            ("spark.sql.ansi.enabled", false),
            ("my.own.key", false),
        ] {
            let conf = BTreeMap::from([(key.to_owned(), "1".to_owned())]);
            let errors = check_conf(&conf);
            assert_eq!(errors.len(), usize::from(fixed), "{key}");
            assert!(errors.iter().all(|e| e.field == format!("conf.{key}")));
        }
    }
}
