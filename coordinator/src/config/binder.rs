//! Binds what files, environment and command line give to the typed configuration, layer by
//! layer, and collects everything that is wrong on the way.

use std::collections::BTreeMap;

use super::error::{Mistake, Origin};
use super::keys::{Bind, KEYS, Key};
use super::parse::Allowed;
use super::relaxed::{Target, nearest, target};
use super::remote::hide_token;
use super::settings::Config;
use super::yaml::Value;

/// One value that somebody gave.
pub(super) struct Given {
    /// The path as written.
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A configuration in the making.
pub(super) struct Binder {
    pub(super) config: Config,
    pub(super) mistakes: Vec<Mistake>,
    /// Who gave each key its value last; keys of maps by their entry.
    origins: BTreeMap<String, Origin>,
}

impl Binder {
    /// Starts with the defaults of the table.
    pub(super) fn with_defaults() -> Self {
        let mut binder = Self {
            config: Config::blank(),
            mistakes: Vec::new(),
            origins: BTreeMap::new(),
        };
        for key in KEYS {
            let default = key.default.map(|text| Value::Text(text.to_owned()));
            if let Some(value) = default {
                binder.key(key, key.path, value, Origin::Default);
            }
        }
        binder.config.pools = super::pools::guide_pools();
        binder
    }

    /// Binds one layer in which no key may be given twice, however it is spelled.
    pub(super) fn layer_of_unique_keys(&mut self, layer: Vec<Given>) {
        let mut seen: BTreeMap<String, Origin> = BTreeMap::new();
        for given in layer {
            let name = match target(&given.path) {
                Target::Key(key) => key.path.to_owned(),
                Target::Entry(map, entry) => format!("{}.{entry}", map.path),
                Target::Section | Target::Below(_) | Target::Unknown => given.path.clone(),
            };
            if let Some(first) = seen.get(&name) {
                let problem = format!("is given twice, first at {first}; allowed: once");
                self.mistake(given.origin, &given.path, problem);
                continue;
            }
            seen.insert(name, given.origin.clone());
            self.give(given);
        }
    }

    /// Binds one value by its path.
    pub(super) fn give(&mut self, given: Given) {
        let Given {
            path,
            value,
            origin,
        } = given;
        match target(&path) {
            Target::Key(key) => self.key(key, &path, value, origin),
            Target::Entry(map, entry) => self.entry_value(map, &path, &entry, value, origin),
            Target::Section if matches!(value, Value::Nothing | Value::EmptyMap) => {}
            Target::Section => {
                let problem = format!(
                    "`{}` is not allowed; allowed: keys below it, such as {}",
                    shown(&value),
                    first_below(&path)
                );
                self.mistake(origin, &path, problem);
            }
            Target::Below(key) => {
                let problem = format!("unknown key: {} takes {}", key.path, allowed(key));
                self.mistake(origin, &path, problem);
            }
            Target::Unknown => {
                let problem = unknown(&path, &value);
                self.mistake(origin, &path, problem);
            }
        }
    }

    /// Binds the value of a key.
    pub(super) fn key(&mut self, key: &'static Key, path: &str, value: Value, origin: Origin) {
        let bound = match (key.bind, &value) {
            (Bind::One(bind), Value::Text(text)) => bind(&mut self.config, text),
            (Bind::List(bind), Value::List(items)) => bind(&mut self.config, items),
            (Bind::List(bind), Value::Text(text)) => {
                items_of(text).and_then(|items| bind(&mut self.config, &items))
            }
            (Bind::Map(_), Value::EmptyMap | Value::Nothing) => Ok(()),
            (Bind::Map(_), Value::Text(text)) => match entries_of(text) {
                Ok(entries) => {
                    for (entry, text) in entries {
                        self.give(Given {
                            path: format!("{path}.{entry}"),
                            value: Value::Text(text),
                            origin: origin.clone(),
                        });
                    }
                    Ok(())
                }
                Err(allowed) => Err(allowed),
            },
            (Bind::One(_), Value::List(_) | Value::EmptyMap | Value::Nothing)
            | (Bind::List(_), Value::EmptyMap | Value::Nothing)
            | (Bind::Map(_), Value::List(_)) => Err(allowed(key)),
        };
        match bound {
            Ok(()) => {
                self.origins.insert(key.path.to_owned(), origin);
            }
            Err(allowed) => self.refuse(origin, path, &value, &allowed),
        }
    }

