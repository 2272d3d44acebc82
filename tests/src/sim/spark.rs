//! Spark, as the coordinators meet it: the stub's state machine behind the simulated network.
//!
//! **Invariant:** every call passes the network both ways; what was asked may be done though nobody
//! hears of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_actors::spark::seal::{self, Poisoned};
use libra_actors::statement::machine::{Failure, KnownStatus};
use libra_proto::registry::{Incarnation, StatementError};
use libra_raft::simulation::Runtime;
use prost::Message as _;

use super::net::{Net, SPARK};
use crate::stub::engine::{
    Attached, Caller, Engine, Execute, Interrupt, Kind, OperationState, Outgoing, Release,
    RpcError, Settings, Step, StreamId, compile,
};
use crate::stub::rows::Table;

/// The endpoint's name.
pub const ENDPOINT: &str = "sc://spark:15002";

/// Without an answer for so long a call has failed.
const CALL_LIMIT: Duration = Duration::from_millis(800);
/// A stream is looked at so often.
const POLL: Duration = Duration::from_millis(10);
/// A stream that is cut off for so long is dead.
const SILENCE: Duration = Duration::from_millis(600);

/// A call that did not come off.
#[derive(Debug, Clone, PartialEq)]
pub enum Broken {
    /// Spark's own word: the error's class and message.
    Said {
        /// The class, with its sub class.
        class: String,
        /// The message.
        message: String,
    },
    /// Nobody listens.
    Refused,
    /// No word.
    Silent,
}

/// One Spark server.
#[derive(Debug)]
pub struct Spark {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    /// Until then nobody listens.
    down_until: Duration,
}

/// A stream of responses that somebody reads.
#[derive(Debug)]
pub struct Reading {
    stream: StreamId,
    /// It is the poison that answers, and not the statement.
    sealed: bool,
    ready: Vec<Outgoing>,
    unheard_since: Option<Duration>,
}

fn now_ms() -> u64 {
    u64::try_from(Runtime::now().as_millis()).unwrap_or(u64::MAX)
}

fn said(error: RpcError) -> Broken {
    match error {
        RpcError::Spark { error, .. } => Broken::Said {
            class: error.class.clone(),
            message: error.message.clone(),
        },
        RpcError::Unimplemented { .. } | RpcError::Unavailable => Broken::Silent,
    }
}

impl Spark {
    /// A server that has just started. Its limits are those of a real one, made as short as the
    /// coordinators' own are made here.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let settings = Settings {
            progress_interval_ms: 0,
            sender_max_stream_ms: 1_500,
            detached_timeout_ms: 8_000,
            maintenance_interval_ms: 1_000,
            start_delay_ms: 2,
            ..Settings::default()
        };
        Self {
            state: Mutex::new(State {
                engine: Engine::new(settings, seed),
                down_until: Duration::ZERO,
            }),
        }
    }

    /// The driver dies and is back after `down`.
    pub fn restart(&self, down: Duration) {
        let mut state = self.lock();
        state.engine.restart(now_ms());
        state.down_until = Runtime::now() + down;
    }

    /// Reads or changes the engine, without any network.
    pub fn with_engine<T>(&self, work: impl FnOnce(&mut Engine, u64) -> T) -> T {
        work(&mut self.lock().engine, now_ms())
    }

    async fn call<T: Send>(
        &self,
        net: &Net,
        from: u64,
        work: impl FnOnce(&mut Engine, u64) -> Result<T, RpcError> + Send,
    ) -> Result<T, Broken> {
        let answered = async {
            if !net.travel(from, SPARK).await {
                return std::future::pending().await;
            }
            let answer = {
                let mut state = self.lock();
                if Runtime::now() < state.down_until {
                    return Err(Broken::Refused);
                }
                work(&mut state.engine, now_ms()).map_err(said)
            };
            if !net.travel(SPARK, from).await {
                return std::future::pending().await;
            }
            answer
        };
        Runtime::within(CALL_LIMIT, answered)
            .await
            .unwrap_or(Err(Broken::Silent))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Spark session, as one node speaks for it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The node.
    pub node: u64,
    /// What was committed of it.
    pub incarnation: Incarnation,
}

impl Session {
    fn caller(&self) -> Caller {
        Caller {
            user_id: self.incarnation.spark_user_id.clone(),
            session_id: self.incarnation.spark_session_id.clone(),
            observed: Some(self.incarnation.server_side_session_id.clone()),
        }
    }
}

/// What a stream has to say.
#[derive(Debug)]
pub enum Heard {
    /// A response.
    Response(Outgoing),
    /// The server ended the stream.
    End,
    /// It broke.
    Failed(Broken),
}

