//! Session configuration: what can be set, and what is answered for what cannot.

use super::session::Session;
use super::settings::{Profile, Settings};
use super::{Caller, Engine, Millis, RpcError, SparkError};

/// A key with its value, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfPair {
    /// Name of the setting.
    pub key: String,
    /// Its value.
    pub value: Option<String>,
}

/// One of `Config`'s operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfRequest {
    /// Sets every pair, stops at the first that cannot be set.
    Set(Vec<ConfPair>),
    /// Values of keys; an unknown key is an error.
    Get(Vec<String>),
    /// Values of keys, or the value given.
    GetWithDefault(Vec<ConfPair>),
    /// Values of keys; none for an unknown key.
    GetOption(Vec<String>),
    /// Everything, or everything under a prefix, without it.
    GetAll(Option<String>),
    /// Takes back what was set.
    Unset(Vec<String>),
    /// Whether Spark calls a key modifiable, which is no guide.
    IsModifiable(Vec<String>),
}

/// What a session has without setting it.
const DEFAULTS: &[(&str, &str)] = &[
    (
        "spark.app.name",
        "org.apache.spark.sql.connect.service.SparkConnectServer",
    ),
    ("spark.sql.ansi.enabled", "true"),
    ("spark.sql.session.timeZone", "Etc/UTC"),
    ("spark.sql.shuffle.partitions", "200"),
    ("spark.sql.warehouse.dir", "file:/spark-warehouse"),
];

const STATIC: &[&str] = &[
    "spark.sql.warehouse.dir",
    "spark.sql.extensions",
    "spark.sql.catalogImplementation",
];

impl Engine {
    /// `Config`: the server-side session id and the pairs asked for.
    ///
    /// # Errors
    /// Spark's own: a session that changed or closed, a key that is unknown or cannot be set.
    pub fn config(
        &mut self,
        now: Millis,
        caller: &Caller,
        request: ConfRequest,
    ) -> Result<(String, Vec<ConfPair>), RpcError> {
        self.advance(now);
        let key = self.session_or_new(now, caller)?;
        let settings = self.settings.clone();
        let profile = settings.profile;
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err(RpcError::Unavailable);
        };
        let server_id = session.server_id.clone();
        match session.configure(profile.keeps_operations(), request) {
            Ok(mut pairs) => {
                for asked in &mut pairs {
                    if let Some(value) = driver_conf(&settings, &asked.key) {
                        asked.value = Some(value);
                    }
                }
                Ok((server_id, pairs))
            }
            Err(error) => Err(self.fail(&key, error)),
        }
    }
}

/// What the driver says of itself, by which a client tells what it can rely on. Sail has no
/// application, but recites the defaults of the Spark whose Python package it finds.
fn driver_conf(settings: &Settings, key: &str) -> Option<String> {
    let profile = settings.profile;
    match key {
        "spark.app.id" if profile != Profile::Sail => Some("stub-application".into()),
        "spark.connect.session.inactiveOperations.cacheExpiration"
            if profile.remembers_operations() || profile == Profile::Sail =>
        {
            Some(format!("{}ms", settings.operation_memory_ms))
        }
        "spark.connect.session.manager.defaultSessionTimeout" => {
            Some(format!("{}ms", settings.session_timeout_ms))
        }
        _ => None,
    }
}

impl Session {
    fn configure(
        &mut self,
        settable: bool,
        request: ConfRequest,
    ) -> Result<Vec<ConfPair>, SparkError> {
        match request {
            ConfRequest::Set(pairs) => {
                for pair in pairs {
                    self.set_conf(settable, &pair.key, pair.value.as_deref())?;
                }
                Ok(Vec::new())
            }
            ConfRequest::Get(keys) => keys
                .into_iter()
                .map(|key| match self.conf(&key) {
                    Some(value) => Ok(pair(key, Some(value))),
                    None => Err(SparkError::conf_not_found(&key)),
                })
                .collect(),
            ConfRequest::GetWithDefault(pairs) => Ok(pairs
                .into_iter()
                .map(|given| {
                    let value = self.conf(&given.key).or(given.value);
                    pair(given.key, value)
                })
                .collect()),
            ConfRequest::GetOption(keys) => Ok(keys
                .into_iter()
                .map(|key| {
                    let value = self.conf(&key);
                    pair(key, value)
                })
                .collect()),
            ConfRequest::GetAll(prefix) => Ok(self.all_conf(prefix.as_deref().unwrap_or(""))),
            ConfRequest::Unset(keys) => {
                for key in keys {
                    modifiable(&key)?;
                    self.conf.remove(&key);
                }
                Ok(Vec::new())
            }
            ConfRequest::IsModifiable(keys) => Ok(keys
                .into_iter()
                .map(|key| {
                    let known = key.starts_with("spark.sql.") && !STATIC.contains(&key.as_str());
                    pair(key, Some(known.to_string()))
                })
                .collect()),
        }
    }

    /// Sets one key, or says why not.
    pub(super) fn set_conf(
        &mut self,
        settable: bool,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), SparkError> {
        if !settable && key.starts_with("spark.") {
            return Err(SparkError::new(
                "UNSUPPORTED",
                &format!("configuration {key} is not supported"),
                "0A000",
            ));
        }
        modifiable(key)?;
        let Some(value) = value else {
            return Err(SparkError::new(
                "INTERNAL_ERROR",
                &format!("requirement failed: value cannot be null for key: {key}"),
                "XX000",
            ));
        };
        if key == "spark.sql.shuffle.partitions" && value.parse::<u32>().is_err() {
            return Err(SparkError::new(
                "INVALID_CONF_VALUE.TYPE_MISMATCH",
                &format!(
                    "The value '{value}' in the config \"{key}\" is invalid. It should be a/an \
                     'int' value."
                ),
                "22022",
            ));
        }
        self.conf.insert(key.into(), value.into());
        Ok(())
    }

    /// The value of a key, set or default.
    pub(super) fn conf(&self, key: &str) -> Option<String> {
        self.conf.get(key).cloned().or_else(|| {
            DEFAULTS
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| (*value).into())
        })
    }

    fn all_conf(&self, prefix: &str) -> Vec<ConfPair> {
        DEFAULTS
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| !self.conf.contains_key(*key))
            .chain(self.conf.keys().map(String::as_str))
            .filter_map(|key| Some((key.strip_prefix(prefix)?, self.conf(key))))
            .map(|(rest, value)| pair(rest.into(), value))
            .collect()
    }
}

fn pair(key: String, value: Option<String>) -> ConfPair {
    ConfPair { key, value }
}

fn modifiable(key: &str) -> Result<(), SparkError> {
    let is_static = STATIC.contains(&key);
    let is_core = key.starts_with("spark.executor.")
        || key.starts_with("spark.driver.")
        || key == "spark.scheduler.mode"
        || key == "spark.master";
    if is_static || is_core {
        return Err(SparkError::cannot_modify(key, is_static));
    }
    Ok(())
}
