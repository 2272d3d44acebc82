//! Where records end in a file that comes in pieces of any size.
//!
//! **Invariant:** pure; only lengths are looked at, the bytes are checked by whoever reads them.

use crate::results::store::format::HEADER_LEN;

/// Bytes of a record that say its length, and how much longer the record is than it says.
const LENGTH_BYTES: usize = 4;
const BEYOND_LENGTH: u64 = 8;

/// The place in a file, as records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frames {
    /// Bytes seen.
    len: u64,
    /// The end of the last whole record, or of the header.
    whole: u64,
    /// The end of the record under way, once its length is known.
    end: Option<u64>,
    /// The begin of a record whose length is not known yet.
    begun: Vec<u8>,
}

impl Frames {
    /// A file of whole records, or an empty one.
    pub(super) fn at(len: u64) -> Self {
        Self {
            len,
            whole: len,
            end: (len < HEADER_LEN).then_some(HEADER_LEN),
            begun: Vec::new(),
        }
    }

    /// Bytes up to the end of the last whole record.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Takes in what comes next.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = match self.end {
                Some(end) => usize::try_from(end - self.len).unwrap_or(usize::MAX),
                None => LENGTH_BYTES - self.begun.len(),
            };
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.len += taken.len() as u64;
            bytes = rest;
            if self.end == Some(self.len) {
                (self.whole, self.end) = (self.len, None);
            } else if self.end.is_none() {
                self.begun.extend_from_slice(taken);
                if let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(self.begun.as_slice()) {
                    let length = u64::from(u32::from_le_bytes(length));
                    self.end = Some(self.whole + BEYOND_LENGTH + length);
                    self.begun.clear();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use libra_proto::types::{Epoch, JobId};
    use proptest::prelude::*;

    use super::*;
    use crate::results::store::format::{Kind, encode_head, encode_header};

    proptest! {
        #[test]
        fn ends_are_found_however_the_bytes_come(
            payloads in proptest::collection::vec(0usize..40, 0..6),
            pieces in proptest::collection::vec(1usize..50, 1..20),
        ) {
            let mut file = encode_header(JobId(1), Epoch(1));
            let mut ends = vec![0, file.len() as u64];
            for length in payloads {
                let payload = vec![7; length];
                file.extend(encode_head(Kind::Batch, "id", 1, 0, &payload).unwrap());
                file.extend(payload);
                ends.push(file.len() as u64);
            }
            let mut frames = Frames::at(0);
            let (mut at, mut pieces) = (0, pieces.into_iter().cycle());
            while at < file.len() {
                let to = (at + pieces.next().unwrap()).min(file.len());
                frames.push(&file[at..to]);
                at = to;
                let expected = ends.iter().rev().find(|end| **end <= at as u64);
                prop_assert_eq!(Some(&frames.whole()), expected);
                if frames.whole() == at as u64 {
                    prop_assert_eq!(&frames, &Frames::at(at as u64));
                }
            }
        }
    }
}
