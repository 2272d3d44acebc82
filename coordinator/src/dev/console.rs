//! What `libra dev` says while it works: lines and bars on standard error, so that standard output
//! holds only what is to be pasted or read by a program.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Bars move this often.
const TICK: Duration = Duration::from_millis(120);

/// The terminal, if it is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    terminal: bool,
}

impl Console {
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Says one line.
    pub(super) fn say(self, line: &str) {
        // Nothing can be said of a standard error that is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Writes what is to be pasted to standard output.
    pub(super) fn show(self, text: &str) {
        let mut out = io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Begins something long.
    pub(super) fn step(self, what: &str) -> Step {
        if !self.terminal {
            self.say(&format!("{what} …"));
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {msg} ({elapsed})"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Step { console: self, bar }
    }
}

/// Something long that is under way. Ends silently when dropped.
pub(super) struct Step {
    console: Console,
    bar: ProgressBar,
}

impl Step {
    /// Goes on with another part of it.
    pub(super) fn now(&self, what: &str) {
        if self.bar.message() == what {
            return;
        }
        if !self.console.terminal {
            self.console.say(&format!("{what} …"));
        }
        self.bar.unset_length();
        self.bar.set_style(style("{spinner} {msg} ({elapsed})"));
        self.bar.set_message(what.to_owned());
    }

    /// Shows how many of `total` bytes are there.
    pub(super) fn bytes(&self, what: &str, done: u64, total: u64) {
        self.now(what);
        self.bar.set_style(style(
            "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} ({elapsed}, {eta} left)",
        ));
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
    }

    /// Ends it with a line that stays.
    pub(super) fn done(self, line: &str) {
        self.bar.finish_and_clear();
        self.console.say(line);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).map_or_else(
        |_| ProgressStyle::default_spinner(),
        |s| s.progress_chars("=> "),
    )
}
