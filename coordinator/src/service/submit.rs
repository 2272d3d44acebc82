//! Accepting statements.

use std::collections::BTreeMap;
use std::time::Duration;

use libra_actors::failpoint;
use libra_proto::registry::{CreateSession, Mode, Submit, applied, command};
use libra_proto::trace::{self, TraceContext};
use libra_proto::types::{JobId, SessionId, UserName};
use libra_raft::registry::SHARED_SESSION;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{Allowed, FieldError, Patience, Service, ServiceError, StatementSnapshot};

/// A statement to be run.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Where.
    pub session: SessionId,
    /// By whom.
    pub user: UserName,
    /// Its text.
    pub code: String,
    /// `sql`, if it is said at all.
    pub kind: Option<String>,
    /// Its pool; `default` if it is left out.
    pub pool: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// After how many seconds it ends by itself, counted from acceptance.
    pub timeout_seconds: Option<f64>,
    /// `<path>\n<key>`; empty without an Idempotency-Key.
    pub idempotency_key: String,
    /// What [`super::body_hash`] makes of the body; empty without a key.
    pub body_hash: Vec<u8>,
    /// Where in which trace the client has put it.
    pub place: Option<TraceContext>,
}

/// An accepted statement.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The statement.
    pub statement: StatementSnapshot,
    /// The same key had been accepted before: this is that statement.
    pub replayed: bool,
    /// Time of a session reset that no client has been told of, milliseconds; 0 = none.
    pub session_reset_ms: u64,
}

const MOST_SECONDS: f64 = 31_536_000.0;
const DESCRIPTION_BYTES: usize = 4096;

impl Service {
    /// Accepts a statement: durable, and visible everywhere, when this returns.
    ///
    /// # Errors
    /// When it is not valid, refused, or there is no leader.
    pub async fn submit(
        &self,
        submission: Submission,
        patience: Patience,
    ) -> Result<Submitted, ServiceError> {
        self.refuse_while_draining()?;
        self.validate(&submission)?;
        let span = trace::child(|| submit_span(&submission));
        let place = trace::context_of(&span).or(submission.place.clone());
        let mut submit = self.submit_command(submission, patience).await?;
        if let Some(place) = place {
            (submit.traceparent, submit.tracestate) = (place.to_string(), place.state);
        }
        let shared = submit.create_if_missing.is_none();
        let proposing = self.propose(command::Kind::Submit(submit), patience);
        let answer = Box::pin(proposing).instrument(span.clone()).await;
        let submitted = match answer {
            Ok(applied::Result::Submitted(submitted)) => submitted,
            Ok(_) => return Err(no_statement()),
            // The shared session is made before the node is ready: it will be there.
            Err(ServiceError::UnknownSession { .. }) if shared => return Err(not_ready()),
            Err(error) => return Err(error),
        };
        failpoint::hit("queued");
        let record = submitted.statement.ok_or_else(no_statement)?;
        span.record("job_id", tracing::field::display(JobId(record.job)));
        Ok(Submitted {
            statement: self.look_up(JobId(record.job), None)?,
            replayed: submitted.replayed,
            session_reset_ms: submitted.session_reset_ms,
        })
    }

    /// Accepts a statement and waits for its end, at most for `wait`.
    ///
    /// # Errors
    /// As [`Self::submit`]; and when there is no leader at the end of the wait: then the statement
    /// was accepted, but how it stands cannot be said.
    pub async fn submit_and_wait(
        &self,
        submission: Submission,
        wait: Duration,
        patience: Patience,
    ) -> Result<Submitted, ServiceError> {
        let accepted = self.submit(submission, patience).await?;
        if wait.is_zero() || accepted.statement.has_ended() {
            return Ok(accepted);
        }
        let job = accepted.statement.job();
        let until = Instant::now() + wait;
        // Too many waiters: the statement is accepted all the same.
        let Ok(mut statement) = self.until_ended(job, None, until).await else {
            return Ok(accepted);
        };
        if !statement.has_ended() {
            let read = self.read_index(self.patience(Instant::now())).await;
            read.map_err(|_| ServiceError::NoLeader {
                outcome_unknown: true,
            })?;
            statement = self.look_up(job, None)?;
        }
        Ok(Submitted {
            statement,
            ..accepted
        })
    }

