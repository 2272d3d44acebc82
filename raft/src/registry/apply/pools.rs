//! Pools.

use libra_proto::registry::{
    DeletePool, PoolRecord, PutPool, Rejection, RejectionCode, SchedulingMode, SeedPools, applied,
};

use super::{Outcome, Step, done, malformed};
use crate::registry::error::reject;

/// The pool that statements go to which name none.
const DEFAULT_POOL: &str = "default";

impl Step<'_> {
    pub(super) fn seed_pools(&mut self, command: &SeedPools) -> Outcome {
        command.pools.iter().try_for_each(check)?;
        let before = self.registry.records.pools.len();
        for pool in &command.pools {
            let pools = &mut self.registry.records.pools;
            pools
                .entry(pool.name.clone())
                .or_insert_with(|| pool.clone());
        }
        let changed = self.registry.records.pools.len() != before;
        if changed {
            self.note_settings();
        }
        Ok(done(changed))
    }

    pub(super) fn put_pool(&mut self, command: &PutPool) -> Outcome {
        let pool = command.pool.clone().ok_or_else(|| malformed("pool"))?;
        check(&pool)?;
        #[cfg(test)]
        let pool = self.differ_at_test_level(pool);
        let before = self
            .registry
            .records
            .pools
            .insert(pool.name.clone(), pool.clone());
        if before.as_ref() != Some(&pool) {
            self.note_settings();
        }
        Ok(applied::Result::Pool(pool))
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
