//! The registry as a stream of records, and back.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::{
    CleanupRecord, RequestRecord, SessionRecord, SessionState, SnapshotHeader, SnapshotRecord,
    StagedPart, StatementRecord, StatementState,
};
use libra_proto::types::{JobId, SessionId};
use prost::Message;
use xxhash_rust::xxh3::Xxh3;

use super::error::RestoreError;
use super::indexes::Indexes;
use super::state::{FEATURE_LEVEL, Records, Registry, Staged};

impl Registry {
    /// All records, the header first, entities in order of their ids. The iterator holds the state
    /// as of now: making it copies no record, and the registry may go on meanwhile.
    pub fn snapshot(&self) -> impl Iterator<Item = SnapshotRecord> + Send + use<> {
        let records = self.records.clone();
        let header = Entity::Header(header(&records));
        let nodes = records.nodes.into_values().map(Entity::Node);
        let pools = records.pools.into_values().map(Entity::Pool);
        let sessions = records.sessions.into_values();
        let statements = records.statements.into_values();
        let cleanups = records.cleanups.into_values().map(Entity::Cleanup);
        let requests = records.requests.into_values();
        let staged = staged_parts(records.staged).map(Entity::Staged);
        std::iter::once(header)
            .chain(nodes)
            .chain(pools)
            .chain(sessions.map(|session| Entity::Session(Arc::unwrap_or_clone(session))))
            .chain(statements.map(|statement| Entity::Statement(Arc::unwrap_or_clone(statement))))
            .chain(cleanups)
            .chain(requests.map(|request| Entity::Request(Arc::unwrap_or_clone(request))))
            .chain(staged)
            .map(|entity| SnapshotRecord {
                entity: Some(entity),
            })
    }

    /// XXH3 over the snapshot, each record with its length: equal on all nodes at an equal log
    /// index (invariant I9). Reads everything; for tests and administration.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut hasher = Xxh3::new();
        for record in self.snapshot() {
            hasher.update(&record.encode_length_delimited_to_vec());
        }
        hasher.digest()
    }

    /// Makes the registry that a snapshot was taken of.
    ///
    /// # Errors
    /// When the records are not a whole, consistent snapshot of a form known here. Nothing of the
    /// registry in use is touched.
    pub fn restore(
        records: impl IntoIterator<Item = SnapshotRecord>,
    ) -> Result<Self, RestoreError> {
        Self::restore_knowing(FEATURE_LEVEL, records)
    }

    /// The same in a build that understands so much.
    pub(super) fn restore_knowing(
        known_level: u32,
        records: impl IntoIterator<Item = SnapshotRecord>,
    ) -> Result<Self, RestoreError> {
        let records = gather(known_level, records)?;
        let index = Indexes::build(&records);
        Ok(Self {
            records,
            index,
            known_level,
        })
    }
}

/// All records in their places, held against each other.
pub(super) fn gather(
    known_level: u32,
    records: impl IntoIterator<Item = SnapshotRecord>,
) -> Result<Records, RestoreError> {
    let mut input = records.into_iter();
    let Some(SnapshotRecord {
        entity: Some(Entity::Header(header)),
    }) = input.next()
    else {
        return Err(RestoreError::NoHeader);
    };
    let mut records = records_of(&header, known_level)?;
    for (position, record) in (1..).zip(input) {
        add(&mut records, position, record)?;
    }
    check_references(&records)?;
    Ok(records)
}

/// One record for each part; a restore that has only begun has one without records.
fn staged_parts(staged: Option<Staged>) -> impl Iterator<Item = StagedPart> + Send {
    let Staged {
        restore_id, parts, ..
    } = staged.unwrap_or_default();
    let count = parts.len() as u64;
    let begun = (parts.is_empty() && !restore_id.is_empty()).then(Arc::default);
    let parts = (0..).zip(parts.into_iter().chain(begun));
    parts.map(move |(position, records)| StagedPart {
        restore_id: restore_id.clone(),
        position,
        parts: count,
        records: Arc::unwrap_or_clone(records),
    })
}

fn add_staged(records: &mut Records, part: StagedPart) -> Result<(), RestoreError> {
    let what = || format!("part {} of a backup", part.position);
    let staged = records.staged.get_or_insert_with(|| Staged {
        restore_id: part.restore_id.clone(),
        ..Staged::default()
    });
    if staged.restore_id != part.restore_id || part.restore_id.is_empty() {
        return Err(inconsistent(what(), "is of another restore"));
    }
    if part.position != staged.parts.len() as u64 {
        return Err(inconsistent(what(), "is not in its place"));
    }
    if part.parts > 0 {
        let bytes = part
            .records
            .iter()
            .map(|record| record.encoded_len() as u64);
        staged.bytes = staged.bytes.saturating_add(bytes.sum());
        staged.parts.push(Arc::new(part.records));
    }
    Ok(())
}

