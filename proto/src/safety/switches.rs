//! The switches themselves, in builds that have them.

use std::env;
use std::sync::atomic::{AtomicU8, Ordering};

use thiserror::Error;

use super::Safety;

/// The environment variable that names what is to be off, joined by commas.
pub const VARIABLE: &str = "SAFETY_OFF";

/// One bit for each safety that is off.
static OFF: AtomicU8 = AtomicU8::new(0);

/// A name that is no safety's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{VARIABLE} names `{name}`, which is none of {}", allowed())]
pub struct UnknownSafety {
    /// The name as it was given.
    pub name: String,
}

/// Whether it is off.
#[must_use]
pub fn off(safety: Safety) -> bool {
    // No memory is published by it: whoever reads decides on its own.
    OFF.load(Ordering::Relaxed) & bit(safety) != 0
}

/// Takes these off for the whole process, for good.
pub fn take_off(set: &[Safety]) {
    let bits = set.iter().fold(0, |bits, safety| bits | bit(*safety));
    OFF.fetch_or(bits, Ordering::Relaxed);
}

/// Takes off what [`VARIABLE`] names, and tells what that is; nothing if it is not set.
///
/// # Errors
/// When a name is no safety's; then nothing was taken off.
pub fn from_environment() -> Result<Vec<Safety>, UnknownSafety> {
    let value = env::var_os(VARIABLE).unwrap_or_default();
    let set = parse(&value.to_string_lossy())?;
    take_off(&set);
    Ok(set)
}

/// The safeties named, joined by commas; spaces around a name do not count.
///
/// # Errors
/// When a name is no safety's.
pub fn parse(names: &str) -> Result<Vec<Safety>, UnknownSafety> {
    let names = names.split(',').map(str::trim);
    let named = names.filter(|name| !name.is_empty()).map(|name| {
        let unknown = || UnknownSafety {
            name: name.to_owned(),
        };
        Safety::from_name(name).ok_or_else(unknown)
    });
    named.collect()
}

fn bit(safety: Safety) -> u8 {
    match safety {
        Safety::EpochCheck => 1 << 0,
        Safety::SyncBeforeAck => 1 << 1,
        Safety::ReadIndex => 1 << 2,
        Safety::OperationIdFirst => 1 << 3,
        Safety::CopiesBeforeEnd => 1 << 4,
        Safety::MonotonicLease => 1 << 5,
        Safety::QuorumRenewal => 1 << 6,
        Safety::SlotReferee => 1 << 7,
    }
}

fn allowed() -> String {
    Safety::ALL.map(Safety::name).join(", ")
}
