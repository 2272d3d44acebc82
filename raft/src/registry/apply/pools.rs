//! Pools.

use libra_proto::admin::{PoolChanged, PoolRemoved, event};
use libra_proto::registry::{
    DeletePool, PausePool, PoolRecord, PutPool, Rejection, RejectionCode, SchedulingMode,
    SeedPools, applied,
};

use super::{Outcome, Step, done, malformed};
use crate::registry::error::reject;

/// The pool that statements go to which name none.
const DEFAULT_POOL: &str = "default";

impl Step<'_> {
    pub(super) fn seed_pools(&mut self, command: &SeedPools) -> Outcome {
        command.pools.iter().try_for_each(check)?;
        let mut changed = false;
        for pool in &command.pools {
            if !self.registry.records.pools.contains_key(&pool.name) {
                self.set_pool(pool.clone());
                changed = true;
            }
        }
        Ok(done(changed))
    }

    pub(super) fn put_pool(&mut self, command: &PutPool) -> Outcome {
        let pool = command.pool.clone().ok_or_else(|| malformed("pool"))?;
        check(&pool)?;
        #[cfg(test)]
        let pool = self.differ_at_test_level(pool);
        let present = self.registry.records.pools.get(&pool.name);
        // Setting a pool anew does not wake it, nor put it to sleep.
        let paused = present.is_some_and(|present| present.paused);
        let pool = PoolRecord { paused, ..pool };
        if present != Some(&pool) {
            self.set_pool(pool.clone());
        }
        Ok(applied::Result::Pool(pool))
    }

    /// A paused pool starts nothing: [`Registry::demand`] offers nothing of it, and a submit queues.
    ///
    /// [`Registry::demand`]: crate::registry::Registry::demand
    pub(super) fn pause_pool(&mut self, command: &PausePool) -> Outcome {
        let pool = self.known_pool(&command.name)?;
        let changed = pool.paused != command.paused;
        if changed {
            let paused = command.paused;
            let pool = PoolRecord {
                paused,
                ..pool.clone()
            };
            self.set_pool(pool);
        }
        Ok(done(changed))
    }

    fn set_pool(&mut self, pool: PoolRecord) {
        let pools = &mut self.registry.records.pools;
        let made = pools.insert(pool.name.clone(), pool.clone()).is_none();
        self.note_settings();
        self.tell(event::Kind::PoolChanged(PoolChanged {
            name: pool.name,
            weight: pool.weight,
            min_share: pool.min_share,
            max_running: pool.max_running,
            paused: pool.paused,
            made,
        }));
    }

    pub(super) fn delete_pool(&mut self, command: &DeletePool) -> Outcome {
        let name = command.name.as_str();
        self.known_pool(name)?;
        if name == DEFAULT_POOL {
            return Err(reject(RejectionCode::PoolProtected, name));
        }
        // In the index exactly while it holds queued or running statements.
        if self.registry.index.pools.contains_key(name) {
            return Err(reject(RejectionCode::PoolInUse, name));
        }
        self.registry.records.pools.remove(name);
        self.note_settings();
        self.tell(event::Kind::PoolRemoved(PoolRemoved {
            name: name.to_owned(),
        }));
        Ok(done(true))
    }

    /// The pool, or a refusal that lists those there are.
    pub(super) fn known_pool(&self, name: &str) -> Result<&PoolRecord, Rejection> {
        let pools = &self.registry.records.pools;
        pools.get(name).ok_or_else(|| Rejection {
            allowed: pools.keys().cloned().collect(),
            ..reject(RejectionCode::UnknownPool, name)
        })
    }
}

fn check(pool: &PoolRecord) -> Result<(), Rejection> {
    if pool.name.is_empty() {
        return Err(malformed("name"));
    }
    if pool.weight == 0 {
        return Err(malformed("weight"));
    }
    if pool.scheduling_mode() == SchedulingMode::Unspecified {
        return Err(malformed("scheduling_mode"));
    }
    Ok(())
}
