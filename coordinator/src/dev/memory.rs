//! How much memory may still be taken: of the machine, and of the control groups that hold this
//! process, of either version.

use std::path::{Path, PathBuf};

/// Bytes, if this system says.
pub(super) fn available() -> Option<u64> {
    let machine = text(Path::new("/proc/meminfo"));
    let own = text(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = folders(Path::new("/sys/fs/cgroup"), &own);
    groups
        .iter()
        .filter_map(|folder| left(folder))
        .chain(machine.as_deref().and_then(meminfo_available))
        .min()
}

fn text(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn meminfo_available(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The folders of the groups in `/proc/self/cgroup` that may limit memory, those above included.
fn folders(root: &Path, own: &str) -> Vec<PathBuf> {
    let groups = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let base = match controllers {
            "" => root.to_owned(),
            _ if controllers.split(',').any(|c| c == "memory") => root.join("memory"),
            _ => return None,
        };
        Some((base, Path::new(path.trim_start_matches('/'))))
    });
    groups
        .flat_map(|(base, path)| path.ancestors().map(move |path| base.join(path)))
        .collect()
}

/// What a group may still take, if it has a limit.
fn left(folder: &Path) -> Option<u64> {
    let number = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| text(&folder.join(name)))?;
        found.trim().parse::<u64>().ok()
    };
    let limit = number(["memory.max", "memory.limit_in_bytes"])?;
    let used = number(["memory.current", "memory.usage_in_bytes"])?;
    // Files that were read count as used, and are dropped when the memory is needed.
    let stat = text(&folder.join("memory.stat")).unwrap_or_default();
    let cache = ["total_inactive_file", "inactive_file"]
        .iter()
        .find_map(|name| stat_of(&stat, name));
    Some(limit.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
}

fn stat_of(stat: &str, name: &str) -> Option<u64> {
    let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
    let (_, value) = lines.find(|(found, _)| *found == name)?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_machine_says_what_is_available() {
        assert_eq!(
            meminfo_available("MemTotal: 9 kB\nMemAvailable:  2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(meminfo_available("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn groups_of_both_versions_are_looked_at() {
        let own = "5:cpu:/\n4:cpuacct,memory:/a/b\n1:name=systemd:/s\n0::/user.slice\n";
        let found = folders(Path::new("/g"), own);
        let expected = [
            "/g/memory/a/b",
            "/g/memory/a",
            "/g/memory/",
            "/g/user.slice",
            "/g/",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert!(folders(Path::new("/g"), "nonsense\n1:memory\n").is_empty());
    }

    #[test]
    fn a_group_has_what_is_not_used_and_what_only_caches() {
        let cases = [
            (
                ["memory.max", "memory.current"],
                "1000",
                "inactive_file 100",
                Some(400),
            ),
            (["memory.max", "memory.current"], "1000", "", Some(300)),
            (["memory.max", "memory.current"], "max", "", None),
            (
                ["memory.limit_in_bytes", "memory.usage_in_bytes"],
                "1000",
                "inactive_file 1\ntotal_inactive_file 200",
                Some(500),
            ),
            (["memory.max", "memory.current"], "500", "", Some(0)),
        ];
        for (names, limit, stat, expected) in cases {
            let group = TempDir::new().unwrap();
            let write = |name: &str, text: &str| {
                std::fs::write(group.path().join(name), format!("{text}\n")).unwrap();
            };
            write(names[0], limit);
            write(names[1], "700");
            write("memory.stat", stat);
            assert_eq!(left(group.path()), expected, "{limit} {stat}");
        }
        assert_eq!(left(Path::new("/nowhere")), None);
    }
}
