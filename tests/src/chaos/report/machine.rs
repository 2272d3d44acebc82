//! Where numbers were measured.

use serde::Serialize;

/// The machine, the build and the day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Processors.
    pub cpus: usize,
    /// The model of the first.
    pub cpu: String,
    /// Memory, MB.
    pub memory: u64,
    /// The kernel.
    pub kernel: String,
    /// Load average of the last minute when the run began.
    pub load: String,
    /// `debug` or `release`.
    pub build: &'static str,
    /// When the run began, UTC.
    pub day: String,
    /// Where the nodes ran.
    pub place: String,
    /// What stood behind them.
    pub spark: String,
}

impl Machine {
    /// This one, now. What the kernel does not say is left empty.
    pub(in super::super) fn here(place: String, spark: String) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |path: &str, name: &str| {
            let text = read(path);
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map(|(_, value)| value.trim().to_owned())
        };
        let kib = field("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib: u64 = kib
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        let load = read("/proc/loadavg");
        Self {
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory: kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            build: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            day: chrono::Utc::now().format("%Y-%m-%d %H:%M").to_string(),
            place,
            spark,
        }
    }
}
