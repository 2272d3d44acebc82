//! Pools: list, set, remove, pause, resume.

use libra_proto::admin::{
    ListPoolsRequest, ListPoolsResponse, PausePoolRequest, PausePoolResponse, Pool,
    RemovePoolRequest, RemovePoolResponse, ResumePoolRequest, ResumePoolResponse, SchedulingMode,
    SetPoolRequest, SetPoolResponse,
};
use libra_proto::registry::{self, PausePool, PoolRecord, RejectionCode, command};

use super::call::Call;
use super::convert;
use super::problem::Problem;
use super::reason::Reason;
use super::{AdminService, changed};
use crate::service::{PoolName, PoolSettings};

/// As the REST API has it.
const MOST: u32 = 1_000_000;

impl AdminService {
    pub(super) async fn answer_list_pools(
        &self,
        call: &Call,
        ListPoolsRequest {}: ListPoolsRequest,
    ) -> Result<ListPoolsResponse, Problem> {
        self.catch_up(call).await?;
        let pools = self.view(|registry| {
            let pools = registry.pools();
            pools.map(|pool| convert::pool(registry, pool)).collect()
        });
        Ok(ListPoolsResponse { pools })
    }

    pub(super) async fn answer_set_pool(
        &self,
        call: &Call,
        asked: SetPoolRequest,
    ) -> Result<SetPoolResponse, Problem> {
        let name = name_of(&asked.name)?;
        self.catch_up(call).await?;
        let present = self.view(|registry| registry.pool(name.as_str()).cloned());
        let settings = settings(&asked, present.as_ref())?;
        let put = self.service.put_pool(&name, settings, call.patience());
        let (_, made) = put.await?;
        let pool = Some(self.shown_pool(&name)?);
        Ok(SetPoolResponse { pool, made })
    }

    pub(super) async fn answer_remove_pool(
        &self,
        call: &Call,
        asked: RemovePoolRequest,
    ) -> Result<RemovePoolResponse, Problem> {
        let name = name_of(&asked.name)?;
        self.service.delete_pool(&name, call.patience()).await?;
        Ok(RemovePoolResponse {})
    }

    pub(super) async fn answer_pause_pool(
        &self,
        call: &Call,
        asked: PausePoolRequest,
    ) -> Result<PausePoolResponse, Problem> {
        let (pool, changed) = self.set_paused(call, &asked.name, true).await?;
        let pool = Some(pool);
        Ok(PausePoolResponse { pool, changed })
    }

    pub(super) async fn answer_resume_pool(
        &self,
        call: &Call,
        asked: ResumePoolRequest,
    ) -> Result<ResumePoolResponse, Problem> {
        let (pool, changed) = self.set_paused(call, &asked.name, false).await?;
        let pool = Some(pool);
        Ok(ResumePoolResponse { pool, changed })
    }

    async fn set_paused(
        &self,
        call: &Call,
        name: &str,
        paused: bool,
    ) -> Result<(Pool, bool), Problem> {
        let name = name_of(name)?;
        let pause = command::Kind::PausePool(PausePool {
            name: name.as_str().to_owned(),
            paused,
        });
        match self.propose(call, pause).await? {
            Ok(applied) => {
                if changed(&applied) {
                    tracing::info!(pool = %name, paused, "pool paused or resumed on request");
                }
                Ok((self.shown_pool(&name)?, changed(&applied)))
            }
            Err(rejection) if rejection.code() == RejectionCode::UnknownPool => {
                Err(not_found(&name))
            }
            Err(rejection) => Err(Problem::refused(&rejection)),
        }
    }

    fn shown_pool(&self, name: &PoolName) -> Result<Pool, Problem> {
        let found = self.view(|registry| {
            let pool = registry.pool(name.as_str())?;
            Some(convert::pool(registry, pool))
        });
        found.ok_or_else(|| not_found(name))
    }
}

