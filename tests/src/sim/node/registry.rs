//! Proposing and reading, in the order and by the conditions of `libra_raft::Handle`.

use std::time::Duration;

use libra_proto::registry::{
    Applied, Command, PoolRecord, PutSettings, Rejection, RejectionCode, SchedulingMode, SeedPools,
    Settings, applied, command,
};
use libra_proto::safety::{self, Safety};
use libra_raft::registry::Registry;
use libra_raft::simulation::{Runtime, Write};

use super::Node;

/// How long a proposal or a read waits, as production's `propose_timeout`.
const LIMIT: Duration = Duration::from_secs(5);
/// Between two attempts while nobody leads.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// What became of a proposal.
#[derive(Debug)]
pub enum Proposed {
    /// Committed, and applied here.
    Applied(Box<applied::Result>),
    /// It changed nothing, and never will.
    Rejected(Box<Rejection>),
    /// It may have been applied, or may be yet.
    Unknown(String),
}

/// What the leader made of what it was asked.
enum Asked<T> {
    Answer(T),
    /// Nothing was done.
    NotLeading,
    Unknown(String),
}

impl Node {
    /// What a command carries beside itself.
    fn command(&self, kind: command::Kind, request_id: Vec<u8>) -> Command {
        Command {
            proposed_at_ms: self.now_ms(),
            proposer_node: self.id(),
            request_id,
            kind: Some(kind),
            ..Command::default()
        }
    }

    /// Proposes, to the leader if that is another node, and waits until it is applied here.
    pub async fn propose(&self, kind: command::Kind) -> Proposed {
        self.propose_within(kind, Vec::new(), LIMIT).await
    }

    /// As [`Node::propose`], with a request id and another limit.
    pub async fn propose_within(
        &self,
        kind: command::Kind,
        request_id: Vec<u8>,
        limit: Duration,
    ) -> Proposed {
        let command = self.command(kind, request_id);
        let until = Runtime::now() + limit;
        loop {
            let left = until.saturating_sub(Runtime::now());
            let asked = match self.other_leader() {
                Some(leader) => self.forward(leader, command.clone(), left).await,
                None => self.write(command.clone(), left).await,
            };
            match asked {
                Asked::Answer((applied, index)) => {
                    let left = until.saturating_sub(Runtime::now());
                    return self.answer(applied, index, left).await;
                }
                Asked::Unknown(reason) => return Proposed::Unknown(reason),
                Asked::NotLeading if Runtime::now() + RETRY_PAUSE < until => {
                    Runtime::pause(RETRY_PAUSE).await;
                }
                Asked::NotLeading => return Proposed::Unknown("no leader".to_owned()),
            }
        }
    }

    async fn answer(&self, applied: Applied, index: u64, left: Duration) -> Proposed {
        let here = match self.member() {
            Some(member) => member.wait_applied(index, left).await,
            None => false,
        };
        match applied.result {
            Some(applied::Result::Rejected(rejection)) => Proposed::Rejected(Box::new(rejection)),
            Some(result) if here => Proposed::Applied(Box::new(result)),
            Some(_) => Proposed::Unknown("applied by the leader, and not yet here".to_owned()),
            None => Proposed::Unknown("no result".to_owned()),
        }
    }

    /// Proposes a command of the leader's role: in that term or not at all.
    pub async fn propose_as_leader(&self, term: u64, kind: command::Kind) -> Proposed {
        let Some(member) = self.member() else {
            return Proposed::Unknown("not started".to_owned());
        };
        let command = self.command(kind, Vec::new());
        match member.write_as_leader(term, command, LIMIT).await {
            Write::Applied(applied, index) => self.answer(*applied, index, LIMIT).await,
            Write::NotLeading => Proposed::Unknown("it does not lead that term".to_owned()),
            Write::Unknown(reason) => Proposed::Unknown(reason),
        }
    }

    fn other_leader(&self) -> Option<u64> {
        let leader = self.member()?.leader();
        leader.filter(|leader| *leader != self.id())
    }

    async fn write(&self, command: Command, limit: Duration) -> Asked<(Applied, u64)> {
        let Some(member) = self.member() else {
            return Asked::NotLeading;
        };
        match member.write(command, limit).await {
            Write::Applied(applied, index) => Asked::Answer((*applied, index)),
            Write::NotLeading => Asked::NotLeading,
            Write::Unknown(reason) => Asked::Unknown(reason),
        }
    }

