//! The keeper: renews this node's lease, over and over.
//!
//! **Invariant:** a lease runs from before its renewal was sent; what was answered late, or never,
//! renews nothing.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::ports::{LeasePort, RenewError};
use crate::pump::Attached;

use super::held::Lease;
use super::options::{Options, Setup};

/// So many renewals under way at most: one that hangs does not keep the next from its chance.
const UNDER_WAY: usize = 3;
/// How long joining anew may take before it is tried again.
const REJOIN_LIMIT: Duration = Duration::from_secs(5);

/// The actor.
pub(crate) struct Keeper;

/// What the keeper is started with.
#[derive(Clone)]
pub(crate) struct KeeperArguments {
    pub(crate) setup: Setup,
    pub(crate) lease: Lease,
}

/// What the keeper is told.
pub(crate) enum Message {
    /// Its loop has ended, which it never does by itself.
    Ended,
}

impl Actor for Keeper {
    type Msg = Message;
    type State = Attached;
    type Arguments = KeeperArguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: KeeperArguments,
    ) -> Result<Attached, ActorProcessingErr> {
        let task = tokio::spawn(async move {
            // A panic of the port ends the loop, and the guard tells.
            let _ended = Ended(me);
            let Setup { port, options } = arguments.setup;
            Round::new(port, options, arguments.lease).run().await;
        });
        Ok(Attached(task.abort_handle()))
    }

    async fn handle(
        &self,
        _me: ActorRef<Message>,
        message: Message,
        _state: &mut Attached,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ended => Err("the renewals have ended".into()),
        }
    }
}

struct Ended(ActorRef<Message>);

impl Drop for Ended {
    fn drop(&mut self) {
        // The actor may be the one that ended it.
        let _ = self.0.cast(Message::Ended);
    }
}

type Answer = (Instant, Result<(), RenewError>);

struct Round {
    port: Arc<dyn LeasePort>,
    options: Options,
    lease: Lease,
    under_way: JoinSet<Answer>,
    /// Refusals of what was sent earlier are of an earlier registration.
    joined: Instant,
    held: bool,
}

impl Round {
    fn new(port: Arc<dyn LeasePort>, options: Options, lease: Lease) -> Self {
        Self {
            port,
            options,
            lease,
            under_way: JoinSet::new(),
            joined: Instant::now(),
            held: false,
        }
    }

    async fn run(mut self) {
        let mut clock = interval(self.options.renewal());
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = clock.tick() => self.renew(),
                Some(answer) = self.under_way.join_next() => match answer {
                    Ok((sent, answer)) => self.answered(sent, answer).await,
                    Err(error) => tracing::error!(%error, "a renewal of this node's lease crashed"),
                },
            }
            self.tell();
        }
    }

    fn renew(&mut self) {
        if self.under_way.len() >= UNDER_WAY {
            return;
        }
        // A leader that hangs must leave time for the next one.
        let (port, limit) = (Arc::clone(&self.port), self.options.length / 2);
        let sent = Instant::now();
        self.under_way.spawn(async move {
            let answer = timeout(limit, port.renew()).await;
            let answer = answer.unwrap_or_else(|_| {
                let reason = format!("no answer within {limit:?}");
                Err(RenewError::Unanswered { reason })
            });
            (sent, answer)
        });
    }

    async fn answered(&mut self, sent: Instant, answer: Result<(), RenewError>) {
        match answer {
            Ok(()) => self.lease.renewed(sent),
            Err(RenewError::Unanswered { reason }) => {
                tracing::debug!(reason, "lease not renewed");
            }
            Err(RenewError::Refused { reason }) if sent >= self.joined => {
                self.lease.end();
                tracing::warn!(reason, "lease refused; joining anew");
                match timeout(REJOIN_LIMIT, self.port.rejoin()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "not joined anew"),
                    Err(_) => tracing::warn!("not joined anew in time"),
                }
                self.joined = Instant::now();
            }
            Err(RenewError::Refused { .. }) => {}
        }
    }

    /// Says when the lease is lost or found.
    fn tell(&mut self) {
        let held = self.lease.spell().is_some();
        match (self.held, held) {
            (false, true) => tracing::info!("this node's lease is held"),
            (true, false) => tracing::warn!("this node's lease is over: its sessions stand still"),
            (true, true) | (false, false) => {}
        }
        self.held = held;
    }
}
