//! Copies of results over real connections, with nodes that die, freeze and come back.

use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use libra_actors::ports::{
    Copying, ResultPart, ResultStorePort, ResultWriter, StoreError, StoredProgress,
};
use libra_proto::peer::{AppendCopy, FileId};
use libra_proto::registry::ResultManifest;
use libra_proto::types::{Epoch, JobId, NodeId};

use super::ReplicaBook;
use crate::peer::testing::{PATIENT, TestNode, impatient_nodes, nodes, until};
use crate::results::store::names;
use crate::results::testing::{JOB, UNLIMITED, batch, columns, schema};

const ONE: Epoch = Epoch(1);
const TWO: Epoch = Epoch(2);
/// Rows of a batch of some 700 KB.
const LONG: u64 = 30_000;

type Response = (String, ResultPart);

fn responses(batches: u64, rows: u64) -> Vec<Response> {
    let mut parts = vec![schema(columns())];
    parts.extend((0..batches).map(|number| batch(number * rows, rows, None)));
    parts.push(ResultPart::Complete);
    let numbered = parts.into_iter().enumerate();
    numbered
        .map(|(at, part)| (format!("r{at}"), part))
        .collect()
}

fn on(nodes: &[u64], fresh: bool) -> Copying {
    Copying {
        place: None,
        nodes: nodes.iter().copied().map(NodeId).collect(),
        fresh,
    }
}

async fn open(node: &TestNode, epoch: Epoch, copying: &Copying) -> Box<dyn ResultWriter> {
    let opened = node.store.copying_writer(JOB, epoch, copying).await;
    opened.unwrap()
}

async fn append(writer: &mut dyn ResultWriter, responses: &[Response]) {
    for (id, part) in responses {
        writer.append(id, part.clone()).await.unwrap();
    }
}

fn bytes(node: &TestNode, epoch: Epoch) -> Vec<u8> {
    fs::read(names::path(node.store.dir(), JOB, epoch)).unwrap_or_default()
}

fn holders(manifest: &ResultManifest) -> Vec<u64> {
    manifest
        .holders
        .iter()
        .map(|holder| holder.node_id)
        .collect()
}

fn file_id(manifest: &ResultManifest) -> FileId {
    crate::results::read::file_id(JOB, manifest)
}

/// What an undisturbed writer makes of these responses: all but the header, which names the epoch.
async fn undisturbed(responses: &[Response]) -> Vec<u8> {
    let (_, alone) = nodes(1, UNLIMITED).await;
    let mut writer = open(&alone[0], ONE, &on(&[], true)).await;
    append(&mut *writer, responses).await;
    writer.seal().await.unwrap();
    bytes(&alone[0], ONE).split_off(32)
}

#[tokio::test]
async fn copies_are_the_same_and_listed() {
    for (batches, rows) in [(1, 3), (20, LONG)] {
        let (_, nodes) = nodes(3, UNLIMITED).await;
        let mut writer = open(&nodes[0], ONE, &on(&[1, 2, 3], true)).await;
        append(&mut *writer, &responses(batches, rows)).await;
        writer.sync().await.unwrap();
        let manifest = writer.seal().await.unwrap();
        assert_eq!(holders(&manifest), [1, 2, 3]);
        let here = bytes(&nodes[0], ONE);
        assert_eq!(here.len() as u64, manifest.file_length);
        for node in &nodes[1..] {
            assert!(bytes(node, ONE) == here);
            assert!(node.store.reader(JOB, &manifest).await.is_ok());
        }
    }
}

#[tokio::test]
async fn the_owner_is_never_far_ahead_of_a_copy() {
    let (_, nodes) = nodes(2, UNLIMITED).await;
    let mut writer = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
    for (id, part) in responses(40, LONG) {
        writer.append(&id, part).await.unwrap();
        let (here, there) = (bytes(&nodes[0], ONE).len(), bytes(&nodes[1], ONE).len());
        assert!(here <= there + (4 << 20) + (64 << 10), "{here} and {there}");
    }
    assert_eq!(holders(&writer.seal().await.unwrap()), [1, 2]);
}

