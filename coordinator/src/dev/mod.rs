//! `libra dev`: a Spark Connect server and a coordinator on this machine with one command.
//!
//! In order: [`checks`] (everything that is missing, at once, before anything long), [`install`]
//! (the pinned pyspark, which ships the whole server), [`plugin`] (what hands it Libra's pools),
//! [`spark`] (the server, under a [`guard`] that ends it however this process ends), one coordinator
//! in this process ([`single`]) or several, each a process under a guard of its own ([`cluster`]),
//! [`tables`] of the guide, [`hints`] to paste.
//!
//! **Invariant:** nothing that it starts outlives it, and it listens on 127.0.0.1 only.

mod checks;
mod cluster;
mod console;
mod environment;
mod error;
mod first_steps;
mod guard;
mod hints;
mod install;
mod memory;
mod plugin;
mod ports;
mod prepare;
mod session;
mod single;
mod spark;
mod tables;

pub use environment::Environment;
pub use error::DevError;
pub use install::DownloadError;
pub use session::{DevOptions, dev, install_only};

/// The version of Spark that `libra dev` runs, as PyPI names it.
pub const PYSPARK_VERSION: &str = "4.3.0";
