//! What waits in one pool of one endpoint, and in which order the pool would start it.
//!
//! A statement is known by its id alone; its user and session stand once for all of theirs. What
//! is said of a statement replaces what was said before, so that news may come twice or late.
//!
//! FAIR gives the next slot to the user who holds fewest in this pool; of equals to the one who
//! was served longest ago, so that a pool of one slot goes round; then to the one whose turn is of
//! the older statement. Likewise between the sessions of that user, then by acceptance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libra_proto::types::{JobId, SessionId, Stand, Standing};

use super::model::{Candidate, Order};

/// So many lanes in which nothing waits are kept, for when they were served last.
const IDLE_LANES: usize = 1_000;
/// Served just now, in what [`Queue::head`] tries out: later than any real time.
const NOW: u64 = u64::MAX;

/// The queue of one pool.
#[derive(Debug, Default)]
pub struct Queue {
    entries: BTreeMap<JobId, Entry>,
    lanes: BTreeMap<Arc<Owner>, Lane>,
    users: BTreeMap<Arc<str>, User>,
    /// The oldest waiting statement of each lane that is open.
    by_age: BTreeSet<(JobId, Arc<Owner>)>,
    /// The users who have something to start, whose turn it is first.
    by_turn: BTreeSet<(Turn, Arc<str>)>,
    waiting: usize,
}

/// One user in one session.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    user: Arc<str>,
    session: SessionId,
}

#[derive(Debug)]
struct Entry {
    owner: Arc<Owner>,
    holds: bool,
}

/// What one user has in one session.
#[derive(Debug, Default)]
struct Lane {
    /// The session lets its statements start.
    open: bool,
    holding: u32,
    served_ms: u64,
    waiting: BTreeSet<JobId>,
}

#[derive(Debug, Default)]
struct User {
    holding: u32,
    served_ms: u64,
    lanes: usize,
    /// The lanes with something to start, whose turn it is first.
    turns: BTreeSet<(Turn, Arc<Owner>)>,
}

/// The smaller goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    holding: u32,
    served_ms: u64,
    next: JobId,
}

impl Queue {
    /// The queue of those statements.
    #[must_use]
    pub fn of(standings: &[Standing]) -> Self {
        let mut queue = Self::default();
        for standing in standings {
            queue.put(standing);
        }
        queue
    }

    /// Notes how a statement stands, whatever was known of it.
    pub fn put(&mut self, standing: &Standing) {
        let owner = self.owner(standing);
        self.take_out(standing.job);
        match standing.stand {
            Stand::Waiting { open } => {
                self.waiting += 1;
                self.edit(&owner, |lane, _| {
                    lane.open = open;
                    lane.waiting.insert(standing.job);
                });
            }
            Stand::Holding => self.edit(&owner, |lane, user| {
                lane.holding += 1;
                user.holding += 1;
                served(lane, user, standing.started_at_ms);
            }),
            Stand::Ended => {
                let known = self.lanes.contains_key(&owner);
                if known || standing.started_at_ms > 0 {
                    self.edit(&owner, |lane, user| {
                        served(lane, user, standing.started_at_ms);
                    });
                }
                self.prune();
                return;
            }
        }
        let holds = standing.stand == Stand::Holding;
        self.entries.insert(standing.job, Entry { owner, holds });
    }

    /// Forgets a statement of which nothing is known any more.
    pub fn forget(&mut self, job: JobId) {
        self.take_out(job);
    }

    /// Notes whether the session lets its statements start.
    pub fn set_open(&mut self, session: &SessionId, open: bool) {
        let lanes = self.lanes.iter();
        let other = lanes.filter(|(owner, lane)| owner.session == *session && lane.open != open);
        let other: Vec<Arc<Owner>> = other.map(|(owner, _)| Arc::clone(owner)).collect();
        for owner in other {
            self.edit(&owner, |lane, _| lane.open = open);
        }
    }

    /// How many statements wait, those included whose session does not let them start.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many statements hold a slot.
    #[must_use]
    pub fn holding(&self) -> usize {
        self.entries.len() - self.waiting
    }

    /// What would be started next if the pool got up to `most` slots, in order. Changes nothing.
    pub fn head(&mut self, order: Order, most: u32) -> Vec<Candidate> {
        let mut head = Vec::new();
        let mut tried = Vec::new();
        while head.len() < most as usize {
            let oldest = self.by_age.first().map(|(job, _)| *job);
            let Some(((job, owner), oldest)) = self.first(order).zip(oldest) else {
                break;
            };
            head.push(Candidate { job, oldest });
            tried.push((job, Arc::clone(&owner), self.served(&owner)));
            self.edit(&owner, |lane, user| {
                lane.waiting.remove(&job);
                lane.holding += 1;
                user.holding += 1;
                served(lane, user, NOW);
            });
        }
        for (job, owner, (lane_served, user_served)) in tried.into_iter().rev() {
            self.edit(&owner, |lane, user| {
                lane.waiting.insert(job);
                lane.holding -= 1;
                user.holding -= 1;
                (lane.served_ms, user.served_ms) = (lane_served, user_served);
            });
        }
        head
    }

