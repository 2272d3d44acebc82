//! Proposals and linearizable reads, with the patience that a request has.

use std::future::Future;
use std::time::Duration;

use libra_proto::registry::{Command, Rejection, applied, command};
use libra_raft::registry::Registry;
use libra_raft::{Outcome, ProposeError};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::rejection::refused;
use super::{Service, ServiceError};

// Looked at again so often while there is no leader; an election takes ten times as long.
const RETRY_EVERY: Duration = Duration::from_millis(25);

// The registry says by itself what it knows of a proposal when its time is over: so long an attempt
// that is under way then is waited for.
const GRACE: Duration = Duration::from_millis(100);

// A request whose body took long to arrive still gets this much for the registry.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);

/// Until when a request waits for the registry.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    until: Instant,
}

impl Patience {
    /// The patience of a request that arrived then.
    #[must_use]
    pub fn from(arrival: Instant, wait: Duration) -> Self {
        Self {
            until: arrival + wait,
        }
    }

    fn until(self) -> Instant {
        self.until.max(Instant::now() + LEAST_PATIENCE)
    }
}

/// What a read may see.
#[derive(Debug, Clone, Copy)]
pub enum Consistency {
    /// Everything that was acknowledged anywhere before the read began.
    Linearizable(Patience),
    /// Whatever this node has applied.
    Stale,
}

impl Service {
    /// The patience of a request that arrived then.
    #[must_use]
    pub fn patience(&self, arrival: Instant) -> Patience {
        Patience::from(arrival, self.inner.options.leader_wait)
    }

    /// The newest log index applied here.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.view(Registry::applied_index)
    }

    pub(super) fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        self.inner.raft.view(read)
    }

    /// Makes sure that this node's registry is as new as `consistency` asks for.
    pub(crate) async fn catch_up(&self, consistency: Consistency) -> Result<(), ServiceError> {
        match consistency {
            Consistency::Stale => Ok(()),
            Consistency::Linearizable(patience) => self.read_index(patience).await,
        }
    }

    pub(super) async fn read_index(&self, patience: Patience) -> Result<(), ServiceError> {
        let until = patience.until();
        let attempt = || self.inner.raft.read_index();
        let reached = repeat_until(until, Duration::ZERO, attempt, |_| true).await;
        match reached {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(ServiceError::NoLeader {
                outcome_unknown: false,
            }),
        }
    }

    /// Proposes until it is known what became of it, or patience ends; a refusal is an error.
    pub(super) async fn propose(
        &self,
        kind: command::Kind,
        patience: Patience,
    ) -> Result<applied::Result, ServiceError> {
        let outcome = self.propose_once(kind, patience).await?;
        outcome.map_err(|rejection| refused(&rejection))
    }

    /// Proposes until it is known what became of it, or patience ends. Every command that comes
    /// here is safe to repeat: it is applied once, by its request id or by an id of its own.
    pub(crate) async fn propose_once(
        &self,
        kind: command::Kind,
        patience: Patience,
    ) -> Result<Result<applied::Result, Rejection>, ServiceError> {
        let until = patience.until();
        // Without a leader nothing is even tried, so that the answer can say so.
        if !self.leader_is_known(until).await {
            return Err(ServiceError::NoLeader {
                outcome_unknown: false,
            });
        }
        let mut in_doubt = false;
        let mut disk_full = false;
        let command = self.command(kind);
        let attempt = || self.inner.raft.propose_by(command.clone(), until);
        let answered = repeat_until(until, GRACE, attempt, |error: &ProposeError| {
            disk_full = matches!(error, ProposeError::DiskFull { .. });
            match error.outcome() {
                Outcome::Rejected => false,
                Outcome::Retryable => !disk_full,
                Outcome::Unknown => {
                    in_doubt = true;
                    true
                }
            }
        })
        .await;
        match answered {
            Some(Ok(applied)) => match applied.result {
                Some(applied::Result::Rejected(rejection)) => Ok(Err(rejection)),
                Some(result) => Ok(Ok(result)),
                None => Err(ServiceError::Internal {
                    cause: "a command was applied to no result".to_owned(),
                }),
            },
            Some(Err(ProposeError::TooLarge { bytes, limit })) => {
                let size = format!("{bytes} bytes");
                let allowed = format!("at most {limit} bytes in all");
                Err(ServiceError::invalid("body", size, allowed))
            }
            Some(Err(ProposeError::DiskFull { .. })) if !in_doubt => Err(ServiceError::DiskFull),
            Some(Err(_)) => Err(ServiceError::NoLeader {
                outcome_unknown: in_doubt,
            }),
            // The last attempt was cut short: it may have been appended.
            None => Err(ServiceError::NoLeader {
                outcome_unknown: true,
            }),
        }
    }

    async fn leader_is_known(&self, until: Instant) -> bool {
        loop {
            if self.inner.raft.leader().is_some() {
                return true;
            }
            if Instant::now() + RETRY_EVERY >= until {
                return false;
            }
            sleep(RETRY_EVERY).await;
        }
    }

    fn command(&self, kind: command::Kind) -> Command {
        let request_id = if shows_repetition(&kind) {
            Vec::new()
        } else {
            Uuid::new_v4().into_bytes().to_vec()
        };
        Command {
            proposed_at_ms: self.inner.clock.now_ms(self.view(Registry::clock_ms)),
            proposer_node: self.inner.options.node_id.0,
            request_id,
            kind: Some(kind),
            ..Command::default()
        }
    }
}

