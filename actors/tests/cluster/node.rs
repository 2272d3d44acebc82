//! A node's actors and all that is pretended around them.

use std::sync::Arc;
use std::time::Duration;

use libra_actors::lease;
use libra_actors::session::{self, DefaultConf};
use libra_actors::spark::{ClientOptions, Endpoint};
use libra_actors::supervisor::{Node, NodeOptions, Policy};

use crate::registry::Pretended;
use crate::spark::Spark;
use crate::store::{Board, Store};

pub(crate) struct Setting {
    pub(crate) registry: Arc<Pretended>,
    pub(crate) spark: Spark,
    pub(crate) store: Store,
    pub(crate) board: Arc<Board>,
    pub(crate) endpoint: String,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        let spark = Spark::start().await;
        let endpoint = Endpoint::parse(&spark.remote()).unwrap();
        Self {
            registry: Pretended::new(),
            store: Store::default(),
            board: Arc::default(),
            endpoint: endpoint.name().to_owned(),
            spark,
        }
    }

    /// The session is open and owned by that node.
    pub(crate) async fn with_session(owner: u64) -> Self {
        let setting = Self::new().await;
        setting.registry.open_session(&setting.endpoint, owner);
        setting
    }

    pub(crate) async fn start(&self, lease: Option<lease::Setup>) -> Node {
        let endpoint = Endpoint::parse(&self.spark.remote()).unwrap();
        let mut options = options(&self.registry, lease);
        options.endpoints.push(endpoint);
        options.results = Arc::new(self.store.clone());
        options.live = Arc::clone(&self.board) as _;
        Node::start(options).await.unwrap()
    }
}

/// A node without endpoints.
pub(crate) fn options(registry: &Arc<Pretended>, lease: Option<lease::Setup>) -> NodeOptions {
    NodeOptions {
        registry: Arc::clone(registry) as _,
        results: Arc::new(Store::default()),
        live: Arc::new(Board::default()),
        endpoints: Vec::new(),
        client: ClientOptions::default(),
        conf: DefaultConf::default(),
        session: session::Options::default(),
        restart: Policy {
            intensity: 5,
            period: Duration::from_secs(60),
            first_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
        },
        lease,
    }
}