fn header(records: &Records) -> SnapshotHeader {
    SnapshotHeader {
        applied_index: records.applied_index,
        applied_term: records.applied_term,
        clock_ms: records.clock_ms,
        next_job: records.last_job.saturating_add(1),
        feature_level: records.feature_level,
        settings: records.settings,
        epoch_floor: records.epoch_floor,
    }
}

fn records_of(header: &SnapshotHeader, known_level: u32) -> Result<Records, RestoreError> {
    if header.feature_level > known_level {
        return Err(RestoreError::TooNew {
            found: header.feature_level,
            known: known_level,
        });
    }
    Ok(Records {
        applied_index: header.applied_index,
        applied_term: header.applied_term,
        clock_ms: header.clock_ms,
        last_job: header.next_job.saturating_sub(1),
        epoch_floor: header.epoch_floor,
        feature_level: header.feature_level,
        settings: header.settings,
        ..Records::default()
    })
}

fn add(records: &mut Records, position: usize, record: SnapshotRecord) -> Result<(), RestoreError> {
    match record
        .entity
        .ok_or(RestoreError::UnknownKind { position })?
    {
        Entity::Header(_) => Err(RestoreError::SecondHeader),
        Entity::Staged(part) => add_staged(records, part),
        Entity::Node(node) => insert(&mut records.nodes, node.node_id, node, "node"),
        Entity::Pool(pool) => insert(&mut records.pools, pool.name.clone(), pool, "pool"),
        Entity::Session(session) => {
            check_session(&session)?;
            let id = session.session_id.clone();
            insert(&mut records.sessions, id, Arc::new(session), "session")
        }
        Entity::Statement(statement) => {
            check_statement(&statement, records.last_job)?;
            let job = JobId(statement.job);
            insert(
                &mut records.statements,
                job,
                Arc::new(statement),
                "statement",
            )
        }
        Entity::Cleanup(cleanup) => insert(
            &mut records.cleanups,
            JobId(cleanup.job),
            cleanup,
            "clean-up of",
        ),
        Entity::Request(request) => {
            check_request(&request, records)?;
            let (index, request) = (request.index, Arc::new(request));
            insert(
                &mut records.requests,
                index,
                request,
                "the request of entry",
            )
        }
    }
}

fn insert<K: Ord + std::fmt::Display, V>(
    map: &mut BTreeMap<K, V>,
    key: K,
    value: V,
    what: &str,
) -> Result<(), RestoreError> {
    match map.entry(key) {
        Entry::Occupied(entry) => Err(RestoreError::Duplicate {
            what: format!("{what} {}", entry.key()),
        }),
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}

fn inconsistent(what: String, problem: &'static str) -> RestoreError {
    RestoreError::Inconsistent { what, problem }
}

fn check_session(session: &SessionRecord) -> Result<(), RestoreError> {
    let id: SessionId = session
        .session_id
        .parse()
        .map_err(|source| RestoreError::SessionId { source })?;
    if session.state() == SessionState::Unspecified {
        return Err(inconsistent(
            format!("session {id}"),
            "has no state known here",
        ));
    }
    Ok(())
}

fn check_statement(statement: &StatementRecord, last_job: u64) -> Result<(), RestoreError> {
    let what = || format!("statement {}", JobId(statement.job));
    if statement.state() == StatementState::Unspecified {
        return Err(inconsistent(what(), "has no state known here"));
    }
    if statement.job == 0 || statement.job > last_job {
        return Err(inconsistent(
            what(),
            "has a number that was never given out",
        ));
    }
    Ok(())
}

fn check_request(request: &RequestRecord, records: &Records) -> Result<(), RestoreError> {
    let what = || format!("the request of entry {}", request.index);
    if request.index == 0 || request.index > records.applied_index {
        return Err(inconsistent(what(), "was never applied"));
    }
    if request.request_id.is_empty() || request.applied.is_none() {
        return Err(inconsistent(what(), "has no id or no answer"));
    }
    Ok(())
}

fn check_references(records: &Records) -> Result<(), RestoreError> {
    let orphan = records
        .statements
        .values()
        .find(|statement| !records.sessions.contains_key(&statement.session_id));
    if let Some(statement) = orphan {
        let what = format!("statement {}", JobId(statement.job));
        return Err(inconsistent(what, "has no session"));
    }
    let mut ids = BTreeSet::new();
    let mut requests = records.requests.values();
    if let Some(again) = requests.find(|request| !ids.insert(&request.request_id)) {
        let what = format!("the request of entry {}", again.index);
        return Err(inconsistent(what, "has the id of another"));
    }
    let belongs = |cleanup: &CleanupRecord| {
        let statement = records.statements.get(&JobId(cleanup.job));
        statement.is_some_and(|statement| statement.session_id == cleanup.session_id)
    };
    match records.cleanups.values().find(|cleanup| !belongs(cleanup)) {
        Some(cleanup) => {
            let what = format!("clean-up of {}", JobId(cleanup.job));
            Err(inconsistent(what, "has no statement of that session"))
        }
        None => Ok(()),
    }
}
