//! Results read on another node, and live signs shown there, over real connections.

use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use libra_actors::ports::{LiveBoard, ResultPart, ResultStorePort};
use libra_proto::registry::{Holder, ResultManifest};
use libra_proto::types::{Epoch, JobId, NodeId};

use super::relay;
use super::testing::{TestNode, nodes, until};
use crate::live::LiveSigns;
use crate::results::testing::{EPOCH, JOB, UNLIMITED, batch, columns, schema, stored};
use crate::results::{ReadError, RenderOptions, ResultReader};

const BATCHES: u64 = 30;
const ROWS: u64 = 5_000;

fn parts(batches: u64, rows: u64) -> Vec<ResultPart> {
    let mut parts = vec![schema(columns())];
    parts.extend((0..batches).map(|number| batch(number * rows, rows, None)));
    parts
}

fn holder(node: &TestNode) -> Holder {
    Holder {
        node_id: node.id.0,
        store_uuid: format!("uuid-{}", node.id),
    }
}

/// Stores the same result on each of these nodes.
async fn on_each(nodes: &[&TestNode], batches: u64, rows: u64) -> ResultManifest {
    let mut manifest = ResultManifest::default();
    for node in nodes {
        manifest = stored(&node.store, parts(batches, rows)).await;
    }
    manifest.holders = nodes.iter().map(|node| holder(node)).collect();
    manifest
}

async fn arrow(reader: &ResultReader) -> Bytes {
    let chunks: Vec<Bytes> = reader.arrow_stream().try_collect().await.unwrap();
    chunks.concat().into()
}

/// Everything that can be asked of a result.
async fn everything(reader: &ResultReader) -> Vec<Bytes> {
    let rows = reader.row_count();
    let mut all = vec![arrow(reader).await];
    for (offset, limit) in [
        (0, None),
        (rows / 2, Some(7)),
        (rows - 1, None),
        (rows, None),
    ] {
        let chunks: Vec<Bytes> = reader
            .csv_stream(offset, limit)
            .try_collect()
            .await
            .unwrap();
        all.push(chunks.concat().into());
        let limit = limit.unwrap_or(100);
        let page = reader.page(offset, limit, RenderOptions::default()).await;
        let page = page.unwrap();
        let place = format!("{} {} {:?}", page.offset, page.page_rows, page.next);
        all.extend([place.into(), page.rows.get().to_owned().into()]);
    }
    all
}

fn file(node: &TestNode) -> std::path::PathBuf {
    let name = format!("{JOB}-epoch-{EPOCH}.result");
    node.store.dir().join("07").join(name)
}

#[tokio::test]
async fn what_is_read_on_another_node_is_the_same() {
    for (batches, rows) in [(1, 3), (BATCHES, ROWS)] {
        let (_, nodes) = nodes(2, UNLIMITED).await;
        let manifest = on_each(&[&nodes[0]], batches, rows).await;
        let here = nodes[0].store.reader(JOB, &manifest).await.unwrap();
        let here = everything(&here).await;
        // The second time the places of the batches are remembered, or all of it.
        for _ in 0..2 {
            let there = nodes[1].store.reader(JOB, &manifest).await.unwrap();
            assert!(here == everything(&there).await, "{batches} batches");
        }
        if batches == 1 {
            nodes[0].link.kill();
            let there = nodes[1].store.reader(JOB, &manifest).await.unwrap();
            assert!(
                here == everything(&there).await,
                "a small one is remembered"
            );
        }
    }
}

#[tokio::test]
async fn another_holder_goes_on_when_one_dies_in_the_middle() {
    let (_, nodes) = nodes(3, UNLIMITED).await;
    let manifest = on_each(&[&nodes[0], &nodes[1]], BATCHES, ROWS).await;
    let here = nodes[1].store.reader(JOB, &manifest).await.unwrap();
    let reader = nodes[2].store.reader(JOB, &manifest).await.unwrap();
    nodes[0].link.die_after(manifest.file_length / 2);
    assert!(arrow(&reader).await == arrow(&here).await);
    assert!(nodes[0].link.is_dead(), "it died while it was read from");
    assert!(nodes[1].link.sent() >= manifest.file_length / 3);
    // A frozen one is found out by time, and the stream goes on where it was.
    let manifest = on_each(&[&nodes[1], &nodes[0]], BATCHES, ROWS).await;
    nodes[0].link.break_off().await;
    nodes[0].link.die_after(u64::MAX / 2);
    let reader = nodes[2].store.reader(JOB, &manifest).await.unwrap();
    let mut stream = Box::pin(reader.arrow_stream());
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    nodes[1].link.freeze(true);
    while let Some(chunk) = stream.next().await {
        read.extend_from_slice(&chunk.unwrap());
    }
    assert!(arrow(&here).await == read);
}

