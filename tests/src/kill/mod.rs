//! Kills one coordinator again and again under load, and says whether it kept its promise: what
//! was acknowledged is found and ended, nothing ran twice, no state went back.
//!
//! - [`plan`]: how every life of the coordinator is to end, decided by the seed.
//! - [`work`]: what clients submit, and what must come of it.
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
mod plan;
mod referee;
mod report;
mod run;
mod work;

pub use judge::{Class, Violation};
pub use plan::{Cause, POINTS};
pub use report::{Report, Verdict};
pub use run::{Against, Options, run};
