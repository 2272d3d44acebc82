//! How every life of the coordinator is to end.

use std::fmt;
use std::time::Duration;

use crate::evidence::Dice;

/// The points of the product between acceptance and release, in the order a statement passes them,
/// each with how often it may be passed before the kill: rarely passed ones at most a few times.
pub const POINTS: &[(&str, u64)] = &[
    ("queued", 25),
    ("committed-not-sent", 20),
    ("sent-not-answered", 20),
    ("streaming", 120),
    ("cancelling", 3),
    ("stored-not-committed", 20),
    ("committed-not-released", 20),
];

/// The longest that a life lasts when it is to be killed at random, in ms.
const LONGEST_MS: u64 = 1_500;
/// The longest that a start may last before a kill is aimed at it, in ms.
const START_MS: u64 = 400;

/// Where a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// At a point of the product; its place in [`POINTS`].
    Point(usize),
    /// By `kill -9` at a random moment.
    Random,
    /// By `kill -9` at a random moment of the start itself.
    Starting,
    /// Not a life's end, but what was done to one node of several.
    Fault(&'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Point(at) => f.write_str(POINTS.get(*at).map_or("?", |(name, _)| name)),
            Self::Random => f.write_str("kill -9, random"),
            Self::Starting => f.write_str("kill -9, starting"),
            Self::Fault(what) => f.write_str(what),
        }
    }
}

/// How a life is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// At a point, after it was passed so often.
    At { point: usize, passes: u64 },
    /// By `kill -9`, so long after it was ready.
    After(Duration),
    /// By `kill -9`, so long after its start.
    Starting(Duration),
}

impl Death {
    /// What the environment variable `FAILPOINTS` is to say.
    pub(super) fn failpoints(self) -> Option<String> {
        match self {
            Self::At { point, passes } => {
                let (name, _) = POINTS.get(point)?;
                let off = if passes == 0 {
                    String::new()
                } else {
                    format!("{passes}*off->")
                };
                Some(format!("{name}={off}return(kill)"))
            }
            Self::After(_) | Self::Starting(_) => None,
        }
    }
}

/// `kills` deaths, at least `per_point` of them at each point, the rest at random, in random order.
pub(super) fn deaths(kills: usize, per_point: usize, dice: &mut Dice) -> Vec<Death> {
    let mut deaths = Vec::new();
    for (point, (_, most)) in POINTS.iter().enumerate() {
        for _ in 0..per_point {
            let passes = dice.below(*most);
            deaths.push(Death::At { point, passes });
        }
    }
    while deaths.len() < kills {
        deaths.push(if dice.once_in(5) {
            Death::Starting(Duration::from_millis(dice.below(START_MS)))
        } else {
            Death::After(Duration::from_millis(dice.below(LONGEST_MS)))
        });
    }
    dice.shuffle(&mut deaths);
    deaths
}

#[cfg(test)]
mod tests {
    use libra_actors::failpoint;

    use super::*;

    #[test]
    fn every_point_is_one_of_the_product() {
        for (name, _) in POINTS {
            assert!(failpoint::NAMES.contains(name), "{name}");
        }
    }

    #[test]
    fn every_point_gets_its_kills_and_the_rest_is_random() {
        let deaths = deaths(100, 5, &mut Dice::new(1, 0));
        assert_eq!(deaths.len(), 100);
        for wanted in 0..POINTS.len() {
            let at = deaths
                .iter()
                .filter(|death| matches!(death, Death::At { point, .. } if *point == wanted));
            assert_eq!(at.count(), 5);
        }
        let text = Death::At {
            point: 3,
            passes: 7,
        }
        .failpoints();
        assert_eq!(text.as_deref(), Some("streaming=7*off->return(kill)"));
        let text = Death::At {
            point: 0,
            passes: 0,
        }
        .failpoints();
        assert_eq!(text.as_deref(), Some("queued=return(kill)"));
    }
}
