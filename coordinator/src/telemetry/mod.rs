//! Log lines: to standard error, for people or as JSON, filtered by `libra.log.level`.
//!
//! **Invariant:** standard output stays free for what programs print, and nothing here reads the
//! environment, but for whether the terminal wants colours: the filter comes from the configuration.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Installs the process's subscriber; a second call changes nothing.
pub fn init(log: &Log) {
    init_to(log, io::stderr);
}

/// The same with another way to standard error.
pub(crate) fn init_to<W>(log: &Log, to_stderr: W)
where
    W: for<'a> fmt::MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let text = fmt::layer().with_writer(to_stderr.clone());
    // Fields of a line and of its spans stand side by side, so that one name finds them all.
    let json = || {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(to_stderr)
    };
    let registry = tracing_subscriber::registry().with(filter(log));
    // An error means that there is a subscriber already: a test's, or an embedder's.
    let _ = match log.format {
        LogFormat::Text => registry
            // On a terminal, unless NO_COLOR says otherwise.
            .with(text.with_ansi(console::colors_enabled_stderr()))
            .try_init(),
        LogFormat::Json => registry.with(json()).try_init(),
    };
}

/// The filter of the configuration, which has checked it.
fn filter(log: &Log) -> EnvFilter {
    EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_default_filter_is_the_configurations() {
        let log = Config::default().log;
        let mut shown: Vec<_> = filter(&log)
            .to_string()
            .split(',')
            .map(str::to_owned)
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            ["info", "openraft=error", "ractor=warn", "sled=warn"]
        );
    }
}
