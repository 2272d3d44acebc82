//! Random commands that hit and miss: small id spaces, and epochs, Spark sessions and jobs that
//! are right more often than not.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::JobId;
use proptest::prelude::*;

use super::bench::*;
use super::cluster_moves as cluster;
use super::nodes_bench::*;
use super::pauses::pause;
use crate::registry::{Registry, session_key};

/// One step before it is held against the registry: what to do, to whom, and three numbers to
/// choose by. Small numbers choose what is right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move {
    pub(super) what: u8,
    pub(super) who: u8,
    pub(super) pick: u8,
    pub(super) luck: u8,
    later_ms: u16,
}

pub(super) fn moves(n: usize) -> impl Strategy<Value = Vec<Move>> {
    let one = (0..68_u8, 0..4_u8, 0..40_u8, 0..12_u8, 0..400_u16);
    let one = one.prop_map(|(what, who, pick, luck, later_ms)| Move {
        what,
        who,
        pick,
        luck,
        later_ms,
    });
    proptest::collection::vec(one, 1..n)
}

impl Move {
    /// The command that this step is for a registry in that state.
    pub(super) fn command(&self, registry: &Registry, fresh: usize) -> Command {
        // A proposer's clock that is slow now and then.
        let now = registry.clock_ms() + u64::from(self.later_ms);
        Command {
            proposed_at_ms: if self.luck == 11 { now / 2 } else { now },
            proposer_node: 1,
            leader_term: self.leader_term(),
            request_id: self.request_id(fresh),
            kind: Some(self.kind(registry, fresh)),
        }
    }

    /// Of no role mostly; else of the term in which all entries are, or of another.
    fn leader_term(&self) -> u64 {
        match self.luck {
            9 => TERM,
            11 if self.pick < 8 => TERM + 1,
            _ => 0,
        }
    }

    /// Some commands bring an id, and some bring one that was there before.
    fn request_id(&self, fresh: usize) -> Vec<u8> {
        let before = match (self.luck, self.pick) {
            (2..=6, 12..) => 0,
            (7 | 8, 10..) => 1 + usize::from(self.who),
            _ => return Vec::new(),
        };
        let number = fresh.saturating_sub(before) as u128;
        number.to_be_bytes().to_vec()
    }

    fn kind(&self, registry: &Registry, fresh: usize) -> Kind {
        match self.what {
            0..=11 => Kind::Submit(self.submit(registry, fresh)),
            12..=18 => Kind::Finish(self.finish(registry)),
            19..=23 => start(&self.some_jobs(registry)),
            24..=26 => cancel(self.job(registry).0),
            27 | 28 => time_out(&self.some_jobs(registry)),
            29..=31 => self.create(registry, fresh),
            32..=35 => self.open(registry),
            36 | 37 => self.reset(registry, fresh),
            38 => fail(
                self.session(),
                self.epoch(registry),
                "LIBRA_SPARK_UNREACHABLE",
            ),
            39 => self.close(registry),
            40 => closed(self.session(), self.epoch(registry)),
            41 | 42 => self.cleanup_done(registry),
            43 | 44 => self.retire(registry),
            45 => self.pools(),
            46 => self.settings(registry),
            64 => pause(
                ["narrow", "default", "nowhere"][usize::from(self.pick % 3)],
                self.luck < 4,
            ),
            65 => Kind::CancelBatch(CancelBatch {
                jobs: self.some_jobs(registry),
            }),
            66 => Kind::NoteLeader(NoteLeader {}),
            67 => self.restores(),
            _ => cluster::kind(self, registry),
        }
    }

    /// The node that a new session names: none mostly, if any is known.
    fn owner(&self, registry: &Registry) -> u64 {
        match registry.nodes().nth(usize::from(self.who)) {
            Some(node) if self.luck > 9 => node.node_id,
            None if registry.nodes().next().is_none() => 1,
            Some(_) | None => 0,
        }
    }

    pub(super) fn is_right(&self) -> bool {
        self.luck < 10
    }

