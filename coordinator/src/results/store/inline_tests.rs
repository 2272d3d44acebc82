//! Results so small that the registry holds them, and those that turn out not to be.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use libra_actors::ports::{Copying, ResultPart, ResultStorePort, ResultWriter, StoreError};
use libra_proto::registry::ResultManifest;
use libra_proto::types::{Epoch, JobId, NodeId};

use super::names;
use super::tests::{Response, holder};
use super::{Limits, ResultStore, StoreOptions};
use crate::results::render::RenderOptions;
use crate::results::testing::{EPOCH, JOB, UNLIMITED, batch, columns, schema, store};
use crate::results::{ReadError, ReplicaBook};

/// A registry with room, or without.
#[derive(Clone, Default)]
struct Room(Arc<AtomicBool>);

impl Room {
    fn is(&self, there: bool) {
        self.0.store(there, Ordering::Relaxed);
    }
}

#[async_trait]
impl ReplicaBook for Room {
    async fn note(&self, job: JobId, _epoch: Epoch, nodes: Vec<NodeId>) {
        panic!("{job} has replicas {nodes:?}");
    }

    fn has_room(&self, _bytes: u64) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const INLINE: usize = 2_000;

async fn with_room(dir: &Path, limits: Limits) -> (ResultStore, Room) {
    let options = StoreOptions {
        dir: dir.join("results"),
        node_id: NodeId(1),
        store_uuid: "uuid".to_owned(),
        inline_bytes: INLINE,
        limits,
    };
    let (store, room) = (ResultStore::open(options).await.unwrap(), Room::default());
    room.is(true);
    store.note_replicas(Arc::new(room.clone()));
    (store, room)
}

/// Batches of so many rows, each some 700 bytes and more.
fn responses(batches: &[u64]) -> Vec<Response> {
    let mut parts = vec![schema(columns())];
    let mut first = 0;
    for rows in batches {
        parts.push(batch(first, *rows, None));
        first += rows;
    }
    parts.push(ResultPart::Complete);
    let numbered = parts.into_iter().enumerate();
    numbered
        .map(|(at, part)| (format!("r{at}"), part))
        .collect()
}

async fn open(store: &ResultStore, fresh: bool) -> Box<dyn ResultWriter> {
    let copying = Copying {
        fresh,
        ..Copying::default()
    };
    let opened = store.copying_writer(JOB, EPOCH, &copying).await;
    opened.unwrap()
}

async fn append(writer: &mut dyn ResultWriter, responses: &[Response]) {
    for (id, part) in responses {
        writer.append(id, part.clone()).await.unwrap();
    }
}

async fn sealed(store: &ResultStore, fresh: bool, responses: &[Response]) -> ResultManifest {
    let mut writer = open(store, fresh).await;
    append(&mut *writer, responses).await;
    writer.sync().await.unwrap();
    writer.seal().await.unwrap()
}

async fn files(store: &ResultStore) -> usize {
    store.list().await.unwrap().len()
}

#[tokio::test]
async fn a_small_result_is_no_file_and_read_everywhere() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (owner, _) = with_room(here.path(), UNLIMITED).await;
    let manifest = sealed(&owner, true, &responses(&[3])).await;
    assert_eq!((manifest.rows, manifest.batches, manifest.epoch), (3, 1, 3));
    assert_eq!(manifest.inline.len() as u64, manifest.file_length);
    assert_eq!((manifest.holders.len(), files(&owner).await), (0, 0));

    // The same bytes as a file would have.
    let other = store(there.path(), UNLIMITED).await;
    let of_a_file = sealed(&other, true, &responses(&[3])).await;
    let file = fs::read(names::path(other.dir(), JOB, EPOCH)).unwrap();
    assert_eq!(manifest.inline, file);
    assert_eq!(manifest.file_hash, of_a_file.file_hash);

    let fresh = tempfile::tempdir().unwrap();
    for reading in [&owner, &store(fresh.path(), UNLIMITED).await] {
        let reader = reading.reader(JOB, &manifest).await.unwrap();
        assert_eq!((reader.row_count(), reader.schema().len()), (3, 2));
        let page = reader.page(1, 2, RenderOptions::default()).await.unwrap();
        assert_eq!(page.rows.get(), r#"[[1,"row, \"1\""],[2,"row, \"2\""]]"#);
        assert_eq!(files(reading).await, 0);
    }
}

#[tokio::test]
async fn what_does_not_match_its_manifest_is_not_served() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (owner, _) = with_room(here.path(), UNLIMITED).await;
    let manifest = sealed(&owner, true, &responses(&[3])).await;
    // Another store: nothing is remembered of what was good.
    let other = store(there.path(), UNLIMITED).await;
    for at in 0..manifest.inline.len() {
        let mut bytes = manifest.inline.to_vec();
        bytes[at] ^= 1;
        let damaged = ResultManifest {
            inline: bytes.into(),
            ..manifest.clone()
        };
        let refused = other.reader(JOB, &damaged).await.unwrap_err();
        let said = matches!(&refused, ReadError::Damaged { job: JOB, .. });
        assert!(said, "byte {at}: {refused}");
    }
    let shorter = ResultManifest {
        inline: manifest.inline.slice(1..),
        ..manifest
    };
    let refused = other.reader(JOB, &shorter).await.unwrap_err();
    assert!(refused.to_string().contains("its length is"), "{refused}");
}