    fn validate(&self, submission: &Submission) -> Result<(), ServiceError> {
        let mut errors = Vec::new();
        if submission.code.trim().is_empty() {
            let error = FieldError::new("code", &*submission.code, "the text of a statement");
            errors.push(error);
        }
        if let Some(kind) = submission.kind.as_deref().filter(|kind| *kind != "sql") {
            errors.push(FieldError::new("kind", kind, Allowed::one_of(&["sql"])));
        }
        let description = submission.description.as_deref().unwrap_or_default();
        if description.len() > DESCRIPTION_BYTES {
            let allowed = format!("at most {DESCRIPTION_BYTES} bytes");
            errors.push(FieldError::new("description", description, allowed));
        }
        if let Some(seconds) = submission.timeout_seconds
            && !(seconds > 0.0 && seconds <= MOST_SECONDS)
        {
            let allowed = format!("a number of seconds above 0, at most {MOST_SECONDS}");
            errors.push(FieldError::new(
                "timeoutSeconds",
                seconds.to_string(),
                allowed,
            ));
        }
        if !errors.is_empty() {
            return Err(ServiceError::Invalid { errors });
        }
        let (bytes, limit) = (submission.code.len(), self.inner.options.code_bytes);
        if bytes > limit {
            return Err(ServiceError::CodeTooLarge { bytes, limit });
        }
        Ok(())
    }

    async fn submit_command(
        &self,
        submission: Submission,
        patience: Patience,
    ) -> Result<Submit, ServiceError> {
        let session_id = submission.session.to_string();
        let create_if_missing = match self.mode(patience).await? {
            Mode::Isolated => Some(self.create_command(
                session_id.clone(),
                &submission.user,
                BTreeMap::new(),
                None,
                true,
            )?),
            Mode::Shared | Mode::Unspecified if session_id == SHARED_SESSION => None,
            Mode::Shared | Mode::Unspecified => {
                return Err(ServiceError::UnknownSession { session_id });
            }
        };
        Ok(Submit {
            session_id,
            user: submission.user.to_string(),
            pool: submission.pool.unwrap_or_else(|| "default".to_owned()),
            code: submission.code,
            description: submission.description,
            kind: "sql".to_owned(),
            operation_id: Uuid::new_v4().to_string(),
            timeout_ms: submission.timeout_seconds.map_or(0, milliseconds),
            idempotency_key: submission.idempotency_key,
            idempotency_body_hash: submission.body_hash,
            create_if_missing,
            ..Submit::default()
        })
    }

    pub(super) fn create_command(
        &self,
        session_id: String,
        user: &UserName,
        conf: BTreeMap<String, String>,
        timeout: Option<Duration>,
        reopen: bool,
    ) -> Result<CreateSession, ServiceError> {
        let timeout = timeout.unwrap_or(self.inner.options.session_timeout);
        Ok(CreateSession {
            session_id,
            user: user.to_string(),
            endpoint: self.next_endpoint()?,
            // The node with the fewest sessions.
            owner_node: 0,
            spark_session_id: Uuid::new_v4().to_string(),
            conf,
            idle_timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            reopen,
            idempotency_key: String::new(),
        })
    }
}

/// From acceptance by this node to the commit; what is done for the statement hangs on it.
fn submit_span(submission: &Submission) -> Span {
    tracing::debug_span!(target: trace::TARGET, "statement.submit",
        session_id = submission.session.as_str(), pool = submission.pool.as_deref(),
        job_id = Empty)
}

/// At least 1, as 0 means "none".
fn milliseconds(seconds: f64) -> u64 {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn no_statement() -> ServiceError {
    ServiceError::Internal {
        cause: "a submit was applied to something that is no statement".to_owned(),
    }
}

pub(super) fn not_ready() -> ServiceError {
    ServiceError::NoLeader {
        outcome_unknown: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_at_least_a_millisecond() {
        for (seconds, ms) in [(0.0001, 1), (0.5, 500), (2.0, 2_000)] {
            assert_eq!(milliseconds(seconds), ms);
        }
    }
}
