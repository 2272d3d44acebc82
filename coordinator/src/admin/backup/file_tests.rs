use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::{PoolRecord, SnapshotHeader};
use proptest::prelude::*;

use super::*;

fn header() -> BackupHeader {
    BackupHeader {
        cluster_name: "c".to_owned(),
        applied_index: 7,
        ..BackupHeader::default()
    }
}

fn records(n: usize) -> Vec<SnapshotRecord> {
    let pool = |n: usize| {
        Entity::Pool(PoolRecord {
            name: "p".repeat(n * 37),
            ..PoolRecord::default()
        })
    };
    let first = [Entity::Header(SnapshotHeader::default())];
    let entities = first.into_iter().chain((1..n).map(pool));
    entities
        .map(|entity| SnapshotRecord {
            entity: Some(entity),
        })
        .collect()
}

fn file(records: &[SnapshotRecord]) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut bytes = writer.begin(header());
    for record in records {
        bytes.extend(writer.record(record));
    }
    bytes.extend(writer.end(99));
    assert_eq!(writer.bytes(), bytes.len() as u64);
    bytes
}

fn read(bytes: &[u8], step: usize) -> Result<(Vec<Part>, BackupSummary), MalformedBackup> {
    let mut reader = BackupReader::default();
    let mut parts = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        parts.extend(reader.push(chunk)?);
    }
    Ok((parts, reader.finish()?))
}

#[test]
fn what_was_written_is_read_however_it_is_cut() {
    let records = records(5);
    let bytes = file(&records);
    for step in [1, 7, 8, 100, bytes.len()] {
        let (parts, summary) = read(&bytes, step).unwrap();
        let wanted = records.iter().cloned().map(|r| Part::Record(Box::new(r)));
        let wanted: Vec<_> = [Part::Header(header())].into_iter().chain(wanted).collect();
        assert_eq!(parts, wanted, "{step}");
        assert_eq!(summary.header, header());
        assert_eq!(
            (summary.trailer.records, summary.trailer.state_hash),
            (5, 99)
        );
        assert_eq!(summary.bytes, bytes.len() as u64);
    }
}

#[test]
fn a_file_that_is_cut_off_is_no_backup() {
    let bytes = file(&records(3));
    for length in 0..bytes.len() {
        let error = read(&bytes[..length], 64).unwrap_err();
        let bytes = length as u64;
        assert_eq!(error, MalformedBackup::CutOff { bytes });
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    let mut bytes = file(&records(2));
    bytes.push(0);
    assert_eq!(
        read(&bytes, 10).unwrap_err(),
        MalformedBackup::Misplaced { frame: 4 }
    );
}

#[test]
fn a_length_is_not_taken_for_granted() {
    let mut bytes = file(&records(2));
    bytes[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read(&bytes, 10).unwrap_err();
    assert!(
        matches!(error, MalformedBackup::TooLong { frame: 0, .. }),
        "{error}"
    );
    assert_eq!(
        read(b"LIBRABK9....", 3).unwrap_err(),
        MalformedBackup::Magic
    );
}

#[test]
fn a_record_left_out_or_doubled_is_seen_at_the_end() {
    let all = records(3);
    let mut writer = Writer::default();
    let mut bytes = writer.begin(header());
    bytes.extend(writer.record(&all[0]));
    let doubled = writer.record(&all[1]);
    bytes.extend(&doubled);
    bytes.extend(&doubled);
    bytes.extend(writer.end(0));
    assert_eq!(read(&bytes, 99).unwrap_err(), MalformedBackup::Trailer);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_can_be_another(at in 0..10_000_usize, to in 1..=255_u8) {
        let mut bytes = file(&records(4));
        let at = at % bytes.len();
        bytes[at] ^= to;
        prop_assert!(read(&bytes, 50).is_err(), "byte {}", at);
    }

    #[test]
    fn any_bytes_are_taken_without_falling_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = BackupReader::default();
        let begun = reader.push(MAGIC).map(drop);
        prop_assert_eq!(begun, Ok(()));
        let _ = reader.push(&bytes);
        prop_assert!(reader.finish().is_err());
    }
}
