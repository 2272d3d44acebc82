//! How pools are now: read off the registry whenever somebody asks.

use libra_actors::fair::allocate::shares;
use libra_actors::fair::model::{Order, Terms};
use libra_proto::registry::PoolRecord;
use libra_raft::Handle;
use libra_raft::registry::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

/// The gauges of all pools.
pub(super) struct PoolGauges {
    registry: Handle,
    running: IntGaugeVec,
    queued: IntGaugeVec,
    share: IntGaugeVec,
}

/// What is shown of a pool.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    pool: String,
    running: u64,
    queued: u64,
    /// None where slots go by acceptance.
    share: Option<u32>,
}

impl PoolGauges {
    pub(super) fn new(registry: Handle) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["pool"]);
        Ok(Self {
            registry,
            running: gauge(
                "libra_pool_running",
                "Statements of the pool that run, in the whole cluster",
            )?,
            queued: gauge(
                "libra_pool_queued",
                "Statements of the pool that wait, in the whole cluster",
            )?,
            share: gauge(
                "libra_pool_share",
                "Slots of one endpoint that the pool has when all pools are busy",
            )?,
        })
    }
}

impl Collector for PoolGauges {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.running, &self.queued, &self.share];
        gauges.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = [&self.running, &self.queued, &self.share];
        for gauge in gauges {
            // Pools that were deleted are not shown any more.
            gauge.reset();
        }
        for shown in self.registry.view(read) {
            let set = |gauge: &IntGaugeVec, value: u64| {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                gauge.with_label_values(&[&shown.pool]).set(value);
            };
            set(&self.running, shown.running);
            set(&self.queued, shown.queued);
            if let Some(share) = shown.share {
                set(&self.share, share.into());
            }
        }
        gauges.into_iter().flat_map(Collector::collect).collect()
    }
}

fn read(registry: &Registry) -> Vec<Shown> {
    let settings = registry.settings().copied().unwrap_or_default();
    let pools: Vec<&PoolRecord> = registry.pools().collect();
    let terms: Vec<Terms> = pools.iter().map(|pool| terms(pool)).collect();
    let shares = match Order::from(settings.scheduler_mode()) {
        Order::Fair => shares(settings.slots, &terms)
            .into_iter()
            .map(Some)
            .collect(),
        Order::Fifo => vec![None; pools.len()],
    };
    let shown = |(pool, share): (&PoolRecord, Option<u32>)| {
        let load = registry.pool_load(&pool.name);
        Shown {
            pool: pool.name.clone(),
            running: load.running,
            queued: load.queued,
            share,
        }
    };
    pools.into_iter().zip(shares).map(shown).collect()
}

fn terms(pool: &PoolRecord) -> Terms {
    Terms {
        weight: pool.weight,
        min_share: pool.min_share,
        max_running: (pool.max_running != 0).then_some(pool.max_running),
    }
}

#[cfg(test)]
mod tests {
    use libra_proto::registry::{Command, PutSettings, SeedPools, Settings, command};

    use super::*;
    use crate::config::guide_pools;

    #[test]
    fn the_guides_pools_on_ten_slots() {
        let mut registry = Registry::default();
        let settings = Settings {
            slots: 10,
            mode: 1,
            scheduler_mode: 2,
            ..Settings::default()
        };
        let kinds = [
            command::Kind::PutSettings(PutSettings {
                settings: Some(settings),
                expected_version: 0,
            }),
            command::Kind::SeedPools(SeedPools {
                pools: guide_pools(),
            }),
        ];
        for (index, kind) in (1..).zip(kinds) {
            let command = Command {
                kind: Some(kind),
                ..Command::default()
            };
            registry.apply(index, 1, &command, &mut Vec::new());
        }
        let shares: Vec<_> = read(&registry)
            .into_iter()
            .map(|shown| (shown.pool, shown.share.unwrap()))
            .collect();
        let expected = [
            ("default", 2),
            ("high-priority", 4),
            ("interactive", 3),
            ("low-priority", 1),
        ];
        assert_eq!(
            shares,
            expected.map(|(pool, share)| (pool.to_owned(), share))
        );
    }
}
