//! The form of what is shown, and where it goes.

use std::io::{self, IsTerminal as _, Write as _};

use chrono::{DateTime, Utc};
use console::Term;
use serde::Serialize;

use super::super::error::AdminError;
use super::{Look, Page};

/// How answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum OutputFormat {
    /// Tables for people.
    Table,
    /// JSON; many answers are one a line.
    Json,
    /// YAML; many answers are documents of one stream.
    Yaml,
}

/// What a command shows.
pub(in crate::cli::admin) trait Shown: Serialize {
    /// For people; `now` is what ages count from.
    fn page(&self, now: DateTime<Utc>) -> Page;
}

/// Whether more of the same kind follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::admin) enum Series {
    One,
    Many,
}

/// The text of a document, without a line break at its end.
///
/// # Errors
/// When it cannot be written in that format, which is a mistake of this program.
pub(in crate::cli::admin) fn text_of(
    document: &impl Shown,
    format: OutputFormat,
    look: Look,
    series: Series,
    now: DateTime<Utc>,
) -> Result<String, AdminError> {
    match (format, series) {
        (OutputFormat::Table, _) => Ok(document.page(now).text(look)),
        (OutputFormat::Json, Series::One) => {
            serde_json::to_string_pretty(document).map_err(AdminError::of_json)
        }
        (OutputFormat::Json, Series::Many) => {
            serde_json::to_string(document).map_err(AdminError::of_json)
        }
        (OutputFormat::Yaml, series) => {
            let text = serde_saphyr::to_string(document).map_err(AdminError::of_yaml)?;
            let text = text.trim_end();
            Ok(match series {
                Series::One => text.to_owned(),
                Series::Many => format!("---\n{text}"),
            })
        }
    }
}

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::admin) struct Sink {
    pub(in crate::cli::admin) format: OutputFormat,
    pub(in crate::cli::admin) look: Look,
}

impl Sink {
    /// Of this process.
    pub(in crate::cli::admin) fn new(format: OutputFormat) -> Self {
        let terminal = Term::stdout();
        let columns = terminal.is_term().then(|| terminal.size().1);
        let colours = terminal.is_term() && console::colors_enabled();
        Self {
            format,
            look: Look { columns, colours },
        }
    }

    pub(in crate::cli::admin) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Writes one document, the only one or one of many.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(in crate::cli::admin) fn show(
        &self,
        document: &impl Shown,
        series: Series,
    ) -> Result<(), AdminError> {
        let text = text_of(document, self.format, self.look, series, Utc::now())?;
        self.put(&text)
    }

    /// Writes lines as they are.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(in crate::cli::admin) fn put(&self, text: &str) -> Result<(), AdminError> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .map_err(AdminError::Output)
    }
}