/// Whose packets vanish would cost its limit with every page.
#[tokio::test]
async fn a_holder_that_is_down_is_not_asked_before_the_others() {
    for (batches, rows) in [(1, 3), (BATCHES, ROWS)] {
        let (directory, nodes) = nodes(3, UNLIMITED).await;
        let manifest = on_each(&[&nodes[0], &nodes[1]], batches, rows).await;
        nodes[0].link.freeze(true);
        directory.set_down(1);
        let here = nodes[1].store.reader(JOB, &manifest).await.unwrap();
        let there = nodes[2].store.reader(JOB, &manifest).await.unwrap();
        assert!(arrow(&there).await == arrow(&here).await);
        assert_eq!(nodes[0].link.accepted(), 0);
        // It is the last resort all the same; a small result is remembered.
        nodes[0].link.freeze(false);
        nodes[1].link.kill();
        let there = nodes[2].store.reader(JOB, &manifest).await.unwrap();
        assert!(arrow(&there).await == arrow(&here).await);
        assert_eq!(nodes[0].link.accepted() > 0, batches > 1);
    }
}

#[tokio::test]
async fn a_damaged_copy_is_refused_and_the_whole_one_read() {
    let (_, nodes) = nodes(3, UNLIMITED).await;
    let manifest = on_each(&[&nodes[0], &nodes[1]], BATCHES, ROWS).await;
    let here = nodes[1].store.reader(JOB, &manifest).await.unwrap();
    let expected = arrow(&here).await;
    let mut damaged = fs::read(file(&nodes[0])).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(file(&nodes[0]), &damaged).unwrap();
    let reader = nodes[2].store.reader(JOB, &manifest).await.unwrap();
    // The holder remembers the file as whole, so that the reader has to find out.
    assert!(arrow(&reader).await == expected);
    assert!(nodes[1].link.sent() > 100_000, "it turned away");
    // And on a holder that has read it not yet.
    let (_, others) = self::nodes(3, UNLIMITED).await;
    let mut manifest = on_each(&[&others[1]], BATCHES, ROWS).await;
    manifest.holders.insert(0, holder(&others[0]));
    fs::write(file(&others[0]), &damaged).unwrap();
    let reader = others[2].store.reader(JOB, &manifest).await.unwrap();
    assert!(arrow(&reader).await == expected);
    assert!(others[0].link.sent() < 10_000, "nothing of it was sent");
    // Also when it is the copy of the node that is asked.
    let reader = others[0].store.reader(JOB, &manifest).await.unwrap();
    assert!(arrow(&reader).await == expected);
}

#[tokio::test]
async fn what_nobody_gives_is_said_in_time() {
    let (directory, nodes) = nodes(3, UNLIMITED).await;
    let mut manifest = on_each(&[&nodes[0]], 1, 3).await;
    let asked = Instant::now();
    manifest.holders = vec![holder(&nodes[1])];
    let error = nodes[2].store.reader(JOB, &manifest).await.unwrap_err();
    let told = "the result of job-7 is not stored here; node 2: the result of job-7 is not stored \
                here (NotFound)";
    assert_eq!(
        error.to_string(),
        told.replace("node 2", &format!("node {}", nodes[1].id))
    );
    assert!(matches!(error, ReadError::NotHere { .. }));
    // One that is wiped is no holder any more.
    manifest.holders[0] = holder(&nodes[0]);
    manifest.holders[0].store_uuid = "before".to_owned();
    let error = nodes[2].store.reader(JOB, &manifest).await.unwrap_err();
    assert_eq!(error.to_string(), "the result of job-7 is not stored here");
    // One is cut off, one is frozen.
    manifest.holders = vec![holder(&nodes[0]), holder(&nodes[1])];
    nodes[0].link.kill();
    nodes[1].link.freeze(true);
    let error = nodes[2].store.reader(JOB, &manifest).await.unwrap_err();
    assert!(matches!(error, ReadError::NotHere { .. }), "{error}");
    directory.remove(1);
    directory.remove(2);
    assert!(nodes[2].store.reader(JOB, &manifest).await.is_err());
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn a_slow_reader_holds_the_other_side_back() {
    let (_, nodes) = nodes(2, UNLIMITED).await;
    let manifest = on_each(&[&nodes[0]], 120, ROWS).await;
    assert!(manifest.file_length > 8 << 20);
    let reader = nodes[1].store.reader(JOB, &manifest).await.unwrap();
    let before = nodes[0].link.sent();
    let mut stream = Box::pin(reader.arrow_stream());
    let (mut taken, mut most) = (0, 0);
    while taken < 4 << 20 {
        taken += stream.next().await.unwrap().unwrap().len() as u64;
        // Whatever will come without anything being taken.
        let mut sent = nodes[0].link.sent();
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = nodes[0].link.sent();
            if now == sent {
                break;
            }
            sent = now;
        }
        most = most.max((sent - before).saturating_sub(taken));
    }
    assert!(most < 2 << 20, "{most} bytes were outstanding");
    assert!(most > 100 << 10, "something is read ahead: {most}");
}

