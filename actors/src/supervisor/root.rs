//! The root supervisor: an actor that holds the node's own actors and starts each again when it
//! crashes. Its handle, [`Node`], is what `coordinator` starts and stops.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::ports::{LiveBoard, RegistryPort, ResultStorePort};
use crate::pump::Attached;
use crate::reaper::Reaper;
use crate::scheduler::{self, Scheduler};
use crate::session;
use crate::spark::{ClientOptions, Endpoint};
use crate::statement::Ports;

use super::restart::{History, Policy, Verdict};
use super::sessions::{self, SessionSupervisor};

/// What a node's actors are started with.
pub struct NodeOptions {
    /// The replicated registry.
    pub registry: Arc<dyn RegistryPort>,
    /// Where results go.
    pub results: Arc<dyn ResultStorePort>,
    /// Where live signs are shown.
    pub live: Arc<dyn LiveBoard>,
    /// The Spark Connect endpoints that sessions may live on.
    pub endpoints: Vec<Endpoint>,
    /// The times and sizes of the channels to them.
    pub client: ClientOptions,
    /// Default conf of every Spark session.
    pub conf: session::DefaultConf,
    /// The times and limits of session actors.
    pub session: session::Options,
    /// When crashed actors are started again.
    pub restart: Policy,
}

/// The actors of this node. They must be started only when the registry is known to be up to
/// date here (a read index has been reached): what is `running` later than that is theirs to send.
pub struct Node {
    root: ActorRef<Message>,
    ended: JoinHandle<()>,
}

/// The root actor was not spawned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the root actor was not spawned: {cause}")]
pub struct StartError {
    /// What ractor said.
    pub cause: String,
}

/// The root supervisor has given up, or was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl Node {
    /// Starts the root supervisor and everything under it.
    ///
    /// # Errors
    /// When the root actor cannot be spawned.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let spawned = Actor::spawn(None, Root, options).await;
        let (root, ended) = spawned.map_err(|error| StartError {
            cause: error.to_string(),
        })?;
        Ok(Self { root, ended })
    }

    /// Waits until the root supervisor has ended: after [`Node::stop`], or because one of the
    /// node's own actors crashed too often, and the process had better start anew.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn ended(&mut self) -> Stopped {
        // Whether it ended by a panic or not, it has ended.
        let _ = (&mut self.ended).await;
        Stopped
    }

    /// Stops all actors; statements go on in Spark. Bounded by `limit`.
    pub async fn stop(self, limit: Duration) {
        if self.root.stop_and_wait(None, Some(limit)).await.is_err() {
            tracing::warn!("actors did not stop in time");
        }
    }
}

struct Root;

#[derive(Debug)]
enum Message {
    Start(Part),
}

/// The actors right under the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Sessions,
    Scheduler,
    Reaper,
}

struct State {
    options: sessions::Arguments,
    policy: Policy,
    running: BTreeMap<ActorId, Part>,
    histories: BTreeMap<Part, History>,
    starting: Vec<Attached>,
    began: Instant,
}

impl Actor for Root {
    type Msg = Message;
    type State = State;
    type Arguments = NodeOptions;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        options: NodeOptions,
    ) -> Result<State, ActorProcessingErr> {
        let ports = Ports {
            registry: options.registry,
            results: options.results,
            live: options.live,
        };
        for part in [Part::Sessions, Part::Scheduler, Part::Reaper] {
            me.cast(Message::Start(part))?;
        }
        Ok(State {
            options: sessions::Arguments {
                ports,
                endpoints: Arc::new(by_name(options.endpoints)),
                client: options.client,
                conf: Arc::new(options.conf),
                session: options.session,
                policy: options.restart,
                trackers: sessions::Trackers::default(),
            },
            policy: options.restart,
            running: BTreeMap::new(),
            histories: BTreeMap::new(),
            starting: Vec::new(),
            began: Instant::now(),
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let Message::Start(part) = message;
        match start(&me, state, part).await {
            Ok(actor) => {
                state.running.insert(actor.get_id(), part);
            }
            Err(error) => failed(&me, state, part, &error.to_string()),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                if let Some(part) = state.running.remove(&cell.get_id()) {
                    failed(&me, state, part, &error.to_string());
                }
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                if let Some(part) = state.running.remove(&cell.get_id()) {
                    tracing::info!(?part, reason, "actor stopped");
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

fn by_name(endpoints: Vec<Endpoint>) -> BTreeMap<String, Arc<Endpoint>> {
    let named = |endpoint: Endpoint| (endpoint.name().to_owned(), Arc::new(endpoint));
    endpoints.into_iter().map(named).collect()
}

async fn start(me: &ActorRef<Message>, state: &State, part: Part) -> Result<ActorCell, SpawnErr> {
    let registry = Arc::clone(&state.options.ports.registry);
    let root = me.get_cell();
    Ok(match part {
        Part::Sessions => {
            let options = state.options.clone();
            Actor::spawn_linked(None, SessionSupervisor, options, root)
                .await?
                .0
                .get_cell()
        }
        Part::Scheduler => {
            let policy = state.policy;
            let arguments = scheduler::Arguments { registry, policy };
            Actor::spawn_linked(None, Scheduler, arguments, root)
                .await?
                .0
                .get_cell()
        }
        Part::Reaper => Actor::spawn_linked(None, Reaper, registry, root)
            .await?
            .0
            .get_cell(),
    })
}

fn failed(me: &ActorRef<Message>, state: &mut State, part: Part, error: &str) {
    let now_ms = u64::try_from(state.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match state
        .histories
        .entry(part)
        .or_default()
        .crashed(&state.policy, now_ms)
    {
        Verdict::Restart(wait) => {
            tracing::error!(?part, error, ?wait, "actor crashed; starting it again");
            let me = me.clone();
            let task = tokio::spawn(async move {
                sleep(wait).await;
                let _ = me.cast(Message::Start(part));
            });
            state.starting.push(Attached(task.abort_handle()));
        }
        Verdict::GiveUp => {
            tracing::error!(
                ?part,
                error,
                "actor crashes again and again; this node stops"
            );
            me.stop(Some(format!("{part:?} crashes again and again")));
        }
    }
}
