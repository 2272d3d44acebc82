use std::time::Duration;

use libra_actors::spark::{Body, OperationState, Poisoned, SparkErrorKind};

use super::support::{client, executions, id, open, read, run, sleeper, unique, wait_for};

#[tokio::test]
async fn real_reattaching_after_a_lost_stream_runs_nothing_twice() {
    let opened = open().await;
    let (operation, mark) = (id(), unique());
    let code = sleeper(mark, 3);
    let mut stream = opened.spark.execute(&operation, &code, "").await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    drop(stream);
    // Another channel, as another process would have.
    let other = client().session(&opened.incarnation);
    let again = read(other.reattach(&operation, None).await.unwrap())
        .await
        .unwrap();
    assert_eq!(again.ids[0], first.response_id);
    assert_eq!((again.rows, again.complete), (1, true));
    // Sent again with the same id it is a reattach, too.
    let sent = read(other.execute(&operation, &code, "").await.unwrap())
        .await
        .unwrap();
    assert_eq!(sent.ids, again.ids);
    assert_eq!(executions(&opened.incarnation, mark).await, 1);
}

#[tokio::test]
async fn real_reattaching_continues_after_the_named_response() {
    let opened = open().await;
    let operation = id();
    // 6 MB: less than the 10 MB that Spark keeps, so that it has any of them still.
    let code = "SELECT id, repeat('x', 1000) FROM range(0, 6000, 1, 8)";
    let whole = read(opened.spark.execute(&operation, code, "").await.unwrap())
        .await
        .unwrap();
    assert!(whole.ids.len() > 4 && whole.complete);
    let middle = whole.ids.len() / 2;
    let rest = opened
        .spark
        .reattach(&operation, Some(&whole.ids[middle]))
        .await
        .unwrap();
    assert_eq!(read(rest).await.unwrap().ids, whole.ids[middle + 1..]);
    let error = opened
        .spark
        .reattach(&operation, Some("no-such-response"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::PositionNotAvailable);
    opened
        .spark
        .release_until(&operation, &whole.ids[middle])
        .await
        .unwrap();
    let error = opened
        .spark
        .reattach(&operation, Some(&whole.ids[0]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::PositionNotAvailable);
}

#[tokio::test]
async fn real_the_newer_of_two_attached_wins() {
    let opened = open().await;
    let operation = id();
    let stream = opened
        .spark
        .execute(&operation, &sleeper(unique(), 2), "")
        .await
        .unwrap();
    let newer = client()
        .session(&opened.incarnation)
        .reattach(&operation, None)
        .await
        .unwrap();
    let error = read(stream).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::CursorDisconnected);
    assert!(read(newer).await.unwrap().complete);
}

#[tokio::test]
async fn real_a_released_operation_is_forgotten_and_its_id_is_spent() {
    let opened = open().await;
    let (operation, mark) = (id(), unique());
    let code = format!("SELECT count(*) FROM range({mark}, {mark} + 5)");
    assert!(
        read(opened.spark.execute(&operation, &code, "").await.unwrap())
            .await
            .unwrap()
            .complete
    );
    let error = opened
        .spark
        .execute(&operation, "SELECT 'other'", "")
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::OperationAlreadyExists);
    assert_eq!(
        opened.spark.poison(&operation).await.unwrap(),
        Poisoned::Arrived
    );
    opened.spark.release(&operation).await.unwrap();
    opened.spark.release(&operation).await.unwrap();
    let error = opened.spark.reattach(&operation, None).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::OperationNotFound);
    let error = opened
        .spark
        .execute(&operation, &code, "")
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::OperationAbandoned);
    let error = opened.spark.poison(&operation).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::OperationAbandoned);
    assert_eq!(executions(&opened.incarnation, mark).await, 1);
    let status = opened.spark.status(&operation).await.unwrap();
    assert_eq!(status, Some(OperationState::Succeeded));
}

#[tokio::test]
async fn real_a_poisoned_id_never_runs() {
    let opened = open().await;
    let (operation, mark) = (id(), unique());
    assert_eq!(
        opened.spark.status(&operation).await.unwrap(),
        Some(OperationState::Unknown)
    );
    assert_eq!(
        opened.spark.poison(&operation).await.unwrap(),
        Poisoned::Sealed
    );
    let code = format!("SELECT count(*) FROM range({mark}, {mark} + 5)");
    let error = opened
        .spark
        .execute(&operation, &code, "")
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::OperationAbandoned);
    assert_eq!(executions(&opened.incarnation, mark).await, 0);
}

#[tokio::test]
async fn real_poisoning_finds_a_running_statement() {
    let opened = open().await;
    let (operation, mark) = (id(), unique());
    let code = sleeper(mark, 2);
    let mut stream = opened.spark.execute(&operation, &code, "").await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    assert_eq!(
        opened.spark.poison(&operation).await.unwrap(),
        Poisoned::Arrived
    );
    assert!(
        read(stream).await.unwrap().complete,
        "the refused poison disturbs nobody"
    );
}

/// Even a user's `SELECT 0` is told from the poison.
#[tokio::test]
async fn real_poison_is_no_statement_of_a_user() {
    let spark = open().await.spark;
    let operation = id();
    assert!(
        read(spark.execute(&operation, "SELECT 0", "").await.unwrap())
            .await
            .unwrap()
            .complete
    );
    assert_eq!(spark.poison(&operation).await.unwrap(), Poisoned::Arrived);
}

/// A poison that was not released, by a crash, is found by the next owner's reattach.
#[tokio::test]
async fn real_what_a_poison_left_behind_is_no_result() {
    let spark = open().await.spark;
    let operation = id();
    let poison = format!("SELECT 0 AS `libra-seal-{operation}`");
    let sent = spark.execute(&operation, &poison, "").await.unwrap();
    let error = read(sent).await.err().map(|error| error.kind);
    assert_eq!(error, Some(SparkErrorKind::OperationAbandoned));
    let found = spark.reattach(&operation, None).await.unwrap();
    let error = read(found).await.err().map(|error| error.kind);
    assert_eq!(error, Some(SparkErrorKind::OperationAbandoned));
}

#[tokio::test]
async fn real_a_statement_survives_the_client_that_sent_it() {
    let opened = open().await;
    let operation = id();
    let dying = client();
    let session = dying.session(&opened.incarnation);
    drop(
        session
            .execute(&operation, &sleeper(unique(), 2), "")
            .await
            .unwrap(),
    );
    drop((session, dying));
    let ended = || async {
        let status = opened.spark.status(&operation).await.unwrap();
        (status != Some(OperationState::Running)).then_some(status)
    };
    wait_for("the statement to end", ended).await;
    let seen = read(opened.spark.reattach(&operation, None).await.unwrap())
        .await
        .unwrap();
    assert_eq!((seen.rows, seen.complete), (1, true));
}

#[tokio::test]
async fn real_a_finished_stream_needs_no_reattach() {
    let spark = open().await.spark;
    let mut stream = spark.execute(&id(), "SELECT 1", "").await.unwrap();
    let mut last = None;
    let reading = async {
        while let Some(response) = stream.next().await.unwrap() {
            last = Some(response.body);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap();
    assert_eq!(last, Some(Body::Complete));
    run(&spark, "SELECT 2").await.unwrap();
}
