//! Sessions lie evenly on the nodes, whoever was asked to make them.

use std::collections::BTreeMap;

use anyhow::Result;
use libra_tests::harness::Submit;
use reqwest::Method;
use serde_json::json;

use super::{SOON, assert_succeeded, stub, three};

const SESSIONS: usize = 31;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_spread_evenly_whoever_made_them() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(SESSIONS).start().await?;
    for n in 0..SESSIONS {
        // All of them at node 1, half by a POST and half by a first statement.
        let (api, session) = (cluster.api(1)?, format!("spread-{n}"));
        if n.is_multiple_of(2) {
            let body = json!({"sessionId": session});
            let made = api.request(Method::POST, "sessions").json(&body);
            api.send(made).await?.expect(&[201])?;
        } else {
            let ended = api.run(&session, &Submit::sql("SELECT 1"), SOON).await?;
            assert_succeeded(&ended);
        }
    }
    let owners = cluster.owners().await?;
    let counts: BTreeMap<_, _> = owners.iter().map(|(id, owned)| (id, owned.len())).collect();
    let (least, most) = (counts.values().min(), counts.values().max());
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert_eq!((least, most), (Some(&10), Some(&11)), "{counts:?}");

    let shown = cluster.any()?.cluster().await?;
    for node in shown.nodes {
        assert_eq!(usize::try_from(node.sessions)?, counts[&node.node_id]);
    }
    for n in 0..SESSIONS {
        let api = cluster.api(u64::try_from(n % 3)? + 1)?;
        let session = format!("spread-{n}");
        let ended = api.run(&session, &Submit::sql("SELECT 1"), SOON).await?;
        assert_succeeded(&ended);
        let owner = api.session(&session).await?.owner.node_id;
        assert!(
            owners[&owner].contains(&session),
            "it moved without a reason"
        );
        assert_eq!(ended.owner_node_id, owner);
    }
    Ok(())
}