    pub(super) fn session(&self) -> &'static str {
        ["default", "a", "b", "c"][usize::from(self.who)]
    }

    fn record<'a>(&self, registry: &'a Registry) -> Option<&'a SessionRecord> {
        registry.session(&sid(self.session()))
    }

    pub(super) fn epoch(&self, registry: &Registry) -> u64 {
        let epoch = self.record(registry).map_or(1, |session| session.epoch);
        if self.is_right() {
            epoch
        } else {
            epoch.saturating_sub(1)
        }
    }

    fn spark(&self, registry: &Registry) -> String {
        let known = self.record(registry).filter(|_| self.is_right());
        known.map_or("spark-z".to_owned(), |session| {
            session.spark_session_id.clone()
        })
    }

    /// A job that is active, more often than not.
    pub(super) fn job(&self, registry: &Registry) -> JobId {
        let active: Vec<JobId> = registry
            .statements_before(None, None)
            .filter(|statement| self.luck > 8 || !statement.state().has_ended())
            .map(|statement| JobId(statement.job))
            .collect();
        let at = usize::from(self.pick) % active.len().max(1);
        active
            .get(at)
            .copied()
            .unwrap_or(JobId(u64::from(self.pick)))
    }

    fn some_jobs(&self, registry: &Registry) -> Vec<u64> {
        let endpoints = registry.index.endpoints.values();
        let lanes = endpoints.flat_map(|endpoint| endpoint.lanes.values());
        let heads = lanes.flat_map(|lane| lane.eligible.iter().take(8));
        let overdue = registry.overdue(registry.clock_ms() + u64::from(self.later_ms), 3);
        let jobs = heads.chain(&overdue).copied().chain([self.job(registry)]);
        jobs.map(|job| job.0)
            .take(1 + usize::from(self.pick % 8))
            .collect()
    }

    fn submit(&self, registry: &Registry, fresh: usize) -> Submit {
        let operation = if self.luck == 10 {
            format!("op-{}", self.pick)
        } else {
            format!("op-{fresh}")
        };
        let spark = format!("spark-{fresh}");
        let keyed = self.pick < 6;
        Submit {
            code: "x".repeat(usize::from(self.pick) * 2),
            timeout_ms: if self.pick.is_multiple_of(3) {
                u64::from(self.pick) * 100
            } else {
                0
            },
            idempotency_key: if keyed {
                format!("path\nkey-{}", self.pick)
            } else {
                String::new()
            },
            idempotency_body_hash: if keyed {
                vec![self.luck % 3]
            } else {
                Vec::new()
            },
            create_if_missing: (self.luck.is_multiple_of(2)).then(|| CreateSession {
                owner_node: self.owner(registry),
                ..create_session(self.session(), &spark)
            }),
            ..submit_to(
                self.session(),
                ["default", "narrow", "default", "nowhere"][usize::from(self.pick % 4)],
                &operation,
            )
        }
    }

    fn finish(&self, registry: &Registry) -> Finish {
        let job = self.job(registry);
        let session = registry
            .statement(job)
            .map(|statement| sid(&statement.session_id));
        let epoch = session
            .and_then(|id| registry.session(&id))
            .map_or(1, |session| session.epoch);
        let state = match self.luck % 4 {
            0 | 1 => StatementState::Succeeded,
            2 => StatementState::Failed,
            _ => StatementState::Cancelled,
        };
        let sealed = ResultManifest {
            epoch,
            file_hash: job.0,
            holders: holders(&[1, 1 + u64::from(self.who)][usize::from(self.who == 0)..]),
            inline: vec![0; usize::from(self.luck / 4 % 3)].into(),
            ..ResultManifest::default()
        };
        Finish {
            result: (state == StatementState::Succeeded).then_some(sealed),
            needs_cleanup: self.pick.is_multiple_of(5),
            ..finish(
                job.0,
                if self.is_right() { epoch } else { epoch + 1 },
                state,
            )
        }
    }

    fn create(&self, registry: &Registry, fresh: usize) -> Kind {
        let key = if self.pick < 3 {
            format!("sessions\nkey-{}", self.pick)
        } else {
            String::new()
        };
        Kind::CreateSession(CreateSession {
            reopen: self.pick.is_multiple_of(2),
            owner_node: self.owner(registry),
            endpoint: format!("sc://{}", self.pick % 2),
            idempotency_key: session_key(&key, &[self.luck % 2]),
            ..create_session(self.session(), &format!("spark-{fresh}"))
        })
    }

    fn open(&self, registry: &Registry) -> Kind {
        open(self.session(), self.epoch(registry), &self.spark(registry))
    }

    fn reset(&self, registry: &Registry, fresh: usize) -> Kind {
        let new = format!("spark-{fresh}");
        reset(
            self.session(),
            self.epoch(registry),
            &self.spark(registry),
            &new,
        )
    }

    fn close(&self, registry: &Registry) -> Kind {
        let since = self
            .record(registry)
            .map_or(0, |session| session.last_activity_ms);
        Kind::CloseSession(CloseSession {
            session_id: self.session().to_owned(),
            reason: "asked".to_owned(),
            if_idle_since_ms: if self.pick.is_multiple_of(2) {
                since
            } else {
                0
            },
        })
    }

    fn cleanup_done(&self, registry: &Registry) -> Kind {
        let held: Vec<u64> = ["default", "a", "b", "c"]
            .iter()
            .flat_map(|id| registry.cleanups_of(&sid(id)).map(|cleanup| cleanup.job))
            .collect();
        let job = held.first().copied().unwrap_or(1);
        let session = registry
            .statement(JobId(job))
            .map(|statement| sid(&statement.session_id));
        let epoch = session
            .and_then(|id| registry.session(&id))
            .map_or(1, |session| session.epoch);
        cleanup_done(job, if self.is_right() { epoch } else { 0 })
    }

    fn retire(&self, registry: &Registry) -> Kind {
        let ahead = if self.is_right() { 300 } else { u64::MAX / 2 };
        let (jobs, sessions) = registry.retirable(registry.clock_ms() + ahead, 4);
        Kind::Retire(Retire {
            jobs: jobs
                .iter()
                .map(|job| job.0)
                .chain([u64::from(self.pick)])
                .collect(),
            sessions: sessions
                .into_iter()
                .map(String::from)
                .chain([self.session().to_owned()])
                .collect(),
        })
    }

    fn pools(&self) -> Kind {
        match self.pick % 3 {
            0 => Kind::DeletePool(DeletePool {
                name: "narrow".to_owned(),
            }),
            1 => Kind::PutPool(PutPool {
                pool: Some(pool("narrow", u32::from(self.who))),
            }),
            _ => Kind::SeedPools(SeedPools {
                pools: vec![pool("narrow", 1), pool("default", 0)],
            }),
        }
    }

    /// Refused but for the very first ones: a registry is not fresh for long.
    fn restores(&self) -> Kind {
        let restore_id = ["", "r", "s"][usize::from(self.pick % 3)].to_owned();
        match self.luck {
            0..=3 => Kind::RestoreBegin(RestoreBegin {
                restore_id,
                feature_level: u32::from(self.who),
            }),
            4..=7 => Kind::RestorePart(RestorePart {
                restore_id,
                position: u64::from(self.who),
                records: Vec::new(),
            }),
            _ => Kind::RestoreEnd(RestoreEnd {
                restore_id,
                parts: u64::from(self.who),
                abandon: self.luck == 11,
                seed: vec![7; 16],
                ..RestoreEnd::default()
            }),
        }
    }

    fn settings(&self, registry: &Registry) -> Kind {
        let version = registry.settings().map_or(0, |settings| settings.version);
        let mode = if self.pick == 39 {
            Mode::Shared
        } else {
            Mode::Isolated
        };
        let wanted = Settings {
            retention_ms: 2_000,
            retention_statements: 12,
            result_replicas: u32::from(self.pick % 4),
            ..settings(mode, 1 + u32::from(self.who))
        };
        put_settings(
            wanted,
            if self.is_right() {
                version
            } else {
                version + 1
            },
        )
    }
}
