//! How far pip is, from outside: pip shows progress only to a terminal, and differently in each of
//! its versions; its log says which part it is at, its temporary folder how much it has downloaded.

use std::path::{Path, PathBuf};

use super::console::Step;

/// Reads pip's log and temporary folder.
pub(super) struct Progress {
    log: PathBuf,
    temporary: PathBuf,
}

/// What pip is at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Download { what: String, total: u64 },
    Prepare,
    Build,
    Install,
    Other,
}

impl Progress {
    pub(super) fn new(log: &Path, temporary: &Path) -> Self {
        Self {
            log: log.to_owned(),
            temporary: temporary.to_owned(),
        }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, step: &Step) {
        let log = std::fs::read(&self.log).unwrap_or_default();
        match part(&String::from_utf8_lossy(&log)) {
            Part::Download { what, total } => {
                let done = largest_file(&self.temporary, 3);
                step.bytes(&format!("downloading {what}"), done.min(total), total);
            }
            Part::Prepare => step.now("unpacking pyspark"),
            Part::Build => step.now("building pyspark's wheel"),
            Part::Install => step.now("installing pyspark"),
            Part::Other => {}
        }
    }
}

/// What the last telling line of a log says.
fn part(log: &str) -> Part {
    log.lines()
        .rev()
        .map(line_part)
        .find(|part| *part != Part::Other)
        .unwrap_or(Part::Other)
}

fn line_part(line: &str) -> Part {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("Downloading ") {
        return downloading(rest).unwrap_or(Part::Other);
    }
    if line.starts_with("Installing build dependencies") || line.starts_with("Preparing metadata") {
        Part::Prepare
    } else if line.starts_with("Building wheel") {
        Part::Build
    } else if line.starts_with("Installing collected packages") {
        Part::Install
    } else {
        Part::Other
    }
}

/// `pyspark-4.3.0.tar.gz (455.9 MB)`.
fn downloading(rest: &str) -> Option<Part> {
    let (what, size) = rest.split_once(" (")?;
    let (number, unit) = size.strip_suffix(')')?.split_once(' ')?;
    let unit = match unit {
        "MB" => 1_000_000,
        "kB" => 1_000,
        "GB" => 1_000_000_000,
        _ => 1,
    };
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let tenths = tenths.get(..1)?.parse::<u64>().ok()?;
    let total = whole.parse::<u64>().ok()?.checked_mul(unit)? + tenths * unit / 10;
    // pip names the file of a mirror with its folders.
    let what = what.rsplit('/').next().unwrap_or(what).to_owned();
    Some(Part::Download { what, total })
}

/// The size of the largest file in a folder, a few levels deep: the archive being downloaded.
fn largest_file(folder: &Path, depth: u32) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| match entry.metadata().ok()? {
            meta if meta.is_dir() && depth > 0 => Some(largest_file(&entry.path(), depth - 1)),
            meta => Some(meta.len()).filter(|_| meta.is_file()),
        })
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "Collecting pyspark==4.3.0\n\
        \x20 Downloading pyspark-4.3.0.tar.gz (455.9 MB)\n";

    #[test]
    fn the_last_telling_line_counts() {
        let download = Part::Download {
            what: "pyspark-4.3.0.tar.gz".to_owned(),
            total: 455_900_000,
        };
        assert_eq!(part(LOG), download);
        assert_eq!(
            part(&format!("{LOG}     ━━━━ 455.9/455.9 MB 63.7 MB/s\n")),
            download
        );
        for (line, expected) in [
            ("  Installing build dependencies: started", Part::Prepare),
            (
                "  Preparing metadata (pyproject.toml): started",
                Part::Prepare,
            ),
            (
                "  Building wheel for pyspark (pyproject.toml): started",
                Part::Build,
            ),
            (
                "Installing collected packages: py4j, pyspark",
                Part::Install,
            ),
        ] {
            assert_eq!(part(&format!("{LOG}{line}\n")), expected);
        }
        for line in [
            "Downloading x",
            "Downloading x (y MB)",
            "Downloading x (1. MB)",
            "",
        ] {
            assert_eq!(part(line), Part::Other, "{line}");
        }
    }
}