/// What is not given stays as it is.
fn settings(asked: &SetPoolRequest, present: Option<&PoolRecord>) -> Result<PoolSettings, Problem> {
    let mut wrong = Vec::new();
    let mut bounded = |field: &str, value: u32, least: u32| {
        if !(least..=MOST).contains(&value) {
            let allowed = format!("a whole number from {least} to {MOST}");
            let field = crate::service::FieldError::new(field, value.to_string(), allowed);
            wrong.push(field);
        }
        value
    };
    let kept = |field: fn(&PoolRecord) -> u32, new: u32| present.map_or(new, field);
    let weight = asked.weight.unwrap_or_else(|| kept(|p| p.weight, 1));
    let min_share = asked.min_share.unwrap_or_else(|| kept(|p| p.min_share, 0));
    let most = asked
        .max_running
        .unwrap_or_else(|| kept(|p| p.max_running, 0));
    let settings = PoolSettings {
        weight: bounded("weight", weight, 1),
        min_share: bounded("min_share", min_share, 0),
        max_running: Some(bounded("max_running", most, 0)).filter(|most| *most != 0),
        scheduling_mode: match asked.scheduling_mode {
            None => present.map_or(registry::SchedulingMode::Fair, PoolRecord::scheduling_mode),
            Some(number) => mode_of(number)?,
        },
    };
    if wrong.is_empty() {
        Ok(settings)
    } else {
        Err(Problem::fields(wrong))
    }
}

fn mode_of(number: i32) -> Result<registry::SchedulingMode, Problem> {
    match SchedulingMode::try_from(number) {
        Ok(SchedulingMode::Fifo) => Ok(registry::SchedulingMode::Fifo),
        Ok(SchedulingMode::Fair) => Ok(registry::SchedulingMode::Fair),
        Ok(SchedulingMode::Unspecified) | Err(_) => {
            Err(Problem::invalid("scheduling_mode", number, "FIFO or FAIR"))
        }
    }
}

fn name_of(name: &str) -> Result<PoolName, Problem> {
    name.parse()
        .map_err(|error: libra_proto::types::InvalidId| {
            Problem::invalid("name", name, error.allowed)
        })
}

fn not_found(name: &PoolName) -> Problem {
    let message = format!("there is no pool `{name}`");
    Problem::new(Reason::PoolNotFound, message).with("pool", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays_as_it_is() {
        let present = PoolRecord {
            weight: 3,
            min_share: 4,
            scheduling_mode: registry::SchedulingMode::Fifo.into(),
            max_running: 5,
            ..PoolRecord::default()
        };
        let nothing = SetPoolRequest::default();
        let same = settings(&nothing, Some(&present)).unwrap();
        assert_eq!(
            (same.weight, same.min_share, same.max_running),
            (3, 4, Some(5))
        );
        assert_eq!(same.scheduling_mode, registry::SchedulingMode::Fifo);
        let new = settings(&nothing, None).unwrap();
        assert_eq!((new.weight, new.min_share, new.max_running), (1, 0, None));
        assert_eq!(new.scheduling_mode, registry::SchedulingMode::Fair);
        let some = SetPoolRequest {
            weight: Some(9),
            max_running: Some(0),
            ..nothing
        };
        let changed = settings(&some, Some(&present)).unwrap();
        assert_eq!(
            (changed.weight, changed.min_share, changed.max_running),
            (9, 4, None)
        );
    }

    #[test]
    fn values_are_bounded() {
        for wrong in [
            SetPoolRequest {
                weight: Some(0),
                ..SetPoolRequest::default()
            },
            SetPoolRequest {
                min_share: Some(MOST + 1),
                ..SetPoolRequest::default()
            },
            SetPoolRequest {
                scheduling_mode: Some(0),
                ..SetPoolRequest::default()
            },
        ] {
            let problem = settings(&wrong, None).unwrap_err();
            assert_eq!(problem.reason(), Reason::InvalidRequest, "{wrong:?}");
        }
    }
}