    /// Asks the leader to propose it; its answer being lost makes it unknown.
    async fn forward(
        &self,
        leader: u64,
        command: Command,
        limit: Duration,
    ) -> Asked<(Applied, u64)> {
        let world = self.world();
        let asked = world.ask(self.id(), leader, limit, |peer| async move {
            peer.propose_for(command, limit).await
        });
        let lost = || Asked::Unknown("the leader did not answer".to_owned());
        asked.await.unwrap_or_else(lost)
    }

    /// Proposes for another node: answers only what this one does as the leader.
    async fn propose_for(&self, command: Command, limit: Duration) -> Asked<(Applied, u64)> {
        let until = Runtime::now() + limit;
        loop {
            let left = until.saturating_sub(Runtime::now());
            match self.write(command.clone(), left).await {
                // Only just elected, or just not any more: it will be known soon.
                Asked::NotLeading if self.is_named() && Runtime::now() + RETRY_PAUSE < until => {
                    Runtime::pause(RETRY_PAUSE).await;
                }
                asked @ (Asked::Answer(_) | Asked::NotLeading | Asked::Unknown(_)) => return asked,
            }
        }
    }

    fn is_named(&self) -> bool {
        let member = self.member();
        member.is_some_and(|member| member.status().leader == Some(self.id()))
    }

    /// Everything that was committed before is applied here when this answers with an index.
    pub async fn read_index(&self) -> Option<u64> {
        if safety::off(Safety::ReadIndex) {
            return self.member().map(|m| m.view(Registry::applied_index));
        }
        self.quorum_round().await
    }

    /// As [`Node::read_index`], whatever is switched off.
    pub async fn quorum_round(&self) -> Option<u64> {
        let until = Runtime::now() + LIMIT;
        loop {
            let left = until.saturating_sub(Runtime::now());
            let member = self.member()?;
            let index = match self.other_leader() {
                Some(leader) => self.ask_read_index(leader, left).await,
                None => member.read_here(left).await,
            };
            if let Some(index) = index {
                let left = until.saturating_sub(Runtime::now());
                return member.wait_applied(index, left).await.then_some(index);
            }
            if Runtime::now() + RETRY_PAUSE >= until {
                return None;
            }
            Runtime::pause(RETRY_PAUSE).await;
        }
    }

    async fn ask_read_index(&self, leader: u64, left: Duration) -> Option<u64> {
        // Production asks again as soon as another leads, or twice the longest election has passed.
        let limit = left.min(Duration::from_millis(1_200));
        let asked = self
            .world()
            .ask(self.id(), leader, limit, |peer| async move {
                peer.member()?.read_here(limit).await
            });
        asked.await.flatten()
    }

    /// Reads the registry as applied here; nothing while the store is not open.
    pub fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> Option<T> {
        Some(self.member()?.view(read))
    }

    /// Commits settings and pools where the registry has none, as production's bootstrap.
    pub(super) async fn seed(&self) -> bool {
        let present = self.view(|registry| registry.settings().is_some());
        if present != Some(true) {
            let put = PutSettings {
                settings: Some(settings()),
                expected_version: 0,
            };
            match self.propose(command::Kind::PutSettings(put)).await {
                Proposed::Applied(_) => {}
                Proposed::Rejected(refusal) if refusal.code() == RejectionCode::SettingsVersion => {
                }
                Proposed::Rejected(_) | Proposed::Unknown(_) => return false,
            }
        }
        let seed = SeedPools { pools: pools() };
        matches!(
            self.propose(command::Kind::SeedPools(seed)).await,
            Proposed::Applied(_)
        )
    }
}

fn settings() -> Settings {
    Settings {
        mode: libra_proto::registry::Mode::Isolated.into(),
        slots: 3,
        max_queued: 1_000,
        max_sessions: 10,
        queued_bytes: 1 << 20,
        scheduler_mode: SchedulingMode::Fair.into(),
        retention_ms: 3_600_000_000,
        retention_statements: 1_000_000,
        result_replicas: 2,
        ..Settings::default()
    }
}

fn pools() -> Vec<PoolRecord> {
    let pool = |name: &str, weight, min_share, max_running| PoolRecord {
        name: name.to_owned(),
        weight,
        min_share,
        scheduling_mode: SchedulingMode::Fair.into(),
        max_running,
        paused: false,
    };
    vec![
        pool("default", 1, 1, 0),
        pool("high-priority", 3, 1, 0),
        pool("narrow", 1, 0, 1),
    ]
}
