//! How log entries, votes and memberships lie on disk.
//!
//! An entry is a prost message, cut into chunks of at most [`CHUNK_BYTES`]. Each chunk lies under
//! `(index, chunk)` as `crc32 | chunks of the entry | data`, the checksum covering key, count and
//! data, so that a value found under a wrong key is noticed too.

use std::collections::BTreeSet;
use std::sync::Arc;

use libra_proto::raft as disk;
use libra_proto::registry::Command;
use openraft::EntryPayload;
use prost::Message;

use super::backing::Batch;
use super::log_index::Slot;
use crate::type_config::{
    Entry, LogId, Membership, Peer, Proposal, StoredMembership, Vote, log_id, vote,
};

/// The most data that one value holds. sled's leaves hold up to 20 values and must stay below
/// 128 KiB, see [`super::backing`].
pub(crate) const CHUNK_BYTES: usize = 4096;

const ENTRY_KEY_BYTES: usize = 13;
const ENTRY_TAG: u8 = 1;
const META_TAG: u8 = 2;
const CHUNK_HEADER_BYTES: usize = 8;

pub(crate) type EntryKey = [u8; ENTRY_KEY_BYTES];

/// What does not fit together on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {reason}")]
pub(crate) struct Damage {
    pub(crate) index: u64,
    pub(crate) reason: String,
}

fn damage(index: u64, reason: impl Into<String>) -> Damage {
    Damage {
        index,
        reason: reason.into(),
    }
}

pub(crate) fn entry_key(index: u64, chunk: u32) -> EntryKey {
    let mut key = [ENTRY_TAG; ENTRY_KEY_BYTES];
    key[1..9].copy_from_slice(&index.to_be_bytes());
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

/// The key after those of all entries.
pub(crate) fn entries_end() -> [u8; 1] {
    [ENTRY_TAG + 1]
}

pub(crate) fn meta_key(name: &str) -> Vec<u8> {
    let mut key = vec![META_TAG];
    key.extend_from_slice(name.as_bytes());
    key
}

/// Splits the key of a chunk into index and number.
pub(crate) fn parse_entry_key(key: &[u8]) -> Option<(u64, u32)> {
    let key: &EntryKey = key.try_into().ok()?;
    let index = u64::from_be_bytes(key[1..9].try_into().ok()?);
    let chunk = u32::from_be_bytes(key[9..].try_into().ok()?);
    (key[0] == ENTRY_TAG).then_some((index, chunk))
}

fn checksum(key: &[u8], chunks: u32, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&chunks.to_le_bytes());
    hasher.update(data);
    hasher.finalize()
}

/// Adds the chunks of an entry to a batch.
pub(crate) fn put_entry(batch: &mut Batch, entry: &Entry) -> Slot {
    let bytes = entry_to_disk(entry).encode_to_vec();
    let index = entry.log_id.index;
    let chunks = bytes.len().div_ceil(CHUNK_BYTES).max(1) as u32;
    // An empty message still has its one chunk.
    let mut parts = bytes.chunks(CHUNK_BYTES);
    for chunk in 0..chunks {
        let data = parts.next().unwrap_or_default();
        let key = entry_key(index, chunk);
        let mut value = Vec::with_capacity(CHUNK_HEADER_BYTES + data.len());
        value.extend_from_slice(&checksum(&key, chunks, data).to_le_bytes());
        value.extend_from_slice(&chunks.to_le_bytes());
        value.extend_from_slice(data);
        batch.put(key, value);
    }
    Slot {
        term: *entry.log_id.leader_id,
        bytes: bytes.len() as u32,
        chunks,
    }
}

/// Puts entries together from their chunks, which are given to it in order.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    index: u64,
    next_chunk: u32,
    chunks: u32,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Takes the next chunk; answers with the entry that it completes.
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<(Entry, Slot)>, Damage> {
        let (index, chunk) =
            parse_entry_key(key).ok_or_else(|| damage(0, format!("foreign key {key:?}")))?;
        let (chunks, data) = open_chunk(key, value).map_err(|reason| damage(index, reason))?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open {
                index,
                next_chunk: 0,
                chunks,
                bytes: Vec::new(),
            },
        };
        if (open.index, open.next_chunk, open.chunks) != (index, chunk, chunks) {
            return Err(damage(
                open.index,
                format!("chunk {} of {} is missing", open.next_chunk, open.chunks),
            ));
        }
        open.bytes.extend_from_slice(data);
        open.next_chunk += 1;
        if open.next_chunk < chunks {
            self.open = Some(open);
            return Ok(None);
        }
        let entry = entry_from_disk(index, &open.bytes)?;
        let slot = Slot {
            term: *entry.log_id.leader_id,
            bytes: open.bytes.len() as u32,
            chunks,
        };
        Ok(Some((entry, slot)))
    }

    /// Checks that no entry was left half.
    pub(crate) fn finish(self) -> Result<(), Damage> {
        match self.open {
            None => Ok(()),
            Some(open) => Err(damage(open.index, "its last chunks are missing")),
        }
    }
}