    fn entry_value(
        &mut self,
        map: &'static Key,
        path: &str,
        entry: &str,
        value: Value,
        origin: Origin,
    ) {
        let bound = match (map.bind, &value) {
            (Bind::Map(bind), Value::Text(text)) => bind(&mut self.config, entry, text),
            (Bind::Map(_) | Bind::One(_) | Bind::List(_), _) => Err("one value".to_owned()),
        };
        match bound {
            Ok(()) => {
                self.origins.insert(map.path.to_owned(), origin);
            }
            Err(allowed) => self.refuse(origin, path, &value, &allowed),
        }
    }

    /// Notes that values which are good each for themselves do not go together. `keys` are those
    /// that contradict each other; it is told where the first of them that is no default stands.
    pub(super) fn contradiction(&mut self, keys: &[&str], problem: &str) {
        let origin = keys
            .iter()
            .filter_map(|key| self.origins.get(*key))
            .find(|origin| **origin != Origin::Default)
            .cloned()
            .unwrap_or(Origin::Default);
        self.mistake(origin, &keys.join(" and "), problem.to_owned());
    }

    fn refuse(&mut self, origin: Origin, path: &str, value: &Value, allowed: &str) {
        let problem = match value {
            Value::Nothing => format!("has no value; allowed: {allowed}, or no such line"),
            Value::EmptyMap | Value::Text(_) | Value::List(_) => {
                format!("`{}` is not allowed; allowed: {allowed}", shown(value))
            }
        };
        self.mistake(origin, path, problem);
    }

    pub(super) fn mistake(&mut self, origin: Origin, key: &str, problem: String) {
        self.mistakes.push(Mistake {
            origin,
            key: shorten(key),
            problem,
        });
    }
}

fn unknown(path: &str, value: &Value) -> String {
    let value = shown(value);
    match nearest(path) {
        Some(key) => format!("unknown key (value `{value}`); did you mean {key}?"),
        None => format!(
            "unknown key (value `{value}`); allowed: the keys of deploy/application.yml, all below \
             libra. and spark."
        ),
    }
}

fn first_below(section: &str) -> &'static str {
    let is_below = |path: &str| {
        matches!(target(section), Target::Section) && {
            let depth = section.split('.').count();
            let head: Vec<_> = path.split('.').take(depth).collect();
            head.join(".").replace('-', "") == section.to_lowercase().replace(['-', '_'], "")
        }
    };
    KEYS.iter()
        .map(|key| key.path)
        .find(|path| is_below(path))
        .unwrap_or("libra.session.mode")
}

/// What a key takes, asked of its own parser.
fn allowed(key: &Key) -> Allowed {
    let mut scratch = Config::blank();
    let refusal = match key.bind {
        Bind::One(bind) => bind(&mut scratch, ""),
        Bind::List(bind) => bind(&mut scratch, &[String::new()]),
        Bind::Map(_) => Err("a map, such as {key: value}".to_owned()),
    };
    refusal.err().unwrap_or_else(|| "one value".to_owned())
}

/// Longest value shown in a message, in characters.
const MAX_SHOWN: usize = 120;

fn shorten(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    match line.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Nothing => String::new(),
        Value::EmptyMap => "{}".to_owned(),
        Value::Text(text) => shorten(&hide_token(text)),
        Value::List(items) => shorten(&hide_token(&format!("[{}]", items.join(", ")))),
    }
}

/// A list in one text: JSON, or separated by commas.
fn items_of(text: &str) -> Result<Vec<String>, Allowed> {
    if !text.trim_start().starts_with('[') {
        let items = text.split(',').map(|item| item.trim().to_owned());
        return Ok(items.filter(|item| !item.is_empty()).collect());
    }
    let allowed = || "a JSON list of single values, or values separated by commas".to_owned();
    // YAML's flow form as well, so that the defaults and what people copy from files read.
    match super::yaml::leaves(&format!("list: {text}")).as_deref() {
        Ok([leaf]) => match &leaf.value {
            Value::List(items) => Ok(items.clone()),
            Value::Nothing | Value::EmptyMap | Value::Text(_) => Err(allowed()),
        },
        Ok(_) | Err(_) => Err(allowed()),
    }
}

/// A map in one text: JSON, or `key=value` separated by commas.
fn entries_of(text: &str) -> Result<Vec<(String, String)>, Allowed> {
    let allowed = || "a JSON object of single values, or key=value separated by commas".to_owned();
    if !text.trim_start().starts_with('{') {
        return text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').ok_or_else(allowed)?;
                Ok((key.trim().to_owned(), value.trim().to_owned()))
            })
            .collect();
    }
    let leaves = super::yaml::leaves(text).map_err(|_| allowed())?;
    leaves
        .into_iter()
        .map(|leaf| match leaf.value {
            Value::Text(value) => Ok((leaf.path, value)),
            Value::Nothing | Value::EmptyMap | Value::List(_) => Err(allowed()),
        })
        .collect()
}
