//! All that chance decides, by a seed.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A seeded sequence of numbers (SplitMix64).
#[derive(Debug)]
pub struct Dice(Mutex<u64>);

impl Dice {
    /// The sequence of one purpose in one simulation: what one purpose draws does not change what
    /// another gets.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(Mutex::new(mix(seed ^ mix(purpose))))
    }

    /// The next number.
    pub fn roll(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(*state)
    }

    /// A number of the range.
    pub fn within(&self, range: Range<u64>) -> u64 {
        let span = range.end.saturating_sub(range.start).max(1);
        range.start + self.roll() % span
    }

    /// Milliseconds of the range.
    pub fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// Microseconds of the range.
    pub fn micros(&self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }

    /// True in so many of a hundred.
    pub fn chance(&self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    /// One of them; none of none.
    pub fn pick<T: Copy>(&self, from: &[T]) -> Option<T> {
        let at = self.roll() as usize % from.len().max(1);
        from.get(at).copied()
    }

    /// A UUID.
    pub fn uuid(&self) -> String {
        let bits = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        uuid::Builder::from_random_bytes(bits.to_be_bytes())
            .into_uuid()
            .to_string()
    }
}

fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
