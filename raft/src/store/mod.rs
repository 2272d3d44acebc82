//! What the registry's Raft group keeps on disk.
//!
//! A data directory holds `lock`, `version`, `marker`, `reserve`, `log/` (sled) and `snapshots/`.
//! Opening checks all of it before anything is answered from it.
//!
//! **Invariant:** nothing is acknowledged that is not durable; and a store that has lost what it
//! acknowledged does not open.

pub mod backing;
pub(crate) mod codec;
#[cfg(test)]
mod conformance;
pub(crate) mod flusher;
mod guards;
pub(crate) mod housekeeper;
pub(crate) mod lock;
pub(crate) mod log_index;
pub(crate) mod log_store;
pub(crate) mod marker;
mod open;
pub(crate) mod snapshot_dir;
pub(crate) mod snapshot_file;
pub(crate) mod space;
pub(crate) mod state_machine;
pub(crate) mod stats;
mod sync_times;
pub(crate) mod version;

use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread::JoinHandle;

use crate::error::FatalError;
use crate::options::FatalHook;

pub(crate) use open::{Store, open, open_on};
pub use sync_times::{NewestSyncs, SyncTimes};

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces a file so that, whatever happens, either the old or the new content is there.
fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let mut file = File::create(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Starts a thread of the store. sled may panic where it should answer, and a thread that others
/// wait for must not go silently.
fn spawn(
    name: &'static str,
    on_fatal: FatalHook,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                on_fatal.call(&FatalError::Panic { thread: name });
            }
        })
}
