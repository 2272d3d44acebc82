//! Results: pages, CSV, Arrow, the same bytes again and again.

use arrow_ipc::reader::StreamReader;
use serde_json::json;

use crate::node::TestNode;

const RESULT: &str = "/api/v1/sessions/default/statements/job-1/result";
const ARROW: &str = "application/vnd.apache.arrow.stream";

async fn with_result() -> TestNode {
    let node = TestNode::shared().await;
    node.client.submit("SELECT 1").await;
    let big = i64::MAX;
    node.succeed_with(
        1,
        &[(&[1, big], &[Some("a,\"b\""), None]), (&[3], &[Some("")])],
    )
    .await;
    node
}

#[tokio::test]
async fn pages_of_json() {
    let node = with_result().await;
    let client = &node.client;
    let all = client.get(RESULT).await;
    assert_eq!(all.header("content-type"), "application/json");
    assert_eq!(all.json["jobId"], "job-1");
    assert_eq!(all.json["offset"], 0);
    assert!(all.text().contains("9223372036854775807"), "all digits");
    assert_eq!(all.json["rows"].as_array().unwrap().len(), 3);
    assert_eq!(client.get(RESULT).await.bytes, all.bytes);
    let page = client.get(&format!("{RESULT}?offset=1&limit=1")).await.json;
    assert_eq!(page["rows"], json!([[i64::MAX, null]]));
    assert_eq!(page["next"], 2);
    let last = client
        .get(&format!("{RESULT}?offset=2&limit=10"))
        .await
        .json;
    assert_eq!(last["rows"], json!([[3, ""]]));
    assert!(last.get("next").is_none());
    let past = client.get(&format!("{RESULT}?offset=99")).await;
    assert_eq!(
        (past.status.as_u16(), &past.json["rows"]),
        (200, &json!([]))
    );
    let text = client
        .get(&format!("{RESULT}?bigint=string&limit=2"))
        .await
        .json;
    assert_eq!(text["rows"][1][0], "9223372036854775807");
    node.stop().await;
}

#[tokio::test]
async fn csv_has_a_header_line_and_tells_null_from_empty() {
    let node = with_result().await;
    let csv = [("accept", "text/csv")];
    let all = node.client.get_with(RESULT, &csv).await;
    assert!(all.header("content-type").starts_with("text/csv"));
    let text = "id,name\r\n1,\"a,\"\"b\"\"\"\r\n9223372036854775807,\r\n3,\"\"\r\n";
    assert_eq!(all.text(), text);
    let part = node
        .client
        .get_with(&format!("{RESULT}?offset=2&limit=1"), &csv)
        .await;
    assert_eq!(part.text(), "id,name\r\n3,\"\"\r\n");
    node.stop().await;
}

#[tokio::test]
async fn arrow_is_one_stream() {
    let node = with_result().await;
    let accept = [("accept", ARROW)];
    let answer = node.client.get_with(RESULT, &accept).await;
    assert_eq!(answer.header("content-type"), ARROW);
    assert_eq!(answer.header("libra-row-count"), "3");
    let reader = StreamReader::try_new(answer.bytes.as_slice(), None).unwrap();
    let rows: Vec<usize> = reader.map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(rows, [2, 1], "Spark's batches as they came");
    assert_eq!(
        node.client.get_with(RESULT, &accept).await.bytes,
        answer.bytes
    );
    let paged = node
        .client
        .get_with(&format!("{RESULT}?offset=1"), &accept)
        .await;
    paged.assert_problem(400, "invalid-request");
    node.stop().await;
}

#[tokio::test]
async fn a_statement_without_a_table_has_an_empty_result_in_every_form() {
    let node = TestNode::shared().await;
    node.client.submit("CREATE TABLE t (a INT)").await;
    node.succeed_without_rows(1).await;
    let json = node.client.get(RESULT).await.json;
    assert_eq!((&json["schema"], &json["rows"]), (&json!([]), &json!([])));
    let csv = node
        .client
        .get_with(RESULT, &[("accept", "text/csv")])
        .await;
    assert_eq!((csv.status.as_u16(), csv.text()), (200, ""));
    let arrow = node.client.get_with(RESULT, &[("accept", ARROW)]).await;
    let mut reader = StreamReader::try_new(arrow.bytes.as_slice(), None).unwrap();
    assert!(reader.next().is_none());
    node.stop().await;
}

#[tokio::test]
async fn json_and_csv_are_compressed_when_asked_arrow_never() {
    let node = TestNode::shared().await;
    node.client.submit("SELECT 1").await;
    let ids: Vec<i64> = (0..500).collect();
    node.succeed_with(1, &[(&ids, &vec![Some("name"); 500])])
        .await;
    for (accept, encoding) in [
        ("application/json", "gzip"),
        ("text/csv", "gzip"),
        (ARROW, ""),
    ] {
        let headers = [("accept", accept), ("accept-encoding", "gzip")];
        let answer = node.client.get_with(RESULT, &headers).await;
        assert_eq!(answer.header("content-encoding"), encoding, "{accept}");
    }
    let plain = node.client.get(RESULT).await;
    assert_eq!(plain.header("content-encoding"), "");
    node.stop().await;
}
