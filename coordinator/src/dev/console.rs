//! What `libra dev` says while it works: lines and bars on standard error, so that standard output
//! holds only what is to be pasted or read by a program. Without a terminal, or on one that cannot
//! move its cursor, there are lines only.

mod beside;
mod margin;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::console::{Term, is_dumb};
pub(super) use beside::BesideBars;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use margin::{MARGIN, WithMargin};

/// Bars move this often.
const TICK: Duration = Duration::from_millis(120);
/// Bars are drawn so many times a second at most.
const DRAWS: u8 = 20;
/// Without a terminal a line is said of every tenth of a download, or of so many bytes if nobody
/// knows its length.
const TENTH: u64 = 50_000_000;

/// The terminal, if it is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    terminal: bool,
}

impl Console {
    pub(super) fn new() -> Self {
        Self {
            terminal: Term::stderr().is_term() && !is_dumb(),
        }
    }

    /// Says one line, above the bar if there is one.
    pub(super) fn say(self, line: &str) {
        // Nothing can be said of a standard error that is closed.
        let _ = BesideBars.write_all(format!("{line}\n").as_bytes());
    }

    /// Writes what is to be pasted to standard output.
    pub(super) fn show(self, text: &str) {
        let mut out = io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Begins something long.
    pub(super) fn step(self, what: &str) -> Step {
        let target = if self.terminal {
            let terminal = WithMargin(Term::buffered_stderr());
            ProgressDrawTarget::term_like_with_hz(Box::new(terminal), DRAWS)
        } else {
            ProgressDrawTarget::hidden()
        };
        let step = Step::on(self, target);
        beside::set_bar(&step.bar);
        step.now(what);
        step.bar.enable_steady_tick(TICK);
        step
    }
}

/// Something long that is under way. Ends silently when dropped.
pub(super) struct Step {
    console: Console,
    bar: ProgressBar,
    /// Tenths of a download that were said.
    said: AtomicU64,
    /// Whether the terminal had room for all there is to show of a download.
    is_wide: AtomicBool,
}

impl Step {
    fn on(console: Console, target: ProgressDrawTarget) -> Self {
        Self {
            console,
            bar: ProgressBar::with_draw_target(None, target),
            said: AtomicU64::new(0),
            is_wide: AtomicBool::new(false),
        }
    }

    /// Goes on with another part of it.
    pub(super) fn now(&self, what: &str) {
        if self.bar.message() != what {
            self.turn_to(what, SPINNER, None);
        }
    }

    /// Shows how many bytes are there, of how many if that is known.
    pub(super) fn bytes(&self, what: &str, done: u64, total: Option<u64>) {
        let total = total
            .map(|total| total.max(done))
            .filter(|total| *total > 0);
        let is_new = self.bar.message() != what || self.bar.length() != total;
        let is_wide = Term::stderr().size().1 >= WIDE;
        if is_new {
            self.turn_to(what, transfer(total.is_some(), is_wide), total);
            self.begin_at(done);
        } else if self.is_wide.load(Ordering::Relaxed) != is_wide {
            let template = transfer(total.is_some(), is_wide);
            self.bar.set_style(style(template));
        }
        self.is_wide.store(is_wide, Ordering::Relaxed);
        self.bar.set_position(done);
        if !self.console.terminal {
            self.say_tenth(what, done, total, is_new);
        }
    }

    /// What was there before has no speed: the bar has to see it before it begins to measure.
    fn begin_at(&self, done: u64) {
        self.bar.set_position(done);
        self.bar.set_message(self.bar.message());
        self.bar.reset_eta();
    }

    /// Says one line, above the bar.
    pub(super) fn say(&self, line: &str) {
        self.console.say(line);
    }

    /// Ends it with a line that stays.
    pub(super) fn done(self, line: &str) {
        self.bar.finish_and_clear();
        self.console.say(line);
    }

    fn turn_to(&self, what: &str, template: &str, length: Option<u64>) {
        if !self.console.terminal {
            self.console.say(&format!("{what} …"));
        }
        match length {
            Some(length) => self.bar.set_length(length),
            None => self.bar.unset_length(),
        }
        self.bar.set_style(style(template));
        self.bar.set_message(what.to_owned());
        self.bar.reset_elapsed();
    }

