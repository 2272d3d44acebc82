//! Relaxed binding, as Spring does it: which key is meant by a path of a file, of `--set`, or by
//! the name of an environment variable.

use super::keys::{Bind, KEYS, Key, SPARK_CONFIG};

/// What a path stands for.
pub(super) enum Target {
    /// A key.
    Key(&'static Key),
    /// An entry of a map key.
    Entry(&'static Key, String),
    /// Something that has keys below it.
    Section,
    /// Below a key that takes no keys.
    Below(&'static Key),
    /// Nothing.
    Unknown,
}

/// Finds what a dotted path stands for. Kebab, camel and snake case are equal; below
/// `spark.config` keys are Spark's and count as written.
pub(super) fn target(path: &str) -> Target {
    let plain = plain(path);
    if let Some(spark_key) = below(path, 2).filter(|_| plain.starts_with("spark.config.")) {
        return spark_target(spark_key);
    }
    if let Some(key) = KEYS.iter().find(|key| self::plain(key.path) == plain) {
        return Target::Key(key);
    }
    for key in KEYS {
        let prefix = self::plain(key.path) + ".";
        if plain.starts_with(&prefix) {
            let depth = key.path.split('.').count();
            return match (key.bind, below(path, depth)) {
                (Bind::Map(_), Some(entry)) => Target::Entry(key, entry.to_owned()),
                (Bind::Map(_) | Bind::One(_) | Bind::List(_), _) => Target::Below(key),
            };
        }
        if prefix.starts_with(&(plain.clone() + ".")) {
            return Target::Section;
        }
    }
    Target::Unknown
}

fn spark_target(spark_key: &str) -> Target {
    let path = format!("{SPARK_CONFIG}.{spark_key}");
    if let Some(key) = KEYS.iter().find(|key| key.path == path) {
        return Target::Key(key);
    }
    match KEYS.iter().find(|key| key.path == SPARK_CONFIG) {
        Some(map) => Target::Entry(map, spark_key.to_owned()),
        None => Target::Unknown,
    }
}

/// What follows the first `depth` segments.
fn below(path: &str, depth: usize) -> Option<&str> {
    path.splitn(depth + 1, '.').nth(depth)
}

/// Without case, `-` and `_`.
fn plain(path: &str) -> String {
    path.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The key that an environment variable is for: upper case, `.` → `_`, `-` → `_` or dropped, and
/// `LIBRA_` in front, once.
pub(super) fn variable(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        let tail = key.path.strip_prefix("libra.").unwrap_or(key.path);
        name.strip_prefix("LIBRA_")
            .is_some_and(|rest| spells(rest, tail))
    })
}

fn spells(name: &str, path: &str) -> bool {
    let Some(c) = path.chars().next() else {
        return name.is_empty();
    };
    let rest = &path[c.len_utf8()..];
    match c {
        '.' => name.strip_prefix('_').is_some_and(|n| spells(n, rest)),
        '-' => name.strip_prefix('_').is_some_and(|n| spells(n, rest)) || spells(name, rest),
        c => name
            .strip_prefix(c.to_ascii_uppercase())
            .is_some_and(|n| spells(n, rest)),
    }
}

/// The key that was most likely meant: one that ends so, else the nearest by edits.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let meant = plain(path);
    if meant.is_empty() {
        return None;
    }
    let tail = format!(".{meant}");
    if let Some(key) = KEYS.iter().find(|key| plain(key.path).ends_with(&tail)) {
        return Some(key.path);
    }
    let last = meant.rsplit('.').next().unwrap_or(&meant);
    let distance = |key: &Key| {
        let whole = plain(key.path);
        let end = whole.rsplit('.').next().unwrap_or(&whole);
        // A section left out or mistaken costs one edit if the last segment is right.
        let by_end = strsim::damerau_levenshtein(end, last) + 1;
        strsim::damerau_levenshtein(&whole, &meant).min(by_end)
    };
    KEYS.iter()
        .map(|key| (distance(key), key))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, _)| *edits <= 3 && *edits * 2 <= last.len())
        .map(|(_, key)| key.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable_path(name: &str) -> Option<&'static str> {
        variable(name).map(|key| key.path)
    }

    #[test]
    fn variables_bind_as_the_contract_says() {
        for (name, path) in [
            ("LIBRA_SESSION_MODE", "libra.session.mode"),
            ("LIBRA_SESSION_MAX_SESSIONS", "libra.session.max-sessions"),
            ("LIBRA_SESSION_MAXSESSIONS", "libra.session.max-sessions"),
            ("LIBRA_NODE_DATA_DIR", "libra.node.data-dir"),
            ("LIBRA_NODE_DATADIR", "libra.node.data-dir"),
            ("LIBRA_SPARK_REMOTE", "spark.remote"),
            ("LIBRA_SPARK_CONFIG", "spark.config"),
            (
                "LIBRA_SPARK_CONFIG_SPARK_SCHEDULER_MODE",
                "spark.config.spark.scheduler.mode",
            ),
            ("LIBRA_CLUSTER_PEERS", "libra.cluster.peers"),
        ] {
            assert_eq!(variable_path(name), Some(path), "{name}");
        }
        for name in [
            "LIBRA_",
            "LIBRA_SESSIONMODE",
            "LIBRA_session_mode",
            "LIBRA_SESSION__MODE",
            "LIBRA_LIBRA_SESSION_MODE",
            "LIBRA_PORT",
            "LIBRA_SERVICE_HOST",
            "LIBRA_PORT_8080_TCP",
            "LIBRA_NODE_PORT",
            "SPARK_REMOTE",
            "SESSION_MODE",
        ] {
            assert_eq!(variable_path(name), None, "{name}");
        }
    }

    #[test]
    fn every_key_has_one_variable() {
        for key in KEYS {
            let tail = key.path.strip_prefix("libra.").unwrap_or(key.path);
            let name = format!("LIBRA_{}", tail.replace(['.', '-'], "_").to_uppercase());
            assert_eq!(variable_path(&name), Some(key.path));
            let matching = KEYS
                .iter()
                .filter(|other| {
                    let tail = other.path.strip_prefix("libra.").unwrap_or(other.path);
                    spells(name.trim_start_matches("LIBRA_"), tail)
                })
                .count();
            assert_eq!(matching, 1, "{name}");
        }
    }

    #[test]
    fn typos_find_their_key() {
        for (typo, meant) in [
            ("libra.session.mod", "libra.session.mode"),
            ("libra.sesion.mode", "libra.session.mode"),
            ("max-sessions", "libra.session.max-sessions"),
            ("spark.scheduler.mode", "spark.config.spark.scheduler.mode"),
            ("libra.max-rows", "libra.results.max-rows"),
            ("libra.limits.slots", "libra.scheduler.slots"),
            ("libra.node.datadir2", "libra.node.data-dir"),
        ] {
            assert_eq!(nearest(typo), Some(meant), "{typo}");
        }
        for odd in ["", "x", "server.port", "management.endpoints"] {
            assert_eq!(nearest(odd), None, "{odd}");
        }
    }
}
