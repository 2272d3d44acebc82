//! Blind mutation of seeds.
//!
//! **Invariant:** the seed decides every input.

/// Longest input.
const LONGEST: usize = 64 << 10;
/// What breaks parsers.
const TOKENS: [&[u8]; 24] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\x80",
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"18446744073709551616",
    b"\"",
    b"'",
    b"\\u0000",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92\xa5",
    b"%",
    b"%00",
    b"&&",
    b"=",
    b": ",
    b"\n  - ",
    b"<!--",
    b"]]>",
    b"&lt;",
    b"../",
];

/// A source of inputs.
pub(super) struct Mutator {
    state: u64,
    seeds: Vec<Vec<u8>>,
}

impl Mutator {
    pub(super) fn new(seed: u64, seeds: Vec<Vec<u8>>) -> Self {
        Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
            seeds,
        }
    }

    /// A seed with one to eight changes.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut input = self.any_seed();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn any_seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.range(input.len());
        match self.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1 << (to % 8);
                }
            }
            1 => {
                let any = self.below(256) as u8;
                if let Some(byte) = input.get_mut(from) {
                    *byte = any;
                }
            }
            2 => drop(input.drain(from..to)),
            3 => input.truncate(from),
            4 => {
                let twice = input[from..to].to_vec();
                input.splice(from..from, twice);
            }
            5 => {
                let many = self.below(200) + 1;
                let piece = input[from..to.min(from + 16)].repeat(many);
                input.splice(from..from, piece);
            }
            6 | 7 => {
                let token = TOKENS[self.below(TOKENS.len())];
                let end = if self.below(2) == 0 { from } else { to };
                input.splice(from..end, token.iter().copied());
            }
            _ => {
                let other = self.any_seed();
                let (a, b) = self.range(other.len());
                input.splice(from..to, other[a..b].iter().copied());
            }
        }
    }

    /// A part of something of that length.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let longest = if self.below(4) == 0 { length } else { 8 };
        let to = (from + self.below(longest + 1)).min(length);
        (from, to)
    }

    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        (number as usize) % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_differ_and_repeat_with_their_seed() {
        let make = |seed| {
            let mut mutator = Mutator::new(seed, vec![b"hello".to_vec(), b"world".to_vec()]);
            (0..200).map(|_| mutator.next()).collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
        let unique: std::collections::BTreeSet<_> = make(7).into_iter().collect();
        assert!(unique.len() > 150, "{}", unique.len());
    }

    #[test]
    fn nothing_to_begin_with_is_no_reason_to_fall_over() {
        let mut mutator = Mutator::new(1, Vec::new());
        assert!((0..1_000).all(|_| mutator.next().len() <= LONGEST));
    }
}
