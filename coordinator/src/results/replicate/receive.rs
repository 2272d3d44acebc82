//! A copy as it comes in from the owner.
//!
//! **Invariant:** a writer of an older epoch than any seen is refused, also in the middle; one call
//! at a time has the file.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::peer::{AppendCopy, FileId};
use libra_proto::safety::{self, Safety};
use libra_proto::types::{Epoch, JobId};
use thiserror::Error;

use super::copy_file::{CopyFault, CopyFile, CopyPlace};
use crate::results::store::ResultStore;

/// How long an earlier writer of the same copy may take to go.
const BUSY_LIMIT: Duration = Duration::from_millis(800);
const BUSY_POLL: Duration = Duration::from_millis(20);

/// A copy that is not taken.
#[derive(Debug, Error)]
pub(crate) enum ReceiveError {
    /// A newer epoch was seen.
    #[error("{job} is written in a newer epoch than {epoch}")]
    Superseded { job: JobId, epoch: Epoch },
    /// Another writer has it.
    #[error("another writer has the copy of {job}")]
    Busy { job: JobId },
    /// The file cannot go on.
    #[error("copy of the result of {job}")]
    Fault {
        job: JobId,
        #[source]
        source: CopyFault,
    },
    /// The work was broken off.
    #[error("copy of the result of {job}: {cause}")]
    BrokenOff { job: JobId, cause: String },
}

/// A copy coming in.
pub(crate) struct Receiving {
    store: ResultStore,
    job: JobId,
    epoch: Epoch,
    file: Option<Box<CopyFile>>,
}

impl ResultStore {
    /// Opens a copy for its owner, and says how far it is.
    ///
    /// # Errors
    /// When the owner is not of the newest epoch, another writer has the copy, or the disk refuses.
    pub(crate) async fn receive(
        &self,
        job: JobId,
        epoch: Epoch,
    ) -> Result<(Receiving, CopyPlace), ReceiveError> {
        self.supersede(job, epoch).await?;
        let opening = async {
            loop {
                let path = self.path(job, epoch);
                let pages = Arc::clone(self.pages());
                let open = move || CopyFile::open(&path, job, epoch, &pages);
                let opened = self.writes().run(open).await;
                let opened = opened.map_err(|error| broken_off(job, &error))?;
                match opened.map_err(|source| ReceiveError::Fault { job, source })? {
                    Some(file) => return Ok(Box::new(file)),
                    None => tokio::time::sleep(BUSY_POLL).await,
                }
            }
        };
        let opened = tokio::time::timeout(BUSY_LIMIT, opening).await;
        let file = opened.unwrap_or(Err(ReceiveError::Busy { job }))?;
        let place = file.place();
        let receiving = Receiving {
            store: self.clone(),
            job,
            epoch,
            file: Some(file),
        };
        Ok((receiving, place))
    }

    /// Says how far a result is stored here, in any epoch up to this one, and keeps older writers
    /// out from now on.
    ///
    /// # Errors
    /// When a newer epoch was seen, or the disk refuses.
    pub(crate) async fn find(
        &self,
        job: JobId,
        epoch: Epoch,
    ) -> Result<Option<FileId>, ReceiveError> {
        self.supersede(job, epoch).await?;
        let found = self.longest(job, epoch).await;
        found.map_err(|error| broken_off(job, &error))
    }

    /// Keeps writers of older epochs out.
    ///
    /// Switch [`Safety::EpochCheck`]: off, it lets them in.
    async fn supersede(&self, job: JobId, epoch: Epoch) -> Result<(), ReceiveError> {
        let stored = self.epochs(job).await;
        let stored = stored.map_err(|error| broken_off(job, &error))?;
        let newer = stored.into_iter().any(|stored| stored > epoch);
        let newer = newer && !safety::off(Safety::EpochCheck);
        if newer || !self.fence().raise(job, epoch) {
            return Err(ReceiveError::Superseded { job, epoch });
        }
        Ok(())
    }
}

fn broken_off(job: JobId, error: &impl ToString) -> ReceiveError {
    ReceiveError::BrokenOff {
        job,
        cause: error.to_string(),
    }
}

impl Receiving {
    /// Takes bytes in, and says how far the copy is durable when it is time to.
    ///
    /// # Errors
    /// When they do not follow what is here, the writer is an old one, or the disk refuses.
    pub(crate) async fn append(
        &mut self,
        append: AppendCopy,
    ) -> Result<Option<CopyPlace>, ReceiveError> {
        let (job, epoch) = (self.job, self.epoch);
        if !self.store.fence().lets(job, epoch) {
            return Err(ReceiveError::Superseded { job, epoch });
        }
        let bytes = append.data.len() as u64;
        let fault = |source| ReceiveError::Fault { job, source };
        let mut file = self.file.take().ok_or_else(|| fault(CopyFault::Broken))?;
        let work = move || {
            let outcome = file.append(&append);
            (file, outcome)
        };
        let done = self.store.writes().run(work).await;
        let (file, outcome) = done.map_err(|error| broken_off(job, &error))?;
        self.file = Some(file);
        self.store.metrics().copied.inc_by(bytes);
        outcome.map_err(fault)
    }
}
