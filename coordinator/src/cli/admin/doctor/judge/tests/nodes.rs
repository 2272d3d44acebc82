//! Of one node.

use libra_proto::admin::{ComponentDiagnosis, NodeRole, NodeState};

use super::{GIB, Row, diagnosis, healthy, known, node, said, silent};
use crate::cli::admin::doctor::facts::Said;
use crate::cli::admin::doctor::judge::Check::*;
use crate::cli::admin::doctor::judge::Severity::{Note, Problem, Warning};

pub(super) const ROWS: &[Row] = &[
    (
        "a node is dead",
        |facts| {
            silent(facts, 2);
            known(facts).set_state(NodeState::Down);
        },
        &[
            (
                Nodes,
                Problem,
                Some(3),
                "it does not answer, neither from here",
            ),
            (
                Quorum,
                Problem,
                None,
                "2 of 3 voters work: one more that fails",
            ),
        ],
    ),
    (
        "most nodes are dead",
        |facts| {
            silent(facts, 2);
            silent(facts, 1);
        },
        &[
            (Nodes, Problem, Some(2), "does not answer"),
            (Nodes, Problem, Some(3), "does not answer"),
            (
                Quorum,
                Problem,
                None,
                "only 1 of 3 voters work, 2 are needed",
            ),
        ],
    ),
    (
        "a node is reached by the others only",
        |facts| {
            facts.nodes[2].said = Said::Relayed {
                diagnosis: Box::new(diagnosis(3)),
                why: "Connection refused".to_owned(),
            };
        },
        &[(
            Nodes,
            Note,
            Some(3),
            "cannot be asked from here at host-3:9090",
        )],
    ),
    (
        "a node was added and never started",
        |facts| {
            silent(facts, 2);
            let node = known(facts);
            node.set_state(NodeState::Unregistered);
            node.voter = false;
        },
        &[
            (Nodes, Warning, Some(3), "added, and never heard of"),
            (Quorum, Warning, None, "there are 2 voters"),
        ],
    ),
    (
        "a node that was removed is remembered",
        |facts| {
            facts.nodes.push(node(4));
            silent(facts, 3);
            let node = known(facts);
            node.set_role(NodeRole::None);
            node.voter = false;
        },
        &[(Nodes, Note, Some(4), "is in no group")],
    ),
    (
        "a node answers and is down",
        |facts| known(facts).set_state(NodeState::Down),
        &[(Nodes, Problem, Some(3), "it answers, and its lease is over")],
    ),
    (
        "a node is suspect",
        |facts| known(facts).set_state(NodeState::Suspect),
        &[(Nodes, Warning, Some(3), "has not heard of it")],
    ),
    (
        "a node is draining, which is why it is not ready",
        |facts| {
            known(facts).set_state(NodeState::Draining);
            said(facts).ready = false;
        },
        &[(Nodes, Note, Some(3), "it is draining")],
    ),
    (
        "a learner could vote",
        |facts| {
            facts.nodes.push(node(4));
            let node = known(facts);
            node.set_role(NodeRole::Learner);
            node.voter = false;
        },
        &[(Nodes, Note, Some(4), "has caught up, and has no vote")],
    ),
    (
        "a node is not ready and says why",
        |facts| {
            said(facts).ready = false;
            said(facts).not_ready_reason = "no read index".to_owned();
        },
        &[(Nodes, Problem, Some(3), "it is not ready: no read index")],
    ),
    (
        "a node is not ready and a component of it is down",
        |facts| {
            said(facts).ready = false;
            said(facts).components = vec![ComponentDiagnosis {
                name: "disk".to_owned(),
                ..ComponentDiagnosis::default()
            }];
        },
        &[(Nodes, Problem, Some(3), "it is not ready: down is disk")],
    ),
    (
        "a node's log has stopped",
        |facts| said(facts).raft.as_mut().unwrap().failure = "fsync failed".to_owned(),
        &[
            (Nodes, Problem, Some(3), "has stopped: fsync failed"),
            (Quorum, Problem, None, "2 of 3 voters work"),
        ],
    ),
    (
        "a node is refused by the group",
        |facts| said(facts).raft.as_mut().unwrap().formation = "removed from its group".to_owned(),
        &[(
            Nodes,
            Problem,
            Some(3),
            "no member of the group: removed from its group",
        )],
    ),
    (
        "two of five are dead",
        |facts| {
            *facts = healthy(5);
            silent(facts, 4);
            silent(facts, 3);
        },
        &[
            (Nodes, Problem, Some(4), "does not answer"),
            (Nodes, Problem, Some(5), "does not answer"),
            (Quorum, Problem, None, "3 of 5 voters work: one more"),
        ],
    ),
    (
        "one of five is dead",
        |facts| {
            *facts = healthy(5);
            silent(facts, 4);
        },
        &[
            (Nodes, Problem, Some(5), "does not answer"),
            (Quorum, Warning, None, "4 of 5 voters work; missing: node 5"),
        ],
    ),
    (
        "a node lags",
        |facts| known(facts).lag = Some(1_001),
        &[(Lag, Warning, Some(3), "it lacks 1001 log entries")],
    ),
    (
        "a node lags far",
        |facts| known(facts).lag = Some(10_001),
        &[(Lag, Problem, Some(3), "it lacks 10001 log entries")],
    ),
    (
        "a node has no lease",
        |facts| said(facts).lease.as_mut().unwrap().held = false,
        &[(Leases, Problem, Some(3), "it holds no lease")],
    ),
    (
        "a disk is full",
        |facts| said(facts).disk.as_mut().unwrap().full = true,
        &[(
            Disk,
            Problem,
            Some(3),
            "its disk is full: 51200 MiB of 102400 MiB",
        )],
    ),
    (
        "a disk has less than it must",
        |facts| said(facts).disk.as_mut().unwrap().free_bytes = GIB - 1,
        &[(Disk, Problem, Some(3), "its disk is full")],
    ),
    (
        "a disk is nearly full",
        |facts| said(facts).disk.as_mut().unwrap().free_bytes = 9 * GIB,
        &[(
            Disk,
            Warning,
            Some(3),
            "nearly full: 9216 MiB of 102400 MiB",
        )],
    ),
    (
        "a disk is near what it must have",
        |facts| {
            let disk = said(facts).disk.as_mut().unwrap();
            (disk.free_bytes, disk.min_free_bytes) = (50 * GIB, 26 * GIB);
        },
        &[(
            Disk,
            Warning,
            Some(3),
            "below 26624 MiB nothing is accepted",
        )],
    ),
    (
        "a disk is slow",
        |facts| said(facts).fsync.as_mut().unwrap().p99_us = 120_000,
        &[(
            Fsync,
            Warning,
            Some(3),
            "took longer than 120 ms, the longest 9 ms",
        )],
    ),
    (
        "a disk is very slow",
        |facts| said(facts).fsync.as_mut().unwrap().p99_us = 400_000,
        &[(Fsync, Problem, Some(3), "took longer than 400 ms")],
    ),
    (
        "a disk that nothing was measured of",
        |facts| said(facts).fsync.as_mut().unwrap().samples = 0,
        &[],
    ),
];
