//! The root supervisor: an actor that holds the node's own actors, starts each again when it
//! crashes, and those of the leader's role with leadership.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::lease::{
    self, Detector, DetectorArguments, DetectorHandle, Keeper, KeeperArguments, Lease,
};
use crate::mandate::Mandate;
use crate::ports::RegistryPort;
use crate::pump::Attached;
use crate::reaper::{self, Reaper};
use crate::registry_clock::RegistryClock;
use crate::scheduler::{self, Scheduler};
use crate::spark::Endpoint;
use crate::statement::Ports;

use super::node::NodeOptions;
use super::restart::{History, Policy, Verdict};
use super::roster::{Part, Roster, Step};
use super::sessions::{self, SessionSupervisor};

/// How often an instance that does not end is reported.
const WIND_DOWN_REPORT: Duration = Duration::from_secs(30);

pub(super) struct Root;

/// What the root supervisor is started with.
pub(super) struct Arguments {
    pub(super) options: NodeOptions,
    pub(super) detector: DetectorHandle,
    pub(super) lease: Lease,
}

/// What the root supervisor is told.
#[derive(Debug)]
pub(super) enum Message {
    /// This node leads that term, or none.
    Leadership(Option<u64>),
    /// An instance has ended and nothing of it is left.
    Vacant(Part),
    /// Take no more sessions; the sender is dropped when that is noted.
    Drain(oneshot::Sender<()>),
}

/// One instance of a part.
struct Seat {
    actor: ActorCell,
    instance: TaskTracker,
}

pub(super) struct State {
    options: sessions::Arguments,
    lease: Option<lease::Setup>,
    detector: DetectorHandle,
    policy: Policy,
    roster: Roster,
    seats: BTreeMap<Part, Seat>,
    histories: BTreeMap<Part, History>,
    /// Parts whose instance has ended, until everything of it is gone.
    vacating: BTreeMap<Part, Attached>,
    began: Instant,
    _leadership: Attached,
}