#[tokio::test]
async fn a_call_for_another_cluster_or_node_is_refused() {
    let (directory, nodes) = nodes(2, UNLIMITED).await;
    let manifest = on_each(&[&nodes[0]], 1, 3).await;
    let mut known = super::PeerDirectory::node(&directory, NodeId(1)).unwrap();
    known.node_id = NodeId(5);
    directory.put(known);
    let mut elsewhere = manifest.clone();
    elsewhere.holders[0] = Holder {
        node_id: 5,
        store_uuid: "uuid-1".to_owned(),
    };
    let error = nodes[1].store.reader(JOB, &elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("was meant"), "{error}");
    assert!(nodes[1].store.reader(JOB, &manifest).await.is_ok());
}

#[tokio::test]
async fn a_file_that_goes_on_is_not_given_out_as_sealed() {
    let (_, nodes) = nodes(2, UNLIMITED).await;
    let mut manifest = on_each(&[&nodes[0]], 1, 3).await;
    let mut writer = nodes[0].store.writer(JobId(8), Epoch(1)).await.unwrap();
    writer.append("r0", schema(columns())).await.unwrap();
    writer.sync().await.unwrap();
    manifest.epoch = 1;
    let error = nodes[1]
        .store
        .reader(JobId(8), &manifest)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn live_signs_are_shown_on_every_node() {
    let (directory, nodes) = nodes(3, UNLIMITED).await;
    let job = JobId(4);
    let [one, two, three] = nodes.as_slice() else {
        panic!("three nodes");
    };
    one.live.progress(job, 1, 10);
    let relays: Vec<_> = nodes
        .iter()
        .map(|node| relay(node.peers.clone(), node.live.clone()))
        .map(|relay| tokio_util::task::AbortOnDropHandle::new(tokio::spawn(relay)))
        .collect();
    let shown = |node: &TestNode| node.live.signs(job);
    let same = || shown(two) == shown(one) && shown(three) == shown(one);
    until("what was there before", same).await;
    let mut changes = two.live.subscribe();
    one.live.progress(job, 2, 10);
    one.live.reconnecting(job, true);
    until("what changes", same).await;
    assert_eq!(changes.recv().await, Ok(job), "whoever waits is woken");

    // The connection breaks, and meanwhile something happens.
    one.link.kill();
    one.live.progress(job, 3, 10);
    assert_ne!(shown(two), LiveSigns::default(), "not forgotten at once");
    one.link.freeze(false);
    until("what was missed", same).await;

    one.live.clear(job);
    until("the end", || shown(two) == LiveSigns::default()).await;
    assert_eq!(shown(three), LiveSigns::default());

    // A node that dies takes its signs along; one that leaves too.
    one.live.progress(job, 4, 10);
    three.live.progress(JobId(5), 4, 10);
    until("more signs", || {
        same() && two.live.signs(JobId(5)) != LiveSigns::default()
    })
    .await;
    one.link.kill();
    directory.remove(3);
    until("they go", || shown(two) == LiveSigns::default()).await;
    until("and these", || {
        two.live.signs(JobId(5)) == LiveSigns::default()
    })
    .await;
    drop(relays);
}
