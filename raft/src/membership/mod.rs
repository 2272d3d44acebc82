//! What the leader does to the group.
//!
//! - [`change`]: voters and learners come and go.
//! - [`admit`]: who is let in, by id, address and store.
//! - [`mod@care`]: what has to be done without being asked.
//! - [`full`]: a leader whose disk is full hands over.
//!
//! **Invariant:** two stores never count as one node: a wiped node comes back as another member, a
//! learner first, after the member it was has been removed; and only at the address where that one
//! was, so that nobody takes the place of a node that is merely down.

mod admit;
mod care;
mod change;
mod full;

pub(crate) use care::care;
pub(crate) use full::hand_over_when_full;
