//! Which of the node's own actors are to run: those of every node always, those of the leader's
//! role in the term that this node leads.
//!
//! PURE: no runtime and no clock.
//!
//! **Invariant:** of each part there is at most one instance; the next is begun only when nothing
//! of the last is left, and only in a term that is wanted then.

use std::collections::BTreeMap;

/// The actors right under the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The session supervisor.
    Sessions,
    /// Grants slots.
    Scheduler,
    /// Commits what time brings.
    Reaper,
    /// Renews this node's lease.
    Keeper,
    /// Commits whose lease is over.
    Detector,
}

impl Part {
    /// Whether it acts in the leader's role.
    pub(super) fn leads(self) -> bool {
        match self {
            Self::Sessions | Self::Keeper => false,
            Self::Scheduler | Self::Reaper | Self::Detector => true,
        }
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin an instance, in that term; 0 for one of no role.
    Start(Part, u64),
    /// Stop the instance that runs.
    Stop(Part),
}

/// What there is of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Nothing.
    Vacant,
    /// An instance of that term.
    Runs { term: u64 },
    /// An instance was told to stop, or has ended: something of it may be left.
    Ending,
}

#[derive(Debug, Clone, Copy)]
struct Post {
    stand: Stand,
    /// It ended by itself in that term, and has nothing more to do in it.
    done_in: Option<u64>,
}

/// Who is who.
#[derive(Debug)]
pub(super) struct Roster {
    posts: BTreeMap<Part, Post>,
    term: Option<u64>,
}

impl Roster {
    /// A roster of these parts, with nobody in place and no term led.
    pub(super) fn new(parts: &[Part]) -> Self {
        let post = Post {
            stand: Stand::Vacant,
            done_in: None,
        };
        Self {
            posts: parts.iter().map(|part| (*part, post)).collect(),
            term: None,
        }
    }

    /// The node leads that term, or none, from now on.
    pub(super) fn lead(&mut self, term: Option<u64>) -> Vec<Step> {
        self.term = term;
        let parts: Vec<Part> = self.posts.keys().copied().collect();
        let steps = parts.into_iter().filter_map(|part| self.next(part));
        steps.collect()
    }

    /// The instance that ran has ended, and is to be followed by another if one is wanted.
    pub(super) fn crashed(&mut self, part: Part) {
        if let Some(post) = self.posts.get_mut(&part) {
            post.stand = Stand::Ending;
        }
    }

    /// The instance that ran has ended, and not by a crash: if nobody had told it to, it is not
    /// followed by another in its term.
    pub(super) fn ended(&mut self, part: Part) {
        if let Some(post) = self.posts.get_mut(&part) {
            if let Stand::Runs { term } = post.stand {
                post.done_in = Some(term);
            }
            post.stand = Stand::Ending;
        }
    }

    /// Nothing is left of the instance that has ended.
    pub(super) fn vacated(&mut self, part: Part) -> Option<Step> {
        let post = self.posts.get_mut(&part)?;
        if post.stand != Stand::Ending {
            return None;
        }
        post.stand = Stand::Vacant;
        self.next(part)
    }

    fn next(&mut self, part: Part) -> Option<Step> {
        let wanted = if part.leads() { self.term } else { Some(0) };
        let post = self.posts.get_mut(&part)?;
        match (post.stand, wanted) {
            (Stand::Vacant, Some(term)) if post.done_in != wanted => {
                post.stand = Stand::Runs { term };
                Some(Step::Start(part, term))
            }
            (Stand::Runs { term }, _) if wanted != Some(term) => {
                post.stand = Stand::Ending;
                Some(Step::Stop(part))
            }
            (Stand::Vacant | Stand::Runs { .. } | Stand::Ending, _) => None,
        }
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
