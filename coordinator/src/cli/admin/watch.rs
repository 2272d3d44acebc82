//! The same question again and again: drawn anew on a terminal, one document after the other on a
//! pipe; Ctrl-C ends it.
//!
//! **Invariant:** it ends at once when it is asked to, whatever is being waited for, and leaves the
//! terminal as it was.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use chrono::Utc;
use console::Term;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::error::AdminError;
use super::output::{Series, Shown, Sink, text_of};
use crate::cli::top::layout::fit;
use crate::cli::top::terminal::{Screen, keys};
use crate::cli::{shutdown, tell};

/// Reads and shows; once, or every so often until Ctrl-C. `title` is what stands above it then.
///
/// # Errors
/// When the first reading fails, or the only one, or standard output cannot be written to. What
/// fails later is told, and reading goes on.
pub(super) async fn watch<T: Shown>(
    sink: &Sink,
    every: Option<Duration>,
    title: &str,
    mut read: impl AsyncFnMut() -> Result<T, AdminError>,
) -> Result<(), AdminError> {
    let first = read().await?;
    let Some(every) = every else {
        return sink.show(&first, Series::One);
    };
    let shutdown = shutdown::requested().map_err(AdminError::Output)?;
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first picture is there already.
    clock.tick().await;
    if sink.is_terminal() {
        let terminal = Terminal::enter(Box::pin(shutdown))?;
        let title = format!("{title}   every {} s", every.as_secs());
        draw_on(terminal, *sink, clock, Picture::new(title, first), read).await
    } else {
        append_on(*sink, clock, Box::pin(shutdown), first, read).await
    }
}

async fn append_on<T: Shown>(
    sink: Sink,
    mut clock: Interval,
    mut shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    first: T,
    mut read: impl AsyncFnMut() -> Result<T, AdminError>,
) -> Result<(), AdminError> {
    sink.show(&first, Series::Many)?;
    loop {
        let next = async {
            clock.tick().await;
            read().await
        };
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            read = next => match read {
                Ok(document) => sink.show(&document, Series::Many)?,
                Err(error) => tell(&format!("libra: {error}")),
            },
        }
    }
}

async fn draw_on<T: Shown>(
    mut terminal: Terminal,
    sink: Sink,
    mut clock: Interval,
    mut picture: Picture<T>,
    mut read: impl AsyncFnMut() -> Result<T, AdminError>,
) -> Result<(), AdminError> {
    loop {
        terminal.draw(&picture, sink)?;
        let mut next = pin!(async {
            clock.tick().await;
            read().await
        });
        let read = loop {
            tokio::select! {
                read = &mut next => break read,
                turn = terminal.turn() => match turn {
                    Turn::Quit => return Ok(()),
                    Turn::Resized => terminal.draw(&picture, sink)?,
                },
            }
        };
        match read {
            Ok(document) => (picture.document, picture.trouble) = (document, None),
            Err(error) => picture.trouble = Some(error.to_string()),
        }
    }
}

/// What is drawn.
struct Picture<T> {
    title: String,
    document: T,
    /// Why it is not of now, if it is not.
    trouble: Option<String>,
}

impl<T: Shown> Picture<T> {
    fn new(title: String, document: T) -> Self {
        Self {
            title,
            document,
            trouble: None,
        }
    }

    /// In lines of at most `columns`, no more than `rows` of them.
    fn lines(
        &self,
        mut sink: Sink,
        columns: usize,
        rows: usize,
    ) -> Result<Vec<String>, AdminError> {
        let now = Utc::now();
        sink.look.columns = Some(u16::try_from(columns).unwrap_or(u16::MAX));
        let text = text_of(&self.document, sink.format, sink.look, Series::One, now)?;
        let head = format!("{}   {} UTC   q ends", self.title, now.format("%H:%M:%S"));
        let trouble = self.trouble.iter();
        let trouble = trouble
            .flat_map(|why| why.lines())
            .map(|line| format!("! {line}"));
        let lines = std::iter::once(head).chain(trouble).chain([String::new()]);
        let lines = lines.chain(text.lines().map(str::to_owned));
        Ok(cut(lines.map(|line| fit(&line, columns)).collect(), rows))
    }
}

/// What does not fit is said in the last line.
fn cut(mut lines: Vec<String>, rows: usize) -> Vec<String> {
    if lines.len() > rows {
        let hidden = lines.len() - rows.saturating_sub(1);
        lines.truncate(rows.saturating_sub(1));
        if rows > 0 {
            lines.push(format!("… {hidden} more lines"));
        }
    }
    lines
}

/// What happens beside reading.
enum Turn {
    Quit,
    Resized,
}

struct Terminal {
    screen: Screen,
    keys: mpsc::Receiver<u8>,
    resized: Signal,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Terminal {
    fn enter(shutdown: Pin<Box<dyn Future<Output = ()> + Send>>) -> Result<Self, AdminError> {
        let resized = signal(SignalKind::window_change()).map_err(AdminError::Output)?;
        Ok(Self {
            screen: Screen::enter(Term::stdout()).map_err(AdminError::Output)?,
            keys: keys(),
            resized,
            shutdown,
        })
    }

    /// # Cancel safety
    /// Nothing is lost: a signal or a key that has not been given is given next time.
    async fn turn(&mut self) -> Turn {
        loop {
            tokio::select! {
                () = &mut self.shutdown => return Turn::Quit,
                Some(key) = self.keys.recv() => if matches!(key, b'q' | b'Q') {
                    return Turn::Quit;
                },
                _ = self.resized.recv() => return Turn::Resized,
            }
        }
    }

    fn draw(&self, picture: &Picture<impl Shown>, sink: Sink) -> Result<(), AdminError> {
        let (columns, rows) = self.screen.size();
        let lines = picture.lines(sink, columns, rows)?;
        self.screen.show(&lines).map_err(AdminError::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said() {
        let lines: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        assert_eq!(cut(lines.clone(), 5), lines);
        assert_eq!(cut(lines.clone(), 3), ["0", "1", "… 3 more lines"]);
        assert!(cut(lines, 0).is_empty());
    }
}
