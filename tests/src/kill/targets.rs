//! Which coordinator is asked: another one every time, where there are several.
//!
//! **Invariant:** nobody is left out because it does not answer: what the others make of that is
//! what is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::Api;

/// The coordinators that one client asks in turn.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    apis: Arc<[Api]>,
    turn: Arc<AtomicUsize>,
}

impl Targets {
    /// All of `apis`, which must not be empty.
    pub(super) fn all(apis: &[Api]) -> Self {
        assert!(!apis.is_empty(), "nobody to ask");
        Self {
            apis: apis.into(),
            turn: Arc::default(),
        }
    }

    /// The same ones for another client, who begins with another.
    pub(super) fn beginning_at(&self, first: usize) -> Self {
        Self {
            apis: Arc::clone(&self.apis),
            turn: Arc::new(AtomicUsize::new(first)),
        }
    }

    /// The next to be asked.
    pub(super) fn next(&self) -> &Api {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.apis[turn % self.apis.len()]
    }

    /// All of them.
    pub(super) fn each(&self) -> &[Api] {
        &self.apis
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_take_turns_and_begin_at_different_ones() {
        let apis: Vec<_> = (1..=3)
            .map(|n| Api::new(&format!("http://127.0.0.1:{n}")).unwrap())
            .collect();
        let targets = Targets::all(&apis).beginning_at(2);
        let asked: Vec<_> = (0..4).map(|_| targets.next().base().to_owned()).collect();
        let last: Vec<_> = asked.iter().map(|base| base.chars().last()).collect();
        assert_eq!(last, ['3', '1', '2', '3'].map(Some));
    }
}
