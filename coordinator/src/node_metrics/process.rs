//! The process, under the names that all of Prometheus' clients use, and its disk.

use std::fs;
use std::path::PathBuf;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, GaugeVec};

use super::gauges::{Gauges, set};

pub(super) struct ProcessMetrics {
    data_dir: PathBuf,
    gauges: Gauges,
    cpu: Counter,
    resident: Gauge,
    virtual_bytes: Gauge,
    threads: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    started: Gauge,
    disk_free: Gauge,
    disk_total: Gauge,
    build: GaugeVec,
}

/// What `/proc/self/stat` says; ticks and pages as the kernel counts them.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl ProcessMetrics {
    pub(super) fn new(data_dir: PathBuf) -> Result<Self, prometheus::Error> {
        let mut gauges = Gauges::default();
        Ok(Self {
            data_dir,
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "CPU time of the process, user and system",
            )?,
            resident: gauges.one("process_resident_memory_bytes", "Memory in RAM")?,
            virtual_bytes: gauges.one("process_virtual_memory_bytes", "Address space")?,
            threads: gauges.one("process_threads", "Threads")?,
            open_fds: gauges.one("process_open_fds", "Open file descriptors")?,
            max_fds: gauges.one(
                "process_max_fds",
                "File descriptors that the process may have open; 0 where there is no limit",
            )?,
            started: gauges.one(
                "process_start_time_seconds",
                "When the process was started, since the Unix epoch",
            )?,
            disk_free: gauges.one(
                "libra_disk_free_bytes",
                "Free bytes of the file system that holds the data directory",
            )?,
            disk_total: gauges.one(
                "libra_disk_total_bytes",
                "Bytes of the file system that holds the data directory",
            )?,
            build: gauges.by(
                &["version"],
                "libra_build_info",
                "Always 1; the label says which version runs",
            )?,
            gauges,
        })
    }

    fn refresh(&self) {
        let version = env!("CARGO_PKG_VERSION");
        set(&self.build.with_label_values(&[version]), 1);
        if let Ok(stat) = rustix::fs::statvfs(&self.data_dir) {
            set(&self.disk_free, stat.f_bavail.saturating_mul(stat.f_frsize));
            set(
                &self.disk_total,
                stat.f_blocks.saturating_mul(stat.f_frsize),
            );
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them is that of the folder.
            set(&self.open_fds, (open.count() as u64).saturating_sub(1));
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        set(&self.max_fds, limit.current.unwrap_or_default());
        let stat = fs::read_to_string("/proc/self/stat");
        if let Some(stat) = stat.ok().as_deref().and_then(parse) {
            self.note(&stat);
        }
    }

    fn note(&self, stat: &Stat) {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1) as f64;
        let seconds = stat.cpu_ticks as f64 / ticks_per_second;
        self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        set(&self.threads, stat.threads);
        set(&self.virtual_bytes, stat.virtual_bytes);
        let page = rustix::param::page_size() as u64;
        set(&self.resident, stat.resident_pages.saturating_mul(page));
        if let Some(boot) = boot_seconds() {
            let since_boot = stat.started_ticks as f64 / ticks_per_second;
            self.started.set(boot as f64 + since_boot);
        }
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.gauges.desc();
        all.extend(self.cpu.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        let mut families = self.gauges.collect();
        families.extend(self.cpu.collect());
        families
    }
}

fn boot_seconds() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Fields by their numbers in proc(5); the second, the program's name, may hold anything.
fn parse(stat: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)?.saturating_add(field(15)?),
        threads: field(20)?,
        started_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read_whatever_the_program_is_called() {
        let line = "42 (li bra) :)) S 1 42 42 0 -1 4194304 900 0 7 0 150 50 0 0 20 0 9 0 777 \
                    1048576 256 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0";
        let expected = Stat {
            cpu_ticks: 200,
            threads: 9,
            started_ticks: 777,
            virtual_bytes: 1_048_576,
            resident_pages: 256,
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse("42 (libra) S 1"), None);
    }

    #[test]
    fn this_process_is_measured() {
        let metrics = ProcessMetrics::new(std::env::temp_dir()).unwrap();
        metrics.refresh();
        for gauge in [
            &metrics.resident,
            &metrics.virtual_bytes,
            &metrics.threads,
            &metrics.open_fds,
            &metrics.started,
            &metrics.disk_total,
        ] {
            assert!(gauge.get() > 0.0, "{gauge:?}");
        }
    }
}