impl Actor for Root {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments {
            options,
            detector,
            lease,
        } = arguments;
        let ports = Ports {
            clock: Arc::new(RegistryClock::new(Arc::clone(&options.registry))),
            lease,
            registry: options.registry,
            results: options.results,
            live: options.live,
        };
        Ok(State {
            _leadership: follow_leadership(ports.registry.as_ref(), &me),
            options: sessions::Arguments {
                ports,
                endpoints: Arc::new(by_name(options.endpoints)),
                client: options.client,
                conf: Arc::new(options.conf),
                session: options.session,
                policy: options.restart,
                trackers: sessions::Trackers::default(),
                draining: None,
            },
            roster: Roster::new(parts(options.lease.is_some())),
            lease: options.lease,
            detector,
            policy: options.restart,
            seats: BTreeMap::new(),
            histories: BTreeMap::new(),
            vacating: BTreeMap::new(),
            began: Instant::now(),
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Leadership(term) => {
                for step in state.roster.lead(term) {
                    perform(&me, state, step).await;
                }
            }
            Message::Vacant(part) => {
                state.vacating.remove(&part);
                if let Some(step) = state.roster.vacated(part) {
                    perform(&me, state, step).await;
                }
            }
            Message::Drain(noted) => drain(state, noted),
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
                if let Some((part, seat)) = remove(state, cell.get_id()) {
                    crashed(&me, state, part, seat.instance, &error.to_string());
                }
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                if let Some((part, seat)) = remove(state, cell.get_id()) {
                    tracing::info!(?part, reason, "actor stopped");
                    state.roster.ended(part);
                    vacate(&me, state, part, seat.instance, Duration::ZERO);
                }
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

/// Tells the root which term this node leads, from now on: first how it is.
fn follow_leadership(registry: &dyn RegistryPort, me: &ActorRef<Message>) -> Attached {
    let (mut leadership, me) = (registry.leadership(), me.clone());
    let task = tokio::spawn(async move {
        loop {
            let term = *leadership.borrow_and_update();
            if me.cast(Message::Leadership(term)).is_err() {
                return;
            }
            if leadership.changed().await.is_err() {
                // The registry has stopped: nobody leads it from here.
                let _ = me.cast(Message::Leadership(None));
                return;
            }
        }
    });
    Attached(task.abort_handle())
}

/// The parts of a node: without leases nobody renews and nobody detects.
fn parts(leased: bool) -> &'static [Part] {
    if leased {
        &[
            Part::Sessions,
            Part::Scheduler,
            Part::Reaper,
            Part::Keeper,
            Part::Detector,
        ]
    } else {
        &[Part::Sessions, Part::Scheduler, Part::Reaper]
    }
}

/// A session supervisor that is started again takes none either.
fn drain(state: &mut State, noted: oneshot::Sender<()>) {
    if state.options.draining.is_some() {
        return;
    }
    let registry = &state.options.ports.registry;
    let owned = registry.owned_sessions().into_iter().filter_map(|id| {
        let view = registry.session(&id)?;
        Some((id, view.session.epoch))
    });
    let kept: sessions::Kept = Arc::new(owned.collect());
    state.options.draining = Some(Arc::clone(&kept));
    if let Some(seat) = state.seats.get(&Part::Sessions) {
        // One that has ended is started again with what stands in the options.
        let _ = seat
            .actor
            .send_message(sessions::Message::Drain(kept, noted));
    }
}

fn by_name(endpoints: Vec<Endpoint>) -> BTreeMap<String, Arc<Endpoint>> {
    let named = |endpoint: Endpoint| (endpoint.name().to_owned(), Arc::new(endpoint));
    endpoints.into_iter().map(named).collect()
}

/// The part whose actor that was; it is not from now on.
fn remove(state: &mut State, actor: ActorId) -> Option<(Part, Seat)> {
    let mut seats = state.seats.iter();
    let (part, _) = seats.find(|(_, seat)| seat.actor.get_id() == actor)?;
    let part = *part;
    state.seats.remove(&part).map(|seat| (part, seat))
}

async fn perform(me: &ActorRef<Message>, state: &mut State, step: Step) {
    match step {
        Step::Stop(part) => {
            if let Some(seat) = state.seats.get(&part) {
                seat.actor
                    .stop(Some("this node leads that term no more".to_owned()));
            }
        }
        Step::Start(part, term) => {
            let instance = TaskTracker::new();
            let mandate = Mandate::new(Arc::clone(&state.options.ports.registry), term, &instance);
            match start(me, state, part, mandate).await {
                Ok(actor) => {
                    if part.leads() {
                        tracing::debug!(?part, term, "started as the leader");
                    }
                    state.seats.insert(part, Seat { actor, instance });
                }
                Err(error) => crashed(me, state, part, instance, &error.to_string()),
            }
        }
    }
}

async fn start(
    me: &ActorRef<Message>,
    state: &State,
    part: Part,
    mandate: Mandate,
) -> Result<ActorCell, SpawnErr> {
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
            let arguments = scheduler::Arguments { mandate, policy };
            Actor::spawn_linked(None, Scheduler, arguments, root)
                .await?
                .0
                .get_cell()
        }
        Part::Reaper => {
            let clock = Arc::clone(&state.options.ports.clock);
            let arguments = reaper::Arguments { mandate, clock };
            Actor::spawn_linked(None, Reaper, arguments, root)
                .await?
                .0
                .get_cell()
        }
        Part::Keeper => {
            let arguments = KeeperArguments {
                setup: leases(state)?,
                lease: state.options.ports.lease.clone(),
            };
            Actor::spawn_linked(None, Keeper, arguments, root)
                .await?
                .0
                .get_cell()
        }
        Part::Detector => {
            let arguments = DetectorArguments {
                mandate,
                handle: state.detector.clone(),
                options: leases(state)?.options,
            };
            Actor::spawn_linked(None, Detector, arguments, root)
                .await?
                .0
                .get_cell()
        }
    })
}

fn leases(state: &State) -> Result<lease::Setup, SpawnErr> {
    let missing = || SpawnErr::StartupFailed("this node has no leases".into());
    state.lease.clone().ok_or_else(missing)
}

fn crashed(
    me: &ActorRef<Message>,
    state: &mut State,
    part: Part,
    instance: TaskTracker,
    error: &str,
) {
    state.roster.crashed(part);
    let now_ms = u64::try_from(state.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let history = state.histories.entry(part).or_default();
    match history.crashed(&state.policy, now_ms) {
        Verdict::Restart(wait) => {
            tracing::error!(?part, error, ?wait, "actor crashed; starting it again");
            vacate(me, state, part, instance, wait);
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

/// Waits until nothing of the ended instance is left, then `wait`, then looks again.
fn vacate(
    me: &ActorRef<Message>,
    state: &mut State,
    part: Part,
    instance: TaskTracker,
    wait: Duration,
) {
    instance.close();
    let me = me.clone();
    let task = tokio::spawn(async move {
        while timeout(WIND_DOWN_REPORT, instance.wait()).await.is_err() {
            tracing::error!(?part, "what the ended actor had started still runs");
        }
        sleep(wait).await;
        let _ = me.cast(Message::Vacant(part));
    });
    state.vacating.insert(part, Attached(task.abort_handle()));
}
