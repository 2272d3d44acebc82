//! Whether some order of what was done to one register explains every answer: the search of Wing
//! and Gong with the memory of Lowe.
//!
//! Each event took effect at one moment between its beginning and its end; one whose outcome is
//! not known took effect at some moment after its beginning, or never. A read that shows the
//! present value is put next at once, as it changes nothing and frees whom it was holding up. A
//! write of unknown outcome is tried only where a read of its value could follow at once: anywhere
//! else nobody could tell.
//!
//! **Invariant:** the search is bounded; where the bound is reached the answer is "unknown".

use std::collections::HashSet;

use crate::evidence::Micros;

/// What a register allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// Any value may be written.
    Register,
    /// Values only rise.
    Rising,
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) began: Micros,
    /// `None`: a write of unknown outcome.
    pub(super) ended: Option<Micros>,
    pub(super) does: Does,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Write(u64),
    Read(u64),
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// An order that explains all.
    Order,
    /// That there is none; the first event that no order gets past.
    None(Event),
    /// Nothing within the bound.
    Unknown,
}

/// Looks for an order, in at most `bound` steps.
pub(super) fn order(model: Model, initial: u64, events: &[Event], bound: usize) -> Found {
    let mut closed: Vec<Closed> = Vec::new();
    let mut open: Vec<(Micros, u64)> = Vec::new();
    for event in events {
        match (event.ended, event.does) {
            (Some(ended), _) => closed.push(Closed {
                began: event.began,
                ended,
                does: event.does,
            }),
            (None, Does::Write(value)) => open.push((event.began, value)),
            // A read without an answer says nothing.
            (None, Does::Read(_)) => {}
        }
    }
    closed.sort_by_key(|event| (event.began, event.ended));
    Search {
        model,
        closed,
        open,
    }
    .run(initial, bound)
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    began: Micros,
    ended: Micros,
    does: Does,
}

struct Search {
    model: Model,
    /// By beginning.
    closed: Vec<Closed>,
    /// Beginning and value of writes of unknown outcome.
    open: Vec<(Micros, u64)>,
}

/// How far an order has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    /// All closed events before this one are in the order.
    next: usize,
    /// And these behind it.
    beyond: Vec<usize>,
    /// Places of the open writes that are in the order.
    open: Vec<usize>,
    value: u64,
}

impl Search {
    fn run(&self, initial: u64, bound: usize) -> Found {
        let mut start = State {
            next: 0,
            beyond: Vec::new(),
            open: Vec::new(),
            value: initial,
        };
        self.settle(&mut start);
        let mut furthest = start.next;
        let mut known: HashSet<State> = HashSet::from([start.clone()]);
        let mut left = vec![start];
        let mut steps = 0;
        while let Some(state) = left.pop() {
            if state.next == self.closed.len() {
                return Found::Order;
            }
            furthest = furthest.max(state.next);
            steps += 1;
            if steps > bound {
                return Found::Unknown;
            }
            for mut after in self.steps(&state) {
                self.settle(&mut after);
                if known.insert(after.clone()) {
                    left.push(after);
                }
            }
        }
        match self.closed.get(furthest) {
            Some(stuck) => Found::None(Event {
                began: stuck.began,
                ended: Some(stuck.ended),
                does: stuck.does,
            }),
            None => Found::Order,
        }
    }

    /// Puts every read next that shows the present value.
    fn settle(&self, state: &mut State) {
        loop {
            let (found, _) = self.candidates(state);
            let fits = |at: &usize| self.closed[*at].does == Does::Read(state.value);
            let Some(at) = found.into_iter().find(fits) else {
                return;
            };
            self.put(state, at);
        }
    }

    /// All that a write can lead to.
    fn steps(&self, state: &State) -> Vec<State> {
        let (found, limit) = self.candidates(state);
        let mut steps = Vec::new();
        let mut reads = HashSet::new();
        for at in found {
            match self.closed[at].does {
                Does::Write(value) if self.allows(state, value) => {
                    let mut after = state.clone();
                    after.value = value;
                    self.put(&mut after, at);
                    steps.push(after);
                }
                Does::Write(_) => {}
                Does::Read(value) => {
                    reads.insert(value);
                }
            }
        }
        for (at, (began, value)) in self.open.iter().enumerate() {
            let useful = *began <= limit && reads.contains(value) && !state.open.contains(&at);
            if useful && self.allows(state, *value) {
                let mut after = state.clone();
                after.value = *value;
                after.open.push(at);
                after.open.sort_unstable();
                steps.push(after);
            }
        }
        steps
    }

    fn allows(&self, state: &State, value: u64) -> bool {
        match self.model {
            Model::Register => true,
            Model::Rising => value > state.value,
        }
    }

    /// Closed events that may be next: none that is not in the order ended before they began. And
    /// the first end among those that are not in the order.
    fn candidates(&self, state: &State) -> (Vec<usize>, Micros) {
        let (mut limit, mut found) = (Micros::MAX, Vec::new());
        for (at, event) in self.closed.iter().enumerate().skip(state.next) {
            if event.began > limit {
                break;
            }
            if !state.beyond.contains(&at) {
                limit = limit.min(event.ended);
                found.push(at);
            }
        }
        found.retain(|at| self.closed[*at].began <= limit);
        (found, limit)
    }

