//! What a session actor has done beside itself: each task reports with one message.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use libra_actors::spark::Poisoned;
use libra_proto::registry::{CleanupRecord, StatementRecord, command};
use libra_proto::types::JobId;
use libra_raft::simulation::Runtime;

use super::super::Node;
use super::super::lease::Owner;
use super::super::runner::{Runner, Wishes};
use super::{
    Actor, Cleaned, KEEP_ALIVE, MAX_BACKOFF, Message, RELEASE_LIMIT, Running, Stop, View, What,
    intents_of,
};
use crate::sim::spark::{Broken, Session, session_lost};

impl Actor {
    pub(super) fn start(&mut self, view: &View) {
        let wanted = view.session.spark_session_id.clone();
        if self.opening.as_ref() == Some(&wanted) || self.proposing.contains(&What::Open) {
            return;
        }
        self.incarnation = None;
        self.opening = Some(wanted.clone());
        let (node, delay) = (self.node.clone(), wait_after(self.failed_attempts));
        self.spawn(delay, async move {
            let world = node.world();
            let opened = world.spark.open(&world.net, node.id(), &wanted).await;
            Message::Opened(wanted, opened)
        });
    }

    pub(super) fn adopt(&mut self, view: &View) {
        if let Some(committed) = &view.session.incarnation
            && self.incarnation.as_ref() != Some(committed)
        {
            self.incarnation = Some(committed.clone());
            if !std::mem::replace(&mut self.keeps_alive, true) {
                self.tick();
            }
        }
    }

    pub(super) fn run_statements(&mut self, view: &View) {
        for statement in &view.running {
            match self.runners.get(&JobId(statement.job)) {
                Some(running) => running.wishes.set(intents_of(statement)),
                None => self.run_one(Arc::clone(statement)),
            }
        }
        self.clean_up(view);
    }

    pub(super) fn run_one(&mut self, statement: Arc<StatementRecord>) {
        if self.proposing.contains(&What::Reset) {
            return;
        }
        let Some(session) = self.spark() else { return };
        let job = JobId(statement.job);
        let wishes = Wishes::new(intents_of(&statement));
        let lived_in = session.incarnation.spark_session_id.clone();
        let runner = Runner {
            node: self.node.clone(),
            session,
            epoch: self.epoch,
            fence: self.fence.clone(),
            fresh: self.begun.is_fresh(job),
            wishes: Arc::clone(&wishes),
            statement,
        };
        let (stop, messages) = (Arc::<Stop>::default(), self.messages.clone());
        let own = Arc::clone(&stop);
        Runtime::go(async move {
            let run = Box::pin(runner.run());
            if let Either::Left((outcome, _)) = select(run, Box::pin(own.stopped())).await
                && let Some(messages) = messages.upgrade()
            {
                let _ = messages.send(Message::RunnerEnded(job, lived_in, outcome));
            }
        });
        self.begun.begin(job);
        self.never_sent.remove(&job);
        self.runners.insert(job, Running { wishes, stop });
    }

    pub(super) fn clean_up(&mut self, view: &View) {
        for record in &view.cleanups {
            self.clean(record.clone());
        }
    }

    pub(super) fn clean(&mut self, record: CleanupRecord) {
        let job = JobId(record.job);
        let Some(incarnation) = record.incarnation.clone() else {
            return;
        };
        if !self.cleaning.insert(job) {
            return;
        }
        let lived_in = incarnation.spark_session_id.clone();
        let session = Session {
            node: self.node.id(),
            incarnation,
        };
        let (node, delay) = (self.node.clone(), wait_after(self.failed_attempts));
        self.spawn(delay, async move {
            let cleaned = wind_up(&node, &session, &record.operation_id).await;
            Message::CleanedUp(job, lived_in, cleaned)
        });
    }

    pub(super) fn spark(&self) -> Option<Session> {
        Some(Session {
            node: self.node.id(),
            incarnation: self.incarnation.clone()?,
        })
    }

