//! A result file whose writer was killed at any byte goes on to the very same bytes; what is not
//! what was written is found out.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use libra_actors::ports::{Appended, ResultPart, StoreError};
use libra_proto::registry::Holder;
use libra_proto::types::{Epoch, JobId};
use proptest::prelude::*;

use super::Limits;
use super::file::{Open, ResultFile, Target};
use super::format::HEADER_LEN;
use crate::results::testing::{EPOCH, JOB, UNLIMITED};

pub(super) type Response = (String, ResultPart);

fn target(dir: &Path, limits: Limits) -> Target {
    Target {
        path: dir.join("xx").join("file"),
        job: JOB,
        epoch: EPOCH,
        limits,
        inline_most: 0,
        pages: Arc::default(),
    }
}

fn open(target: &Target) -> Box<ResultFile> {
    match ResultFile::open(target.clone()).unwrap() {
        Open::Ready(file) => file,
        Open::Busy => panic!("busy"),
    }
}

pub(super) fn holder() -> Holder {
    Holder {
        node_id: 1,
        store_uuid: "uuid".to_owned(),
    }
}

/// A result of batches with these rows, each of some bytes; the last response is its end.
pub(super) fn responses(batches: &[u64]) -> Vec<Response> {
    let mut start = 0;
    let schema = ResultPart::Schema(Bytes::from_static(b"schema"));
    let mut responses = vec![("schema".to_owned(), schema)];
    for (number, rows) in batches.iter().enumerate() {
        let data = vec![u8::try_from(number).unwrap(); 10 + number];
        let part = ResultPart::Batch {
            rows: *rows,
            start_offset: Some(start),
            data: data.into(),
        };
        responses.push((format!("batch-{number}"), part));
        start += rows;
    }
    responses.push(("end".to_owned(), ResultPart::Complete));
    responses
}

fn append(file: &mut ResultFile, responses: &[Response]) -> Result<Appended, StoreError> {
    let mut last = Appended::More;
    for (id, part) in responses {
        last = file.append(id, part)?;
    }
    Ok(last)
}

/// Writes a whole result undisturbed and gives its bytes.
fn reference(target: &Target, responses: &[Response]) -> Vec<u8> {
    let mut file = open(target);
    append(&mut file, responses).unwrap();
    file.seal(holder()).unwrap();
    fs::read(&target.path).unwrap()
}

/// Opens a file as a crash left it, goes on after its last response, or from the first one, and
/// checks that the bytes are those of an undisturbed writer.
fn continue_from(target: &Target, left: &[u8], responses: &[Response], whole: &[u8]) {
    for from_start in [false, true] {
        fs::write(&target.path, left).unwrap();
        let mut file = open(target);
        let stored = file.progress();
        assert!(file.is_synced() || stored == Default::default());
        let last = stored.last_response_id.as_ref();
        let after = last.map_or(0, |last| {
            1 + responses.iter().position(|(id, _)| id == last).unwrap()
        });
        append(&mut file, &responses[if from_start { 0 } else { after }..]).unwrap();
        let manifest = file.seal(holder()).unwrap();
        assert!(fs::read(&target.path).unwrap() == whole, "{}", left.len());
        assert_eq!(manifest.file_length, whole.len() as u64);
        assert_eq!(manifest.file_hash, xxhash_rust::xxh3::xxh3_64(whole));
    }
}

#[test]
fn killed_at_any_byte_it_goes_on_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path(), UNLIMITED);
    let responses = responses(&[3, 0, 1, 5]);
    let whole = reference(&target, &responses);
    for length in 0..=whole.len() {
        continue_from(&target, &whole[..length], &responses, &whole);
    }
}

#[test]
fn a_result_cut_at_a_limit_goes_on_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for (limits, rows) in [
        ((7, u64::MAX), 7),
        ((4, u64::MAX), 4),
        ((u64::MAX, 33), 4),
        ((u64::MAX, 5), 0),
        ((0, u64::MAX), 0),
    ] {
        let limits = Limits {
            max_rows: limits.0,
            max_bytes: limits.1,
        };
        let target = target(dir.path(), limits);
        let responses = responses(&[3, 0, 1, 5, 2]);
        let _ = fs::remove_file(&target.path);
        let whole = reference(&target, &responses);
        for length in (0..=whole.len()).step_by(5) {
            continue_from(&target, &whole[..length], &responses, &whole);
        }
        let mut file = open(&target);
        assert!(file.progress().truncated && !file.progress().complete);
        assert_eq!(append(&mut file, &responses).unwrap(), Appended::CutHere);
        let manifest = file.seal(holder()).unwrap();
        assert!(manifest.truncated, "{limits:?}");
        assert_eq!(manifest.rows, rows, "{limits:?}");
    }
}

