//! Which coordinator is asked: another one every time, where there are several.
//!
//! **Invariant:** nobody is left out because it does not answer: what the others make of that is
//! what is looked at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::harness::Api;

/// The coordinators that one client asks in turn; all clients of a run share the list.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    apis: Arc<RwLock<Vec<Api>>>,
    turn: Arc<AtomicUsize>,
}

impl Targets {
    /// All of `apis`, which must not be empty.
    pub(crate) fn all(apis: &[Api]) -> Self {
        assert!(!apis.is_empty(), "nobody to ask");
        Self {
            apis: Arc::new(RwLock::new(apis.to_vec())),
            turn: Arc::default(),
        }
    }

    /// The same ones for another client, who begins with another.
    pub(crate) fn beginning_at(&self, first: usize) -> Self {
        Self {
            apis: Arc::clone(&self.apis),
            turn: Arc::new(AtomicUsize::new(first)),
        }
    }

    /// Others from now on, for all clients; nothing changes if there are none.
    pub(crate) fn become_these(&self, apis: &[Api]) {
        if !apis.is_empty() {
            let mut known = self.apis.write().unwrap_or_else(PoisonError::into_inner);
            *known = apis.to_vec();
        }
    }

    /// The next to be asked.
    pub(crate) fn next(&self) -> Api {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let apis = self.apis.read().unwrap_or_else(PoisonError::into_inner);
        apis[turn % apis.len()].clone()
    }

    /// All of them.
    pub(crate) fn each(&self) -> Vec<Api> {
        let apis = self.apis.read().unwrap_or_else(PoisonError::into_inner);
        apis.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(n: u16) -> Api {
        Api::new(&format!("http://127.0.0.1:{n}")).unwrap()
    }

    #[test]
    fn clients_take_turns_and_begin_at_different_ones() {
        let apis = [api(1), api(2), api(3)];
        let targets = Targets::all(&apis).beginning_at(2);
        let asked: Vec<_> = (0..4).map(|_| targets.next().base().to_owned()).collect();
        let last: Vec<_> = asked.iter().map(|base| base.chars().last()).collect();
        assert_eq!(last, ['3', '1', '2', '3'].map(Some));
    }

    #[test]
    fn all_clients_learn_of_others() {
        let targets = Targets::all(&[api(1)]);
        let client = targets.beginning_at(5);
        targets.become_these(&[api(7)]);
        targets.become_these(&[]);
        assert!(client.next().base().ends_with('7'));
        assert_eq!(client.each().len(), 1);
    }
}
