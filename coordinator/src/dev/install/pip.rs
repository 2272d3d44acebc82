//! pip, and how far it is, from outside: pip shows progress only to a terminal, and differently in
//! each of its versions; its log says which part it is at, its temporary folder how much it has
//! downloaded.

use std::path::Path;
use std::time::Duration;

use super::places::Places;
use super::{TAIL_LINES, TICK};
use crate::dev::console::Step;
use crate::dev::guard::{Program, tail};
use crate::dev::{DevError, PYSPARK_VERSION};

/// Makes the virtual environment.
pub(super) async fn make_venv(places: &Places, python: &Path, step: &Step) -> Result<(), DevError> {
    let mut program = guarded(places, python, python);
    program.arg("-m").arg("venv").arg(&places.venv);
    run(program, "making a virtual environment", places, step).await
}

/// Installs pyspark from a file, or from wherever pip finds it.
pub(super) async fn install(
    places: &Places,
    guard: &Path,
    file: Option<&Path>,
    step: &Step,
) -> Result<(), DevError> {
    let mut program = program(places, guard);
    for argument in [
        "-m",
        "pip",
        "install",
        "--no-input",
        "--no-compile",
        "--disable-pip-version-check",
    ] {
        program.arg(argument);
    }
    match file {
        // pip would keep the wheel that it builds of the file, for nobody.
        Some(file) => program.arg("--no-cache-dir").arg(file),
        None => program.arg(format!("pyspark=={PYSPARK_VERSION}")),
    };
    step.now("unpacking pyspark");
    run(program, "pip install", places, step).await
}

/// The virtual environment's Python, guarded by `guard`, another Python.
pub(super) fn program(places: &Places, guard: &Path) -> Program {
    guarded(places, guard, &places.venv.join("bin/python"))
}

fn guarded(places: &Places, guard: &Path, program: &Path) -> Program {
    // An interrupted step has nothing to tidy up: everything is made anew.
    let mut program = Program::new(guard, program, &places.log, Duration::ZERO);
    program.env("TMPDIR", &places.temporary);
    program.without_env("PYTHONHOME").without_env("PYTHONPATH");
    program
}

async fn run(
    program: Program,
    what: &'static str,
    places: &Places,
    step: &Step,
) -> Result<(), DevError> {
    let mut running = program.start()?;
    let status = loop {
        tokio::select! {
            status = running.wait() => break status,
            () = tokio::time::sleep(TICK) => show(places, step),
        }
    };
    if status.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(DevError::Install {
        step: what,
        log: places.log.clone(),
        tail: tail(&places.log, TAIL_LINES),
    })
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

/// Shows how far it is.
fn show(places: &Places, step: &Step) {
    let log = std::fs::read(&places.log).unwrap_or_default();
    match part(&String::from_utf8_lossy(&log)) {
        Part::Download { what, total } => {
            let done = largest_file(&places.temporary, 3);
            step.bytes(&format!("downloading {what}"), done.min(total), Some(total));
        }
        Part::Prepare => step.now("unpacking pyspark"),
        Part::Build => step.now("building pyspark's wheel"),
        Part::Install => step.now("installing pyspark"),
        Part::Other => {}
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
    use tempfile::TempDir;

    use super::*;
    use crate::dev::console::Console;

    #[tokio::test]
    async fn a_step_that_fails_shows_its_output() {
        let cache = TempDir::new().unwrap();
        let places = Places::in_cache(cache.path());
        std::fs::write(&places.log, "").unwrap();
        let step = Console::new().step("test");
        let python = Path::new("python3");
        let mut program = guarded(&places, python, python);
        program
            .arg("-c")
            .arg("print('no such luck'); raise SystemExit(3)");
        let e = run(program, "pip install", &places, &step)
            .await
            .unwrap_err();
        let text = e.to_string();
        assert!(
            text.starts_with("pip install failed") && text.contains("no such luck"),
            "{text}"
        );
    }

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