/// A registry that takes notes.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Vec<u64>>>>);

#[async_trait]
impl ReplicaBook for Notes {
    async fn note(&self, job: JobId, epoch: Epoch, nodes: Vec<NodeId>) {
        assert_eq!((job, epoch), (JOB, ONE));
        let nodes = nodes.into_iter().map(|node| node.0).collect();
        self.0.lock().unwrap().push(nodes);
    }

    fn has_room(&self, _bytes: u64) -> bool {
        false
    }
}

#[tokio::test]
async fn a_copy_that_dies_in_the_middle_is_replaced_or_done_without() {
    let responses = responses(30, LONG);
    for substitute in [false, true] {
        let (directory, nodes) = nodes(3, UNLIMITED).await;
        if !substitute {
            directory.remove(3);
        }
        let notes = Notes::default();
        nodes[0].store.note_replicas(Arc::new(notes.clone()));
        let mut writer = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
        append(&mut *writer, &responses[..10]).await;
        nodes[1].link.kill();
        append(&mut *writer, &responses[10..]).await;
        let manifest = writer.seal().await.unwrap();
        let expected: &[u64] = if substitute { &[1, 3] } else { &[1] };
        assert_eq!(holders(&manifest), expected);
        until("noted", || !notes.0.lock().unwrap().is_empty()).await;
        assert_eq!(*notes.0.lock().unwrap(), [expected]);
        if substitute {
            assert!(bytes(&nodes[2], ONE) == bytes(&nodes[0], ONE));
        }
    }
}

#[tokio::test]
async fn a_copy_that_is_too_slow_holds_nobody_up() {
    let (_, nodes) = impatient_nodes(3, UNLIMITED).await;
    let responses = responses(20, LONG);
    let mut writer = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
    append(&mut *writer, &responses[..5]).await;
    writer.sync().await.unwrap();
    nodes[1].link.freeze(true);
    let begun = Instant::now();
    append(&mut *writer, &responses[5..]).await;
    let manifest = writer.seal().await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(holders(&manifest), [1, 3]);

    // Two that were never there at all, at the end of a small result.
    nodes[2].link.freeze(true);
    let copying = on(&[1, 2, 3], true);
    let mut writer = nodes[0]
        .store
        .copying_writer(JobId(8), ONE, &copying)
        .await
        .unwrap();
    append(&mut *writer, &self::responses(1, 3)).await;
    let begun = Instant::now();
    let manifest = writer.seal().await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(holders(&manifest), [1]);
}

/// It is alive when the end begins, and is found out by the end's own wait.
#[tokio::test]
async fn a_copy_that_is_lost_at_the_end_is_replaced_in_time() {
    let (_, nodes) = impatient_nodes(3, UNLIMITED).await;
    let mut writer = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
    let responses = responses(1, 3);
    append(&mut *writer, &responses[..2]).await;
    writer.sync().await.unwrap();
    nodes[1].link.freeze(true);
    append(&mut *writer, &responses[2..]).await;
    let manifest = writer.seal().await.unwrap();
    assert_eq!(holders(&manifest), [1, 3]);
    assert!(bytes(&nodes[2], ONE) == bytes(&nodes[0], ONE));
}

#[tokio::test]
async fn a_writer_of_an_older_epoch_is_refused_everywhere() {
    let (_, nodes) = nodes(3, UNLIMITED).await;
    let responses = responses(10, LONG);
    let mut old = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
    append(&mut *old, &responses[..4]).await;
    old.sync().await.unwrap();
    let before = bytes(&nodes[1], ONE);
    let mut new = open(&nodes[1], TWO, &on(&[2, 3], false)).await;
    assert_eq!(new.stored().rows, 3 * LONG);
    // The old one learns it from the node that holds its copy.
    let mut refused = None;
    for (id, part) in &responses[4..] {
        refused = refused.or(old.append(id, part.clone()).await.err());
    }
    let refused = refused.or(old.seal().await.err());
    assert!(
        matches!(
            refused,
            Some(StoreError::Superseded {
                job: JOB,
                epoch: ONE
            })
        ),
        "{refused:?}"
    );
    assert!(bytes(&nodes[1], ONE) == before, "nothing late was taken");
    let again = nodes[0]
        .store
        .copying_writer(JOB, ONE, &on(&[1, 2], false))
        .await;
    assert!(matches!(again.err(), Some(StoreError::Superseded { .. })));
    append(&mut *new, &responses[4..]).await;
    assert_eq!(holders(&new.seal().await.unwrap()), [2, 3]);

    // Nor does a node take it that only has the file of the newer one, as after a restart.
    nodes[2].store.fence().forget(JOB);
    let late = nodes[2].store.receive(JOB, ONE).await;
    assert!(matches!(
        late.err(),
        Some(super::ReceiveError::Superseded { .. })
    ));
}

