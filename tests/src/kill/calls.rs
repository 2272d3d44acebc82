//! Single calls: each is noted in the history with what it was answered.
//!
//! **Invariant:** nothing is retried here. A call without an answer is `Unknown` unless the
//! connection was refused, in which case nothing can have arrived.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;

use super::targets::Targets;
use crate::evidence::{Answer, Book, Call, Outcome, Reading, Seen, Span, Submitted, Wants, Work};
use crate::harness::{Api, Problem, Reply, State, Statement, StatementList, Submit};

/// Longer than a request may take by the contract, shorter than a run.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(15);

const ARROW: &str = "application/vnd.apache.arrow.stream";

/// What looking at a statement showed.
#[derive(Debug)]
pub(crate) enum Look {
    /// The statement.
    Found(Box<Statement>),
    /// That there is none of that id.
    Missing,
    /// Nothing: no answer, or none that says how it stands.
    Nothing,
}

/// The API as one client uses it.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    pub(crate) targets: Targets,
    pub(crate) session: Arc<str>,
    pub(crate) book: Book,
    /// How long one answer may take.
    pub(crate) patience: Duration,
}

/// A call that is to be made.
#[derive(Debug)]
pub(crate) struct Request {
    api: Api,
    what: String,
    built: reqwest::RequestBuilder,
}

impl Request {
    /// Builds it further.
    pub(crate) fn with(
        mut self,
        build: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Self {
        self.built = build(self.built);
        self
    }
}

impl Calls {
    /// The same for another client.
    pub(crate) fn beginning_at(&self, first: usize) -> Self {
        Self {
            targets: self.targets.beginning_at(first),
            session: Arc::clone(&self.session),
            book: self.book.clone(),
            patience: self.patience,
        }
    }

    /// A request to the next coordinator.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let api = self.targets.next();
        Request {
            what: format!("{method} {path}"),
            built: api.request(method, path),
            api,
        }
    }

    /// Sends it and notes the call.
    pub(crate) async fn send(&self, request: Request) -> (Span, Result<Reply>) {
        let began = self.book.now();
        let built = request.built.timeout(self.patience);
        let reply = request.api.send(built).await;
        let span = self.book.since(began);
        let call = Call {
            at: request.api.base().to_owned(),
            what: request.what,
            span,
            outcome: outcome(&reply),
            status: reply.as_ref().ok().map(|reply| reply.status.as_u16()),
        };
        self.book.note(|history| history.calls.push(call));
        (span, reply)
    }

    /// Submits once.
    pub(crate) async fn submit(&self, work: &Work) -> Answer {
        let path = format!("sessions/{}/statements?wait=0", self.session);
        let mut body = Submit::sql(work.code.clone());
        body.pool.clone_from(&work.pool);
        let mut request = self.request(Method::POST, &path).with(|r| r.json(&body));
        if let Some(key) = &work.key {
            request = request.with(|r| r.header("Idempotency-Key", key));
        }
        let (span, reply) = self.send(request).await;
        let answer = answer(&reply);
        self.book.note(|history| {
            if let Ok(Some(statement)) = reply.as_ref().map(statement) {
                history
                    .seen
                    .push(sight(&statement.job_id, span, statement.state));
            }
            history.submits.push(Submitted {
                work: work.clone(),
                session: self.session.to_string(),
                span,
                answer: answer.clone(),
            });
        });
        answer
    }

    /// Looks at a statement, for at most `wait` seconds until it ends.
    pub(crate) async fn look(&self, job: &str, wait: u64) -> Look {
        let path = format!("statements/{job}?wait={wait}&rows=0");
        let (span, reply) = self.send(self.request(Method::GET, &path)).await;
        let Ok(reply) = reply else {
            return Look::Nothing;
        };
        if reply.status.as_u16() == 404 {
            let job = job.to_owned();
            let state = None;
            self.book
                .note(|history| history.seen.push(Seen { job, span, state }));
            return Look::Missing;
        }
        let Some(found) = self.understood(&reply) else {
            return Look::Nothing;
        };
        let seen = sight(&found.job_id, span, found.state);
        self.book.note(|history| history.seen.push(seen));
        Look::Found(Box::new(found))
    }

