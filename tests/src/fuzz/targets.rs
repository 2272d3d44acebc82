//! The targets.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::str::FromStr;

use libra_actors::spark::Endpoint;
use libra_coordinator::config::{self, Config, LoadOptions, Remote, read_allocations};
use libra_coordinator::fuzz;
use libra_coordinator::service::PoolName;
use libra_proto::registry::{Command, SnapshotRecord};
use libra_proto::types::{JobId, SessionId, UserName};
use libra_raft::registry::Registry;
use prost::Message;

use super::seeds;

/// A parser, and inputs to begin with.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Gives it any bytes.
    pub run: fn(&[u8]),
    /// Inputs that get far into it.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub static TARGETS: [Target; 13] = [
    Target {
        name: "config_file",
        run: fuzz_config_file,
        seeds: seeds::config_files,
    },
    Target {
        name: "settings",
        run: fuzz_settings,
        seeds: seeds::settings,
    },
    Target {
        name: "allocations",
        run: fuzz_allocations,
        seeds: seeds::allocations,
    },
    Target {
        name: "endpoint",
        run: fuzz_endpoint,
        seeds: seeds::endpoints,
    },
    Target {
        name: "ids",
        run: fuzz_ids,
        seeds: seeds::ids,
    },
    Target {
        name: "bodies",
        run: fuzz::bodies,
        seeds: seeds::bodies,
    },
    Target {
        name: "query",
        run: fuzz::query,
        seeds: seeds::queries,
    },
    Target {
        name: "accept",
        run: fuzz::accept,
        seeds: seeds::headers,
    },
    Target {
        name: "arrow",
        run: fuzz::arrow,
        seeds: seeds::arrow,
    },
    Target {
        name: "result_file",
        run: fuzz_result_file,
        seeds: seeds::result_files,
    },
    Target {
        name: "variant",
        run: fuzz::variant,
        seeds: seeds::variants,
    },
    Target {
        name: "commands",
        run: fuzz_commands,
        seeds: seeds::commands,
    },
    Target {
        name: "snapshot",
        run: fuzz_snapshot,
        seeds: seeds::snapshots,
    },
];

thread_local! {
    /// Files are written over and over: making one takes longer than reading it.
    static FILE: RefCell<Option<(tempfile::TempDir, File, PathBuf)>> = const { RefCell::new(None) };
}

/// Gives `read` a file with these bytes; does nothing when there is no disk to write to.
fn with_file(bytes: &[u8], read: impl FnOnce(&File, &PathBuf)) {
    FILE.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = new_file().ok();
        }
        let Some((_, file, path)) = slot else { return };
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(bytes));
        if written.is_ok() {
            read(file, path);
        }
    });
}

fn new_file() -> std::io::Result<(tempfile::TempDir, File, PathBuf)> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("input");
    let file = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)?;
    Ok((dir, file, path))
}

/// `application.yml`.
fn fuzz_config_file(bytes: &[u8]) {
    with_file(bytes, |_, path| {
        let options = LoadOptions {
            config_path: Some(path.clone()),
            ..LoadOptions::default()
        };
        say(Config::load(options));
    });
}

/// `--set` and the environment: lines of `key=value`; those that begin with `LIBRA_` are variables.
fn fuzz_settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (env, set): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("LIBRA_"));
    let env = env.iter().filter_map(|line| line.split_once('='));
    say(Config::load(LoadOptions {
        set: set.into_iter().map(str::to_owned).collect(),
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        folder: PathBuf::from("/nowhere"),
        ..LoadOptions::default()
    }));
}

/// A refusal is shown to somebody.
fn say(loaded: Result<config::Loaded, config::ConfigError>) {
    if let Err(error) = loaded {
        std::hint::black_box(error.to_string());
    }
}

/// `fairscheduler.xml`.
fn fuzz_allocations(bytes: &[u8]) {
    if let Err(error) = read_allocations(&String::from_utf8_lossy(bytes)) {
        std::hint::black_box((error.line(), error.to_string()));
    }
}

/// A connection string.
fn fuzz_endpoint(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Endpoint::parse(&text) {
        std::hint::black_box(error.to_string());
    }
    parse::<Remote>(&text);
}

/// Ids and names.
fn fuzz_ids(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    parse::<SessionId>(&text);
    parse::<JobId>(&text);
    parse::<UserName>(&text);
    parse::<PoolName>(&text);
    parse::<config::Address>(&text);
}

fn parse<T>(text: &str)
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    if let Err(error) = text.parse::<T>() {
        std::hint::black_box(error.to_string());
    }
}

/// A result file.
fn fuzz_result_file(bytes: &[u8]) {
    with_file(bytes, |file, _| fuzz::result_file(file));
}

/// A log of the registry, each command with its length, applied in order.
fn fuzz_commands(mut bytes: &[u8]) {
    let mut registry = Registry::default();
    let mut changes = Vec::new();
    for index in 1..=64 {
        let Ok(command) = Command::decode_length_delimited(&mut bytes) else {
            return;
        };
        registry.apply(index, 1, &command, &mut changes);
    }
}

/// A snapshot, each record with its length.
fn fuzz_snapshot(mut bytes: &[u8]) {
    let mut records = Vec::new();
    while let Ok(record) = SnapshotRecord::decode_length_delimited(&mut bytes) {
        records.push(record);
        if records.len() > 1_000 || bytes.is_empty() {
            break;
        }
    }
    if let Ok(registry) = Registry::restore(records) {
        std::hint::black_box(registry.state_hash());
    }
}
