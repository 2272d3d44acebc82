//! What the nodes say of themselves and each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Cluster;
use crate::harness::api::{Api, ClusterView, NodeView};
use crate::harness::wait::until_some;

/// How long nodes may take to agree on something.
const AGREED_WITHIN: Duration = Duration::from_secs(30);
/// How long one node may take to say how it is: it answers locally and at once.
const SAYS_WITHIN: Duration = Duration::from_secs(2);

impl Cluster {
    /// The API of some running node.
    ///
    /// # Errors
    /// When none runs.
    pub fn any(&self) -> Result<&Api> {
        let first = self.running().first().copied();
        self.api(first.context("no node runs")?)
    }

    /// How running nodes see the cluster; those that do not answer at once are left out.
    pub async fn views(&self) -> BTreeMap<u64, ClusterView> {
        let mut views = BTreeMap::new();
        for id in self.running() {
            let Ok(api) = self.api(id) else { continue };
            let said = tokio::time::timeout(SAYS_WITHIN, api.cluster()).await;
            if let Ok(Ok(view)) = said {
                views.insert(id, view);
            }
        }
        views
    }

    /// Waits until most of all nodes name the same one that runs as their leader.
    ///
    /// # Errors
    /// When they do not within half a minute.
    pub async fn leader(&self) -> Result<u64> {
        let most = self.nodes.len() / 2 + 1;
        until_some("a leader that most nodes name", AGREED_WITHIN, || async {
            let views = self.views().await;
            let mut votes: BTreeMap<(u64, u64), usize> = BTreeMap::new();
            for view in views.values() {
                if let Some(leader) = view.leader {
                    *votes.entry((view.term, leader)).or_default() += 1;
                }
            }
            let running = self.running();
            let named = votes.into_iter().find(|((_, leader), votes)| {
                *votes >= most.min(running.len()) && running.contains(leader)
            });
            Ok(named.map(|((_, leader), _)| leader))
        })
        .await
    }

    /// The node that owns a session, as a node says that has asked the leader.
    ///
    /// # Errors
    /// When no running node answers with it in time.
    pub async fn owner_of(&self, session: &str) -> Result<u64> {
        until_some("the owner of a session", AGREED_WITHIN, || async {
            for id in self.running() {
                if let Ok(session) = self.api(id)?.session(session).await {
                    return Ok(Some(session.owner.node_id));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Sessions by their owners, as some node lists them.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn owners(&self) -> Result<BTreeMap<u64, BTreeSet<String>>> {
        let api = self.any()?;
        let mut owners: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        let mut after = String::new();
        loop {
            let path = format!("sessions?limit=1000{after}");
            let page: crate::harness::SessionList = api.get(&path).await?.json(&[200])?;
            for session in page.sessions {
                let owned = owners.entry(session.owner.node_id).or_default();
                owned.insert(session.session_id);
            }
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(owners),
            }
        }
    }

    /// Waits until every running node sees `wanted` of a node in its list.
    ///
    /// # Errors
    /// When they do not within half a minute.
    pub async fn until_all_see(
        &self,
        what: &str,
        wanted: impl Fn(&[NodeView]) -> bool,
    ) -> Result<()> {
        until_some(what, AGREED_WITHIN, || async {
            let views = self.views().await;
            let all = views.len() == self.running().len();
            let seen = views.values().all(|view| wanted(&view.nodes));
            Ok((all && seen).then_some(()))
        })
        .await
    }

    /// Checks that all nodes answer the same body to a GET, and gives it.
    ///
    /// # Errors
    /// When one answers otherwise.
    pub async fn same_everywhere(&self, path: &str) -> Result<String> {
        let mut first: Option<String> = None;
        for id in self.running() {
            let reply = self.api(id)?.get(path).await?;
            let text = reply.expect(&[200])?.text();
            let wanted = first.get_or_insert_with(|| text.clone());
            ensure!(*wanted == text, "node {id} says {text}, not {wanted}");
        }
        first.context("no node runs")
    }
}