    pub(super) fn tick(&self) {
        let (messages, stop) = (self.messages.clone(), Arc::clone(&self.stop));
        Runtime::go(async move {
            loop {
                let pause = Box::pin(Runtime::pause(KEEP_ALIVE));
                if let Either::Right(_) = select(pause, Box::pin(stop.stopped())).await {
                    return;
                }
                let Some(messages) = messages.upgrade() else {
                    return;
                };
                if messages.send(Message::KeepAlive).is_err() {
                    return;
                }
            }
        });
    }

    pub(super) fn keep_alive(&mut self) {
        let Some(session) = self.spark() else { return };
        if std::mem::replace(&mut self.probing, true) {
            return;
        }
        let node = self.node.clone();
        self.spawn(Duration::ZERO, async move {
            let world = node.world();
            let kept = world.spark.keep_alive(&world.net, &session).await;
            Message::KeptAlive(session.incarnation.spark_session_id, kept)
        });
    }

    pub(super) fn release(&mut self) {
        if std::mem::replace(&mut self.releasing, true) {
            return;
        }
        let (session, node) = (self.spark(), self.node.clone());
        self.spawn(Duration::ZERO, async move {
            if let Some(session) = session {
                let world = node.world();
                let call = world.spark.release_session(&world.net, &session);
                let _ = Runtime::within(RELEASE_LIMIT, Box::pin(call)).await;
            }
            Message::Released
        });
    }

    pub(super) fn propose(&mut self, what: What, command: command::Kind) {
        if !self.proposing.insert(what) {
            return;
        }
        let (node, delay) = (self.node.clone(), wait_after(self.unanswered));
        self.spawn(delay, async move {
            Message::Proposed(what, node.propose(command).await)
        });
    }

    /// A task of this actor that reports with one message; it waits, and only then passes the fence.
    pub(super) fn spawn(
        &self,
        delay: Duration,
        work: impl Future<Output = Message> + Send + 'static,
    ) {
        let (messages, fence, stop) = (
            self.messages.clone(),
            self.fence.clone(),
            Arc::clone(&self.stop),
        );
        let (node, session, epoch) = (self.node.clone(), self.id.to_string(), self.epoch);
        Runtime::go(async move {
            let task = async {
                if !delay.is_zero() {
                    Runtime::pause(delay).await;
                }
                match fence.pass().await {
                    Owner::This => {
                        let truth = &node.world().truth;
                        truth.acts(node.id(), &session, epoch, fence.is_open());
                        work.await
                    }
                    Owner::Another => Message::NotOurs,
                }
            };
            let stopped = Box::pin(stop.stopped());
            if let Either::Left((report, _)) = select(Box::pin(task), stopped).await
                && let Some(messages) = messages.upgrade()
            {
                let _ = messages.send(report);
            }
        });
    }
}

fn wait_after(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    Duration::from_millis(100_u64 << failures.min(8)).min(MAX_BACKOFF)
}

/// Interrupts, poisons and releases an operation, as production's `clean_up`.
async fn wind_up(node: &Node, session: &Session, operation: &str) -> Cleaned {
    let world = node.world();
    let wound_up = async {
        world
            .spark
            .interrupt(&world.net, session, operation)
            .await?;
        let poisoned = world.spark.poison(&world.net, session, operation).await?;
        if poisoned == Poisoned::Arrived {
            world
                .spark
                .interrupt(&world.net, session, operation)
                .await?;
        }
        world.spark.release(&world.net, session, operation).await
    };
    match wound_up.await {
        Ok(()) => Cleaned::Done,
        Err(broken) => match (session_lost(&broken), broken) {
            (Some(reason), _) => Cleaned::SessionLost(reason),
            (None, Broken::Said { class, .. })
                if class == "INVALID_HANDLE.OPERATION_NOT_FOUND"
                    || class == "INVALID_HANDLE.OPERATION_ABANDONED" =>
            {
                Cleaned::Done
            }
            (None, Broken::Said { .. } | Broken::Refused | Broken::Silent) => Cleaned::NotYet,
        },
    }
}
