//! The arguments of `libra admin`, declared.

mod cluster;
mod duration;
mod pools;
mod sessions;
mod statements;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

pub(super) use cluster::{AddArguments, NodesCommand, SureNodeArguments};
pub(super) use pools::{Order, PoolsCommand, SetArguments};
pub(super) use sessions::{ListSessions, MoveArguments, SessionsCommand, StateOfSession};
pub(super) use statements::{
    CancelArguments, FilterArguments, ListStatements, StateOfStatement, StatementsCommand,
};

use super::doctor::Check;
use super::output::OutputFormat;
use crate::config::Address;

const ABOUT_EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed, or was refused
  2  wrong arguments; or nobody could be asked whether it is meant, and --yes was not given
  3  no coordinator could be reached, or none that leads: nothing was done
  4  no answer in time: it may have been done; to ask again does no harm

`libra admin doctor` has its own: 0 all well, 1 there are findings, 2 it could not check.";

#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = ABOUT_EXIT_CODES,
    long_about = "\
Operates a cluster, over gRPC, by any of its nodes.

A node that does not lead passes on what only the leader can do. Every command may be repeated: what \
is as asked for already is left alone. What cannot be taken back asks on the terminal first, and is \
refused where there is none, unless --yes is given."
)]
pub(in crate::cli) struct AdminArguments {
    #[command(subcommand)]
    pub(super) command: AdminCommand,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection and output")]
pub(super) struct ConnectionArguments {
    /// Where a coordinator listens for gRPC (libra.node.grpc); several, given one by one or with
    /// commas between, are tried in order when one is dead.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "LIBRA_ADMIN_ENDPOINT",
        value_delimiter = ',',
        default_value = "127.0.0.1:9090"
    )]
    pub(super) endpoint: Vec<Address>,
    /// How long an answer may take, such as 30s or 2m; for a backup, how long it may stand still.
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        default_value = "30s",
        value_parser = duration::time
    )]
    pub(super) timeout: Duration,
    /// How answers are written: tables for people; JSON or YAML, with names in camelCase and times
    /// in RFC 3339, for programs.
    #[arg(long, short, global = true, value_enum, default_value = "table")]
    pub(super) output: OutputFormat,
}

/// Shows it again and again.
#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    /// Shows it again every so many seconds [2 if not given] until Ctrl-C: drawn anew on a
    /// terminal, one document after the other elsewhere.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    watch: Option<NonZeroU32>,
}

impl WatchArguments {
    pub(super) fn every(&self) -> Option<Duration> {
        let seconds = self.watch.map(|seconds| seconds.get().into());
        seconds.map(Duration::from_secs)
    }
}

/// Whether it is meant.
#[derive(Debug, Args)]
pub(super) struct SureArguments {
    /// Does it without asking.
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Shows the cluster: who leads, which nodes there are and how they are, what is going on.
    Status(StatusArguments),
    /// The nodes: list, show, add, promote, remove, drain, undrain, transfer leadership.
    #[command(subcommand, arg_required_else_help = true)]
    Nodes(NodesCommand),
    /// The sessions: list, show, move, rebalance, close.
    #[command(subcommand, arg_required_else_help = true)]
    Sessions(SessionsCommand),
    /// The statements: list, show, cancel.
    #[command(subcommand, arg_required_else_help = true)]
    Statements(StatementsCommand),
    /// The pools: list, set, remove, pause, resume.
    #[command(subcommand, arg_required_else_help = true)]
    Pools(PoolsCommand),
    /// Has a node write a snapshot of its registry now.
    Snapshot(SnapshotArguments),
    /// Tells what happens: elections, failovers, nodes, sessions, ends of statements, pools.
    Events(EventsArguments),
    /// Writes the registry, as of one moment, into a file.
    ///
    /// The file holds sessions, statements, pools and settings, not the rows of results. It is
    /// there, whole and checked, or not at all.
    Backup(BackupArguments),
    /// Takes a backup into a fresh cluster, one that has accepted no statement yet.
    ///
    /// Sessions live again with a new session in Spark; statements that had not ended end
    /// `failed` / LIBRA_OUTCOME_UNKNOWN, so that nothing runs twice; the rows of results are lost.
    Restore(RestoreArguments),
    /// Checks a running cluster, every node of it, and says in words what is wrong and what to do.
    ///
    /// It looks at nodes, quorum, leadership, lag, leases, disk room and sync times, clocks,
    /// versions, Spark endpoints and the pool plugin, settings that differ, and limits that are
    /// near.
    ///
    /// Exit codes: 0 all well, 1 there are findings, 2 it could not check.
    Doctor(DoctorArguments),
}

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// As the node that is asked knows it, at once, instead of the leader.
    #[arg(long)]
    pub(super) local: bool,
    /// With the hash of the registry: equal on all nodes at an equal index.
    #[arg(long)]
    pub(super) hash: bool,
    #[command(flatten)]
    pub(super) watch: WatchArguments,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArguments {
    /// The node; without it the one that is asked.
    #[arg(value_name = "NODE", default_value = "0", hide_default_value = true)]
    pub(super) node: u64,
}