#[tokio::test]
async fn bytes_are_taken_only_where_they_belong() {
    let (_, nodes) = nodes(2, UNLIMITED).await;
    let mut writer = open(&nodes[0], ONE, &on(&[1], true)).await;
    append(&mut *writer, &responses(3, 100)).await;
    writer.seal().await.unwrap();
    let whole = bytes(&nodes[0], ONE);
    let (mut copy, place) = nodes[1].store.receive(JOB, ONE).await.unwrap();
    assert_eq!(place.length, 0);
    let hash = |end: usize| xxhash_rust::xxh3::xxh3_64(&whole[..end]);
    let part = |from: usize, to: usize, hash: u64| AppendCopy {
        offset: from as u64,
        hash,
        data: whole[from..to].to_vec().into(),
        flush: true,
        restart: false,
    };
    let place = copy.append(part(0, 80, hash(0))).await.unwrap().unwrap();
    assert_eq!(place.length, 32, "the header is whole, the record is not");
    assert!(copy.append(part(81, 110, hash(81))).await.is_err(), "a gap");
    drop(copy);
    let (mut copy, place) = nodes[1].store.receive(JOB, ONE).await.unwrap();
    assert_eq!(
        (place.length, place.hash),
        (32, hash(32)),
        "what is not whole is cut away"
    );
    let refused = copy.append(part(32, 110, hash(31))).await;
    assert!(refused.is_err(), "behind other bytes");
    assert!(
        copy.append(part(32, 110, hash(32))).await.is_err(),
        "after a refusal"
    );
    drop(copy);
    let (mut copy, _) = nodes[1].store.receive(JOB, ONE).await.unwrap();
    let place = copy
        .append(part(32, whole.len(), hash(32)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (place.length, place.hash),
        (whole.len() as u64, hash(whole.len()))
    );
    drop(copy);
    assert!(bytes(&nodes[1], ONE) == whole);
    // A file of another epoch does not begin a copy.
    let (mut copy, _) = nodes[1].store.receive(JOB, TWO).await.unwrap();
    assert!(copy.append(part(0, 100, hash(0))).await.is_err());
}

#[tokio::test]
async fn an_owner_that_dies_anywhere_is_gone_on_with() {
    let responses = responses(4, LONG / 4);
    let whole = undisturbed(&responses).await;
    for died_after in 0..=responses.len() {
        for synced in [false, true] {
            let (directory, mut nodes) = nodes(3, UNLIMITED).await;
            let mut writer = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
            append(&mut *writer, &responses[..died_after]).await;
            if synced {
                writer.sync().await.unwrap();
            }
            drop(writer);
            let left = nodes.remove(0).die();
            // The third node becomes the owner; it holds nothing itself.
            let mut writer = open(&nodes[1], TWO, &on(&[3, 2], false)).await;
            let stored = writer.stored().clone();
            if synced {
                let last = (died_after > 1).then(|| format!("r{}", died_after - 1));
                assert_eq!(stored.last_response_id, last, "what was durable there");
            }
            let from = stored.last_response_id.map_or(0, |last| {
                1 + responses.iter().position(|(id, _)| *id == last).unwrap()
            });
            append(&mut *writer, &responses[from..]).await;
            let manifest = writer.seal().await.unwrap();
            assert_eq!(holders(&manifest), [3, 2], "{died_after}");
            for node in &nodes {
                assert!(bytes(node, TWO)[32..] == whole, "died after {died_after}");
            }
            // The first one comes back, and fetches what it missed.
            let back = TestNode::start_in(&directory, 1, UNLIMITED, left, PATIENT).await;
            let holder = back
                .store
                .copy_result(JOB, &manifest, NodeId(2))
                .await
                .unwrap();
            assert_eq!(holder.node_id, 1);
            assert!(bytes(&back, TWO)[32..] == whole);
            assert!(back.store.remove_other_epochs(JOB, TWO).await.unwrap() <= 1);
            assert!(back.store.reader(JOB, &manifest).await.is_ok());
        }
    }
}

#[tokio::test]
async fn the_longest_copy_is_gone_on_with_whatever_its_epoch() {
    let responses = responses(8, LONG / 4);
    let whole = undisturbed(&responses).await;
    let (_, nodes) = nodes(3, UNLIMITED).await;
    let mut first = open(&nodes[0], ONE, &on(&[1], true)).await;
    append(&mut *first, &responses[..6]).await;
    first.sync().await.unwrap();
    drop(first);
    let mut second = open(&nodes[1], TWO, &on(&[2], true)).await;
    append(&mut *second, &responses[..3]).await;
    second.sync().await.unwrap();
    drop(second);
    let mut third = open(&nodes[1], Epoch(3), &on(&[2, 1, 3], false)).await;
    assert_eq!(third.stored().last_response_id.as_deref(), Some("r5"));
    append(&mut *third, &responses).await;
    let manifest = third.seal().await.unwrap();
    assert_eq!(holders(&manifest), [2, 1, 3]);
    assert!(bytes(&nodes[0], Epoch(3))[32..] == whole);
    // Opened once more in the same epoch, as after a restart, nothing is fetched or lost.
    drop(third);
    let mut again = open(&nodes[1], Epoch(3), &on(&[2, 1, 3], false)).await;
    assert!(again.stored().complete);
    let sealed = again.seal().await.unwrap();
    assert_eq!(holders(&sealed), [2, 1, 3]);
    assert_eq!(sealed.file_hash, manifest.file_hash);
}

#[tokio::test]
async fn that_nothing_is_stored_is_believed_only_of_those_who_say_so() {
    let (_, nodes) = nodes(3, UNLIMITED).await;
    let writer = open(&nodes[0], ONE, &on(&[1, 2, 3], false)).await;
    assert_eq!(
        writer.stored(),
        &StoredProgress::default(),
        "all say that they have nothing"
    );
    drop(writer);
    nodes[1].link.freeze(true);
    let begun = Instant::now();
    let mut writer = open(&nodes[0], TWO, &on(&[1, 2, 3], false)).await;
    let waited = begun.elapsed();
    assert!(
        waited > Duration::from_secs(4) && waited < Duration::from_secs(7),
        "{waited:?}"
    );
    let perhaps = StoredProgress {
        perhaps_begun: true,
        ..StoredProgress::default()
    };
    assert_eq!(writer.stored(), &perhaps, "node 2 may have something");
    // Spark had it all: then it does not matter any more.
    append(&mut *writer, &responses(2, 10)).await;
    writer.sync().await.unwrap();
    assert!(writer.stored().complete && !writer.stored().perhaps_begun);
    drop(writer);
    for node in &nodes {
        node.store.remove(JOB).await.unwrap();
    }

    // Something is here: then the frozen one is not waited for that long.
    let mut writer = open(&nodes[2], Epoch(3), &on(&[3], true)).await;
    append(&mut *writer, &responses(2, 10)[..2]).await;
    writer.sync().await.unwrap();
    drop(writer);
    let begun = Instant::now();
    let writer = open(&nodes[0], Epoch(4), &on(&[1, 2, 3], false)).await;
    assert_eq!(writer.stored().rows, 10);
    assert!(!writer.stored().perhaps_begun);
    assert!(
        begun.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        begun.elapsed()
    );
    drop(writer);

    // And one that comes back in time is heard.
    let copying = on(&[1, 2], false);
    let opening = nodes[0].store.copying_writer(JobId(9), TWO, &copying);
    let (opened, ()) = tokio::join!(opening, async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        nodes[1].link.freeze(false);
    });
    assert_eq!(opened.unwrap().stored(), &StoredProgress::default());
}

