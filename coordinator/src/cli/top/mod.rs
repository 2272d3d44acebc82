//! `libra top`: pools, sessions and running statements, as they are now.
//!
//! On a terminal it draws itself anew every second until Ctrl-C; elsewhere it prints one picture
//! and ends.
//!
//! **Invariant:** it only reads, and with `stale=true`: looking costs the cluster no consensus and
//! works while it has no leader.

mod read;
mod screen;

use std::io::{self, Write as _};
use std::time::Duration;

use console::Term;
use tokio::time::{MissedTickBehavior, interval};

use super::arguments::TopArguments;
use super::report::Failure;
use super::{FAILED, shutdown};
use read::Reader;
use screen::{Picture, draw};

/// Another screen beside the one with the shell's lines, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the top left; what is left of a line; what is left of the screen.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
/// As wide as a picture that is not on a terminal gets.
const WIDE: usize = 160;

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
    let shown = watch(&reader, &terminal, first, every).await;
    shown.map_err(|e| Failure::new(FAILED, &e))
}

/// Draws again and again until a signal comes.
async fn watch(
    reader: &Reader,
    terminal: &Term,
    first: Picture,
    every: Duration,
) -> io::Result<()> {
    let mut shutdown = Box::pin(shutdown::requested()?);
    let _screen = Screen::enter()?;
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut picture = first;
    loop {
        clock.tick().await;
        show(terminal, &picture)?;
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            read = reader.read() => match read {
                Ok(new) => picture = new,
                Err(error) => picture.trouble = Some(error.to_string()),
            },
        }
    }
}

fn show(terminal: &Term, picture: &Picture) -> io::Result<()> {
    let (rows, columns) = terminal.size();
    let lines = draw(picture, columns.into(), rows.into());
    let mut out = HOME.to_owned();
    // No newline after the last line: it would scroll.
    out.push_str(&lines.join(&format!("{REST_OF_LINE}\r\n")));
    out.push_str(REST_OF_LINE);
    out.push_str(REST_OF_SCREEN);
    let mut stdout = io::stdout();
    stdout.write_all(out.as_bytes())?;
    stdout.flush()
}

/// The other screen, as long as this lives.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Self> {
        let mut stdout = io::stdout();
        stdout.write_all(ENTER.as_bytes())?;
        stdout.flush()?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = io::stdout();
        // Nothing can be done for a terminal that is gone.
        let _ = stdout
            .write_all(LEAVE.as_bytes())
            .and_then(|()| stdout.flush());
    }
}
