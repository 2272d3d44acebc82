//! Tables of configurations: what is read, what wins, what is refused and in which words.

mod loading;
mod reference;
mod refusals;

use tempfile::TempDir;

use super::*;

/// Loads `yaml` as the file, with an environment and `--set` of its own.
fn load(yaml: &str, env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, String> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("application.yml");
    std::fs::write(&file, yaml).unwrap();
    load_from(&folder, env, set)
}

fn load_from(folder: &TempDir, env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, String> {
    Config::load(LoadOptions {
        config_path: None,
        set: set.iter().map(|s| (*s).to_owned()).collect(),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        folder: folder.path().to_owned(),
    })
    .map_err(|e| {
        let prefix = format!("{}/", folder.path().display());
        e.to_string().replace(&prefix, "")
    })
}
