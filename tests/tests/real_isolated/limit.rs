//! The limit of sessions.

use anyhow::Result;
use libra_tests::harness::{Reply, Submit};
use serde_json::{Value, json};

use super::{delete_session, isolated, post_session, run, until_state};

fn assert_refused(reply: &Reply) -> Result<()> {
    let problem = reply.problem(429)?;
    assert_eq!(problem.code, "too-many-sessions");
    let errors = problem.errors.unwrap_or_default();
    assert_eq!(errors[0].field, "libra.session.max-sessions");
    let retry: u64 = reply.header("retry-after").unwrap_or_default().parse()?;
    assert!(retry >= 1);
    Ok(())
}

#[tokio::test]
async fn real_the_eleventh_session_is_refused_on_either_way() -> Result<()> {
    let libra = isolated()?.start().await?;
    let api = &libra.api;
    let select = Submit::sql("SELECT 1");
    for n in 1..=5 {
        let body = json!({ "sessionId": format!("made-{n}") });
        post_session(api, &body).await?.expect(&[201])?;
        let submitted = format!("submitted-{n}");
        api.try_submit(&submitted, &select, 0)
            .await?
            .expect(&[200, 202])?;
    }
    for _ in 0..2 {
        let body = json!({ "sessionId": "user-eleven" });
        assert_refused(&post_session(api, &body).await?)?;
        assert_refused(&api.try_submit("user-eleven", &select, 0).await?)?;
    }
    api.get("sessions/user-eleven").await?.problem(404)?;
    assert_eq!(api.sessions().await?.total, 10);
    let metric: Value = api
        .get("/actuator/metrics/libra.sessions.active")
        .await?
        .json(&[200])?;
    assert_eq!(metric["measurements"][0]["value"], json!(10.0), "{metric}");

    // Those that are there go on, and one that is closed makes room.
    run(api, "made-1", "SELECT 1").await?;
    run(api, "submitted-5", "SELECT 1").await?;
    delete_session(api, "made-2").await?;
    until_state(api, "made-2", "closed").await?;
    run(api, "user-eleven", "SELECT 11").await?;
    assert_refused(&api.try_submit("made-2", &select, 0).await?)?;
    Ok(())
}
