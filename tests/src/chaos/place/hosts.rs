//! Network namespaces, one for each node, on a bridge in this process's own; and what can be done
//! to the packets that go in and out.
//!
//! Clients and Spark are at the bridge: what is between nodes can be told from what is not.
//!
//! **Invariant:** rules are made in the namespaces of nodes only, in one table each, and taken back
//! as a whole.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::tool::{run, run_with};
use crate::harness::{GroupProcess, Seat};

/// Addresses for measurements inside one's own network (RFC 2544).
const NET: [u8; 3] = [198, 18, 77];
/// Where clients and Spark are.
const HERE: u8 = 254;
const BRIDGE: &str = "br0";
/// Where `ip` keeps namespaces, and how those of nodes are called.
const SPACES: &str = "/run/netns";
const NAME: &str = "node-";
/// Which queue of the packet filter is used; each namespace has its own.
const QUEUE: &str = "7";

/// What is done to the packets of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Rule {
    /// Nothing comes in.
    NothingIn,
    /// Nothing goes out.
    NothingOut,
    /// Nothing comes in from these nodes.
    NotFrom(Vec<u64>),
    /// Nothing goes out to these nodes.
    NotTo(Vec<u64>),
    /// Nothing to or from this port of Spark's.
    NotSpark(u16),
    /// So many of a hundred packets that come in are lost.
    Loss(u8),
}

/// The namespaces of the nodes.
#[derive(Debug, Default)]
pub(in super::super) struct Hosts {
    made: BTreeSet<u64>,
    delays: Vec<(u64, GroupProcess)>,
}

impl Hosts {
    /// The address of clients and Spark.
    pub(in super::super) fn here() -> IpAddr {
        address(HERE)
    }

    /// Makes the bridge.
    ///
    /// # Errors
    /// When a tool fails.
    pub(in super::super) async fn open() -> Result<Self> {
        let here = format!("{}/24", Self::here());
        run(&["ip", "link", "add", BRIDGE, "type", "bridge"]).await?;
        run(&["ip", "link", "set", BRIDGE, "up"]).await?;
        run(&["ip", "addr", "add", &here, "dev", BRIDGE]).await?;
        Ok(Self::default())
    }

    /// The bridge is there already; namespaces of nodes may be.
    pub(in super::super) fn reopened() -> Self {
        Self::default()
    }

    /// Makes the namespace of a node, if it is not there, and says how to run in it.
    ///
    /// # Errors
    /// When a tool fails, or ids are too high.
    pub(in super::super) async fn seat(&mut self, id: u64) -> Result<Seat> {
        let host = host(id)?;
        if self.made.insert(id) && !Path::new(SPACES).join(name(id)).exists() {
            let (space, port, own) = (name(id), format!("p{id}"), format!("{host}/24"));
            run(&["ip", "netns", "add", &space]).await?;
            let link = ["ip", "link", "add", &port, "type", "veth", "peer", "name"];
            run(&[&link[..], &["eth0", "netns", &space]].concat()).await?;
            run(&["ip", "link", "set", &port, "master", BRIDGE, "up"]).await?;
            run(&["ip", "-n", &space, "link", "set", "lo", "up"]).await?;
            run(&["ip", "-n", &space, "addr", "add", &own, "dev", "eth0"]).await?;
            run(&["ip", "-n", &space, "link", "set", "eth0", "up"]).await?;
        }
        Ok(Seat {
            host: Some(host),
            prefix: vec!["nsenter".into(), enter(id), "--".into()],
            quiet: true,
            ..Seat::default()
        })
    }