    /// Looks at the newest statements of all clients; false without an answer.
    pub(crate) async fn look_at_all(&self) -> bool {
        let (span, reply) = self
            .send(self.request(Method::GET, "statements?limit=50"))
            .await;
        let list = reply.and_then(|reply| reply.json::<StatementList>(&[200]));
        let Ok(list) = list else { return false };
        self.book.note(|history| {
            let sights = list.statements.iter();
            history
                .seen
                .extend(sights.map(|statement| sight(&statement.job_id, span, statement.state)));
        });
        true
    }

    /// Asks for a cancel; true once that was acknowledged.
    pub(crate) async fn cancel(&self, job: &str) -> bool {
        let path = format!("sessions/{}/statements/{job}/cancel", self.session);
        let (span, reply) = self.send(self.request(Method::POST, &path)).await;
        let found = reply.ok().and_then(|reply| self.understood(&reply));
        let Some(found) = found else { return false };
        self.book.note(|history| {
            history.seen.push(sight(&found.job_id, span, found.state));
            history.cancels.push(found.job_id.clone());
        });
        true
    }

    /// Reads a result as Arrow and the head of it as JSON; false without both answers.
    pub(crate) async fn read(&self, job: &str, wants: Option<&Wants>) -> bool {
        let path = format!("statements/{job}/result");
        let arrow = self.request(Method::GET, &path);
        let arrow = arrow.with(|r| r.header("accept", ARROW));
        let page = self.request(Method::GET, &format!("{path}?limit=20"));
        let rows = wants.and_then(|wants| match wants {
            Wants::Rows(rows) => Some(rows),
            Wants::Error(_) | Wants::Stop => None,
        });
        let mut all = true;
        for (form, request) in [("arrow", arrow), ("json", page)] {
            let (_, Ok(reply)) = self.send(request).await else {
                all = false;
                continue;
            };
            if reply.status.as_u16() >= 500 {
                all = false;
                continue;
            }
            let wrong = match (form, reply.expect(&[200])) {
                (_, Err(error)) => Some(format!("{error:#}")),
                ("arrow", Ok(_)) => rows
                    .and_then(|rows| rows.check(&reply.body).err())
                    .map(|error| format!("{error:#}")),
                _ => None,
            };
            let reading = Reading {
                job: job.to_owned(),
                form: form.to_owned(),
                hash: hash(&reply.body),
                wrong,
            };
            self.book.note(|history| history.readings.push(reading));
        }
        all
    }

    /// Notes that a result was not to be had.
    pub(crate) fn cannot_be_read(&self, job: &str) {
        let reading = Reading {
            job: job.to_owned(),
            form: "any".to_owned(),
            hash: 0,
            wrong: Some("cannot be read".to_owned()),
        };
        self.book.note(|history| history.readings.push(reading));
    }

    /// The statement in an answer; what is neither one nor a 503 is noted as odd.
    fn understood(&self, reply: &Reply) -> Option<Statement> {
        let found = statement(reply);
        if found.is_none() && reply.status.as_u16() != 503 {
            let text = format!("{}: {}", reply.status, reply.text());
            self.book.note(|history| history.oddities.push(text));
        }
        found
    }
}

fn sight(job: &str, span: Span, state: State) -> Seen {
    Seen {
        job: job.to_owned(),
        span,
        state: Some(state),
    }
}

fn statement(reply: &Reply) -> Option<Statement> {
    reply.json(&[200, 202]).ok()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn answer(reply: &Result<Reply>) -> Answer {
    let text = match reply {
        Err(error) => format!("{error:#}"),
        Ok(reply) => match statement(reply) {
            Some(statement) => return Answer::Ok(statement.job_id),
            None => format!("{}: {}", reply.status, reply.text()),
        },
    };
    match outcome(reply) {
        Outcome::Refused => Answer::Refused(text),
        Outcome::Ok | Outcome::Unknown => Answer::Unknown(text),
    }
}

/// What a call came to. A connection that was refused has carried nothing; a 503 that does not say
/// otherwise has done nothing.
pub(crate) fn outcome(reply: &Result<Reply>) -> Outcome {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            let refused = error
                .downcast_ref::<reqwest::Error>()
                .is_some_and(reqwest::Error::is_connect);
            return if refused {
                Outcome::Refused
            } else {
                Outcome::Unknown
            };
        }
    };
    let problem = reply.problem(reply.status.as_u16());
    let open = |problem: &Problem| problem.outcome.is_some();
    match reply.status.as_u16() {
        200..300 => Outcome::Ok,
        400..500 => Outcome::Refused,
        503 if problem.as_ref().is_ok_and(|problem| !open(problem)) => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}