/// Whether the command itself shows that it was applied before: by an id that it carries, or since
/// what it asks for can be done only once.
fn shows_repetition(kind: &command::Kind) -> bool {
    match kind {
        command::Kind::Submit(_)
        | command::Kind::CreateSession(_)
        | command::Kind::Cancel(_)
        | command::Kind::PausePool(_)
        | command::Kind::RestoreBegin(_)
        | command::Kind::RestorePart(_) => true,
        command::Kind::RegisterNode(_)
        | command::Kind::PutSettings(_)
        | command::Kind::SeedPools(_)
        | command::Kind::PutPool(_)
        | command::Kind::DeletePool(_)
        | command::Kind::NodeDown(_)
        | command::Kind::DrainNode(_)
        | command::Kind::RemoveNode(_)
        | command::Kind::RaiseFeatureLevel(_)
        | command::Kind::OpenSession(_)
        | command::Kind::ResetSession(_)
        | command::Kind::FailSession(_)
        | command::Kind::CloseSession(_)
        | command::Kind::SessionClosed(_)
        | command::Kind::MoveSession(_)
        | command::Kind::StartBatch(_)
        | command::Kind::TimeOut(_)
        | command::Kind::Finish(_)
        | command::Kind::CleanupDone(_)
        | command::Kind::Retire(_)
        | command::Kind::PutReplicas(_)
        | command::Kind::PutHolders(_)
        | command::Kind::CancelBatch(_)
        | command::Kind::NoteLeader(_)
        | command::Kind::RestoreEnd(_) => false,
    }
}

/// Attempts until one succeeds, fails for good (`again` says no), or `until` has passed: then the
/// last failure, or `None` if the last attempt was still under way at the end of `grace`. After
/// `until` none is begun.
async fn repeat_until<T, E, F: Future<Output = Result<T, E>>>(
    until: Instant,
    grace: Duration,
    mut attempt: impl FnMut() -> F,
    mut again: impl FnMut(&E) -> bool,
) -> Option<Result<T, E>> {
    loop {
        let answered = timeout_at(until + grace, attempt()).await.ok()?;
        match answered {
            Err(error) if again(&error) && Instant::now() + RETRY_EVERY < until => {
                sleep(RETRY_EVERY).await;
            }
            last => return Some(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn attempts(answers: Vec<Result<u8, bool>>) -> (Option<Result<u8, bool>>, usize) {
        let until = Instant::now() + Duration::from_secs(2);
        let mut left = answers.into_iter();
        let mut made = 0;
        let attempt = || {
            made += 1;
            let answer = left.next();
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        };
        let last = repeat_until(until, Duration::ZERO, attempt, |again| *again).await;
        (last, made)
    }

    #[tokio::test(start_paused = true)]
    async fn it_repeats_only_what_may_succeed() {
        assert_eq!(attempts(vec![Ok(1)]).await, (Some(Ok(1)), 1));
        assert_eq!(attempts(vec![Err(true), Ok(2)]).await, (Some(Ok(2)), 2));
        assert_eq!(
            attempts(vec![Err(false), Ok(2)]).await,
            (Some(Err(false)), 1)
        );
        assert_eq!(
            attempts(vec![Err(true)]).await,
            (None, 2),
            "still under way at the end"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_patience() {
        let start = Instant::now();
        let (last, _) = attempts(vec![Err(true); 1_000]).await;
        assert_eq!(last, Some(Err(true)));
        assert!(start.elapsed() <= Duration::from_secs(2));
    }

    /// What may be sent then would have to be called unknown, although nothing was in time.
    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_in_the_grace() {
        let until = Instant::now() + Duration::from_secs(2);
        let grace = Duration::from_millis(100);
        let mut begun = Vec::new();
        let attempt = || {
            begun.push(Instant::now());
            async move {
                tokio::time::sleep_until(until).await;
                Err::<(), _>(true)
            }
        };
        let last = repeat_until(until, grace, attempt, |again| *again).await;
        assert_eq!((last, begun.len()), (Some(Err(true)), 1));

        let late = || async move {
            tokio::time::sleep_until(until + grace / 2).await;
            Ok::<_, bool>(1)
        };
        let last = repeat_until(until, grace, late, |again| *again).await;
        assert_eq!(last, Some(Ok(1)), "one that is under way is waited for");
    }
}
