//! Single calls: each is noted in the history with what it was answered.
//!
//! **Invariant:** nothing is retried here. A call without an answer is `Unknown` unless the
//! connection was refused, in which case nothing can have arrived.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Method;

use super::history::{Answer, Book, Reading, Seen, Span, Submitted};
use super::targets::Targets;
use super::work::{Wants, Work};
use crate::harness::{Api, Problem, Reply, State, Statement, StatementList, Submit};

/// Longer than a request may take by the contract, shorter than a run.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

const ARROW: &str = "application/vnd.apache.arrow.stream";

/// What looking at a statement showed.
#[derive(Debug)]
pub(super) enum Look {
    /// The statement.
    Found(Box<Statement>),
    /// That there is none of that id.
    Missing,
    /// Nothing: no answer, or none that says how it stands.
    Nothing,
}

/// The API as one client uses it.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) targets: Targets,
    pub(super) session: Arc<str>,
    pub(super) book: Book,
}

impl Calls {
    fn request(&self, method: Method, path: &str) -> (Api, reqwest::RequestBuilder) {
        let api = self.targets.next();
        (api.clone(), api.request(method, path))
    }

    async fn send(&self, (api, request): (Api, reqwest::RequestBuilder)) -> (Span, Result<Reply>) {
        let began = Instant::now();
        let reply = api.send(request.timeout(ANSWER_WITHIN)).await;
        let ended = Instant::now();
        (Span { began, ended }, reply)
    }

    /// Submits once.
    pub(super) async fn submit(&self, work: &Arc<Work>) -> Answer {
        let path = format!("sessions/{}/statements?wait=0", self.session);
        let body = Submit::sql(work.code.clone());
        let (api, request) = self.request(Method::POST, &path);
        let mut request = request.json(&body);
        if let Some(key) = &work.key {
            request = request.header("Idempotency-Key", key);
        }
        let (span, reply) = self.send((api, request)).await;
        let answer = answer(&reply);
        self.book.note(|history| {
            if let Ok(Some(statement)) = reply.as_ref().map(statement) {
                history
                    .seen
                    .push(sight(&statement.job_id, span, statement.state));
            }
            history.submits.push(Submitted {
                work: Arc::clone(work),
                span,
                answer: answer.clone(),
            });
        });
        answer
    }

    /// Looks at a statement, for at most `wait` seconds until it ends.
    pub(super) async fn look(&self, job: &str, wait: u64) -> Look {
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
    pub(super) async fn look_at_all(&self) -> bool {
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
    pub(super) async fn cancel(&self, job: &str) -> bool {
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
    pub(super) async fn read(&self, job: &str, wants: Option<&Wants>) -> bool {
        let path = format!("statements/{job}/result");
        let (api, request) = self.request(Method::GET, &path);
        let arrow = (api, request.header("accept", ARROW));
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
                form,
                hash: hash(&reply.body),
                wrong,
            };
            self.book.note(|history| history.readings.push(reading));
        }
        all
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
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            let refused = error
                .downcast_ref::<reqwest::Error>()
                .is_some_and(reqwest::Error::is_connect);
            let text = format!("{error:#}");
            return if refused {
                Answer::Refused(text)
            } else {
                Answer::Unknown(text)
            };
        }
    };
    if let Some(statement) = statement(reply) {
        return Answer::Ok(statement.job_id);
    }
    let text = format!("{}: {}", reply.status, reply.text());
    let problem = reply.problem(reply.status.as_u16());
    let open = |problem: &Problem| problem.outcome.is_some();
    match reply.status.as_u16() {
        400..500 => Answer::Refused(text),
        503 if problem.as_ref().is_ok_and(|problem| !open(problem)) => Answer::Refused(text),
        _ => Answer::Unknown(text),
    }
}