    fn say_tenth(&self, what: &str, done: u64, total: Option<u64>, is_first: bool) {
        let tenth = done / total.map_or(TENTH, |total| (total / 10).max(1));
        if self.said.swap(tenth, Ordering::Relaxed) >= tenth || is_first {
            return;
        }
        let of = total.map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
        self.console
            .say(&format!("{what}: {}{of}", megabytes(done)));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// As pip counts: `455.9 MB`.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Cut at the terminal's edge.
const SPINNER: &str = "{spinner} {elapsed:>3} {wide_msg}";

/// From so many columns on there is room for a bar and all its numbers.
const WIDE: u16 = 100 + MARGIN;

/// The line of a download.
fn transfer(has_total: bool, is_wide: bool) -> &'static str {
    match (has_total, is_wide) {
        (false, _) => "{spinner} {wide_msg} {decimal_bytes} {decimal_bytes_per_sec}",
        (true, false) => "{spinner} {wide_msg} {percent}% {decimal_bytes_per_sec} {eta}",
        (true, true) => {
            "{spinner} {msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes} \
             {decimal_bytes_per_sec} {eta} left"
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).map_or_else(
        |_| ProgressStyle::default_spinner(),
        |s| s.progress_chars("=> "),
    )
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    const TERMINAL: Console = Console { terminal: true };
    const FILE: &str = "downloading pyspark-4.3.0.tar.gz";

    /// A step on a terminal of so many columns, and what stands there.
    fn screen(columns: u16, act: impl FnOnce(&Step)) -> String {
        let (step, terminal) = step(columns);
        act(&step);
        step.bar.tick();
        terminal.contents()
    }

    fn step(columns: u16) -> (Step, InMemoryTerm) {
        let terminal = InMemoryTerm::new(5, columns);
        let target = Box::new(WithMargin(terminal.clone()));
        let step = Step::on(TERMINAL, ProgressDrawTarget::term_like(target));
        (step, terminal)
    }

    #[test]
    fn whatever_is_shown_fits_on_one_line() {
        for columns in [40, 60, 80, WIDE - 1, WIDE, 120, 200] {
            for total in [None, Some(455_910_862)] {
                let text = screen(columns, |step| {
                    step.turn_to(FILE, transfer(total.is_some(), columns >= WIDE), total);
                    step.bar.set_position(123_456_789);
                });
                assert_eq!(text.lines().count(), 1, "{columns} columns: {text}");
            }
            let text = screen(columns, |step| {
                step.now("waiting for another start of libra that installs pyspark");
            });
            assert_eq!(text.lines().count(), 1, "{columns} columns: {text}");
        }
    }

    #[test]
    fn a_download_shows_what_there_is_room_for() {
        let at = |columns| {
            screen(columns, |step| {
                step.turn_to(FILE, transfer(true, columns >= WIDE), Some(455_910_862));
                step.bar.set_position(227_955_431);
            })
        };
        let wide = at(120);
        assert!(wide.contains(&format!("{FILE} [====")), "{wide}");
        assert!(wide.contains("227.96 MB/455.91 MB"), "{wide}");
        let narrow = at(60);
        assert!(narrow.contains(FILE), "{narrow}");
        assert!(
            narrow.contains(" 50% ") && narrow.ends_with('s'),
            "{narrow}"
        );
    }

    #[test]
    fn a_download_that_is_gone_on_with_has_no_speed_yet() {
        let text = screen(120, |step| step.bytes(FILE, 400_000_000, Some(455_910_862)));
        assert!(text.contains(" 0 B/s"), "{text}");
    }

    #[test]
    fn a_step_that_has_ended_leaves_nothing_not_even_of_ctrl_c() {
        use indicatif::TermLike as _;
        let (step, terminal) = step(60);
        step.now("starting");
        step.bar.tick();
        terminal.write_str("^C").unwrap();
        assert!(terminal.contents().contains("starting"));
        drop(step);
        assert_eq!(terminal.contents(), "");
    }

    #[test]
    fn bytes_are_counted_as_pip_does() {
        assert_eq!(megabytes(455_910_862), "455.9 MB");
        assert_eq!(megabytes(0), "0.0 MB");
    }
}
