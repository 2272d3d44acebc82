//! The async face of a result file being written. Of a long result one part is being made durable
//! while the next comes in, here and on the nodes that hold copies. Of a result that is small enough
//! for the registry nothing is written at all: its end brings it along.
//!
//! **Invariant:** one call at a time has the file; a call whose caller left ends the writer, because
//! nobody knows how far it got. The outcome of every sync reaches the file before the file is used
//! as if it were durable: the kernel tells of a failure only once.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::ports::{
    Appended, Copying, ResultPart, ResultWriter, StoreError, StoredProgress,
};
use libra_proto::registry::ResultManifest;
use libra_proto::types::{Epoch, JobId};
use tokio::task::JoinHandle;

use super::ResultStore;
use super::contents;
use super::disk::BrokenOff;
use super::file::{Open, ResultFile, Target};
use crate::results::replicate::{Copies, Earlier};

/// How long to wait for an earlier writer of the same file, whose last call may still be running.
const BUSY_WAIT: Duration = Duration::from_secs(5);
const BUSY_POLL: Duration = Duration::from_millis(20);

/// Writes one result.
pub(crate) struct Writer {
    store: ResultStore,
    job: JobId,
    epoch: Epoch,
    copying: Copying,
    copies: Option<Copies>,
    /// `None` while a call has it, and for good once such a call was abandoned.
    file: Option<Box<ResultFile>>,
    stored: StoredProgress,
    /// What is stored elsewhere is not known.
    perhaps_begun: bool,
    syncing: Option<Syncing>,
}

/// A sync that runs beside further appends.
struct Syncing {
    task: JoinHandle<Result<io::Result<()>, BrokenOff>>,
    /// What is durable when it is through.
    progress: StoredProgress,
}

impl Writer {
    /// Opens a file, waiting for an earlier writer of it to be gone, and begins its copies.
    pub(crate) async fn open(
        store: ResultStore,
        target: Target,
        copying: &Copying,
        earlier: Earlier,
    ) -> Result<Self, StoreError> {
        let (job, epoch) = (target.job, target.epoch);
        let may_be_small = copying.fresh && target.inline_most > 0;
        let file = if may_be_small && store.has_room_inline(target.inline_most as u64) {
            ResultFile::gathering(target)?
        } else {
            let opened = tokio::time::timeout(BUSY_WAIT, open_free(&store, target)).await;
            opened.map_err(|_elapsed| busy(job))??
        };
        let mut writer = Self {
            store,
            job,
            epoch,
            copying: copying.clone(),
            copies: None,
            file: None,
            stored: StoredProgress::default(),
            perhaps_begun: earlier == Earlier::Perhaps,
            syncing: None,
        };
        writer.note(StoredProgress::default());
        writer.begin_copies(&file);
        writer.take_back(file);
        Ok(writer)
    }

    fn begin_copies(&mut self, file: &ResultFile) {
        if let Some(shared) = file.shared() {
            let (store, copying) = (&self.store, &self.copying);
            let written = file.written();
            self.copies = Copies::begin(store, self.job, self.epoch, copying, shared, written);
        }
    }

    /// Gives the result a file, and copies, if it has none yet.
    async fn begin_file(&mut self) -> Result<(), StoreError> {
        if !self.is_gathering() {
            return Ok(());
        }
        let begin = async {
            while !self.with(ResultFile::begin_file).await? {
                tokio::time::sleep(BUSY_POLL).await;
            }
            Ok(())
        };
        let begun = tokio::time::timeout(BUSY_WAIT, begin).await;
        begun.map_err(|_elapsed| busy(self.job))??;
        if let Some(file) = self.file.take() {
            self.begin_copies(&file);
            self.file = Some(file);
        }
        Ok(())
    }

    fn is_gathering(&self) -> bool {
        self.file.as_deref().is_some_and(ResultFile::is_gathering)
    }

    /// Whether all of it is there, and the registry will hold it. One that was cut is stored: its
    /// operation goes on in Spark, and whoever ends that asks what is stored.
    fn goes_inline(&self) -> bool {
        let Some(file) = self.file.as_deref().filter(|file| file.is_gathering()) else {
            return false;
        };
        file.is_complete() && self.store.has_room_inline(file.len())
    }

    /// Nothing more is written once a newer epoch was seen here.
    fn check_epoch(&self) -> Result<(), StoreError> {
        let elsewhere = self.copies.as_ref().is_some_and(Copies::is_superseded);
        let (job, epoch) = (self.job, self.epoch);
        if elsewhere || !self.store.fence().lets(job, epoch) {
            return Err(StoreError::Superseded { job, epoch });
        }
        Ok(())
    }

    /// Makes everything durable, here and on the copies at the same time.
    async fn sync_all(&mut self, the_end: bool) -> Result<(), StoreError> {
        let Some(mut copies) = self.copies.take() else {
            return match &self.file {
                // Nothing is left for the disk to do.
                Some(file) if file.is_synced() => Ok(()),
                _ => self.with(ResultFile::sync).await,
            };
        };
        if self
            .file
            .as_ref()
            .is_none_or(|file| file.written() < file.len())
        {
            self.with(ResultFile::write_gathered).await?;
        }
        if let Some(file) = &self.file {
            copies.wrote(file.written());
        }
        let here = async {
            match &self.file {
                Some(file) if file.is_synced() => Ok(()),
                _ => self.with(ResultFile::sync).await,
            }
        };
        let (synced, ()) = tokio::join!(here, copies.durable(the_end));
        self.copies = Some(copies);
        self.check_epoch().and(synced)
    }

