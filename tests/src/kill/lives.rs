//! The lives of the coordinator: started on the same data, killed as planned, started again.
//!
//! **Invariant:** a coordinator that ends in any other way than by the planned kill ends the run:
//! that is a failure of its own, with its log.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::plan::{Cause, Death};
use super::referee::Referee;
use crate::harness::Libra;

/// What `abort` ends a process with.
const SIGABRT: i32 = 6;
/// How long the answer of the readiness probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(5);
/// How long a start may take.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a point may go without being passed before the life is ended otherwise.
const POINT_WITHIN: Duration = Duration::from_secs(15);
/// How often a point that was not passed in time is tried again.
const SECOND_CHANCES: usize = 20;
/// Time between two looks at the process.
const LOOK: Duration = Duration::from_millis(5);
/// Where the points are configured.
const FAILPOINTS: &str = "FAILPOINTS";

/// A kill as it happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Killed {
    pub(super) cause: Cause,
    pub(super) at: Instant,
    pub(super) recovery: Option<Duration>,
}

/// The coordinator and what was done to it.
#[derive(Debug)]
pub(super) struct Lives {
    pub(super) libra: Libra,
    pub(super) up: watch::Sender<bool>,
    pub(super) kills: Vec<Killed>,
}

/// How a wait for a process was over.
enum Waited {
    Died,
    TimeUp,
}

impl Lives {
    /// Lives all planned lives. At the end the coordinator is down.
    ///
    /// # Errors
    /// When it does not come up, or ends by itself.
    pub(super) async fn live(&mut self, deaths: Vec<Death>, referee: &mut Referee) -> Result<()> {
        let mut left: VecDeque<Death> = deaths.into();
        let mut chances = SECOND_CHANCES;
        while let Some(death) = left.pop_front() {
            let cause = self.life(death).await?;
            referee.look().await?;
            if let Death::At { point, .. } = death
                && cause != Cause::Point(point)
                && chances > 0
            {
                chances -= 1;
                left.push_back(Death::At { point, passes: 0 });
            }
        }
        Ok(())
    }

    /// Starts it without any fault and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) async fn last(&mut self) -> Result<()> {
        self.libra.set_env(FAILPOINTS, None);
        self.libra.spawn()?;
        let Waited::TimeUp = self.ready_or_dead(READY_WITHIN).await? else {
            bail!(
                "the coordinator died without any fault; its log:\n{}",
                self.log()
            );
        };
        Ok(())
    }

    async fn life(&mut self, death: Death) -> Result<Cause> {
        self.libra
            .set_env(FAILPOINTS, death.failpoints().as_deref());
        self.libra.spawn()?;
        if let Death::Starting(after) = death {
            return match self.dead_within(after).await? {
                Waited::Died => self.died(death),
                Waited::TimeUp => self.kill(Cause::Starting),
            };
        }
        if let Waited::Died = self.ready_or_dead(READY_WITHIN).await? {
            return self.died(death);
        }
        let limit = match death {
            Death::At { .. } => POINT_WITHIN,
            Death::After(after) | Death::Starting(after) => after,
        };
        match self.dead_within(limit).await? {
            Waited::Died => self.died(death),
            Waited::TimeUp => self.kill(Cause::Random),
        }
    }

    /// Notes a death at a point.
    fn died(&mut self, death: Death) -> Result<Cause> {
        match death {
            Death::At { point, .. } => Ok(self.note(Cause::Point(point))),
            Death::After(_) | Death::Starting(_) => {
                bail!("the coordinator ended by itself; its log:\n{}", self.log())
            }
        }
    }

    fn kill(&mut self, cause: Cause) -> Result<Cause> {
        self.libra.kill()?;
        Ok(self.note(cause))
    }

    fn note(&mut self, cause: Cause) -> Cause {
        self.up.send_replace(false);
        self.kills.push(Killed {
            cause,
            at: Instant::now(),
            recovery: None,
        });
        cause
    }

    /// Waits until it is ready, or dead at a point. `TimeUp` stands for ready.
    async fn ready_or_dead(&mut self, limit: Duration) -> Result<Waited> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.libra.exited()? {
                self.check(status)?;
                return Ok(Waited::Died);
            }
            let Some(reason) = self.not_ready().await else {
                break;
            };
            if Instant::now() > deadline {
                let log = self.log();
                bail!("not ready within {limit:?}: {reason}; its log:\n{log}");
            }
            sleep(LOOK).await;
        }
        let now = Instant::now();
        for kill in self.kills.iter_mut().rev() {
            if kill.recovery.is_some() {
                break;
            }
            kill.recovery = Some(now - kill.at);
        }
        self.up.send_replace(true);
        Ok(Waited::TimeUp)
    }

    /// Why the readiness probe does not say yes, if it does not.
    async fn not_ready(&self) -> Option<String> {
        let ask = self.libra.api.get("/actuator/health/readiness");
        match timeout(PROBE_WITHIN, ask).await {
            Ok(Ok(reply)) if reply.status == 200 => None,
            Ok(Ok(reply)) => Some(format!("{}: {}", reply.status, reply.text())),
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some(format!("no answer within {PROBE_WITHIN:?}")),
        }
    }

    async fn dead_within(&mut self, limit: Duration) -> Result<Waited> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.libra.exited()? {
                self.check(status)?;
                return Ok(Waited::Died);
            }
            sleep(LOOK).await;
        }
        Ok(Waited::TimeUp)
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        if status.signal() != Some(SIGABRT) {
            bail!(
                "the coordinator ended with {status}; its log:\n{}",
                self.log()
            );
        }
        Ok(())
    }

    fn log(&self) -> String {
        let log = self.libra.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}
