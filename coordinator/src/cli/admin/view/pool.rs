//! Pools.

use chrono::{DateTime, Utc};
use libra_proto::admin::{ListPoolsResponse, Pool};
use serde::Serialize;

use super::super::output::{Cell, Column, Grid, Page, Shown, Tone};
use super::words::{scheduling_mode, toned};

/// `libra admin pools list`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct PoolsView {
    /// By name.
    pools: Vec<OnePool>,
}

/// One pool.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnePool {
    name: String,
    weight: u32,
    min_share: u32,
    /// The order inside it: `FIFO` or `FAIR`.
    scheduling_mode: &'static str,
    /// Its own limit of running statements.
    max_running: Option<u32>,
    /// Whether it starts nothing.
    paused: bool,
    queued: u64,
    running: u64,
}

impl From<ListPoolsResponse> for PoolsView {
    fn from(answer: ListPoolsResponse) -> Self {
        Self {
            pools: answer.pools.into_iter().map(OnePool::from).collect(),
        }
    }
}

impl From<Pool> for OnePool {
    fn from(pool: Pool) -> Self {
        Self {
            scheduling_mode: scheduling_mode(pool.scheduling_mode()),
            name: pool.name,
            weight: pool.weight,
            min_share: pool.min_share,
            max_running: (pool.max_running != 0).then_some(pool.max_running),
            paused: pool.paused,
            queued: pool.queued,
            running: pool.running,
        }
    }
}

impl Shown for PoolsView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        Page::grid(pools(&self.pools))
    }
}

pub(super) fn pools(pools: &[OnePool]) -> Grid {
    let row = |pool: &OnePool| {
        let state = if pool.paused {
            toned("paused", Tone::Warn)
        } else {
            toned("open", Tone::Plain)
        };
        vec![
            Cell::new(&pool.name),
            state,
            Cell::new(pool.running),
            Cell::new(pool.queued),
            Cell::new(pool.weight),
            Cell::new(pool.min_share),
            Cell::of(pool.max_running),
            Cell::new(pool.scheduling_mode),
        ]
    };
    Grid {
        columns: const {
            &[
                Column::key("POOL"),
                Column::key("STATE"),
                Column::number("RUNNING"),
                Column::number("QUEUED"),
                Column::number("WEIGHT"),
                Column::number("MINSHARE"),
                Column::number("MAX"),
                Column::text("ORDER"),
            ]
        },
        rows: pools.iter().map(row).collect(),
        none: "no pools",
    }
}
