//! Where the nodes are, and what each of them is told.
//!
//! Each number of nodes has data of its own below the data folder: a cluster is not made bigger or
//! smaller by another number on the command line.

use std::ffi::OsString;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use crate::config::{Config, LoadOptions};
use crate::dev::DevError;
use crate::dev::console::Console;
use crate::dev::ports::Ports;

/// The gRPC ports of the last start, one a line: nodes know each other by them.
const PORTS_FILE: &str = "ports";

/// One coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dev) struct Member {
    pub(super) id: u8,
    pub(super) http: u16,
    pub(super) grpc: u16,
    pub(super) data_dir: PathBuf,
}

/// Chooses ports and folders of so many nodes.
///
/// # Errors
/// When the configuration knows other nodes, a folder cannot be made, or a port that nodes of an
/// earlier start know each other by is taken.
pub(in crate::dev) fn members(
    config: &Config,
    nodes: NonZeroU8,
    ports: &mut Ports,
    console: Console,
) -> Result<Vec<Member>, DevError> {
    let ids = 1..=nodes.get();
    let is_other = |id: &u64| !ids.clone().any(|known| u64::from(known) == *id);
    let mut configured = config.cluster.peers.keys().map(|id| id.0);
    if let Some(id) = configured.find(is_other) {
        return Err(DevError::OtherPeers { nodes, id });
    }
    let folder = config.node.data_dir.join(format!("{nodes}-nodes"));
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let files = |source| DevError::Files {
        path: folder.clone(),
        source,
    };
    std::fs::create_dir_all(&folder).map_err(files)?;
    let grpc = grpc_ports(&folder, config.node.grpc.port(), nodes, ports, console)?;
    let members: Vec<_> = ids
        .zip(grpc)
        .map(|(id, grpc)| Member {
            id,
            http: ports.take(
                beside(config.node.http.port(), id),
                &format!("REST of node {id}"),
                console,
            ),
            grpc,
            data_dir: folder.join(format!("node-{id}")),
        })
        .collect();
    let lines: Vec<_> = members.iter().map(|m| m.grpc.to_string()).collect();
    std::fs::write(folder.join(PORTS_FILE), lines.join("\n")).map_err(files)?;
    Ok(members)
}

/// Those of the last start, or new ones from `first` on.
fn grpc_ports(
    folder: &Path,
    first: u16,
    nodes: NonZeroU8,
    ports: &mut Ports,
    console: Console,
) -> Result<Vec<u16>, DevError> {
    let Some(last) = read_ports(folder, nodes) else {
        let new = (1..=nodes.get()).map(|id| {
            let what = format!("gRPC of node {id}");
            ports.take(beside(first, id), &what, console)
        });
        return Ok(new.collect());
    };
    for (id, port) in (1..).zip(&last) {
        if !ports.take_exactly(*port) {
            return Err(DevError::PortOfNode {
                port: *port,
                id,
                path: folder.to_owned(),
            });
        }
    }
    Ok(last)
}

fn read_ports(folder: &Path, nodes: NonZeroU8) -> Option<Vec<u16>> {
    let text = std::fs::read_to_string(folder.join(PORTS_FILE)).ok()?;
    let ports: Option<Vec<u16>> = text.lines().map(|line| line.trim().parse().ok()).collect();
    ports.filter(|ports| ports.len() == usize::from(nodes.get()))
}

/// The port of node `id` where node 1 has `first`; 0 stays 0, any free one.
fn beside(first: u16, id: u8) -> u16 {
    match first {
        0 => 0,
        first => first.saturating_add(u16::from(id) - 1),
    }
}

/// The arguments of one node's process: everything that this process was configured with, and then
/// what makes it this node.
pub(super) fn arguments(
    member: &Member,
    members: &[Member],
    load: &LoadOptions,
    file: Option<&Path>,
    log_level: &str,
) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("serve")];
    if let Some(file) = file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        arguments.extend(["--config".into(), file.into_os_string()]);
    }
    let mut set: Vec<OsString> = load
        .set
        .iter()
        .filter(|given| !is_remote(given))
        .map(OsString::from)
        .collect();
    let (http, grpc) = (member.http, member.grpc);
    let mut data_dir = OsString::from("libra.node.data-dir=");
    data_dir.push(&member.data_dir);
    set.push(data_dir);
    set.extend(
        [
            format!("libra.node.id={}", member.id),
            format!("libra.node.http=127.0.0.1:{http}"),
            format!("libra.node.grpc=127.0.0.1:{grpc}"),
            format!("libra.node.advertise-http=127.0.0.1:{http}"),
            format!("libra.node.advertise-grpc=127.0.0.1:{grpc}"),
            format!("libra.log.level={log_level}"),
        ]
        .map(OsString::from),
    );
    set.extend(members.iter().map(|peer| {
        OsString::from(format!(
            "libra.cluster.peers.{}=127.0.0.1:{}",
            peer.id, peer.grpc
        ))
    }));
    for setting in set {
        arguments.extend(["--set".into(), setting]);
    }
    arguments
}

