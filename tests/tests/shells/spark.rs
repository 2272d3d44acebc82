//! The stub as a host of the simulation.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;

use super::net;
use super::world::World;

pub(crate) const HOST: &str = "spark";
pub(crate) const PORT: u16 = 15002;

pub(crate) async fn run(world: World) -> turmoil::Result {
    let incoming = net::listen(PORT).await?;
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let stub = StubSpark::start_over(incoming, address, Settings::default(), world.seed());
    world.set_spark(Arc::new(stub));
    std::future::pending().await
}
