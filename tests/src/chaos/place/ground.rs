//! What nodes run on: their namespaces, disks and clocks, and what they are started with.
//!
//! **Invariant:** a node gets the same seat whenever it is started.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::super::Fault;
use super::super::options::Options;
use super::clock_library;
use super::disks::Disks;
use super::hosts::Hosts;
use crate::harness::Seat;

/// See the module.
#[derive(Debug)]
pub(in super::super) struct Ground {
    /// Where nodes have namespaces.
    pub(in super::super) hosts: Option<Hosts>,
    /// Where nodes have file systems of their own.
    pub(in super::super) disks: Option<Disks>,
    /// Where nodes have clocks of their own: a file for each.
    clocks: Option<TempDir>,
    prefix: Vec<String>,
    env: Vec<(String, String)>,
}

impl Ground {
    /// For the nodes of one run of a fault.
    ///
    /// # Errors
    /// When no directory can be made.
    pub(in super::super) fn new(
        fault: Fault,
        options: &Options,
        hosts: Option<Hosts>,
    ) -> Result<Self> {
        let clocks = fault.on_own_clocks().then(tempfile::tempdir);
        let small = fault == Fault::DiskFull;
        let own_disks = fault.on_own_disks().then(|| Disks::open(small));
        let no_fsync = options.no_fsync.then(|| "eatmydata".to_owned());
        let off = options.safety_off.iter();
        Ok(Self {
            hosts,
            disks: own_disks.transpose()?,
            clocks: clocks.transpose()?,
            prefix: no_fsync.into_iter().collect(),
            env: off
                .map(|names| ("SAFETY_OFF".to_owned(), names.clone()))
                .collect(),
        })
    }

    /// Where a node is to run; made if it is not there yet.
    ///
    /// # Errors
    /// When a tool fails.
    pub(in super::super) async fn seat(&mut self, id: u64) -> Result<Seat> {
        let mut seat = match &mut self.hosts {
            Some(hosts) => hosts.seat(id).await?,
            None => Seat::default(),
        };
        seat.quiet = true;
        seat.prefix.extend(self.prefix.iter().cloned());
        seat.env.extend(self.env.iter().cloned());
        if let Some(disks) = &mut self.disks {
            seat.home = Some(disks.make(id).await?);
        }
        if self.clocks.is_some() {
            self.set_clock(id, 0)?;
            let clock = self.clock(id)?.display().to_string();
            let library = clock_library().context("no libfaketime")?;
            for (key, value) in [
                ("LD_PRELOAD", library.as_str()),
                ("FAKETIME_TIMESTAMP_FILE", clock.as_str()),
                ("FAKETIME_NO_CACHE", "1"),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ] {
                seat.env.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(seat)
    }

    /// Puts the wall clock of a node so many seconds on, or back.
    ///
    /// # Errors
    /// When nodes have no clocks of their own.
    pub(in super::super) fn set_clock(&self, id: u64, seconds: i64) -> Result<()> {
        let clock = self.clock(id)?;
        // Never half a line: the clock is read all the time.
        let new = clock.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(new, clock)?)
    }

    /// The namespaces.
    ///
    /// # Errors
    /// When there are none.
    pub(in super::super) fn hosts(&mut self) -> Result<&mut Hosts> {
        self.hosts.as_mut().context("nodes have no namespaces")
    }

    /// The file systems.
    ///
    /// # Errors
    /// When there are none.
    pub(in super::super) fn disks(&self) -> Result<&Disks> {
        self.disks.as_ref().context("nodes have no disks")
    }

    fn clock(&self, id: u64) -> Result<PathBuf> {
        let dir = self.clocks.as_ref().context("nodes have no clocks")?;
        Ok(dir.path().join(id.to_string()))
    }
}
