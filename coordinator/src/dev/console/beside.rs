//! Lines beside a bar: written while the bar is taken away, so that neither spoils the other.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, WeakProgressBar};

/// The bar on the terminal: there is one terminal, and one bar at a time.
static BAR: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// From now on lines stand above this bar.
pub(super) fn set_bar(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Standard error, above the bar if there is one.
#[derive(Debug, Clone, Copy)]
pub(in crate::dev) struct BesideBars;

impl Write for BesideBars {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bar.as_ref().and_then(WeakProgressBar::upgrade);
        match bar {
            Some(bar) => bar.suspend(|| io::stderr().write(buf)),
            None => io::stderr().write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