impl Spark {
    /// Opens a Spark session, or finds it open.
    pub async fn open(&self, net: &Net, node: u64, id: &str) -> Result<Incarnation, Broken> {
        let caller = Caller {
            user_id: "libra".to_owned(),
            session_id: id.to_owned(),
            observed: None,
        };
        let opened = self.call(net, node, |engine, now| engine.spark_version(now, &caller));
        let (server_side_session_id, spark_version) = opened.await?;
        Ok(Incarnation {
            spark_session_id: id.to_owned(),
            server_side_session_id,
            spark_user_id: "libra".to_owned(),
            spark_version,
            app_id: "app".to_owned(),
            remembers_operations: true,
            ..Incarnation::default()
        })
    }

    /// Sends an operation.
    pub async fn execute(
        &self,
        net: &Net,
        session: &Session,
        operation: &str,
        code: &str,
    ) -> Result<Reading, Broken> {
        let request = Execute {
            caller: session.caller(),
            operation_id: Some(operation.to_owned()),
            code: code.into(),
            statement: Some(compile(code)),
            reattachable: true,
            tags: Vec::new(),
        };
        let attached = self.call(net, session.node, |engine, now| {
            engine.execute(now, request)
        });
        attached.await.map(|attached| reading(&attached))
    }

    /// Attaches to an operation, after a response or from the first.
    pub async fn reattach(
        &self,
        net: &Net,
        session: &Session,
        operation: &str,
        after: Option<&str>,
    ) -> Result<Reading, Broken> {
        let caller = session.caller();
        let attached = self.call(net, session.node, |engine, now| {
            engine.reattach(now, &caller, operation, after)
        });
        attached.await.map(|attached| reading(&attached))
    }

    /// Waits for the next response.
    pub async fn next(&self, net: &Net, node: u64, reading: &mut Reading) -> Heard {
        loop {
            if !reading.ready.is_empty() {
                // Taken only once it is here: whoever waits may leave and come again.
                if net.travel(SPARK, node).await {
                    reading.unheard_since = None;
                    let response = reading.ready.remove(0);
                    if reading.sealed && response.kind == Kind::Schema {
                        return Heard::Failed(sealed());
                    }
                    return Heard::Response(response);
                }
                // Lost, with all that follows it in this stream.
                reading.ready.clear();
                Runtime::pause(SILENCE).await;
                return self.broken(reading);
            }
            if net.is_cut(SPARK, node) || net.is_cut(node, SPARK) {
                let since = *reading.unheard_since.get_or_insert_with(Runtime::now);
                if Runtime::now() >= since + SILENCE {
                    return self.broken(reading);
                }
                Runtime::pause(POLL).await;
                continue;
            }
            let (step, is_down) = {
                let mut state = self.lock();
                let is_down = Runtime::now() < state.down_until;
                (state.engine.poll(now_ms(), reading.stream), is_down)
            };
            match step {
                Step::Send(responses) => reading.ready = responses,
                Step::Wait(_) => Runtime::pause(POLL).await,
                Step::End(Ok(())) => return Heard::End,
                Step::End(Err(error)) => {
                    let broken = if is_down { Broken::Silent } else { said(error) };
                    return Heard::Failed(broken);
                }
            }
        }
    }

    fn broken(&self, reading: &Reading) -> Heard {
        self.lock().engine.leave(now_ms(), reading.stream);
        Heard::Failed(Broken::Silent)
    }

    /// The reader is gone.
    pub fn leave(&self, reading: &Reading) {
        self.lock().engine.leave(now_ms(), reading.stream);
    }

    /// Asks for an operation's end; whether there was one to end.
    pub async fn interrupt(
        &self,
        net: &Net,
        session: &Session,
        operation: &str,
    ) -> Result<bool, Broken> {
        let (caller, what) = (
            session.caller(),
            Interrupt::Operation(Some(operation.to_owned())),
        );
        let interrupted = self.call(net, session.node, |engine, now| {
            engine.interrupt(now, &caller, &what)
        });
        interrupted.await.map(|(_, ids)| !ids.is_empty())
    }

    /// Lets Spark forget an operation.
    pub async fn release(
        &self,
        net: &Net,
        session: &Session,
        operation: &str,
    ) -> Result<(), Broken> {
        let caller = session.caller();
        let released = self.call(net, session.node, |engine, now| {
            engine.release(now, &caller, operation, &Release::All)
        });
        released.await.map(drop)
    }

