//! On which Spark Connect endpoint a new session goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use libra_raft::registry::Registry;

use super::{Service, ServiceError};

const UNKNOWN: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

/// Which endpoints take connections, as this node saw last; a handle, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reachability(Arc<BTreeMap<String, AtomicU8>>);

impl Reachability {
    /// Nothing is known yet of any of them.
    pub fn new(endpoints: impl IntoIterator<Item = String>) -> Self {
        let unknown = endpoints
            .into_iter()
            .map(|name| (name, AtomicU8::new(UNKNOWN)));
        Self(Arc::new(unknown.collect()))
    }

    /// Notes how an endpoint is; says whether that is new.
    pub fn set(&self, endpoint: &str, up: bool) -> bool {
        let now = if up { UP } else { DOWN };
        let state = self.0.get(endpoint);
        state.is_some_and(|state| state.swap(now, Ordering::Relaxed) != now)
    }

    /// Whether the endpoint took a connection when it was last tried.
    #[must_use]
    pub fn is_up(&self, endpoint: &str) -> bool {
        self.is(endpoint, UP)
    }

    /// Whether the endpoint refused a connection when it was last tried.
    #[must_use]
    pub fn is_down(&self, endpoint: &str) -> bool {
        self.is(endpoint, DOWN)
    }

    /// Whether every endpoint has been tried.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let mut states = self.0.values();
        states.all(|state| state.load(Ordering::Relaxed) != UNKNOWN)
    }

    /// The endpoints, each with whether it is up.
    pub fn all(&self) -> impl Iterator<Item = (&str, bool)> {
        let all = self.0.iter();
        all.map(|(name, state)| (name.as_str(), state.load(Ordering::Relaxed) == UP))
    }

    fn is(&self, endpoint: &str, wanted: u8) -> bool {
        let state = self.0.get(endpoint);
        state.is_some_and(|state| state.load(Ordering::Relaxed) == wanted)
    }
}

/// What an endpoint has to do; the smaller takes the next session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    /// Slots taken.
    running: u32,
    /// Statements that wait for one.
    waiting: u32,
    /// Sessions that are neither closed nor failed.
    sessions: usize,
}

impl Service {
    /// The endpoint that the next session goes to: of those that are not known to be down the one
    /// where least is running; the first of equals. If all are down, the one with least to do: its
    /// sessions start as soon as it is back.
    ///
    /// # Errors
    /// When no endpoint is configured.
    pub(crate) fn next_endpoint(&self) -> Result<String, ServiceError> {
        let options = &self.inner.options;
        let loads: Vec<(&String, Load)> = self.view(|registry| {
            let endpoints = options.endpoints.iter();
            endpoints
                .map(|endpoint| (endpoint, load_of(registry, endpoint)))
                .collect()
        });
        let chosen = choose(&loads, |endpoint| options.reachability.is_down(endpoint));
        chosen.cloned().ok_or_else(|| ServiceError::Internal {
            cause: "no Spark endpoint is configured".to_owned(),
        })
    }
}

fn choose<'a>(loads: &[(&'a String, Load)], is_down: impl Fn(&str) -> bool) -> Option<&'a String> {
    let least = loads
        .iter()
        .min_by_key(|(endpoint, load)| (is_down(endpoint), *load));
    least.map(|(endpoint, _)| *endpoint)
}

fn load_of(registry: &Registry, endpoint: &str) -> Load {
    let demand = registry.demand(endpoint);
    let sessions = registry.sessions_after(None);
    Load {
        running: demand.taken,
        waiting: demand.pools.iter().map(|pool| pool.eligible).sum(),
        sessions: sessions
            .filter(|session| session.endpoint == endpoint && session.state().is_live())
            .count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_session_goes_where_least_is_running_and_never_where_spark_is_down() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let load = |running, waiting, sessions| Load {
            running,
            waiting,
            sessions,
        };
        let all = |loads: [Load; 3]| names.iter().zip(loads).collect::<Vec<_>>();
        let idle = load(0, 0, 0);
        for (loads, down, expected) in [
            ([idle; 3], vec![], "a"),
            ([idle; 3], vec!["a"], "b"),
            ([load(1, 0, 1), idle, idle], vec![], "b"),
            ([load(0, 0, 9), load(1, 0, 1), load(1, 0, 1)], vec![], "a"),
            ([load(2, 5, 1), load(2, 0, 3), load(2, 1, 1)], vec![], "b"),
            ([load(0, 0, 2), load(0, 0, 1), load(0, 0, 2)], vec![], "b"),
            ([idle, load(9, 9, 9), idle], vec!["a", "c"], "b"),
            ([load(1, 0, 1), idle, idle], vec!["a", "b", "c"], "b"),
        ] {
            let chosen = choose(&all(loads), |endpoint| down.contains(&endpoint));
            assert_eq!(chosen.unwrap(), expected, "{loads:?}, down {down:?}");
        }
        assert_eq!(choose(&[], |_| false), None);
    }

    #[test]
    fn an_endpoint_is_unknown_until_it_was_tried() {
        let seen = Reachability::new(["a".to_owned()]);
        assert!(!seen.is_known() && !seen.is_down("a") && !seen.is_up("a"));
        assert!(seen.set("a", false) && !seen.set("a", false));
        assert!(seen.is_known() && seen.is_down("a"));
        assert!(seen.set("a", true) && seen.is_up("a"));
        assert!(
            !seen.set("elsewhere", true),
            "only those that are configured"
        );
    }
}