#[tokio::test]
async fn what_turns_out_too_long_becomes_a_file_with_all_of_it() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (owner, _) = with_room(dir.path(), UNLIMITED).await;
    let plain = store(other.path(), UNLIMITED).await;
    for batches in [vec![2, 2, 2], vec![1, 5_000], vec![40_000, 1]] {
        let manifest = sealed(&owner, true, &responses(&batches)).await;
        assert_eq!(manifest, sealed(&plain, true, &responses(&batches)).await);
        assert_eq!(manifest.holders, [holder()]);
        let path = |store: &ResultStore| names::path(store.dir(), JOB, EPOCH);
        assert_eq!(
            fs::read(path(&owner)).unwrap(),
            fs::read(path(&plain)).unwrap()
        );
        assert!(owner.reader(JOB, &manifest).await.is_ok());
        owner.remove(JOB).await.unwrap();
        plain.remove(JOB).await.unwrap();
    }
}

#[tokio::test]
async fn without_room_and_after_a_takeover_there_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (owner, room) = with_room(dir.path(), UNLIMITED).await;
    for (room_before, room_after, fresh) in [
        (false, false, true),
        (true, false, true),
        (true, true, false),
    ] {
        room.is(room_before);
        let mut writer = open(&owner, fresh).await;
        append(&mut *writer, &responses(&[3])).await;
        room.is(room_after);
        writer.sync().await.unwrap();
        assert!(writer.stored().complete);
        let manifest = writer.seal().await.unwrap();
        assert_eq!((manifest.inline.len(), files(&owner).await), (0, 1));
        assert_eq!(manifest.holders, [holder()]);
        drop(writer);
        owner.remove(JOB).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_said_to_be_stored_before_its_end_unless_it_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (owner, _) = with_room(dir.path(), UNLIMITED).await;
    let responses = responses(&[1, 1]);
    let mut writer = open(&owner, true).await;
    append(&mut *writer, &responses[..2]).await;
    assert!(!writer.stored().begun);
    assert_eq!(files(&owner).await, 0);
    let unfinished = writer.seal().await.unwrap_err();
    assert!(matches!(unfinished, StoreError::Damaged { .. }));
    // It is not whole, so somebody wants it durable now.
    writer.sync().await.unwrap();
    assert_eq!(writer.stored().last_response_id.as_deref(), Some("r1"));
    assert_eq!(files(&owner).await, 1);
}

#[tokio::test]
async fn what_is_kept_until_its_end_is_committed_is_found_by_the_next_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (owner, _) = with_room(dir.path(), UNLIMITED).await;
    let mut writer = open(&owner, true).await;
    append(&mut *writer, &responses(&[3])).await;
    writer.sync().await.unwrap();
    let manifest = writer.seal().await.unwrap();
    assert_eq!(
        (manifest.inline.is_empty(), files(&owner).await),
        (false, 0)
    );
    writer.keep().await.unwrap();
    drop(writer);
    let mut next = open(&owner, false).await;
    assert!(next.stored().complete);
    let of_the_file = next.seal().await.unwrap();
    assert_eq!(of_the_file.file_hash, manifest.file_hash);
    assert_eq!(of_the_file.holders, [holder()]);
}

/// Spark goes on with it, and whoever ends it has to know.
#[tokio::test]
async fn a_small_result_that_was_cut_is_a_file_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        max_rows: 2,
        ..UNLIMITED
    };
    let (owner, _) = with_room(dir.path(), limits).await;
    let mut writer = open(&owner, true).await;
    append(&mut *writer, &responses(&[3])[..2]).await;
    writer.sync().await.unwrap();
    assert!(writer.stored().truncated);
    let manifest = writer.seal().await.unwrap();
    assert!(manifest.truncated && manifest.inline.is_empty());
    assert_eq!((manifest.holders.len(), files(&owner).await), (1, 1));
}

#[tokio::test]
async fn a_writer_of_an_older_epoch_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (owner, _) = with_room(dir.path(), UNLIMITED).await;
    let mut writer = open(&owner, true).await;
    let responses = responses(&[3]);
    append(&mut *writer, &responses[..2]).await;
    assert!(owner.fence().raise(JOB, Epoch(EPOCH.0 + 1)));
    let (id, part) = &responses[2];
    let refused = writer.append(id, part.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Superseded { .. }));
    let refused = writer.seal().await.unwrap_err();
    assert!(matches!(refused, StoreError::Superseded { .. }));
}
