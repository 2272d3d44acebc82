//! What the kernel says about a process and the machine.

use std::fs;

use anyhow::{Context, Result};

/// Clock ticks of `/proc/PID/stat` in a second: fixed in Linux's interface to user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// The load average of the last minute.
pub(super) fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().context("an empty loadavg")?;
    Ok(first.parse()?)
}

/// Memory of a process, in MB (10^6 bytes).
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) resident: f64,
    /// The most that was ever resident.
    pub(super) peak: f64,
}

/// How much memory a process has.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(Memory {
        resident: megabytes(&text, "VmRSS:")?,
        peak: megabytes(&text, "VmHWM:")?,
    })
}

fn megabytes(status: &str, field: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib: f64 = line
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no {field} in a process status"))?;
    Ok(kib * 1024.0 / 1e6)
}

/// Processor time that a process has used, in seconds.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets that may hold anything.
    let (_, fields) = text.rsplit_once(") ").context("no process name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64> { Ok(fields.next().context("too short")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let me = std::process::id();
        let memory = memory(me).unwrap();
        assert!(memory.resident > 0.1 && memory.peak >= memory.resident);
        assert!(cpu_seconds(me).unwrap() >= 0.0);
        assert!(load().unwrap() >= 0.0);
        let text = "VmRSS:\t    2048 kB\n";
        assert!((megabytes(text, "VmRSS:").unwrap() - 2.097_152).abs() < 1e-9);
        assert!(megabytes(text, "VmHWM:").is_err());
    }
}