/// It says what it has, and then nothing more comes from it.
#[tokio::test]
async fn a_copy_that_is_found_and_cannot_be_had_is_perhaps_all_there_is() {
    let (_, nodes) = nodes(2, UNLIMITED).await;
    let mut writer = open(&nodes[1], ONE, &on(&[2], true)).await;
    append(&mut *writer, &responses(1, LONG)[..2]).await;
    writer.sync().await.unwrap();
    drop(writer);
    // Enough for the answer that it has one, too little for the copy.
    nodes[1].link.die_after(16 << 10);
    let writer = open(&nodes[0], TWO, &on(&[1, 2], false)).await;
    assert!(nodes[1].link.is_dead());
    let stored = writer.stored();
    assert_eq!((stored.begun, stored.perhaps_begun), (false, true));
}

/// To begin anew would ask Spark for what it may not have any more, and another node may have room.
#[tokio::test]
async fn a_copy_that_this_disk_has_no_room_for_is_not_done_without() {
    let (_, nodes) = nodes(2, UNLIMITED).await;
    let mut writer = open(&nodes[1], ONE, &on(&[2], true)).await;
    append(&mut *writer, &responses(1, LONG)[..2]).await;
    writer.sync().await.unwrap();
    drop(writer);
    let part = names::part(&names::path(nodes[0].store.dir(), JOB, TWO));
    std::os::unix::fs::symlink("/dev/full", part).unwrap();
    let store = &nodes[0].store;
    let refused = store.copying_writer(JOB, TWO, &on(&[1, 2], false)).await;
    assert!(matches!(refused.err(), Some(StoreError::Io { .. })));
}

