//! The stub as a server: engine, listener, faults, and a clock that makes time pass.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use libra_proto::spark::spark_connect_service_server::SparkConnectServiceServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::engine::{
    Attached, Effect, Engine, Execution, Ledger, Millis, RpcError, Settings, Step, StreamId,
};
use super::faults::Faults;
use super::net::{self, Mode, Net};
use super::service::Service;
use super::speakers::Speakers;
use super::streaming::Responses;

/// Largest request, bytes: `spark.connect.grpc.maxInboundMessageSize`.
const MAX_REQUEST_BYTES: usize = 128 << 20;
/// How often things that happen by themselves are looked for.
const TICK: Duration = Duration::from_millis(10);

struct Core {
    engine: Engine,
    wakers: HashMap<StreamId, Arc<Notify>>,
}

/// What calls, streams and control share. The lock is held for one step of the engine, never
/// across an await.
pub(super) struct Shared {
    core: Mutex<Core>,
    started: Instant,
    runtime: Handle,
    pub(super) faults: Faults,
    pub(super) net: Net,
    pub(super) speakers: Speakers,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn now(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// Makes one step of the engine and does what it asks for.
    pub(super) fn with<T>(&self, step: impl FnOnce(&mut Engine, Millis) -> T) -> T {
        self.step(|core, now| step(&mut core.engine, now))
    }

    fn step<T>(&self, step: impl FnOnce(&mut Core, Millis) -> T) -> T {
        let mut guard = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock is read under the lock, so that the engine never sees it go back.
        let answer = step(&mut guard, self.now());
        let effects = guard.engine.take_effects();
        let mut died = false;
        for effect in effects {
            match effect {
                Effect::Wake(id) => {
                    if let Some(waker) = guard.wakers.get(&id) {
                        waker.notify_one();
                    }
                }
                Effect::DriverDied => died = true,
            }
        }
        let down = Duration::from_millis(guard.engine.settings().restart_ms);
        drop(guard);
        if died {
            self.go_down(down);
        }
        answer
    }

    /// The process is gone: connections are reset, the port refuses, then it is back.
    fn go_down(&self, down: Duration) {
        self.net.set_mode(Mode::Refuse);
        self.net.reset_connections();
        let net = self.net.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(down).await;
            net.set_mode(Mode::Open);
        });
    }

    pub(super) fn attach(
        self: &Arc<Self>,
        session_id: String,
        cut_after: Option<u64>,
        call: impl FnOnce(&mut Engine, Millis) -> Result<Attached, RpcError>,
    ) -> Result<Responses, RpcError> {
        let woken = Arc::new(Notify::new());
        let attached = self.step(|core, now| {
            let attached = call(&mut core.engine, now)?;
            core.wakers.insert(attached.stream, woken.clone());
            Ok::<_, RpcError>(attached)
        })?;
        let shared = self.clone();
        Ok(Responses::new(
            shared, attached, session_id, woken, cut_after,
        ))
    }

    pub(super) fn poll(&self, stream: StreamId) -> Step {
        self.with(|engine, now| engine.poll(now, stream))
    }

    pub(super) fn leave(&self, stream: StreamId) {
        self.step(|core, now| {
            core.engine.leave(now, stream);
            core.wakers.remove(&stream);
        });
    }

    pub(super) fn restart(&self) {
        self.with(|engine, now| engine.restart(now));
    }

    /// Settings changed by a JSON object: only the keys in it.
    pub(super) fn change_settings(&self, changes: serde_json::Value) -> Result<Settings, String> {
        self.with(|engine, now| {
            let mut merged = serde_json::to_value(engine.settings()).map_err(|e| e.to_string())?;
            let (Some(all), Some(changed)) = (merged.as_object_mut(), changes.as_object()) else {
                return Err("settings must be a JSON object".to_owned());
            };
            all.extend(changed.clone());
            let settings: Settings = serde_json::from_value(merged).map_err(|e| e.to_string())?;
            engine.set_settings(now, settings.clone());
            Ok(settings)
        })
    }
}

/// A running stub. Dropping it ends it and resets its connections.
#[derive(Debug)]
pub struct StubSpark {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl StubSpark {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await?, settings, 1)
    }

    /// Starts on a listener; `seed` decides every id that it mints.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start_on(listener: TcpListener, settings: Settings, seed: u64) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (net, incoming) = net::guard(listener)?;
        Ok(Self::serve(net, incoming, address, settings, seed))
    }

    /// Starts on connections of another network, which has faults of its own: those of
    /// [`StubSpark::net`] do nothing.
    pub fn start_over<C>(
        incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
        address: SocketAddr,
        settings: Settings,
        seed: u64,
    ) -> Self
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        Self::serve(Net::unguarded(), incoming, address, settings, seed)
    }

    fn serve<C>(
        net: Net,
        incoming: impl Stream<Item = io::Result<C>> + Send + 'static,
        address: SocketAddr,
        settings: Settings,
        seed: u64,
    ) -> Self
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let shared = Arc::new(Shared {
            core: Mutex::new(Core {
                engine: Engine::new(settings, seed),
                wakers: HashMap::new(),
            }),
            started: Instant::now(),
            runtime: Handle::current(),
            faults: Faults::default(),
            net,
            speakers: Speakers::default(),
        });
        let service = SparkConnectServiceServer::new(Service::new(shared.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES);
        let server = Server::builder()
            .max_concurrent_streams(None)
            .add_service(service)
            .serve_with_incoming(incoming);
        let serving = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "stub ended");
            }
        });
        let ticking = tokio::spawn(tick(shared.clone()));
        Self {
            shared,
            address,
            tasks: vec![serving, ticking],
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as gRPC's clients want it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens, as Spark's clients want it.
    #[must_use]
    pub fn connection_string(&self) -> String {
        format!("sc://{}", self.address)
    }

    /// The network in front of it.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.shared.net
    }

    /// The faults of its calls.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Looks into the ledger.
    pub fn ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        self.shared.with(|engine, now| look(engine.ledger(now)))
    }

    /// Everything that ran, in the order in which it began.
    #[must_use]
    pub fn executions(&self) -> Vec<Execution> {
        self.ledger(|ledger| ledger.executions().to_vec())
    }

    /// Kills the driver; it is back after [`Settings::restart_ms`], knowing nothing.
    pub fn restart_driver(&self) {
        self.shared.restart();
    }

    /// Which driver this is, counted from 1.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.shared.with(|engine, _| engine.incarnation())
    }

    /// Changes settings, for everything from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.with(|engine, now| {
            let mut settings = engine.settings().clone();
            change(&mut settings);
            engine.set_settings(now, settings);
        });
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for StubSpark {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.net.reset_connections();
    }
}

async fn tick(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.with(|engine, now| engine.advance(now));
    }
}
