//! Says in the log what changes in the cluster as a whole: nodes that come, go, drain or are down,
//! pools and settings. One line each, by the node that leads when it is applied.
//!
//! **Invariant:** told by the change feed, and never asked for: what was there before this process
//! began, or before it led, is no news.

use std::collections::BTreeMap;

use libra_proto::registry::{NodeRecord, NodeState, PoolRecord, SchedulingMode, Settings};
use libra_proto::types::Change;
use libra_raft::registry::Registry;
use libra_raft::{ChangeFeed, FeedEvent, Handle};

/// What changes seldom, as it was last seen.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    nodes: BTreeMap<u64, NodeRecord>,
    pools: BTreeMap<String, PoolRecord>,
    settings: Option<Settings>,
}

/// A piece of news.
#[derive(Debug, Clone, PartialEq)]
enum News {
    NodeUp(NodeRecord),
    NodeDown(NodeRecord),
    NodeDraining(NodeRecord),
    NodeRemoved(u64),
    PoolSet(PoolRecord),
    PoolRemoved(String),
    SettingsChanged(Settings),
}

/// The follower of nodes, pools and settings.
pub(crate) struct ClusterLog {
    handle: Handle,
    feed: ChangeFeed,
    seen: Seen,
}

impl ClusterLog {
    /// Takes what is there now as known.
    pub(crate) fn new(handle: Handle) -> Self {
        let feed = handle.subscribe();
        let seen = handle.view(Seen::of);
        Self { handle, feed, seen }
    }

    /// Writes the lines until the registry stops.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(crate) async fn run(mut self) {
        let leadership = self.handle.leadership();
        loop {
            let touched = match self.feed.next().await {
                FeedEvent::Changes(changes, _) => changes.contains(&Change::Settings),
                FeedEvent::Lagged => true,
                FeedEvent::Closed => return,
            };
            if !touched {
                continue;
            }
            let (now, log_index) = self.handle.view(|r| (Seen::of(r), r.applied_index()));
            let term = *leadership.borrow();
            if let Some(term) = term {
                for news in news(&self.seen, &now) {
                    tell(&news, term, log_index);
                }
            }
            self.seen = now;
        }
    }
}

impl Seen {
    fn of(registry: &Registry) -> Self {
        let node = |node: &NodeRecord| (node.node_id, node.clone());
        let pool = |pool: &PoolRecord| (pool.name.clone(), pool.clone());
        Self {
            nodes: registry.nodes().map(node).collect(),
            pools: registry.pools().map(pool).collect(),
            settings: registry.settings().copied(),
        }
    }
}

/// What leads from what was last seen to how it is.
fn news(before: &Seen, now: &Seen) -> Vec<News> {
    let mut news = Vec::new();
    for (id, node) in &now.nodes {
        let known = before.nodes.get(id);
        let same =
            |known: &NodeRecord| known.state() == node.state() && known.boot_id == node.boot_id;
        if !known.is_some_and(same) {
            news.push(match node.state() {
                NodeState::Unspecified | NodeState::Up => News::NodeUp(node.clone()),
                NodeState::Down => News::NodeDown(node.clone()),
                NodeState::Draining => News::NodeDraining(node.clone()),
            });
        }
    }
    let gone = before.nodes.keys().filter(|id| !now.nodes.contains_key(id));
    news.extend(gone.map(|id| News::NodeRemoved(*id)));
    let set = now.pools.iter();
    let set = set.filter(|(name, pool)| before.pools.get(*name) != Some(pool));
    news.extend(set.map(|(_, pool)| News::PoolSet(pool.clone())));
    let gone = before.pools.keys();
    let gone = gone.filter(|name| !now.pools.contains_key(*name));
    news.extend(gone.map(|name| News::PoolRemoved(name.clone())));
    if before.settings != now.settings {
        news.extend(now.settings.map(News::SettingsChanged));
    }
    news
}

fn tell(news: &News, term: u64, log_index: u64) {
    match news {
        News::NodeUp(node) => {
            let (node_id, grpc, boot_id) = (node.node_id, &node.grpc, &node.boot_id);
            tracing::info!(node_id, grpc, boot_id, term, log_index, "node up");
        }
        News::NodeDown(node) => {
            let (node_id, grpc, boot_id) = (node.node_id, &node.grpc, &node.boot_id);
            tracing::warn!(node_id, grpc, boot_id, term, log_index, "node down");
        }
        News::NodeDraining(node) => {
            let node_id = node.node_id;
            tracing::info!(node_id, term, log_index, "node draining");
        }
        News::NodeRemoved(node_id) => {
            tracing::info!(node_id, term, log_index, "node removed");
        }
        News::PoolSet(set) => {
            let mode = match set.scheduling_mode() {
                SchedulingMode::Fifo => "FIFO",
                SchedulingMode::Fair | SchedulingMode::Unspecified => "FAIR",
            };
            let (pool, weight, min_share) = (&set.name, set.weight, set.min_share);
            let max_running = set.max_running;
            tracing::info!(
                pool,
                weight,
                min_share,
                mode,
                max_running,
                term,
                log_index,
                "pool set"
            );
        }
        News::PoolRemoved(pool) => tracing::info!(pool, term, log_index, "pool removed"),
        News::SettingsChanged(settings) => {
            let version = settings.version;
            tracing::info!(version, ?settings, term, log_index, "settings changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node_id: u64, state: NodeState, boot_id: &str) -> NodeRecord {
        NodeRecord {
            node_id,
            state: state.into(),
            boot_id: boot_id.to_owned(),
            ..NodeRecord::default()
        }
    }

    fn pool(name: &str, weight: u32) -> PoolRecord {
        PoolRecord {
            name: name.to_owned(),
            weight,
            ..PoolRecord::default()
        }
    }

    fn seen(nodes: &[NodeRecord], pools: &[PoolRecord]) -> Seen {
        Seen {
            nodes: nodes.iter().map(|n| (n.node_id, n.clone())).collect(),
            pools: pools.iter().map(|p| (p.name.clone(), p.clone())).collect(),
            settings: None,
        }
    }

    #[test]
    fn nodes_are_told_of_when_they_take_a_state_or_start_anew() {
        use NodeState::{Down, Draining, Up};
        let before = [
            node(1, Up, "a"),
            node(2, Up, "a"),
            node(3, Up, "a"),
            node(4, Down, "a"),
        ];
        let now = [
            node(1, Up, "a"),
            node(2, Down, "a"),
            node(3, Draining, "a"),
            node(5, Up, "a"),
        ];
        let expected = [
            News::NodeDown(now[1].clone()),
            News::NodeDraining(now[2].clone()),
            News::NodeUp(now[3].clone()),
            News::NodeRemoved(4),
        ];
        assert_eq!(news(&seen(&before, &[]), &seen(&now, &[])), expected);
        let anew = [node(1, Up, "b")];
        let told = news(&seen(&before[..1], &[]), &seen(&anew, &[]));
        assert_eq!(told, [News::NodeUp(anew[0].clone())]);
    }

    #[test]
    fn pools_and_settings_are_told_of_when_they_differ() {
        let before = seen(&[], &[pool("a", 1), pool("b", 1), pool("c", 1)]);
        let mut now = seen(&[], &[pool("a", 1), pool("b", 2), pool("d", 1)]);
        now.settings = Some(Settings::default());
        let expected = [
            News::PoolSet(pool("b", 2)),
            News::PoolSet(pool("d", 1)),
            News::PoolRemoved("c".to_owned()),
            News::SettingsChanged(Settings::default()),
        ];
        assert_eq!(news(&before, &now), expected);
        assert_eq!(news(&now, &now), []);
    }
}