#[test]
fn exactly_at_the_limits_nothing_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        max_rows: 8,
        max_bytes: 10 + 11,
    };
    let mut file = open(&target(dir.path(), limits));
    let last = append(&mut file, &responses(&[3, 5])).unwrap();
    assert_eq!(last, Appended::More);
    let manifest = file.seal(holder()).unwrap();
    assert!(!manifest.truncated);
    assert_eq!(
        (manifest.rows, manifest.bytes, manifest.batches),
        (8, 21, 2)
    );
}

#[test]
fn any_flipped_bit_is_found_out_and_the_tail_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path(), UNLIMITED);
    let responses = responses(&[3, 1]);
    let whole = reference(&target, &responses);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        continue_from(&target, &damaged, &responses, &whole);
    }
}

#[test]
fn bytes_behind_the_last_whole_record_are_cut_away() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path(), UNLIMITED);
    let responses = responses(&[3, 1]);
    let whole = reference(&target, &responses);
    for length in [0, 20, HEADER_LEN as usize, whole.len() - 1, whole.len()] {
        let left = [&whole[..length], &[7; 1000]].concat();
        continue_from(&target, &left, &responses, &whole);
    }
}

#[test]
fn damage_that_is_no_unfinished_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path(), UNLIMITED);
    let mut responses = responses(&[3]);
    let big = ResultPart::Batch {
        rows: 1,
        start_offset: Some(3),
        data: vec![1; 11 << 20].into(),
    };
    responses.insert(2, ("big".to_owned(), big));
    let mut whole = reference(&target, &responses);
    whole[HEADER_LEN as usize + 9] ^= 1;
    fs::write(&target.path, &whole).unwrap();
    let Err(StoreError::Damaged { job, cause }) = ResultFile::open(target.clone()) else {
        panic!("a long damaged file was taken");
    };
    assert_eq!(job, JOB);
    assert!(cause.starts_with("the record at byte 32 "), "{cause}");
    assert_eq!(fs::read(&target.path).unwrap(), whole, "left as it was");
}

#[test]
fn a_file_of_another_job_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mine = target(dir.path(), UNLIMITED);
    let whole = reference(&mine, &responses(&[3]));
    for (job, epoch) in [(JobId(8), EPOCH), (JOB, Epoch(4))] {
        let other = Target {
            job,
            epoch,
            ..mine.clone()
        };
        assert!(matches!(
            ResultFile::open(other),
            Err(StoreError::Damaged { .. })
        ));
    }
    assert_eq!(fs::read(&mine.path).unwrap(), whole);
}

#[test]
fn what_cannot_follow_is_refused_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path(), UNLIMITED);
    let mut file = open(&target);
    append(&mut file, &responses(&[3])[..2]).unwrap();
    let before = fs::read(&target.path).unwrap();
    let gap = ResultPart::Batch {
        rows: 2,
        start_offset: Some(4),
        data: Bytes::new(),
    };
    let refused = file.append("gap", &gap).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "result file of job-7 is damaged: Spark sent rows 4 to 6 when 3 rows were stored"
    );
    let endless = file.seal(holder()).unwrap_err();
    assert!(matches!(endless, StoreError::Damaged { .. }));
    assert_eq!(fs::read(&target.path).unwrap(), before);
}

#[test]
fn a_full_disk_is_said() {
    let target = Target {
        path: "/dev/full".into(),
        job: JOB,
        epoch: EPOCH,
        limits: UNLIMITED,
        inline_most: 0,
        pages: Arc::default(),
    };
    let mut file = open(&target);
    let Err(StoreError::Io { job, cause }) = file.sync() else {
        panic!("a full disk took a header");
    };
    assert_eq!(job, JOB);
    assert!(cause.contains("No space left"), "{cause}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_results_survive_random_crashes(
        batches in prop::collection::vec(0_u64..9, 0..12),
        max_rows in 0_u64..60,
        crashes in prop::collection::vec(0.0_f64..1.0, 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits { max_rows, max_bytes: u64::MAX };
        let target = target(dir.path(), limits);
        let responses = responses(&batches);
        let whole = reference(&target, &responses);
        for crash in crashes {
            let length = (crash * whole.len() as f64) as usize;
            continue_from(&target, &whole[..length], &responses, &whole);
        }
    }
}