/// The endpoint goes by the environment, where no list of processes shows its token.
fn is_remote(setting: &str) -> bool {
    let (key, _) = setting.split_once('=').unwrap_or((setting, ""));
    key.trim().eq_ignore_ascii_case("spark.remote")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use libra_proto::types::NodeId;
    use tempfile::TempDir;

    use super::*;
    use crate::config::Address;

    fn config(folder: &TempDir) -> Config {
        let mut config = Config::default();
        config.node.data_dir = folder.path().to_owned();
        config.node.http = Address::new("127.0.0.1", 0);
        config.node.grpc = Address::new("127.0.0.1", 0);
        config
    }

    fn three(config: &Config) -> Result<Vec<Member>, DevError> {
        let nodes = NonZeroU8::new(3).unwrap();
        members(config, nodes, &mut Ports::default(), Console::new())
    }

    #[test]
    fn a_later_start_has_the_same_folders_and_grpc_ports() {
        let folder = TempDir::new().unwrap();
        let first = three(&config(&folder)).unwrap();
        let second = three(&config(&folder)).unwrap();
        let lasting = |all: &[Member]| -> Vec<_> {
            all.iter()
                .map(|m| (m.id, m.grpc, m.data_dir.clone()))
                .collect()
        };
        assert_eq!(lasting(&first), lasting(&second));
        assert!(first[2].data_dir.ends_with("3-nodes/node-3"));
        let two = NonZeroU8::new(2).unwrap();
        let other = members(&config(&folder), two, &mut Ports::default(), Console::new());
        assert!(other.unwrap()[0].data_dir.ends_with("2-nodes/node-1"));

        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first[1].grpc)).unwrap();
        let e = three(&config(&folder)).unwrap_err().to_string();
        assert!(e.contains("node 2") && e.contains("3-nodes"), "{e}");
    }

    #[test]
    fn nodes_of_a_file_that_are_not_started_are_refused() {
        let folder = TempDir::new().unwrap();
        let mut config = config(&folder);
        let peer = Address::new("127.0.0.1", 1);
        config.cluster.peers.insert(NodeId(3), peer.clone());
        assert!(three(&config).is_ok());
        config.cluster.peers.insert(NodeId(4), peer);
        let e = three(&config).unwrap_err().to_string();
        assert!(e.contains("node 4"), "{e}");
    }

    #[test]
    fn what_makes_a_node_wins_over_what_was_given() {
        let member = |id: u8| Member {
            id,
            http: 8079 + u16::from(id),
            grpc: 9089 + u16::from(id),
            data_dir: format!("/data/node-{id}").into(),
        };
        let load = LoadOptions {
            set: ["libra.node.id=7", "spark.remote=sc://x:1/;token=secret"]
                .map(str::to_owned)
                .to_vec(),
            ..LoadOptions::default()
        };
        let members = [member(1), member(2)];
        let mut given = arguments(&members[1], &members, &load, None, "info");
        assert_eq!(given.remove(0), "serve");
        let set: Vec<_> = given
            .chunks(2)
            .map(|pair| {
                assert_eq!(pair[0], "--set");
                pair[1].to_str().unwrap().to_owned()
            })
            .collect();
        let load = LoadOptions { set, ..load };
        let config = Config::load(load).unwrap().config;
        assert_eq!((config.node.id.0, config.node.http.port()), (2, 8081));
        assert_eq!(config.node.data_dir, Path::new("/data/node-2"));
        let peers: Vec<_> = config.cluster.peers.values().map(Address::port).collect();
        assert_eq!(peers, [9090, 9091]);
        assert_eq!(config.spark.remote, Config::default().spark.remote);
    }

    #[test]
    fn ports_lie_side_by_side() {
        assert_eq!((beside(8080, 1), beside(8080, 3)), (8080, 8082));
        assert_eq!((beside(0, 3), beside(u16::MAX, 2)), (0, u16::MAX));
    }
}
