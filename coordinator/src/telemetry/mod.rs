//! What a process says of itself while it runs: log lines, and spans for a collector of traces.
//! (Metrics are asked for, see `http::actuator`.)
//!
//! - `line`: the form of a log line in JSON.
//! - `traces`: the export of spans, and how they are joined with those of other nodes.
//!
//! **Invariant:** standard output stays free for what programs print, and nothing here reads the
//! environment, but for whether the terminal wants colours, and for what OpenTelemetry's exporter
//! reads of its own (`OTEL_EXPORTER_OTLP_HEADERS`). A collector that is slow, or not there,
//! costs a bounded number of spans and nothing else.

mod line;
pub(crate) mod traces;

use std::io;

use tracing::Subscriber;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Config, Log, LogFormat};
use line::JsonLine;
use traces::Exporter;

pub use traces::TraceError;

/// What has been started for the process; to be ended at its end.
#[must_use = "spans that were not sent yet are lost without `finish`"]
#[derive(Debug, Default)]
pub struct Telemetry {
    exporter: Option<Exporter>,
}

impl Telemetry {
    /// Sends the spans that are left, for at most three seconds.
    pub async fn finish(self) {
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
    }
}

/// Installs the process's subscriber; a second call changes nothing. With an endpoint for traces it
/// must be called on a runtime.
///
/// # Errors
/// When the endpoint of the traces cannot be used.
pub fn init(config: &Config) -> Result<Telemetry, TraceError> {
    init_to(config, io::stderr)
}

/// The same with another way to standard error.
pub(crate) fn init_to<W>(config: &Config, to_stderr: W) -> Result<Telemetry, TraceError>
where
    W: for<'a> fmt::MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let exporter = Exporter::start(config)?;
    let spans = exporter.as_ref().map(|exporter| exporter.layer());
    let lines = lines(config, to_stderr);
    // An error means that there is a subscriber already: a test's, or an embedder's.
    let installed = tracing_subscriber::registry()
        .with(lines)
        .with(spans)
        .try_init();
    if installed.is_ok()
        && let Some(exporter) = &exporter
    {
        exporter.join();
    }
    Ok(Telemetry { exporter })
}

/// The layer that writes log lines.
fn lines<S, W>(config: &Config, to_stderr: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(&config.log);
    match config.log.format {
        LogFormat::Text => fmt::layer()
            .with_writer(to_stderr)
            // On a terminal, unless NO_COLOR says otherwise.
            .with_ansi(console::colors_enabled_stderr())
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine::of(config))
            .with_writer(to_stderr)
            .with_filter(filter)
            .boxed(),
    }
}

/// The filter of the configuration, which has checked it.
fn filter(log: &Log) -> EnvFilter {
    EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
