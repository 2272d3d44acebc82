use libra_proto::registry::{Submit, command};
use openraft::entry::RaftEntry;
use proptest::prelude::*;

use super::*;
use crate::store::backing::{Backing, MemoryBacking};

fn command_entry(index: u64, code_bytes: usize) -> Entry {
    let submit = Submit {
        code: "x".repeat(code_bytes),
        ..Submit::default()
    };
    let command = Command {
        proposed_at_ms: 1,
        proposer_node: 2,
        kind: Some(command::Kind::Submit(submit)),
        ..Command::default()
    };
    Entry::new_normal(log_id(3, index), Proposal(Arc::new(command)))
}

fn peer(id: u64) -> Peer {
    Peer {
        address: format!("host-{id}:9090"),
        store_uuid: format!("store-{id}"),
    }
}

/// The chunks that an entry is written as.
fn chunks_of(entry: &Entry) -> Vec<(Vec<u8>, Vec<u8>)> {
    let backing = MemoryBacking::default();
    let mut batch = Batch::default();
    put_entry(&mut batch, entry);
    backing.write(batch).unwrap();
    let mut found = Vec::new();
    backing
        .scan(&[0], &[255], &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    found
}

fn assemble(chunks: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<Entry>, Damage> {
    let mut assembler = Assembler::default();
    let mut entries = Vec::new();
    for (key, value) in chunks {
        entries.extend(assembler.push(key, value)?.map(|(entry, _)| entry));
    }
    assembler.finish()?;
    Ok(entries)
}

#[test]
fn every_kind_of_entry_reads_back() {
    let voters = [BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
    let nodes: std::collections::BTreeMap<u64, Peer> = (1..=5).map(|id| (id, peer(id))).collect();
    let membership = Membership::new(voters.to_vec(), nodes).unwrap();
    let entries = [
        Entry::new_blank(log_id(1, 0)),
        Entry::new_membership(log_id(1, 1), membership),
        command_entry(2, 0),
        command_entry(3, 256 * 1024),
        command_entry(u64::MAX - 1, 10),
    ];
    for entry in entries {
        assert_eq!(assemble(&chunks_of(&entry)).unwrap(), vec![entry]);
    }
}

#[test]
fn a_large_statement_lies_in_small_values() {
    let chunks = chunks_of(&command_entry(1, 256 * 1024));
    assert!(chunks.len() > 64);
    for (_, value) in &chunks {
        assert!(value.len() <= CHUNK_BYTES + CHUNK_HEADER_BYTES);
    }
}

#[test]
fn a_missing_chunk_is_damage() {
    let chunks = chunks_of(&command_entry(1, 3 * CHUNK_BYTES));
    for gone in 0..chunks.len() {
        let mut left = chunks.clone();
        left.remove(gone);
        assert!(assemble(&left).is_err(), "without chunk {gone}");
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_damage(place in 0usize..9000, bit in 0u8..8) {
        let mut chunks = chunks_of(&command_entry(7, 2 * CHUNK_BYTES));
        let mut at = place;
        for (key, value) in &mut chunks {
            let len = key.len() + value.len();
            if at < len {
                let byte = if at < key.len() { &mut key[at] } else { &mut value[at - 13] };
                *byte ^= 1 << bit;
                prop_assert!(assemble(&chunks).is_err());
                return Ok(());
            }
            at -= len;
        }
    }
}