    fn put(&self, state: &mut State, at: usize) {
        state.beyond.push(at);
        state.beyond.sort_unstable();
        while let Some(place) = state.beyond.iter().position(|at| *at == state.next) {
            state.beyond.remove(place);
            state.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: usize = 100_000;

    fn write(value: u64, began: u64, ended: u64) -> Event {
        Event {
            began,
            ended: Some(ended),
            does: Does::Write(value),
        }
    }

    fn open(value: u64, began: u64) -> Event {
        Event {
            ended: None,
            ..write(value, began, 0)
        }
    }

    fn read(value: u64, began: u64, ended: u64) -> Event {
        Event {
            does: Does::Read(value),
            ..write(value, began, ended)
        }
    }

    #[test]
    fn good_and_bad_histories_are_told_apart() {
        let register = Model::Register;
        let cases: &[(&str, Model, &[Event], bool)] = &[
            ("nothing", register, &[], true),
            ("the initial value", register, &[read(0, 1, 2)], true),
            ("a phantom", register, &[read(7, 1, 2)], false),
            (
                "stale after a write",
                register,
                &[write(1, 1, 2), read(0, 3, 4)],
                false,
            ),
            (
                "old or new beside a write",
                register,
                &[write(1, 1, 9), read(0, 2, 3), read(1, 4, 5)],
                true,
            ),
            (
                "new, then old beside a write",
                register,
                &[write(1, 1, 9), read(1, 2, 3), read(0, 4, 5)],
                false,
            ),
            (
                "an open write seen late",
                register,
                &[open(5, 1), read(0, 2, 3), read(5, 90, 91), read(5, 92, 93)],
                true,
            ),
            (
                "an open write seen, and undone",
                register,
                &[open(5, 1), read(5, 2, 3), read(0, 4, 5)],
                false,
            ),
            (
                "an open write seen before it began",
                register,
                &[read(5, 1, 2), open(5, 3)],
                false,
            ),
            (
                "an open write behind another write",
                register,
                &[open(5, 1), write(6, 2, 3), read(6, 4, 5), read(5, 6, 7)],
                true,
            ),
            (
                "two writes in the order that reads show",
                register,
                &[write(1, 1, 9), write(2, 1, 9), read(2, 10, 11)],
                true,
            ),
            (
                "two readers that disagree on the order of writes",
                register,
                &[
                    write(1, 1, 9),
                    write(2, 1, 9),
                    read(1, 10, 11),
                    read(2, 12, 13),
                ],
                false,
            ),
            (
                "values that rise",
                Model::Rising,
                &[write(3, 1, 5), write(2, 1, 5), read(3, 6, 7)],
                true,
            ),
            (
                "a value that came behind a higher one",
                Model::Rising,
                &[write(3, 1, 2), write(2, 3, 5), read(3, 6, 7)],
                false,
            ),
        ];
        for (name, model, events, good) in cases {
            let found = order(*model, 0, events, BOUND);
            assert_eq!(found == Found::Order, *good, "{name}: {found:?}");
            assert_ne!(found, Found::Unknown, "{name}");
        }
    }

    #[test]
    fn the_bound_ends_the_search_without_a_verdict() {
        let mut events: Vec<Event> = (1..=12).map(|value| write(value, 1, 100)).collect();
        events.push(read(0, 200, 201));
        assert_eq!(order(Model::Register, 0, &events, 50), Found::Unknown);
    }

    #[test]
    fn ten_thousand_events_are_no_trouble() {
        let mut events = Vec::new();
        for n in 1..5_000 {
            events.push(write(n, n * 10, n * 10 + 12));
            events.push(read(n, n * 10 + 5, n * 10 + 25));
        }
        assert_eq!(order(Model::Register, 0, &events, BOUND), Found::Order);
        events.push(read(17, 60_000, 60_001));
        assert!(matches!(
            order(Model::Register, 0, &events, BOUND),
            Found::None(_)
        ));
    }

    proptest! {
        /// Histories of a real register, each call stretched around its moment, are explained;
        /// with one answer changed to a value that was never written, none is.
        #[test]
        fn what_a_register_does_is_explained(
            calls in prop::collection::vec((any::<bool>(), 0..40u64, 0..40u64, any::<bool>()), 1..40),
            spoil in any::<prop::sample::Index>(),
        ) {
            let (mut value, mut events) = (0, Vec::new());
            for (at, (is_write, before, after, unknown)) in calls.iter().enumerate() {
                let moment = 100 + at as u64 * 10;
                let (began, ended) = (moment - before, moment + after);
                if *is_write {
                    value = at as u64 + 1;
                    let event = write(value, began, ended);
                    events.push(if *unknown { Event { ended: None, ..event } } else { event });
                } else {
                    events.push(read(value, began, ended));
                }
            }
            prop_assert_eq!(order(Model::Register, 0, &events, BOUND), Found::Order);
            let at = spoil.index(events.len());
            if let Does::Read(_) = events[at].does {
                events[at].does = Does::Read(9_999);
                prop_assert!(order(Model::Register, 0, &events, BOUND) != Found::Order);
            }
        }
    }
}