    fn first(&self, order: Order) -> Option<(JobId, Arc<Owner>)> {
        match order {
            Order::Fifo => self.by_age.first().cloned(),
            Order::Fair => {
                let (_, user) = self.by_turn.first()?;
                let (turn, owner) = self.users.get(user)?.turns.first()?;
                Some((turn.next, Arc::clone(owner)))
            }
        }
    }

    fn served(&self, owner: &Owner) -> (u64, u64) {
        let lane = self.lanes.get(owner).map_or(0, |lane| lane.served_ms);
        let user = self.users.get(&owner.user).map_or(0, |user| user.served_ms);
        (lane, user)
    }

    /// The owner as the queue has it, so that its names are kept once.
    fn owner(&self, standing: &Standing) -> Arc<Owner> {
        if let Some(entry) = self.entries.get(&standing.job) {
            return Arc::clone(&entry.owner);
        }
        let known = self.users.get_key_value(standing.user.as_str());
        let owner = Owner {
            user: known.map_or_else(|| Arc::from(&*standing.user), |(user, _)| Arc::clone(user)),
            session: standing.session.clone(),
        };
        let known = self.lanes.get_key_value(&owner);
        known.map_or_else(|| Arc::new(owner), |(known, _)| Arc::clone(known))
    }

    fn take_out(&mut self, job: JobId) {
        let Some(entry) = self.entries.remove(&job) else {
            return;
        };
        if !entry.holds {
            self.waiting -= 1;
        }
        self.edit(&entry.owner, |lane, user| {
            if entry.holds {
                lane.holding -= 1;
                user.holding -= 1;
            } else {
                lane.waiting.remove(&job);
            }
        });
    }

    /// Changes a lane, and with it whose turn it is.
    fn edit(&mut self, owner: &Arc<Owner>, change: impl FnOnce(&mut Lane, &mut User)) {
        if !self.lanes.contains_key(owner) {
            self.lanes.insert(Arc::clone(owner), Lane::default());
            let user = self.users.entry(Arc::clone(&owner.user)).or_default();
            user.lanes += 1;
        }
        let (Some(lane), Some(user)) = (self.lanes.get_mut(owner), self.users.get_mut(&owner.user))
        else {
            return;
        };
        if let Some(turn) = turn_of_user(user) {
            self.by_turn.remove(&(turn, Arc::clone(&owner.user)));
        }
        if let Some(turn) = turn_of_lane(lane) {
            self.by_age.remove(&(turn.next, Arc::clone(owner)));
            user.turns.remove(&(turn, Arc::clone(owner)));
        }
        change(lane, user);
        if let Some(turn) = turn_of_lane(lane) {
            self.by_age.insert((turn.next, Arc::clone(owner)));
            user.turns.insert((turn, Arc::clone(owner)));
        }
        if let Some(turn) = turn_of_user(user) {
            self.by_turn.insert((turn, Arc::clone(&owner.user)));
        }
    }

    /// Forgets the lanes that were served longest ago, once there are many in which nothing is.
    fn prune(&mut self) {
        if self.lanes.len() < self.entries.len() + 2 * IDLE_LANES {
            return;
        }
        let idle = self.lanes.iter().filter(|(_, lane)| lane.is_idle());
        let mut idle: Vec<(u64, Arc<Owner>)> = idle
            .map(|(owner, lane)| (lane.served_ms, Arc::clone(owner)))
            .collect();
        idle.sort_unstable();
        let excess = idle.len().saturating_sub(IDLE_LANES);
        for (_, owner) in idle.into_iter().take(excess) {
            self.lanes.remove(&owner);
            if let Some(user) = self.users.get_mut(&owner.user) {
                user.lanes -= 1;
                if user.lanes == 0 {
                    self.users.remove(&owner.user);
                }
            }
        }
    }
}

impl Lane {
    fn is_idle(&self) -> bool {
        self.holding == 0 && self.waiting.is_empty()
    }
}

fn served(lane: &mut Lane, user: &mut User, at_ms: u64) {
    lane.served_ms = lane.served_ms.max(at_ms);
    user.served_ms = user.served_ms.max(at_ms);
}

fn turn_of_lane(lane: &Lane) -> Option<Turn> {
    let next = lane.waiting.first().filter(|_| lane.open)?;
    Some(Turn {
        holding: lane.holding,
        served_ms: lane.served_ms,
        next: *next,
    })
}

fn turn_of_user(user: &User) -> Option<Turn> {
    let (turn, _) = user.turns.first()?;
    Some(Turn {
        holding: user.holding,
        served_ms: user.served_ms,
        next: turn.next,
    })
}
