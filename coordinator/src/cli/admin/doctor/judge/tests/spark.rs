//! Of Spark and of settings.

use libra_proto::admin::{PluginState, Reachable};

use super::{Row, endpoint, of_all, said};
use crate::cli::admin::doctor::judge::Check::*;
use crate::cli::admin::doctor::judge::Severity::{Note, Problem, Warning};

pub(super) const ROWS: &[Row] = &[
    (
        "one node does not reach Spark",
        |facts| endpoint(facts).set_reachable(Reachable::No),
        &[(
            Spark,
            Warning,
            None,
            "node 3 does not reach sc://spark:15002, others do",
        )],
    ),
    (
        "no node reaches Spark",
        |facts| of_all(facts, |said| said.endpoints[0].set_reachable(Reachable::No)),
        &[(Spark, Problem, None, "no node reaches sc://spark:15002")],
    ),
    (
        "nobody has tried Spark yet",
        |facts| {
            of_all(facts, |said| {
                said.endpoints[0].set_reachable(Reachable::Unknown)
            })
        },
        &[],
    ),
    (
        "Spark was updated",
        |facts| endpoint(facts).spark_versions.push("4.4.0".to_owned()),
        &[(Spark, Note, None, "were opened in Spark 4.3.0 and 4.4.0")],
    ),
    (
        "an engine without memory",
        |facts| endpoint(facts).remembers_operations = Some(false),
        &[(Spark, Note, None, "at most once")],
    ),
    (
        "a node has other endpoints",
        |facts| endpoint(facts).name = "sc://other:15002".to_owned(),
        &[
            (
                Settings,
                Warning,
                None,
                "sc://other:15002 is not among the endpoints of node 1 and 2",
            ),
            (
                Settings,
                Warning,
                None,
                "sc://spark:15002 is not among the endpoints of node 3",
            ),
        ],
    ),
    (
        "the plugin is missing",
        |facts| endpoint(facts).set_pool_interceptor(PluginState::Missing),
        &[(
            Plugin,
            Warning,
            None,
            "the pool plugin is not loaded in sc://spark:15002",
        )],
    ),
    (
        "nobody knows of the plugin",
        |facts| {
            of_all(facts, |said| {
                said.endpoints[0].set_pool_interceptor(PluginState::Unknown);
            });
        },
        &[(Plugin, Note, None, "nobody knows yet")],
    ),
    (
        "a node knows of the plugin, others do not",
        |facts| endpoint(facts).set_pool_interceptor(PluginState::Unknown),
        &[],
    ),
    (
        "a setting differs",
        |facts| {
            let setting = &mut said(facts).settings[0];
            (setting.configured, setting.differs) = ("ISOLATED".to_owned(), true);
        },
        &[(
            Settings,
            Warning,
            Some(3),
            "libra.session.mode is ISOLATED there, and SHARED",
        )],
    ),
];
