//! A result store in memory, and a board of live signs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use libra_actors::ports::{
    Appended, LiveBoard, ResultPart, ResultStorePort, ResultWriter, StoreError, StoredProgress,
};
use libra_proto::registry::ResultManifest;
use libra_proto::types::{Epoch, JobId};

/// What was appended: the epoch of the writer and the response, in order.
type Responses = Vec<(u64, String)>;

#[derive(Clone, Default)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    appended: BTreeMap<JobId, Responses>,
    superseded: bool,
    /// Another node may hold something, and does not answer.
    silent: bool,
    /// The first step that the disk refuses.
    full_at: Option<Step>,
}

/// What is done to a result, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Open,
    Append,
    Sync,
    Seal,
}

impl Inner {
    fn room_for(&self, step: Step, job: JobId) -> Result<(), StoreError> {
        if self.full_at.is_some_and(|first| step >= first) {
            return Err(StoreError::Io {
                job,
                cause: "No space left on device (os error 28)".to_owned(),
            });
        }
        Ok(())
    }
}

impl Store {
    /// The responses that are stored of a statement.
    pub(crate) fn appended(&self, job: u64) -> Responses {
        let inner = self.inner.lock().unwrap();
        inner.appended.get(&JobId(job)).cloned().unwrap_or_default()
    }

    /// Where nothing is found, from now on, a node that may have something is silent.
    pub(crate) fn silence_a_replica(&self) {
        self.inner.lock().unwrap().silent = true;
    }

    /// From now on the disk is too full for that step and all that follow it; `None`: it has room.
    pub(crate) fn fill(&self, first: Option<Step>) {
        self.inner.lock().unwrap().full_at = first;
    }

    /// From now on a newer epoch writes everything.
    pub(crate) fn supersede(&self) {
        self.inner.lock().unwrap().superseded = true;
    }
}

#[async_trait]
impl ResultStorePort for Store {
    async fn writer(&self, job: JobId, epoch: Epoch) -> Result<Box<dyn ResultWriter>, StoreError> {
        let inner = self.inner.lock().unwrap();
        if inner.superseded {
            return Err(StoreError::Superseded { job, epoch });
        }
        inner.room_for(Step::Open, job)?;
        let before = inner.appended.get(&job);
        let last_response_id = before.and_then(|all| all.last()).map(|(_, id)| id.clone());
        let stored = StoredProgress {
            begun: last_response_id.is_some(),
            perhaps_begun: last_response_id.is_none() && inner.silent,
            last_response_id,
            ..StoredProgress::default()
        };
        Ok(Box::new(Writer {
            store: self.clone(),
            job,
            epoch,
            stored,
        }))
    }
}

struct Writer {
    store: Store,
    job: JobId,
    epoch: Epoch,
    stored: StoredProgress,
}

#[async_trait]
impl ResultWriter for Writer {
    fn stored(&self) -> &StoredProgress {
        &self.stored
    }

    async fn append(
        &mut self,
        response_id: &str,
        part: ResultPart,
    ) -> Result<Appended, StoreError> {
        let mut inner = self.store.inner.lock().unwrap();
        if inner.superseded {
            let (job, epoch) = (self.job, self.epoch);
            return Err(StoreError::Superseded { job, epoch });
        }
        inner.room_for(Step::Append, self.job)?;
        let response = (self.epoch.0, response_id.to_owned());
        inner.appended.entry(self.job).or_default().push(response);
        self.stored.begun = true;
        self.stored.last_response_id = Some(response_id.to_owned());
        self.stored.complete |= matches!(part, ResultPart::Complete);
        Ok(Appended::More)
    }

    async fn sync(&mut self) -> Result<(), StoreError> {
        let inner = self.store.inner.lock().unwrap();
        inner.room_for(Step::Sync, self.job)
    }

    async fn seal(&mut self) -> Result<ResultManifest, StoreError> {
        let inner = self.store.inner.lock().unwrap();
        inner.room_for(Step::Seal, self.job)?;
        Ok(ResultManifest::default())
    }
}

/// Says which statements have live signs.
#[derive(Default)]
pub(crate) struct Board {
    cleared: Mutex<Vec<JobId>>,
}

impl Board {
    pub(crate) fn was_cleared(&self, job: u64) -> bool {
        self.cleared.lock().unwrap().contains(&JobId(job))
    }
}

impl LiveBoard for Board {
    fn progress(&self, _job: JobId, _completed_tasks: u64, _total_tasks: u64) {}

    fn reconnecting(&self, _job: JobId, _reconnecting: bool) {}

    fn clear(&self, job: JobId) {
        self.cleared.lock().unwrap().push(job);
    }
}
