//! A terminal whose last columns stay empty: what the terminal itself echoes, `^C`, then stands
//! beside a bar and not on the next line, where nothing would ever remove it.

use std::io;

use indicatif::TermLike;

/// Room for `^C` twice.
pub(super) const MARGIN: u16 = 4;

#[derive(Debug)]
pub(super) struct WithMargin<T>(pub(super) T);

impl<T: TermLike> TermLike for WithMargin<T> {
    fn width(&self) -> u16 {
        self.0.width().saturating_sub(MARGIN)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.0.write_line(s)
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.0.write_str(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
