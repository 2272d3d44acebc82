//! The store as its callers see it.

use std::fs;

use libra_actors::ports::{ResultPart, ResultStorePort, ResultWriter, StoredProgress};
use libra_proto::types::{Epoch, JobId};

use super::names;
use super::tests::{Response, holder, responses};
use crate::results::ReadError;
use crate::results::testing::{EPOCH, JOB, UNLIMITED, store};

#[tokio::test]
async fn progress_is_what_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let mut writer = store.writer(JOB, EPOCH).await.unwrap();
    for (id, part) in responses(&[3, 1]) {
        writer.append(&id, part).await.unwrap();
    }
    assert_eq!(writer.stored(), &StoredProgress::default());
    writer.sync().await.unwrap();
    let stored = writer.stored().clone();
    assert_eq!(stored.last_response_id.as_deref(), Some("end"));
    assert_eq!((stored.rows, stored.bytes, stored.complete), (4, 21, true));
    let manifest = writer.seal().await.unwrap();
    assert_eq!(manifest.schema, b"schema");
    assert_eq!(manifest.holders, [holder()]);
    assert_eq!(writer.seal().await.unwrap(), manifest, "sealed again");
    drop(writer);
    let mut again = store.writer(JOB, EPOCH).await.unwrap();
    assert_eq!(again.stored(), &stored);
    assert_eq!(
        again.seal().await.unwrap(),
        manifest,
        "sealed by a later one"
    );
}

#[tokio::test]
async fn a_second_writer_waits_for_the_first_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let mut first = store.writer(JOB, EPOCH).await.unwrap();
    let second = tokio::spawn({
        let store = store.clone();
        async move { store.writer(JOB, EPOCH).await.map(|w| w.stored().rows) }
    });
    append_all(&mut *first, &responses(&[3, 1])).await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().unwrap(), 4);
}

async fn append_all(writer: &mut dyn ResultWriter, responses: &[Response]) {
    for (id, part) in responses {
        writer.append(id, part.clone()).await.unwrap();
    }
    writer.sync().await.unwrap();
}

#[tokio::test]
async fn lists_and_removes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let mut lengths = Vec::new();
    for (job, epoch) in [(1, 1), (1, 2), (257, 1)] {
        let mut writer = store.writer(JobId(job), Epoch(epoch)).await.unwrap();
        append_all(&mut *writer, &responses(&[3])).await;
        lengths.push((job, epoch, writer.seal().await.unwrap().file_length));
    }
    fs::write(store.dir().join("01").join("notes.txt"), "mine").unwrap();
    fs::write(store.dir().join("README"), "mine").unwrap();
    let mut listed: Vec<_> = store
        .list()
        .await
        .unwrap()
        .iter()
        .map(|stored| (stored.job.0, stored.epoch.0, stored.length))
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, lengths);
    let usage: u64 = lengths.iter().map(|(_, _, length)| length).sum();
    assert_eq!(store.usage_bytes().await.unwrap(), usage);
    assert_eq!(store.remove(JobId(1)).await.unwrap(), 2);
    assert_eq!(store.remove(JobId(1)).await.unwrap(), 0);
    assert_eq!(store.list().await.unwrap().len(), 1);
    assert!(store.dir().join("01").join("notes.txt").exists());
}

#[tokio::test]
async fn a_file_that_does_not_match_its_manifest_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path(), UNLIMITED).await;
    let mut writer = first.writer(JOB, EPOCH).await.unwrap();
    append_all(&mut *writer, &responses(&[3, 1])).await;
    let mut manifest = writer.seal().await.unwrap();
    manifest.schema.clear();
    assert!(first.reader(JOB, &manifest).await.is_ok());
    let absent = first.reader(JobId(99), &manifest).await.unwrap_err();
    assert!(matches!(absent, ReadError::NotHere { job: JobId(99), .. }));

    let path = names::path(first.dir(), JOB, EPOCH);
    let whole = fs::read(&path).unwrap();
    // Another store, so that nothing is remembered of the file.
    let second = store(dir.path(), UNLIMITED).await;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let refused = second.reader(JOB, &manifest).await.unwrap_err();
        let said = matches!(&refused, ReadError::Damaged { job: JOB, .. });
        assert!(said, "byte {at}: {refused}");
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let refused = second.reader(JOB, &manifest).await.unwrap_err();
    let length = whole.len();
    let expected = format!(
        "result file of job-7 is damaged: its length is {}, the manifest says {length}",
        length - 1
    );
    assert_eq!(refused.to_string(), expected);
    // A whole file of another writer: only the hash tells it apart.
    let mut other = responses(&[3, 1]);
    other[1].0 = "batch-9".to_owned();
    fs::remove_file(&path).unwrap();
    let mut writer = second.writer(JOB, EPOCH).await.unwrap();
    append_all(&mut *writer, &other).await;
    let refused = second.reader(JOB, &manifest).await.unwrap_err();
    assert!(refused.to_string().contains("its hash is"), "{refused}");
}

#[tokio::test]
async fn unsynced_bytes_are_bounded_and_become_durable_beside_the_appends() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let mut writer = store.writer(JOB, EPOCH).await.unwrap();
    let (mut appended, mut seen) = (0, 0);
    for number in 0..60 {
        let data = vec![0; 500 << 10];
        appended += data.len() as u64;
        let part = ResultPart::Batch {
            rows: 1,
            start_offset: Some(number),
            data: data.into(),
        };
        writer.append(&number.to_string(), part).await.unwrap();
        let stored = writer.stored();
        assert!(appended - stored.bytes <= 4 << 20, "{stored:?}");
        // What is said to be stored is there for whoever comes next.
        assert_eq!(stored.bytes, stored.rows * (500 << 10));
        seen += u64::from(stored.rows > 0);
    }
    assert!(seen > 0);
    let complete = ResultPart::Complete;
    writer.append("end", complete).await.unwrap();
    writer.sync().await.unwrap();
    assert_eq!(writer.stored().bytes, appended);
    assert!(writer.stored().complete);
    let manifest = writer.seal().await.unwrap();
    // Another store, so that nothing is remembered: length and hash are those of the file.
    let other = crate::results::testing::store(dir.path(), UNLIMITED).await;
    assert!(other.reader(JOB, &manifest).await.is_ok());
}
