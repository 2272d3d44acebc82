//! `libra top`: pools, sessions and running statements, as they are now.
//!
//! On a terminal it draws itself anew every second until `q` or Ctrl-C; elsewhere it prints one
//! picture and ends.
//!
//! **Invariant:** it only reads, and with `stale=true`: looking costs the cluster no consensus and
//! works while it has no leader.

pub(super) mod layout;
mod read;
mod screen;
pub(super) mod terminal;

use std::io::{self, Write as _};
use std::time::Duration;

use console::Term;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::arguments::TopArguments;
use super::report::Failure;
use super::{FAILED, shutdown};
use read::{ReadError, Reader};
use screen::{Picture, draw};
use terminal::{Screen, keys};

/// As wide as a picture that is not on a terminal gets.
const WIDE: usize = 200;

/// Shows the picture.
pub(super) async fn top(arguments: TopArguments) -> Result<(), Failure> {
    let reader = Reader::new(&arguments.url).map_err(|e| Failure::new(FAILED, &e))?;
    // Whoever gave a wrong URL is told so, on the screen that stays.
    let first = reader.read().await.map_err(|e| Failure::new(FAILED, &e))?;
    let terminal = Term::stdout();
    if !terminal.is_term() {
        let lines = draw(&first, WIDE, usize::MAX).join("\n");
        return writeln!(io::stdout(), "{lines}").map_err(|e| Failure::new(FAILED, &e));
    }
    let every = Duration::from_secs(arguments.every.max(1).into());
    let shown = watch(reader, terminal, first, every).await;
    shown.map_err(|e| Failure::new(FAILED, &e))
}

/// Draws again and again until `q` is pressed or a signal comes.
async fn watch(reader: Reader, terminal: Term, first: Picture, every: Duration) -> io::Result<()> {
    let mut shutdown = Box::pin(shutdown::requested()?);
    let mut resized = signal(SignalKind::window_change())?;
    let (sender, mut pictures) = mpsc::channel(1);
    // Ends with this: it is dropped.
    let mut reading = JoinSet::new();
    reading.spawn(read_on(reader, every, sender));
    let screen = Screen::enter(terminal)?;
    let mut keys = keys();
    let mut picture = first;
    loop {
        let (columns, rows) = screen.size();
        screen.show(&draw(&picture, columns, rows))?;
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            Some(key) = keys.recv() => if matches!(key, b'q' | b'Q') {
                return Ok(());
            },
            _ = resized.recv() => {}
            Some(read) = pictures.recv() => match read {
                Ok(new) => picture = new,
                Err(error) => picture.trouble = Some(error.cause()),
            },
        }
    }
}

/// Reads every so often, until nobody takes what was read.
async fn read_on(reader: Reader, every: Duration, taker: mpsc::Sender<Result<Picture, ReadError>>) {
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first picture is there already.
    clock.tick().await;
    loop {
        clock.tick().await;
        if taker.send(reader.read().await).await.is_err() {
            return;
        }
    }
}
