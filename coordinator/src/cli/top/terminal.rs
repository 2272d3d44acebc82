//! The terminal while `libra top` or `libra admin … --watch` has it: another screen, no cursor, keys without Enter.
//!
//! **Invariant:** whatever ends the program in an orderly way, the terminal is left as it was.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use console::Term;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc;

/// Another screen beside the one with the shell's lines, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the top left; what is left of a line; what is left of the screen.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";
/// The code that switches a special key off.
const NO_KEY: u8 = 0;

/// The other screen, as long as this lives.
pub(in crate::cli) struct Screen {
    terminal: Term,
    /// How the keyboard was set, if there is one.
    before: Option<Termios>,
}

impl Screen {
    pub(in crate::cli) fn enter(terminal: Term) -> io::Result<Self> {
        let screen = Self {
            terminal,
            before: keys_without_enter()?,
        };
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows, as they are now.
    pub(in crate::cli) fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.terminal.size();
        (columns.into(), rows.into())
    }

    /// Draws those lines, and nothing else stays.
    pub(in crate::cli) fn show(&self, lines: &[String]) -> io::Result<()> {
        let mut out = HOME.to_owned();
        // No newline after the last line: it would scroll.
        out.push_str(&lines.join(&format!("{REST_OF_LINE}\r\n")));
        out.push_str(REST_OF_LINE);
        out.push_str(REST_OF_SCREEN);
        write(&out)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Sets the keyboard so that a key counts at once and is not shown; Ctrl-C stays a signal, Ctrl-Z
/// is off: a shell that came back would have half of this screen.
fn keys_without_enter() -> io::Result<Option<Termios>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let before = tcgetattr(io::stdin())?;
    let mut now = before.clone();
    now.local_modes
        .remove(LocalModes::ICANON | LocalModes::ECHO);
    now.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
    tcsetattr(io::stdin(), OptionalActions::Now, &now)?;
    Ok(Some(before))
}

/// The keys that are pressed from now on; none come where standard input is no terminal.
pub(in crate::cli) fn keys() -> mpsc::Receiver<u8> {
    let (sender, receiver) = mpsc::channel(8);
    if io::stdin().is_terminal() {
        // It waits for a key for ever: a thread of the runtime would hold up the end of it.
        std::thread::spawn(move || {
            for key in io::stdin().lock().bytes() {
                let Ok(key) = key else { return };
                if sender.blocking_send(key).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}
