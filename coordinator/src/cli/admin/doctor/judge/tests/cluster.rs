//! Of all nodes together.

use super::{Row, clock_of_last, healthy, of_all, said};
use crate::cli::admin::doctor::judge::Check::*;
use crate::cli::admin::doctor::judge::Severity::{Note, Problem, Warning};

pub(super) const ROWS: &[Row] = &[
    (
        "four voters",
        |facts| *facts = healthy(4),
        &[(Quorum, Warning, None, "there are 4 voters")],
    ),
    (
        "one node",
        |facts| *facts = healthy(1),
        &[(Quorum, Note, None, "the cluster has one voter")],
    ),
    (
        "nobody leads",
        |facts| {
            facts.cluster.leader = 0;
            of_all(facts, |said| said.raft.as_mut().unwrap().leader = 0);
        },
        &[(Leader, Problem, None, "no node leads")],
    ),
    (
        "a node names another leader",
        |facts| said(facts).raft.as_mut().unwrap().leader = 2,
        &[(Leader, Warning, None, "node 1 and 2 node 1, node 3 node 2")],
    ),
    (
        "a node names none",
        |facts| said(facts).raft.as_mut().unwrap().leader = 0,
        &[(Leader, Warning, None, "node 3 none, node 1 and 2 node 1")],
    ),
    (
        "a clock is ahead",
        |facts| clock_of_last(facts, 1_020, 2),
        &[(
            Clocks,
            Warning,
            None,
            "the clock of node 3 is 1000 ms ahead of that of node 1",
        )],
    ),
    (
        "a clock is far behind",
        |facts| clock_of_last(facts, -6_000, 2),
        &[(
            Clocks,
            Problem,
            None,
            "of node 2 is 6020 ms ahead of that of node 3",
        )],
    ),
    (
        "a slow call proves nothing",
        |facts| clock_of_last(facts, 1_020, 700),
        &[],
    ),
    (
        "a node has another version",
        |facts| said(facts).build.as_mut().unwrap().version = "0.2.0".to_owned(),
        &[(
            Versions,
            Warning,
            None,
            "0.1.0 (feature level 3) on node 1 and 2 and 0.2.0 (feature level 3) on node 3",
        )],
    ),
    (
        "a node is too old",
        |facts| said(facts).build.as_mut().unwrap().feature_level = 2,
        &[
            (
                Versions,
                Problem,
                Some(3),
                "does not understand feature level 3",
            ),
            (Versions, Warning, None, "nodes run different versions"),
        ],
    ),
    (
        "a node runs a build for tests",
        |facts| said(facts).build.as_mut().unwrap().for_tests = true,
        &[(Versions, Warning, None, "is on node 3")],
    ),
    (
        "sessions are nearly used up",
        |facts| facts.cluster.totals.as_mut().unwrap().live_sessions = 9,
        &[(
            Limits,
            Warning,
            None,
            "9 of 10 sessions are in use: beyond it",
        )],
    ),
    (
        "sessions are used up",
        |facts| facts.cluster.totals.as_mut().unwrap().live_sessions = 10,
        &[(
            Limits,
            Problem,
            None,
            "10 of 10 sessions are in use: a new one is refused",
        )],
    ),
    (
        "the one shared session is no limit",
        |facts| {
            let totals = facts.cluster.totals.as_mut().unwrap();
            (totals.live_sessions, totals.max_sessions) = (1, 1);
        },
        &[],
    ),
    (
        "slots are held",
        |facts| facts.cluster.totals.as_mut().unwrap().cleanups = 2,
        &[(Limits, Warning, None, "2 slots are held")],
    ),
];
