//! Pools.

use libra_proto::registry::{DeletePool, PoolRecord, PutPool, SchedulingMode, applied, command};
use libra_raft::registry::{PoolLoad, Registry};

use super::{Consistency, Patience, PoolName, Service, ServiceError};

/// A pool and what is in it.
#[derive(Debug, Clone)]
pub struct PoolSnapshot {
    /// As the registry has it.
    pub record: PoolRecord,
    /// How many statements it has.
    pub load: PoolLoad,
}

/// What a pool is set to.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Its share, from 1.
    pub weight: u32,
    /// Its minimum share, in slots.
    pub min_share: u32,
    /// The order inside it.
    pub scheduling_mode: SchedulingMode,
    /// Its own limit of running statements.
    pub max_running: Option<u32>,
}

impl Service {
    /// All pools, by name.
    ///
    /// # Errors
    /// When there is no leader.
    pub async fn pools(&self, consistency: Consistency) -> Result<Vec<PoolSnapshot>, ServiceError> {
        self.catch_up(consistency).await?;
        Ok(self.view(|r| r.pools().map(|pool| snapshot(r, pool)).collect()))
    }

    /// Makes a pool, or sets one anew; says whether it was made.
    ///
    /// # Errors
    /// When there is no leader.
    pub async fn put_pool(
        &self,
        name: &PoolName,
        settings: PoolSettings,
        patience: Patience,
    ) -> Result<(PoolSnapshot, bool), ServiceError> {
        self.read_index(patience).await?;
        let made = self.view(|r| r.pool(name.as_str()).is_none());
        let pool = PoolRecord {
            name: name.as_str().to_owned(),
            weight: settings.weight,
            min_share: settings.min_share,
            scheduling_mode: settings.scheduling_mode.into(),
            max_running: settings.max_running.unwrap_or_default(),
            paused: false,
        };
        let put = PutPool {
            pool: Some(pool.clone()),
        };
        let answer = self.propose(command::Kind::PutPool(put), patience).await?;
        let record = match answer {
            applied::Result::Pool(record) => record,
            _ => pool,
        };
        Ok((self.view(|r| snapshot(r, &record)), made))
    }

    /// Deletes a pool that holds no statements.
    ///
    /// # Errors
    /// When there is no such pool, it stays, it holds statements, or there is no leader.
    pub async fn delete_pool(
        &self,
        name: &PoolName,
        patience: Patience,
    ) -> Result<(), ServiceError> {
        let unknown = || ServiceError::UnknownPool {
            pool: name.as_str().to_owned(),
        };
        self.read_index(patience).await?;
        if self.view(|r| r.pool(name.as_str()).is_none()) {
            return Err(unknown());
        }
        let delete = DeletePool {
            name: name.as_str().to_owned(),
        };
        match self
            .propose(command::Kind::DeletePool(delete), patience)
            .await
        {
            // It was there a moment ago, so this or another request has deleted it.
            Ok(_) | Err(ServiceError::UnknownPool { .. } | ServiceError::Invalid { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn snapshot(registry: &Registry, pool: &PoolRecord) -> PoolSnapshot {
    PoolSnapshot {
        record: pool.clone(),
        load: registry.pool_load(&pool.name),
    }
}
