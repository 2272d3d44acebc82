//! New lines of a log file that another process appends to.
//!
//! **Invariant:** a bounded piece is read at a time, and a line is told once.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Read at a time, in bytes; a longer line is told in pieces.
const PIECE: u64 = 64 << 10;

/// Reads on where it was.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
}

impl Follower {
    /// Follows a file that is empty, or not there yet.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            begun: Vec::new(),
        }
    }

    /// The whole lines of the next piece; none if there is nothing new.
    pub(super) fn lines(&mut self) -> Vec<String> {
        let Ok(piece) = self.piece() else {
            // It is not there yet, or cannot be read: the next look may find it.
            return Vec::new();
        };
        self.begun.extend(piece);
        let end = self.begun.iter().rposition(|byte| *byte == b'\n');
        let whole = match end {
            Some(end) => end + 1,
            None if self.begun.len() as u64 >= PIECE => self.begun.len(),
            None => 0,
        };
        lines_of(&self.begun.drain(..whole).collect::<Vec<_>>())
    }

    /// Everything to the end of the file, a last line without an end included.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let before = self.offset;
            all.extend(self.lines());
            if self.offset == before {
                break;
            }
        }
        all.extend(lines_of(&std::mem::take(&mut self.begun)));
        all
    }

    fn piece(&mut self) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut piece = Vec::new();
        self.offset += file.take(PIECE).read_to_end(&mut piece)? as u64;
        Ok(piece)
    }
}

fn lines_of(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn every_line_is_told_once_and_whole() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let mut follower = Follower::new(&path);
        assert!(follower.lines().is_empty(), "it is not there yet");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(follower.lines(), ["one", "two"]);
        assert!(follower.lines().is_empty());
        file.write_all(b"ee\n\nend").unwrap();
        assert_eq!(follower.lines(), ["three", ""]);
        assert_eq!(follower.rest(), ["end"]);
        assert!(follower.rest().is_empty());
    }

    #[test]
    fn a_line_without_end_is_told_in_pieces() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log");
        let length = usize::try_from(PIECE).unwrap() * 2 + 10;
        std::fs::write(&path, "x".repeat(length)).unwrap();
        let told: usize = Follower::new(&path).rest().iter().map(String::len).sum();
        assert_eq!(told, length);
    }
}
