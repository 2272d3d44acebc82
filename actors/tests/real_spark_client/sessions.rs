use std::collections::BTreeMap;

use libra_actors::spark::{SparkErrorKind, SparkSession};
use libra_proto::registry::Incarnation;

use super::support::{client, endpoint, id, open, open_with, run, ui};

#[tokio::test]
async fn real_opening_learns_who_answers() {
    let opened = open_with(&[("spark.sql.shuffle.partitions", "7")]).await;
    let incarnation = &opened.incarnation;
    assert!(
        incarnation.spark_version.starts_with("4."),
        "{}",
        incarnation.spark_version
    );
    assert!(incarnation.remembers_operations);
    assert!(!incarnation.server_side_session_id.is_empty());
    assert!(!incarnation.app_id.is_empty());
    // A driver that took another port than it was told does not say which.
    let url = &incarnation.spark_ui_url;
    assert!(url.is_empty() || *url == ui(), "{url}");
    assert_eq!(incarnation.spark_user_id, endpoint().user_id());
    assert_eq!(incarnation.opened_at_ms, 0);
    let key = "spark.sql.shuffle.partitions";
    let conf = opened
        .spark
        .config_get(&[key, "no.such.key"])
        .await
        .unwrap();
    assert_eq!(conf, BTreeMap::from([(key.to_owned(), "7".to_owned())]));
    let all = opened.spark.get_all().await.unwrap();
    assert_eq!(all.get(key).map(String::as_str), Some("7"));
    assert_eq!(all.get("spark.app.id"), Some(&incarnation.app_id));
}

#[tokio::test]
async fn real_opening_again_finds_the_same_session() {
    let client = client();
    let session_id = id();
    let first = client.open(&session_id, &BTreeMap::new()).await.unwrap();
    let session = client.session(&first);
    run(&session, "CREATE TEMP VIEW mine AS SELECT 1")
        .await
        .unwrap();
    let second = client.open(&session_id, &BTreeMap::new()).await.unwrap();
    assert_eq!(first, second);
    run(&client.session(&second), "SELECT * FROM mine")
        .await
        .unwrap();
}

#[tokio::test]
async fn real_a_key_that_spark_refuses_is_named() {
    for (key, value, class) in [
        ("spark.executor.memory", "1g", "CANNOT_MODIFY_CONFIG"),
        (
            "spark.sql.warehouse.dir",
            "/nowhere",
            "CANNOT_MODIFY_STATIC_CONFIG",
        ),
        (
            "spark.sql.shuffle.partitions",
            "many",
            "INVALID_CONF_VALUE.TYPE_MISMATCH",
        ),
    ] {
        let conf = [
            ("spark.sql.ansi.enabled", "true"),
            (key, value),
            ("z.z", "fine"),
        ];
        let conf = conf.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let error = client().open(&id(), &conf).await.unwrap_err();
        assert_eq!(
            error.kind,
            SparkErrorKind::Conf {
                key: key.to_owned()
            }
        );
        assert_eq!(error.error.error_class, class);
        assert!(error.error.message.contains(key), "{error}");
    }
}

#[tokio::test]
async fn real_a_refused_set_in_a_statement_is_the_statements_own_failure() {
    let error = run(&open().await.spark, "SET spark.executor.memory=1g")
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::Statement);
    assert_eq!(error.error.error_class, "CANNOT_MODIFY_CONFIG");
}

#[tokio::test]
async fn real_a_restarted_driver_is_noticed_by_every_call() {
    let opened = open().await;
    let wrong = Incarnation {
        server_side_session_id: id(),
        ..opened.incarnation.clone()
    };
    let spark = client().session(&wrong);
    assert_all_fail(&spark, SparkErrorKind::SessionChanged).await;
    // Spark does not compare the observed id here; there is nothing to release either.
    spark.release(&id()).await.unwrap();
    run(&opened.spark, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn real_a_released_session_is_closed_for_good() {
    let opened = open().await;
    opened.spark.keep_alive().await.unwrap();
    opened.spark.release_session().await.unwrap();
    opened.spark.release_session().await.unwrap();
    assert_all_fail(&opened.spark, SparkErrorKind::SessionClosed).await;
    let error = opened.spark.release(&id()).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::SessionClosed);
    let session_id = &opened.incarnation.spark_session_id;
    let error = client()
        .open(session_id, &BTreeMap::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::SessionClosed);
}

#[tokio::test]
async fn real_an_unknown_session_is_not_found_by_reattach() {
    let opened = open().await;
    let other = Incarnation {
        spark_session_id: id(),
        ..opened.incarnation
    };
    let error = client()
        .session(&other)
        .reattach(&id(), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::SessionNotFound);
}

async fn assert_all_fail(spark: &SparkSession, kind: SparkErrorKind) {
    let operation = id();
    assert_eq!(spark.keep_alive().await.unwrap_err().kind, kind);
    assert_eq!(
        spark
            .execute(&operation, "SELECT 1", "")
            .await
            .unwrap_err()
            .kind,
        kind
    );
    assert_eq!(
        spark.reattach(&operation, None).await.unwrap_err().kind,
        kind
    );
    assert_eq!(spark.interrupt(&operation).await.unwrap_err().kind, kind);
    assert_eq!(spark.status(&operation).await.unwrap_err().kind, kind);
    assert_eq!(spark.poison(&operation).await.unwrap_err().kind, kind);
}
