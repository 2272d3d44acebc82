//! Kills coordinators again and again under load, and says whether they kept their promise: what
//! was acknowledged is found and ended, nothing ran twice, no state went back.
//!
//! - [`plan`]: how every life of the coordinator is to end, decided by the seed.
//! - [`load`]: all clients together, while something is done to the coordinators, of which there may
//!   be several: then each call goes to another of them.
//! - [`once`]: clients that are to see no error if they try everything twice at most.
//! - [`client`], [`calls`]: clients that note every call and every answer in a history.
//! - [`lives`]: starts, kills, starts again.
//! - [`referee`]: what Spark says it ran: the stub's ledger, or a real Spark's REST API.
//! - [`report`]: the table.
//!
//! What is noted is [`crate::evidence`], the verdict over it is of [`crate::checkers`].
//!
//! **Invariant:** a run that could not see everything, or saw too little, is never a pass:
//! [`Verdict::Unknown`] is an answer of its own.

pub(crate) mod calls;
pub(crate) mod client;
pub(crate) mod closing;
mod lives;
mod load;
mod once;
mod plan;
mod referee;
mod report;
mod run;
pub(crate) mod targets;

pub use crate::checkers::{Class, Verdict, Violation};
pub(crate) use load::in_flight;
pub use load::{Load, Setup};
pub use once::{Once, Tally};
pub use plan::{Cause, POINTS};
pub use referee::Referee;
pub use report::Report;
pub use run::{Against, Options, run};