/// Where events begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Oldest,
    Now,
    /// Behind this one: log index, and which of that entry's events.
    After(u64, u32),
}

#[derive(Debug, Args)]
pub(super) struct EventsArguments {
    /// Where to begin: `oldest` = all that is kept, `now`, or behind a POSITION as the events
    /// themselves have it, such as 1042.0.
    #[arg(long, value_name = "POSITION", value_parser = from, default_value = "oldest")]
    pub(super) from: From,
    /// Goes on until Ctrl-C; from another node if the one that tells them is lost.
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Only those of this session and its statements.
    #[arg(long, value_name = "SESSION")]
    pub(super) session: Option<String>,
    /// Only these kinds, such as session-moved; several with commas between.
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    pub(super) kind: Vec<KindOfEvent>,
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "oldest" => return Ok(From::Oldest),
        "now" => return Ok(From::Now),
        _ => {}
    }
    let (index, ordinal) = text.split_once('.').unwrap_or((text, "0"));
    match (index.parse(), ordinal.parse()) {
        (Ok(index), Ok(ordinal)) => Ok(From::After(index, ordinal)),
        (Err(_), _) | (_, Err(_)) => {
            Err("allowed: oldest, now, or a position such as 1042.0".to_owned())
        }
    }
}

/// Kinds of events, by the names that they are shown with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum KindOfEvent {
    LeaderElected,
    MembersChanged,
    NodeRegistered,
    NodeStateChanged,
    NodeRemoved,
    FailedOver,
    SessionCreated,
    SessionOpened,
    SessionMoved,
    SessionReset,
    SessionEnded,
    StatementEnded,
    PoolChanged,
    PoolRemoved,
    SettingsChanged,
    FeatureLevelRaised,
    Restored,
}

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The file to write.
    pub(super) file: PathBuf,
    /// Replaces the file if it is there.
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// A file that `libra admin backup` wrote.
    pub(super) file: PathBuf,
    /// Also if the backup is of a cluster with another name.
    #[arg(long)]
    pub(super) other_cluster: bool,
    /// Only says what is in it: nothing is changed.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) sure: SureArguments,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Leaves out a check; several with commas between.
    #[arg(long, value_enum, value_name = "CHECK", value_delimiter = ',')]
    pub(super) ignore: Vec<Check>,
    #[command(flatten)]
    pub(super) watch: WatchArguments,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::arguments::{Cli, Command};

    fn parsed(line: &str) -> Result<AdminArguments, clap::Error> {
        let words = ["libra", "admin"].into_iter().chain(line.split(' '));
        let cli = Cli::try_parse_from(words)?;
        let Command::Admin(arguments) = cli.command else {
            panic!("it is admin");
        };
        Ok(*arguments)
    }

    #[test]
    fn endpoints_come_one_by_one_or_with_commas() {
        let of = |line| -> Vec<String> {
            let arguments = parsed(line).unwrap().connection.endpoint;
            arguments.iter().map(ToString::to_string).collect()
        };
        assert_eq!(of("status --endpoint a:1,b:2"), ["a:1", "b:2"]);
        assert_eq!(of("--endpoint a:1 --endpoint b:2 status"), ["a:1", "b:2"]);
        let error = parsed("status --endpoint http://a:1").unwrap_err();
        assert!(
            error.to_string().contains("such as 127.0.0.1:8080"),
            "{error}"
        );
    }

    #[test]
    fn watch_takes_seconds_or_nothing() {
        let of = |line| {
            let AdminCommand::Status(arguments) = parsed(line).unwrap().command else {
                panic!("it is status");
            };
            arguments.watch.every().map(|every| every.as_secs())
        };
        assert_eq!(of("status"), None);
        assert_eq!(of("status --watch"), Some(2));
        assert_eq!(of("status --watch 5"), Some(5));
        assert!(parsed("status --watch 0").is_err());
    }

    #[test]
    fn events_begin_where_it_is_said() {
        for (text, expected) in [
            ("oldest", Some(From::Oldest)),
            ("now", Some(From::Now)),
            ("12", Some(From::After(12, 0))),
            ("12.3", Some(From::After(12, 3))),
            ("12.", None),
            ("x", None),
            ("-1", None),
        ] {
            assert_eq!(from(text).ok(), expected, "{text}");
        }
    }
}
