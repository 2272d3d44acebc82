//! One round: what is free, whom to ask, and what to grant once all have answered.
//!
//! PURE: no runtime and no clock.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::types::{EndpointDemand, JobId, PoolDemand};

use crate::fair::allocate::grants;
use crate::fair::model::{Candidate, Contender, Terms};

/// A round under way.
#[derive(Debug)]
pub struct Round {
    demand: EndpointDemand,
    /// The pools that have not answered.
    awaited: BTreeSet<String>,
    offers: BTreeMap<String, Vec<Candidate>>,
}

/// What comes of a round: statements to be started, in order, and whose they are.
#[derive(Debug, PartialEq, Eq)]
pub struct Grants {
    /// In the order in which they are to start.
    pub jobs: Vec<JobId>,
    /// The same, by pool.
    pub by_pool: BTreeMap<String, Vec<JobId>>,
}

impl Round {
    /// A round on that demand, if a slot can be granted at all.
    #[must_use]
    pub fn of(demand: EndpointDemand) -> Option<Self> {
        let round = Self {
            demand,
            awaited: BTreeSet::new(),
            offers: BTreeMap::new(),
        };
        round
            .demand
            .pools
            .iter()
            .any(|pool| round.wanted(pool) > 0)
            .then_some(round)
    }

    /// The pools to be asked, each with how many it may offer at most.
    #[must_use]
    pub fn asked(&self) -> Vec<(PoolDemand, u32)> {
        let asked = self.demand.pools.iter();
        asked
            .map(|pool| (pool.clone(), self.wanted(pool)))
            .filter(|(_, most)| *most > 0)
            .collect()
    }

    /// That pool was asked.
    pub fn await_pool(&mut self, pool: &str) {
        self.awaited.insert(pool.to_owned());
    }

    /// That pool has answered.
    pub fn offered(&mut self, pool: &str, candidates: Vec<Candidate>) {
        if self.awaited.remove(pool) {
            self.offers.insert(pool.to_owned(), candidates);
        }
    }

    /// That pool will not answer.
    pub fn give_up(&mut self, pool: &str) {
        self.awaited.remove(pool);
    }

    /// Whether all have answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// What to grant, given what was offered.
    #[must_use]
    pub fn grants(mut self) -> Grants {
        let contenders: Vec<Contender> = self
            .demand
            .pools
            .iter()
            .map(|pool| Contender {
                terms: Terms::from(pool),
                running: pool.running,
                candidates: self.offers.get(&pool.name).cloned().unwrap_or_default(),
            })
            .collect();
        let jobs = grants(self.demand.order.into(), self.free(), &contenders);
        let granted: BTreeSet<JobId> = jobs.iter().copied().collect();
        let mut by_pool = BTreeMap::new();
        for (pool, offered) in std::mem::take(&mut self.offers) {
            let offered = offered.into_iter().map(|candidate| candidate.job);
            let own: Vec<JobId> = offered.filter(|job| granted.contains(job)).collect();
            if !own.is_empty() {
                by_pool.insert(pool, own);
            }
        }
        Grants { jobs, by_pool }
    }

    fn free(&self) -> u32 {
        self.demand.slots.saturating_sub(self.demand.taken)
    }

    fn wanted(&self, pool: &PoolDemand) -> u32 {
        let room = Terms::from(pool).room(pool.running);
        self.free().min(room).min(pool.eligible)
    }
}
