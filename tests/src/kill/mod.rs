//! Kills coordinators again and again under load, and says whether they kept their promise: what
//! was acknowledged is found and ended, nothing ran twice, no state went back.
//!
//! - [`plan`]: how every life of the coordinator is to end, decided by the seed.
//! - [`work`]: what clients submit, and what must come of it.
//! - [`load`]: all clients together, while something is done to the coordinators, of which there may
//!   be several: then each call goes to another of them.
//! - [`once`]: clients that are to see no error if they try everything twice at most.
//! - [`client`], [`calls`]: clients that note every call and every answer in a [`history`].
//! - [`lives`]: starts, kills, starts again.
//! - [`referee`]: what Spark says it ran: the stub's ledger, or a real Spark's REST API.
//! - [`judge`]: the verdict, from history, referee and the API alone; pure.
//! - [`report`]: the table.
//!
//! **Invariant:** a run that could not see everything, or saw too little, is never a pass:
//! [`Verdict::Unknown`] is an answer of its own.

mod calls;
mod client;
mod closing;
mod dice;
mod history;
mod judge;
mod lives;
mod load;
mod once;
mod plan;
mod referee;
mod report;
mod run;
mod targets;
mod work;

pub(crate) use dice::Dice;
pub use judge::{Class, Violation};
pub use load::{Load, Setup};
pub use once::{Once, Tally};
pub use plan::{Cause, POINTS};
pub use referee::Referee;
pub use report::{Report, Verdict};
pub use run::{Against, Options, run};
