//! Puts the layers together: defaults < file < environment < `--set`.

use std::path::{Path, PathBuf};

use super::binder::{Binder, Given};
use super::error::{ConfigError, Origin};
use super::relaxed::{nearest, variable};
use super::settings::Config;
use super::yaml::Value;
use super::{allocation, validate, yaml};

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "application.yml";
/// No configuration is longer, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// `LIBRA_*` variables that are no configuration: read elsewhere, so not worth a warning.
const OTHER_VARIABLES: [&str; 4] = [
    "LIBRA_ADMIN_ENDPOINT",
    "LIBRA_CACHE_DIR",
    "LIBRA_URL",
    "LIBRA_FAILPOINTS",
];
/// Variables of tests begin so.
const TEST_VARIABLES: &str = "LIBRA_TEST_";

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// `--config`; without it `./application.yml` if it is there.
    pub config_path: Option<PathBuf>,
    /// `--set key=value`, in order; a later one wins.
    pub set: Vec<String>,
    /// The environment, name and value; only `LIBRA_*` is looked at, empty values are unset ones.
    pub env: Vec<(String, String)>,
    /// The folder that `application.yml` and, without a file, relative paths are looked for in;
    /// empty = the current one.
    pub folder: PathBuf,
}

/// A configuration that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What to warn of, once logging works.
    pub warnings: Vec<String>,
    /// The file it was read from, if there was one.
    pub file: Option<PathBuf>,
}

impl Default for Config {
    /// What runs without a file: every default of the table.
    fn default() -> Self {
        Binder::with_defaults().config
    }
}

impl Config {
    /// Reads, binds and validates.
    ///
    /// # Errors
    /// One error that names everything that is wrong: file, key, value, what is allowed.
    pub fn load(options: LoadOptions) -> Result<Loaded, ConfigError> {
        let mut binder = Binder::with_defaults();
        let file = find_file(&options);
        if let Some(path) = &file {
            file_layer(&mut binder, path)?;
        }
        let warnings = environment_layer(&mut binder, &options.env);
        set_layer(&mut binder, &options.set);

        let base = file.as_deref().and_then(Path::parent);
        let base = base.unwrap_or(&options.folder).to_owned();
        finish(&mut binder, &base);
        if binder.mistakes.is_empty() {
            Ok(Loaded {
                config: binder.config,
                warnings,
                file,
            })
        } else {
            let mistakes = binder.mistakes;
            Err(ConfigError::Mistakes { mistakes })
        }
    }
}

fn find_file(options: &LoadOptions) -> Option<PathBuf> {
    options
        .config_path
        .clone()
        .or_else(|| Some(options.folder.join(DEFAULT_FILE)).filter(|default| default.is_file()))
}

fn file_layer(binder: &mut Binder, path: &Path) -> Result<(), ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES {
        return Err(ConfigError::TooLong {
            path: path.to_owned(),
            size,
            allowed: MAX_FILE_BYTES,
        });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let origin = |line| Origin::File {
        path: path.to_owned(),
        line: Some(line),
    };
    match yaml::leaves(&text) {
        Ok(leaves) => binder.layer_of_unique_keys(
            leaves
                .into_iter()
                .map(|leaf| Given {
                    path: leaf.path,
                    value: leaf.value,
                    origin: origin(leaf.line),
                })
                .collect(),
        ),
        Err(e) => binder.mistake(origin(e.line), &e.key, e.problem),
    }
    Ok(())
}

/// Binds the environment; returns a warning for each variable that is no key.
fn environment_layer(binder: &mut Binder, env: &[(String, String)]) -> Vec<String> {
    let mut layer = Vec::new();
    let mut warnings = Vec::new();
    for (name, text) in env {
        if !name.starts_with("LIBRA_") || text.is_empty() {
            continue;
        }
        match variable(name) {
            Some(key) => layer.push(Given {
                path: key.path.to_owned(),
                value: Value::Text(text.clone()),
                origin: Origin::Environment(name.clone()),
            }),
            None if is_other(name) => {}
            None => warnings.push(unknown_variable(name)),
        }
    }
    binder.layer_of_unique_keys(layer);
    warnings
}

fn is_other(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name) || name.starts_with(TEST_VARIABLES)
}

fn unknown_variable(name: &str) -> String {
    let path = name.to_lowercase().replace('_', ".");
    let hint = nearest(&path)
        .map(|key| format!("; did you mean the variable of {key}?"))
        .unwrap_or_default();
    format!("environment variable {name} is no setting of libra and was ignored{hint}")
}

fn set_layer(binder: &mut Binder, set: &[String]) {
    for assignment in set {
        match assignment.split_once('=') {
            Some((path, text)) => binder.give(Given {
                path: path.trim().to_owned(),
                value: Value::Text(text.to_owned()),
                origin: Origin::Set,
            }),
            None => binder.mistake(
                Origin::Set,
                assignment,
                "has no value; allowed: key=value".to_owned(),
            ),
        }
    }
}

/// Resolves paths, then checks the whole, unless a part is wrong already.
fn finish(binder: &mut Binder, base: &Path) {
    let config = &mut binder.config;
    config.node.data_dir = base.join(&config.node.data_dir);
    config.spark.allocation_file = config
        .spark
        .allocation_file
        .take()
        .map(|file| base.join(file));
    if !binder.mistakes.is_empty() {
        return;
    }
    for contradiction in validate::contradictions(&binder.config) {
        binder.contradiction(contradiction.keys, &contradiction.problem);
    }
    if !binder.mistakes.is_empty() {
        return;
    }
    binder.config.advertise_as_peer();
    if let Some(file) = binder.config.spark.allocation_file.clone() {
        match allocation::read_file(&file) {
            Ok(pools) => binder.config.pools = pools,
            Err(e) => {
                let origin = Origin::File {
                    path: file,
                    line: e.line(),
                };
                binder.mistake(origin, "", e.to_string());
            }
        }
    }
}
