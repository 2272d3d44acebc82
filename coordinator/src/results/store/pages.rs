//! How much of the long results that were written here stays in the page cache.
//!
//! A long result is written once and mostly read once, soon. Left alone all of them fill the page
//! cache at the cost of everything else on the machine, and every page is a new one. In a virtual
//! machine that gives unused memory back, the first touch of 100 MB of new pages takes 0.2 s of
//! processor time, ten times as long as copying into pages that were in use before. So the oldest
//! pages are let go of as new ones are written, and these take their place.
//!
//! **Invariant:** nothing depends on it: what is let go of is read from the disk again. Files are
//! known by path and never held open.

use std::collections::VecDeque;
use std::fs::File;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Advice, fadvise};

/// Bytes of long results that stay: five of a million rows, the usual limit, of 50 bytes each.
const STAYS: u64 = 256 << 20;

/// Bytes that are noted, and let go of, at once; shorter files are left to the kernel.
const STEP: u64 = 1 << 20;

/// The pages of long results in the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    parts: VecDeque<Part>,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    path: PathBuf,
    range: Range<u64>,
}

/// One file's writer and what of it is not noted yet.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    noted: u64,
}

impl Pages {
    /// Takes note that a file has grown to `len`, and lets go of what is the oldest for it.
    /// Blocking work.
    pub(crate) fn grew(&self, growing: &mut Growing, path: &Path, len: u64) {
        if len < growing.noted + STEP {
            return;
        }
        let range = std::mem::replace(&mut growing.noted, len)..len;
        let path = path.to_owned();
        for part in self.note(Part { path, range }) {
            let_go(&part);
        }
    }

    /// What has to go for a new part.
    fn note(&self, part: Part) -> Vec<Part> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.bytes += length(&part);
        written.parts.push_back(part);
        let mut gone = Vec::new();
        while written.bytes > STAYS
            && let Some(oldest) = written.parts.pop_front()
        {
            written.bytes -= length(&oldest);
            gone.push(oldest);
        }
        gone
    }
}

fn length(part: &Part) -> u64 {
    part.range.end.saturating_sub(part.range.start)
}

/// Lets go of a part of a file. Pages that are not durable yet stay, and of a file that is gone there
/// is nothing to let go of.
fn let_go(part: &Part) {
    if let (Ok(file), Some(length)) = (File::open(&part.path), NonZeroU64::new(length(part))) {
        let _ = fadvise(file, part.range.start, Some(length), Advice::DontNeed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, range: Range<u64>) -> Part {
        Part {
            path: name.into(),
            range,
        }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let pages = Pages::default();
        assert_eq!(pages.note(part("a", 0..STAYS / 2)), []);
        assert_eq!(pages.note(part("b", 0..STAYS / 2)), []);
        assert_eq!(pages.note(part("c", 0..1)), [part("a", 0..STAYS / 2)]);
        assert_eq!(pages.note(part("c", 1..STAYS / 2)), []);
        let rest = [part("b", 0..STAYS / 2), part("c", 0..1)];
        assert_eq!(pages.note(part("d", 0..STAYS / 2 + 1)), rest);
    }

    #[test]
    fn a_file_is_noted_in_steps_and_without_a_gap() {
        let pages = Pages::default();
        let mut growing = Growing::default();
        let noted = || {
            let written = pages.written.lock().unwrap();
            (written.parts.len(), written.bytes)
        };
        let path = Path::new("long");
        pages.grew(&mut growing, path, STEP - 1);
        assert_eq!(noted(), (0, 0), "short files are left alone");
        pages.grew(&mut growing, path, STEP + 5);
        pages.grew(&mut growing, path, STEP + 6);
        assert_eq!(noted(), (1, STEP + 5));
        pages.grew(&mut growing, path, 3 * STEP);
        assert_eq!(noted(), (2, 3 * STEP));
    }

    #[test]
    fn what_was_let_go_of_reads_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        let bytes: Vec<u8> = (0..3 * STEP).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        let whole = Part {
            path: path.clone(),
            range: 0..3 * STEP,
        };
        let_go(&whole);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        std::fs::remove_file(&path).unwrap();
        let_go(&whole);
    }
}