    /// Makes rules for a node's packets, beside those that there are.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub(in super::super) async fn rules(&self, id: u64, rules: &[Rule]) -> Result<()> {
        let mut script = String::from(
            "add table inet chaos\n\
             add chain inet chaos in { type filter hook input priority -10; }\n\
             add chain inet chaos out { type filter hook output priority -10; }\n",
        );
        for rule in rules {
            for line in lines(rule)? {
                script.push_str(&format!("add rule inet chaos {line}\n"));
            }
        }
        run_with(&["nsenter", &enter(id), "nft", "-f", "-"], &script).await?;
        Ok(())
    }

    /// Makes packets that come in to a node late: so many ms, more or less.
    ///
    /// # Errors
    /// When the packet filter refuses, or the delaying process does not start.
    pub(in super::super) async fn delay(
        &mut self,
        id: u64,
        millis: u64,
        jitter: u64,
        seed: u64,
    ) -> Result<()> {
        let mut command = Command::new("nsenter");
        let me = std::env::current_exe().context("who am I")?;
        command.arg(enter(id)).arg(me).arg("delay");
        for (key, value) in [("--millis", millis), ("--jitter", jitter), ("--seed", seed)] {
            command.arg(key).arg(value.to_string());
        }
        command.args(["--queue", QUEUE]);
        let log = Path::new("/run").join(format!("delay-{id}.log"));
        let process = GroupProcess::start("delay", command, &log)?;
        self.delays.push((id, process));
        let queue = ["-i", "eth0", "-j", "NFQUEUE", "--queue-num", QUEUE];
        let bypass = ["--queue-bypass"];
        let entry = enter(id);
        let words = ["nsenter", &entry, "iptables", "-A", "INPUT"];
        run(&[&words[..], &queue, &bypass].concat()).await?;
        Ok(())
    }

    /// Lets a node send so many kbit in a second.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(in super::super) async fn rate(&self, id: u64, kbit: u64) -> Result<()> {
        let (entry, rate) = (enter(id), format!("{kbit}kbit"));
        let words = [
            "nsenter", &entry, "tc", "qdisc", "replace", "dev", "eth0", "root",
        ];
        let shape = ["tbf", "rate", &rate, "burst", "32kbit", "latency", "400ms"];
        run(&[&words[..], &shape].concat()).await?;
        Ok(())
    }

    /// Takes back whatever a run that was broken off has left.
    ///
    /// # Errors
    /// When a tool fails.
    pub(in super::super) async fn heal_all(&mut self) -> Result<()> {
        for entry in std::fs::read_dir(SPACES)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix(NAME));
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                self.heal(id).await?;
            }
        }
        Ok(())
    }

    /// Takes all back that was done to a node's packets.
    ///
    /// # Errors
    /// When a tool fails.
    pub(in super::super) async fn heal(&mut self, id: u64) -> Result<()> {
        let entry = enter(id);
        let none = "add table inet chaos\ndelete table inet chaos\n";
        run_with(&["nsenter", &entry, "nft", "-f", "-"], none).await?;
        if self.delays.iter().any(|(node, _)| *node == id) {
            run(&["nsenter", &entry, "iptables", "-F", "INPUT"]).await?;
            self.delays.retain(|(node, _)| *node != id);
        }
        let shaped = run(&["ip", "-n", &name(id), "link", "show", "eth0"]).await?;
        if shaped.contains("qdisc tbf") {
            run(&[
                "nsenter", &entry, "tc", "qdisc", "del", "dev", "eth0", "root",
            ])
            .await?;
        }
        Ok(())
    }
}

fn lines(rule: &Rule) -> Result<Vec<String>> {
    let list = |nodes: &[u64]| -> Result<String> {
        let hosts: Vec<String> = nodes
            .iter()
            .map(|id| Ok(host(*id)?.to_string()))
            .collect::<Result<_>>()?;
        Ok(hosts.join(", "))
    };
    Ok(match rule {
        Rule::NothingIn => vec!["in iif != lo drop".to_owned()],
        Rule::NothingOut => vec!["out oif != lo drop".to_owned()],
        Rule::NotFrom(nodes) => vec![format!("in ip saddr {{ {} }} drop", list(nodes)?)],
        Rule::NotTo(nodes) => vec![format!("out ip daddr {{ {} }} drop", list(nodes)?)],
        Rule::NotSpark(port) => vec![
            format!("in tcp sport {port} drop"),
            format!("out tcp dport {port} drop"),
        ],
        Rule::Loss(share) => {
            vec![format!("in iif != lo numgen random mod 100 < {share} drop")]
        }
    })
}

fn name(id: u64) -> String {
    format!("{NAME}{id}")
}

fn enter(id: u64) -> String {
    format!("--net={SPACES}/{}", name(id))
}

fn host(id: u64) -> Result<IpAddr> {
    let last = u8::try_from(id)
        .ok()
        .filter(|last| (1..HERE).contains(last));
    Ok(address(last.context("no more addresses")?))
}

fn address(last: u8) -> IpAddr {
    let [a, b, c] = NET;
    Ipv4Addr::new(a, b, c, last).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_of_the_packet_filter() {
        let of = |rule| lines(&rule).unwrap().join("; ");
        assert_eq!(
            of(Rule::NotFrom(vec![2, 3])),
            "in ip saddr { 198.18.77.2, 198.18.77.3 } drop"
        );
        assert_eq!(
            of(Rule::NotSpark(15002)),
            "in tcp sport 15002 drop; out tcp dport 15002 drop"
        );
        assert!(of(Rule::Loss(30)).contains("mod 100 < 30"));
        assert!(lines(&Rule::NotTo(vec![254])).is_err());
    }
}
