//! The arguments, declared.

use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use super::admin::AdminArguments;
use super::sql::Format;
use crate::config::{LoadOptions, Remote};

/// Spark SQL for many, over REST: a cluster of coordinators in front of Spark Connect.
#[derive(Debug, Parser)]
#[command(name = "libra", version, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs a coordinator.
    Serve(ServeArguments),
    /// Runs Spark and a coordinator on this machine, to try things out.
    Dev(DevArguments),
    /// Runs SQL on a coordinator; without -e, --file or input from a pipe it asks for statements.
    Sql(SqlArguments),
    /// Shows pools, sessions and running statements, live; q ends it.
    Top(TopArguments),
    /// Asks a coordinator how it is: exit code 0 if it is well, 1 if not; for health checks.
    Health(HealthArguments),
    /// Operates a cluster: nodes, sessions, statements, pools, events, backup, doctor.
    Admin(Box<AdminArguments>),
    /// Prints completions of this command for a shell.
    #[command(after_help = INSTALL_COMPLETIONS)]
    Completions(CompletionsArguments),
}

const INSTALL_COMPLETIONS: &str = "\
To install them for oneself:
  bash  libra completions bash > ~/.local/share/bash-completion/completions/libra
  zsh   libra completions zsh > a folder of $fpath, as _libra
  fish  libra completions fish > ~/.config/fish/completions/libra.fish";

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    pub(super) shell: Shell,
}

/// A shell that completions are written for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// The configuration; without it ./application.yml if it is there.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Sets a key of the configuration; wins over file and environment.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// How log lines are written: `libra.log.format`.
    #[arg(long)]
    pub(super) log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    #[command(flatten)]
    pub(super) config: ConfigArguments,
    /// Only reads the configuration and says what is wrong with it: exit code 0 if nothing is, 2
    /// otherwise.
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum Mode {
    /// One Spark session for all.
    Shared,
    /// A Spark session for each session id.
    Isolated,
}

#[derive(Debug, Args)]
pub(super) struct DevArguments {
    #[command(flatten)]
    pub(super) config: ConfigArguments,
    /// How many coordinators run; several make a cluster, each a process of its own.
    #[arg(long, default_value = "1", value_parser = nodes)]
    pub(super) nodes: NonZeroU8,
    /// Port of REST, on 127.0.0.1; the first of several coordinators' ports, which follow each
    /// other.
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// Port of Spark Connect, on 127.0.0.1 [default: 15002].
    #[arg(long)]
    pub(super) spark_port: Option<u16>,
    /// Uses this Spark Connect server (sc://host:port) instead of starting one.
    #[arg(long, value_name = "URL", conflicts_with = "spark_port")]
    pub(super) spark_remote: Option<Remote>,
    /// Where registry, results and Spark's files go.
    #[arg(long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
    /// The session mode.
    #[arg(long, ignore_case = true)]
    pub(super) mode: Option<Mode>,
    /// Leaves out the guide's tables.
    #[arg(long)]
    pub(super) no_tables: bool,
    /// Only installs pyspark if it is not there, and prints `SPARK_HOME`.
    #[arg(long)]
    pub(super) install_only: bool,
}

#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// Statements to run, separated by semicolons; may be given several times.
    #[arg(short = 'e', long, value_name = "SQL", conflicts_with = "file")]
    pub(super) execute: Vec<String>,
    /// A file of statements.
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The session they run in.
    #[arg(long, default_value = "default")]
    pub(super) session: String,
    /// The pool they run in [default: default].
    #[arg(long)]
    pub(super) pool: Option<String>,
    /// The user they run for.
    #[arg(long)]
    pub(super) user: Option<String>,
    /// Ends a statement after so many seconds, its wait in the queue included.
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout_seconds: Option<u64>,
    /// How results are written.
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: Format,
    /// The coordinator: any one of the cluster.
    #[arg(long, env = "LIBRA_URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: String,
}

#[derive(Debug, Args)]
pub(super) struct TopArguments {
    /// The coordinator: any one of the cluster.
    #[arg(long, env = "LIBRA_URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: String,
    /// Seconds between two pictures.
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub(super) every: u32,
}

#[derive(Debug, Args)]
pub(super) struct HealthArguments {
    /// What is asked.
    #[arg(long, value_enum, default_value = "readiness")]
    pub(super) probe: Probe,
    /// The coordinator.
    #[arg(long, env = "LIBRA_URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: String,
    /// How long the answer may take.
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = value_parser!(u64).range(1..=60))]
    pub(super) timeout_seconds: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Probe {
    /// Whether the process works at all; no reason to end it as long as it does.
    Liveness,
    /// Whether requests should come to this node: it is in its cluster, which has a leader.
    Readiness,
    /// Whether Spark, the disk and the cluster are as they should be, as far as this node sees.
    Whole,
}

/// No more are of use on one machine.
const MOST_NODES: u8 = 9;

fn nodes(text: &str) -> Result<NonZeroU8, String> {
    let number = text
        .parse()
        .ok()
        .filter(|n: &NonZeroU8| n.get() <= MOST_NODES);
    number.ok_or_else(|| format!("allowed: 1 to {MOST_NODES}"))
}

impl ConfigArguments {
    /// What these arguments and the process's environment give to the configuration.
    pub(super) fn load_options(self) -> LoadOptions {
        let mut set = self.set;
        if let Some(format) = self.log_format {
            let name = match format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            };
            set.push(format!("libra.log.format={name}"));
        }
        let env = std::env::vars_os()
            .map(|(name, value)| (lossy(&name), lossy(&value)))
            .filter(|(name, _)| name.starts_with("LIBRA_"));
        LoadOptions {
            config_path: self.config,
            set,
            env: env.collect(),
            folder: PathBuf::new(),
        }
    }
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

impl DevArguments {
    /// Its arguments as `--set`: after those that were given, so that they win.
    pub(super) fn settings(&self) -> Vec<String> {
        let mut set = Vec::new();
        if let Some(port) = self.port {
            set.push(format!("libra.node.http=127.0.0.1:{port}"));
        }
        if let Some(folder) = &self.data_dir {
            // Relative to where the command runs, not to the configuration.
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            set.push(format!("libra.node.data-dir={}", folder.display()));
        }
        if let Some(mode) = self.mode {
            let name = match mode {
                Mode::Shared => "SHARED",
                Mode::Isolated => "ISOLATED",
            };
            set.push(format!("libra.session.mode={name}"));
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn dev_arguments_become_settings() {
        let cli = Cli::parse_from([
            "libra",
            "dev",
            "--port",
            "0",
            "--mode",
            "isolated",
            "--data-dir",
            "/x",
            "--set",
            "a=b",
        ]);
        let Command::Dev(arguments) = cli.command else {
            panic!("it is dev");
        };
        let expected = [
            "libra.node.http=127.0.0.1:0",
            "libra.node.data-dir=/x",
            "libra.session.mode=ISOLATED",
        ];
        assert_eq!(arguments.settings(), expected);
        assert_eq!(arguments.nodes.get(), 1);
        assert_eq!(arguments.config.load_options().set, ["a=b"]);
    }

    #[test]
    fn a_number_of_nodes_is_small_and_not_zero() {
        for (text, good) in [
            ("1", true),
            ("9", true),
            ("0", false),
            ("10", false),
            ("x", false),
        ] {
            let cli = Cli::try_parse_from(["libra", "dev", "--nodes", text]);
            assert_eq!(cli.is_ok(), good, "{text}");
        }
    }
}