fn open_chunk<'a>(key: &[u8], value: &'a [u8]) -> Result<(u32, &'a [u8]), &'static str> {
    let (crc, rest) = value
        .split_first_chunk::<4>()
        .ok_or("a chunk is too short")?;
    let (chunks, data) = rest
        .split_first_chunk::<4>()
        .ok_or("a chunk is too short")?;
    let chunks = u32::from_le_bytes(*chunks);
    if u32::from_le_bytes(*crc) != checksum(key, chunks, data) {
        return Err("a chunk does not match its checksum");
    }
    Ok((chunks, data))
}

/// An entry as it is written, and sent.
pub(crate) fn entry_to_disk(entry: &Entry) -> disk::LogEntry {
    use disk::log_entry::Payload;
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank(disk::Blank {}),
        EntryPayload::Normal(proposal) => Payload::Command(proposal.0.encode_to_vec()),
        EntryPayload::Membership(membership) => Payload::Membership(membership_to_disk(membership)),
    };
    disk::LogEntry {
        log_id: Some(log_id_to_disk(&entry.log_id)),
        payload: Some(payload),
    }
}

fn entry_from_disk(index: u64, bytes: &[u8]) -> Result<Entry, Damage> {
    let entry = disk::LogEntry::decode(bytes).map_err(|e| damage(index, e.to_string()))?;
    entry_from_message(index, entry)
}

/// Reads an entry that has to be the one at `index`.
pub(crate) fn entry_from_message(index: u64, entry: disk::LogEntry) -> Result<Entry, Damage> {
    use disk::log_entry::Payload;
    let id = entry
        .log_id
        .ok_or_else(|| damage(index, "it has no log id"))?;
    if id.index != index {
        return Err(damage(index, format!("it says it is {}", id.index)));
    }
    let payload = match entry.payload {
        Some(Payload::Blank(disk::Blank {})) => EntryPayload::Blank,
        Some(Payload::Command(bytes)) => {
            let command =
                Command::decode(bytes.as_slice()).map_err(|e| damage(index, e.to_string()))?;
            EntryPayload::Normal(Proposal(Arc::new(command)))
        }
        Some(Payload::Membership(membership)) => EntryPayload::Membership(
            membership_from_disk(&membership).map_err(|reason| damage(index, reason))?,
        ),
        None => return Err(damage(index, "its kind is not known to this version")),
    };
    Ok(Entry {
        log_id: log_id_from_disk(&id),
        payload,
    })
}

pub(crate) fn log_id_to_disk(id: &LogId) -> disk::LogId {
    disk::LogId {
        term: *id.leader_id,
        index: id.index,
    }
}

pub(crate) fn log_id_from_disk(id: &disk::LogId) -> LogId {
    log_id(id.term, id.index)
}

pub(crate) fn vote_to_disk(vote: &Vote) -> disk::Vote {
    disk::Vote {
        term: vote.leader_id.term,
        node_id: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

pub(crate) fn vote_from_disk(disk: &disk::Vote) -> Vote {
    vote(disk.term, disk.node_id, disk.committed)
}

fn membership_to_disk(membership: &Membership) -> disk::Membership {
    let voters = |ids: &BTreeSet<u64>| disk::Voters {
        node_ids: ids.iter().copied().collect(),
    };
    let member = |(id, node): (&u64, &Peer)| {
        let Peer {
            address,
            store_uuid,
        } = node.clone();
        (
            *id,
            disk::Member {
                address,
                store_uuid,
            },
        )
    };
    disk::Membership {
        configs: membership.get_joint_config().iter().map(voters).collect(),
        members: membership.nodes().map(member).collect(),
    }
}

fn membership_from_disk(disk: &disk::Membership) -> Result<Membership, String> {
    if disk.configs.is_empty() {
        return Ok(Membership::default());
    }
    let configs = disk
        .configs
        .iter()
        .map(|voters| voters.node_ids.iter().copied().collect());
    let member = |(id, member): (&u64, &disk::Member)| {
        let disk::Member {
            address,
            store_uuid,
        } = member.clone();
        (
            *id,
            Peer {
                address,
                store_uuid,
            },
        )
    };
    let members: std::collections::BTreeMap<u64, Peer> = disk.members.iter().map(member).collect();
    Membership::new(configs.collect(), members).map_err(|e| e.to_string())
}

pub(crate) fn stored_membership_to_disk(stored: &StoredMembership) -> disk::StoredMembership {
    disk::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to_disk),
        membership: Some(membership_to_disk(stored.membership())),
    }
}

pub(crate) fn stored_membership_from_disk(
    disk: &disk::StoredMembership,
) -> Result<StoredMembership, String> {
    let membership = match &disk.membership {
        Some(membership) => membership_from_disk(membership)?,
        None => Membership::default(),
    };
    let log_id = disk.log_id.as_ref().map(log_id_from_disk);
    Ok(StoredMembership::new(log_id, membership))
}

#[cfg(test)]
mod tests;
