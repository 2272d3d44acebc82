//! What a run is to do.

use std::path::PathBuf;

use clap::Args;

use super::Fault;

/// How much is done, to what.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What is done, one table row each; all that there is if not given.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// How often each is done.
    #[arg(long, default_value_t = 30)]
    pub injections: usize,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(3..=5))]
    pub nodes: u64,
    /// Statements that may run at once, 24 if not given; where pools are filled it is always 10.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub slots: Option<u64>,
    /// Decides victims, mixtures and work; drawn if not given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// A real Spark Connect endpoint, `sc://host:port`, instead of a stub of our own.
    #[arg(long, requires = "spark_ui")]
    pub spark: Option<String>,
    /// The UI of that Spark, `http://host:port`, which says what it ran.
    #[arg(long)]
    pub spark_ui: Option<String>,
    /// Where report and histories go.
    #[arg(long, default_value = "chaos-report")]
    pub report: PathBuf,
    /// Takes safeties off, as `epoch-check,…`; the build has to allow it.
    #[arg(long)]
    pub safety_off: Option<String>,
    /// Runs nodes with an fsync that does nothing (`eatmydata`).
    #[arg(long)]
    pub no_fsync: bool,
    /// Plain processes on the loopback interface, even as root.
    #[arg(long)]
    pub loopback: bool,
    /// The short run: some faults, a few times each. What is given beside it counts.
    #[arg(long)]
    pub short: bool,
    /// Missed times fail the run too.
    #[arg(long)]
    pub strict: bool,
}

/// What the short run does, within 8 minutes on two cores.
const SHORT: &[Fault] = &[
    Fault::OwnerKill,
    Fault::LeaderKill,
    Fault::MajorityKill,
    Fault::OwnerStop,
    Fault::LeaderBlackHole,
    Fault::OneWay,
    Fault::RaftCut,
    Fault::SparkCut,
    Fault::ClockCut,
    Fault::DiskFull,
    Fault::SlowFsync,
    Fault::PowerCutAll,
    Fault::SparkKill,
    Fault::Membership,
    Fault::SessionMoves,
    Fault::Pools,
    Fault::Mixed,
];
/// How often each.
const SHORT_INJECTIONS: usize = 2;

impl Options {
    /// The faults of this run.
    #[must_use]
    pub fn chosen(&self) -> Vec<Fault> {
        if !self.faults.is_empty() {
            self.faults.clone()
        } else if self.short {
            SHORT.to_vec()
        } else {
            Fault::all().to_vec()
        }
    }

    /// How often each is done.
    #[must_use]
    pub fn times(&self) -> usize {
        if self.short {
            self.injections.min(SHORT_INJECTIONS)
        } else {
            self.injections
        }
    }

    /// Why nodes get no namespaces, if something given speaks against it.
    #[must_use]
    pub fn loopback(&self) -> Option<&str> {
        if self.loopback {
            Some("as asked")
        } else if self.spark.is_some() {
            Some("Spark is on this host's own network")
        } else {
            None
        }
    }
}
