//! Spark, as the coordinators meet it: the stub's state machine behind the simulated network.
//!
//! **Invariant:** every call passes the network both ways; what was asked may be done though nobody
//! hears of it.

mod stream;
mod word;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_actors::spark::seal::{self, Poisoned};
use libra_actors::statement::machine::KnownStatus;
use libra_proto::registry::Incarnation;
use libra_raft::simulation::Runtime;

pub use stream::{Heard, Reading, batch};
pub use word::{Broken, failure_of, session_lost};

use super::net::{Net, SPARK};
use crate::stub::engine::{
    Caller, Engine, Execute, Interrupt, OperationState, Release, RpcError, Settings, compile,
};
use stream::reading;
use word::{is_abandoned, said};

/// The endpoint's name.
pub const ENDPOINT: &str = "sc://spark:15002";

/// Without an answer for so long a call has failed.
const CALL_LIMIT: Duration = Duration::from_millis(800);

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

fn now_ms() -> u64 {
    u64::try_from(Runtime::now().as_millis()).unwrap_or(u64::MAX)
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
