//! `deploy/application.yml` is rendered from the table of keys, so that it cannot drift.

use std::fmt::Write;
use std::path::PathBuf;

use super::*;

const HEAD: &str = "\
# Every key of libra, with its default. Dotted and nested keys are equal, and kebab, camel and snake
# case. Environment variables win over this file (LIBRA_SESSION_MAX_SESSIONS, LIBRA_SPARK_REMOTE, …:
# lists and maps as JSON or separated by commas), `--set key=value` wins over both. Relative paths
# are relative to this file. Durations have their unit in the name; sizes are in bytes, or in KiB,
# MiB, GiB, TiB. Unknown keys and wrong values stop the start.
";

fn reference() -> String {
    let mut text = HEAD.to_owned();
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let (sections, name) = place(key.path);
        let kept = open
            .iter()
            .zip(&sections)
            .take_while(|(a, b)| a == b)
            .count();
        for (depth, section) in sections.iter().enumerate().skip(kept) {
            writeln!(text, "{}{section}:", "  ".repeat(depth)).unwrap();
        }
        let indent = "  ".repeat(sections.len());
        writeln!(text, "{indent}# {}.", key.doc).unwrap();
        match (name, key.default) {
            ("", _) => {}
            (name, Some(default)) => writeln!(text, "{indent}{name}: {default}").unwrap(),
            (name, None) => writeln!(text, "{indent}# {name}:").unwrap(),
        }
        open = sections;
    }
    text
}

/// Sections and name; keys of Spark stay dotted, the map of them has no name.
fn place(path: &str) -> (Vec<&str>, &str) {
    if let Some(name) = path.strip_prefix("spark.config") {
        return (vec!["spark", "config"], name.trim_start_matches('.'));
    }
    let mut sections: Vec<_> = path.split('.').collect();
    let name = sections.pop().unwrap();
    (sections, name)
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/application.yml")
}

#[test]
fn the_reference_file_has_every_key_default_and_meaning() {
    let expected = reference();
    let found = std::fs::read_to_string(file()).unwrap_or_default();
    if found != expected {
        let rendered = std::env::temp_dir().join("libra-application.yml");
        std::fs::write(&rendered, expected).unwrap();
        panic!(
            "deploy/application.yml is not what the table of keys renders: {}",
            rendered.display()
        );
    }
}

#[test]
fn the_reference_file_reads_as_the_defaults() {
    let loaded = Config::load(LoadOptions {
        config_path: Some(file()),
        ..LoadOptions::default()
    });
    let mut config = loaded.unwrap().config;
    config.node.data_dir = Config::default().node.data_dir;
    assert_eq!(config, Config::default());
}
