//! What happens to packets: by rules in the namespaces of nodes, or, on the loopback interface, by
//! the proxy that stands between nodes.

use std::time::Duration;

use anyhow::{Result, bail};

use super::super::act::Net;
use super::super::place::hosts::Rule;
use super::super::rig::Rig;
use crate::harness::Flow;

/// Does it.
///
/// # Errors
/// When it cannot be done here.
pub(super) async fn cut(rig: &mut Rig, net: Net, seed: u64) -> Result<()> {
    if rig.ground.hosts.is_none() {
        return between_proxies(rig, net);
    }
    let all = rig.cluster.ids();
    let others = |node: u64| all.iter().copied().filter(|id| *id != node).collect();
    let spark = rig.spark_port();
    let hosts = rig.ground.hosts()?;
    match net {
        Net::Isolated(node) => {
            let rules = [Rule::NothingIn, Rule::NothingOut];
            hosts.rules(node, &rules).await
        }
        Net::Deaf(node) => hosts.rules(node, &[Rule::NothingIn]).await,
        Net::Mute(node) => hosts.rules(node, &[Rule::NothingOut]).await,
        Net::Apart(one, other) => {
            for (node, peer) in [(one, other), (other, one)] {
                let rules = [Rule::NotFrom(vec![peer]), Rule::NotTo(vec![peer])];
                hosts.rules(node, &rules).await?;
            }
            Ok(())
        }
        Net::FromNodes(node) => {
            let rules = [Rule::NotFrom(others(node)), Rule::NotTo(others(node))];
            hosts.rules(node, &rules).await
        }
        Net::FromSpark(node) => hosts.rules(node, &[Rule::NotSpark(spark?)]).await,
        Net::Late(node, millis, jitter) => hosts.delay(node, millis, jitter, seed).await,
        Net::Lossy(node, share) => hosts.rules(node, &[Rule::Loss(share)]).await,
        Net::Slow(node, kbit) => hosts.rate(node, kbit).await,
    }
}

fn between_proxies(rig: &Rig, net: Net) -> Result<()> {
    let links = rig.cluster.links();
    let others = |node: u64| rig.cluster.ids().into_iter().filter(move |id| *id != node);
    match net {
        Net::Deaf(node) => others(node).for_each(|o| links.one_way(o, node, Flow::Held)),
        Net::Mute(node) => others(node).for_each(|o| links.one_way(node, o, Flow::Held)),
        Net::Apart(one, other) => links.between(one, other, Flow::Held),
        Net::FromNodes(node) => links.around(node, Flow::Held),
        Net::Late(node, millis, _) => links.around(node, Flow::Late(Duration::from_millis(millis))),
        Net::Isolated(_) | Net::FromSpark(_) | Net::Lossy(..) | Net::Slow(..) => {
            bail!("not on the loopback interface: {net}")
        }
    }
    Ok(())
}

/// Takes it back.
///
/// # Errors
/// When a tool fails.
pub(super) async fn heal(rig: &mut Rig, net: Net) -> Result<()> {
    let Some(hosts) = &mut rig.ground.hosts else {
        rig.cluster.links().heal();
        return Ok(());
    };
    let victims = super::super::act::Act::Net(net).victims();
    for node in victims {
        hosts.heal(node).await?;
    }
    Ok(())
}