    fn take_back(&mut self, file: Box<ResultFile>) {
        if file.is_synced() {
            self.note(file.progress());
        }
        self.file = Some(file);
    }

    fn note(&mut self, progress: StoredProgress) {
        let perhaps_begun = self.perhaps_begun && !progress.begun;
        self.stored = StoredProgress {
            perhaps_begun,
            ..progress
        };
    }

    /// Starts a sync beside what follows, if it is time for one.
    fn sync_beside(&mut self) {
        let Some(file) = &mut self.file else { return };
        let progress = file.progress();
        let Some(sync) = file.begin_sync() else {
            return;
        };
        let disk = self.store.inner.writes.clone();
        let task = tokio::spawn(async move { disk.run(move || sync.run()).await });
        self.syncing = Some(Syncing { task, progress });
    }

    /// Waits for the sync that runs beside, if there is one.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let Some(syncing) = &mut self.syncing else {
            return Ok(());
        };
        // By reference: when this future is dropped, the outcome is still there for the next call.
        let outcome = match (&mut syncing.task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(broken_off)) => Err(io::Error::other(broken_off)),
            Err(error) => Err(io::Error::other(error)),
        };
        let syncing = self.syncing.take();
        if let Some(file) = &mut self.file {
            file.end_sync(outcome)?;
        }
        if let Some(syncing) = syncing {
            self.note(syncing.progress);
        }
        Ok(())
    }

    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut ResultFile) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = self.job;
        let mut file = self.file.take().ok_or_else(|| StoreError::Io {
            job,
            cause: "an earlier call was abandoned".to_owned(),
        })?;
        let disk = &self.store.inner.writes;
        let call = disk.run(move || {
            let outcome = work(&mut file);
            (file, outcome)
        });
        let (file, outcome) = call.await.map_err(|error| broken_off(job, &error))?;
        self.take_back(file);
        outcome
    }
}

async fn open_free(store: &ResultStore, target: Target) -> Result<Box<ResultFile>, StoreError> {
    loop {
        let job = target.job;
        let attempt = target.clone();
        let disk = &store.inner.writes;
        let call = disk.run(move || ResultFile::open(attempt));
        match call.await.map_err(|error| broken_off(job, &error))?? {
            Open::Ready(file) => return Ok(file),
            Open::Busy => tokio::time::sleep(BUSY_POLL).await,
        }
    }
}

fn busy(job: JobId) -> StoreError {
    StoreError::Io {
        job,
        cause: format!("another writer has held the file for {BUSY_WAIT:?}"),
    }
}

fn broken_off(job: JobId, error: &impl ToString) -> StoreError {
    StoreError::Io {
        job,
        cause: error.to_string(),
    }
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
        self.check_epoch()?;
        if let ResultPart::Batch { data, .. } = &part {
            self.store.metrics().written.inc_by(data.len() as u64);
        }
        if let Some(file) = &mut self.file
            && file.can_gather(response_id, &part)
        {
            return file.append(response_id, &part);
        }
        self.begin_file().await?;
        let waits = |file: &ResultFile| file.must_wait(&part);
        let through = self.syncing.as_ref().is_some_and(|s| s.task.is_finished());
        if through || self.file.as_deref().is_some_and(waits) {
            self.settle().await?;
        }
        if let (Some(copies), Some(file)) = (&mut self.copies, &self.file) {
            copies
                .room(file.len() + contents::payload(&part).len() as u64)
                .await;
        }
        let id = response_id.to_owned();
        let append = move |file: &mut ResultFile| {
            let appended = file.append(&id, &part)?;
            file.write_gathered()?;
            Ok(appended)
        };
        let appended = self.with(append).await?;
        self.sync_beside();
        if let (Some(copies), Some(file)) = (&self.copies, &self.file) {
            copies.wrote(file.written());
        }
        Ok(appended)
    }

    async fn sync(&mut self) -> Result<(), StoreError> {
        self.check_epoch()?;
        if self.goes_inline() {
            return Ok(());
        }
        self.keep().await
    }

    async fn keep(&mut self) -> Result<(), StoreError> {
        self.check_epoch()?;
        self.begin_file().await?;
        self.settle().await?;
        self.sync_all(false).await
    }

    async fn seal(&mut self) -> Result<ResultManifest, StoreError> {
        self.check_epoch()?;
        if self.goes_inline()
            && let Some(file) = &mut self.file
        {
            let manifest = file.seal_inline()?;
            let (progress, known) = (file.progress(), file.known());
            self.note(progress);
            self.store.remember(self.job, &manifest, known);
            return Ok(manifest);
        }
        self.begin_file().await?;
        self.settle().await?;
        self.sync_all(true).await?;
        let holder = self.store.holder();
        let sealed = |file: &mut ResultFile| Ok((file.seal(holder)?, file.known()));
        let (mut manifest, known) = match &mut self.file {
            Some(file) if file.is_synced() => sealed(file)?,
            _ => self.with(sealed).await?,
        };
        if let Some(copies) = &self.copies {
            let (length, hash) = (manifest.file_length, manifest.file_hash);
            manifest.holders.extend(copies.holders(length, hash));
        }
        self.store.remember(self.job, &manifest, known);
        Ok(manifest)
    }
}