    /// What Spark knows of an operation.
    pub async fn status(
        &self,
        net: &Net,
        session: &Session,
        operation: &str,
    ) -> Result<KnownStatus, Broken> {
        let caller = session.caller();
        let ids = Some(vec![operation.to_owned()]);
        let asked = self.call(net, session.node, |engine, now| {
            engine.status(now, &caller, ids)
        });
        let (_, states) = asked.await?;
        Ok(match states.first().map(|(_, state)| *state) {
            Some(OperationState::Running | OperationState::Terminating) => KnownStatus::Running,
            Some(OperationState::Succeeded) => KnownStatus::Succeeded,
            Some(OperationState::Failed) => KnownStatus::Failed,
            Some(OperationState::Cancelled) => KnownStatus::Cancelled,
            Some(OperationState::Unknown) | None => KnownStatus::Unknown,
        })
    }

    /// Makes sure that an operation's id never runs.
    pub async fn poison(
        &self,
        net: &Net,
        session: &Session,
        operation: &str,
    ) -> Result<Poisoned, Broken> {
        let poison = seal::poison(operation);
        match self.execute(net, session, operation, &poison).await {
            Ok(mut reading) => loop {
                match self.next(net, session.node, &mut reading).await {
                    Heard::Response(_) => {}
                    Heard::Failed(broken) if !is_abandoned(&broken) => return Err(broken),
                    Heard::End | Heard::Failed(_) => break,
                }
            },
            Err(Broken::Said { class, .. })
                if class == "INVALID_HANDLE.OPERATION_ALREADY_EXISTS" =>
            {
                return Ok(Poisoned::Arrived);
            }
            Err(broken) => return Err(broken),
        }
        // The id is taken by now, released or not.
        let _ = self.release(net, session, operation).await;
        Ok(Poisoned::Sealed)
    }

    /// Shows Spark that the session is wanted.
    pub async fn keep_alive(&self, net: &Net, session: &Session) -> Result<(), Broken> {
        let caller = session.caller();
        let asked = self.call(net, session.node, |engine, now| {
            engine.status(now, &caller, None)
        });
        asked.await.map(drop)
    }

    /// Lets Spark forget the session.
    pub async fn release_session(&self, net: &Net, session: &Session) -> Result<(), Broken> {
        let caller = session.caller();
        let released = self.call(net, session.node, |engine, now| {
            Ok(engine.release_session(now, &caller, false))
        });
        released.await.map(drop)
    }
}

fn is_abandoned(broken: &Broken) -> bool {
    matches!(broken, Broken::Said { class, .. } if class == "INVALID_HANDLE.OPERATION_ABANDONED")
}

/// As production's stream says it.
fn sealed() -> Broken {
    Broken::Said {
        class: "INVALID_HANDLE.OPERATION_ABANDONED".to_owned(),
        message: "it was sealed and never ran".to_owned(),
    }
}

fn reading(attached: &Attached) -> Reading {
    let schema = attached.script.result().map(Table::spark_schema);
    let schema = schema.map(|schema| schema.encode_to_vec());
    Reading {
        sealed: seal::is_sealed(&attached.operation_id, &schema.unwrap_or_default()),
        stream: attached.stream,
        ready: Vec::new(),
        unheard_since: None,
    }
}

/// What a broken call is to one operation; as production tells them apart.
#[must_use]
pub fn failure_of(broken: Broken) -> Failure {
    let (class, message) = match broken {
        Broken::Refused => return Failure::Refused,
        Broken::Silent => return Failure::Unreachable("no answer".to_owned()),
        Broken::Said { class, message } => (class, message),
    };
    match class.as_str() {
        "INVALID_HANDLE.OPERATION_NOT_FOUND" => Failure::NotFound,
        "INVALID_HANDLE.OPERATION_ABANDONED" => Failure::Abandoned,
        "INVALID_HANDLE.OPERATION_ALREADY_EXISTS" => Failure::AlreadyThere,
        "INVALID_HANDLE.SESSION_CHANGED"
        | "INVALID_HANDLE.SESSION_NOT_FOUND"
        | "INVALID_HANDLE.SESSION_CLOSED" => Failure::SessionLost(message),
        "INVALID_CURSOR.DISCONNECTED" => Failure::Disconnected,
        "INVALID_CURSOR.POSITION_NOT_AVAILABLE" | "INVALID_CURSOR.POSITION_NOT_FOUND" => {
            Failure::PositionLost
        }
        "OPERATION_CANCELED" => Failure::Canceled,
        _ => Failure::Statement(StatementError {
            error_class: class,
            message,
            ..StatementError::default()
        }),
    }
}

/// Whether Spark says that the session is gone.
#[must_use]
pub fn session_lost(broken: &Broken) -> Option<String> {
    match failure_of(broken.clone()) {
        Failure::SessionLost(reason) => Some(reason),
        _ => None,
    }
}

/// Whether the response is the batch of some number.
#[must_use]
pub fn batch(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Batch(number) => Some(number),
        Kind::Schema | Kind::Progress(_) | Kind::Metrics | Kind::Complete => None,
    }
}