#[tokio::test]
async fn one_more_node_becomes_a_holder() {
    let (_, nodes) = nodes(3, UNLIMITED).await;
    let mut writer = open(&nodes[0], ONE, &on(&[1], true)).await;
    append(&mut *writer, &responses(10, LONG)).await;
    let manifest = writer.seal().await.unwrap();
    let limit = Duration::from_secs(5);
    let file = file_id(&manifest);
    // The leader asks node 2 to fetch it from node 1; doing so twice is fine.
    for _ in 0..2 {
        let copying = nodes[2]
            .peers
            .copy_result(NodeId(2), limit, file, NodeId(1));
        assert_eq!(copying.await.unwrap(), "uuid-2");
        assert!(bytes(&nodes[1], ONE) == bytes(&nodes[0], ONE));
        nodes[0].link.kill();
    }
    let mut damaged = bytes(&nodes[1], ONE);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(names::path(nodes[1].store.dir(), JOB, ONE), damaged).unwrap();
    // A damaged copy is not passed on, and nothing is left of the attempt.
    let mut other = manifest.clone();
    other.file_hash ^= 1;
    assert!(
        nodes[2]
            .store
            .copy_result(JOB, &other, NodeId(2))
            .await
            .is_err()
    );
    assert!(bytes(&nodes[2], ONE).is_empty());
    assert!(nodes[2].store.list().await.unwrap().is_empty());
}

/// The end names a copy that is not there.
#[cfg(feature = "safety-switches")]
#[tokio::test]
async fn without_copies_before_the_end_a_holder_may_have_nothing() {
    use libra_proto::safety::{Safety, take_off};

    take_off(&[Safety::CopiesBeforeEnd]);
    let (_, nodes) = nodes(2, UNLIMITED).await;
    nodes[1].link.freeze(true);
    let mut writer = open(&nodes[0], ONE, &on(&[1, 2], true)).await;
    append(&mut *writer, &responses(1, 3)).await;
    let manifest = writer.seal().await.unwrap();
    drop(writer);
    assert_eq!(holders(&manifest), [1, 2]);
    assert!(bytes(&nodes[1], ONE).is_empty());
}
