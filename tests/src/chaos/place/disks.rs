//! File systems of nodes, each in a file on a loop device: small enough to be filled, and able to
//! lose what was not synced, as in a power cut.
//!
//! **Invariant:** only a mount point on a loop device that was made here is ever cut off: on any
//! other path the same call would take the machine's own file system down.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::tool::run;

/// Room for the Raft log, snapshots and results of one run; little, where it is to be filled.
const BYTES: u64 = 4 << 30;
const FEW_BYTES: u64 = 768 << 20;
/// What fills a disk.
const FILLER: &str = "filler";

#[derive(Debug)]
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

/// The file systems of all nodes that have one.
#[derive(Debug)]
pub(in super::super) struct Disks {
    disks: BTreeMap<u64, Disk>,
    dir: TempDir,
    bytes: u64,
}

impl Disks {
    /// None yet; `small` ones can be filled in a moment.
    ///
    /// # Errors
    /// When no directory can be made.
    pub(in super::super) fn open(small: bool) -> Result<Self> {
        Ok(Self {
            disks: BTreeMap::new(),
            dir: tempfile::tempdir()?,
            bytes: if small { FEW_BYTES } else { BYTES },
        })
    }

    /// Makes and mounts the file system of a node; gives where it is.
    ///
    /// # Errors
    /// When a tool fails.
    pub(in super::super) async fn make(&mut self, id: u64) -> Result<PathBuf> {
        let image = self.dir.path().join(format!("{id}.img"));
        let mount = self.dir.path().join(format!("{id}"));
        File::create(&image)?.set_len(self.bytes)?;
        fs::create_dir_all(&mount)?;
        run(&["mkfs.ext4", "-q", "-F", "-m", "0", text(&image)?]).await?;
        let disk = Disk { image, mount };
        disk.attach().await?;
        let mount = disk.mount.clone();
        self.disks.insert(id, disk);
        Ok(mount)
    }

    /// Cuts a node's file system off: from now on nothing reaches it, and what was not synced is
    /// lost. Its process is to be killed at once.
    ///
    /// # Errors
    /// When it has none, or a tool fails.
    pub(in super::super) async fn cut(&self, id: u64) -> Result<()> {
        let mount = &self.disk(id)?.mount;
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        ensure!(
            on_loop_device(&table, text(mount)?),
            "{} is not on a loop device",
            mount.display()
        );
        run(&["xfs_io", "-x", "-c", "shutdown", text(mount)?]).await?;
        Ok(())
    }

    /// Mounts a node's file system anew, after its process is gone.
    ///
    /// # Errors
    /// When a tool fails.
    pub(in super::super) async fn power_on(&self, id: u64) -> Result<()> {
        let disk = self.disk(id)?;
        run(&["umount", text(&disk.mount)?]).await?;
        disk.attach().await
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// When the node has no disk, or no room was left to begin with.
    pub(in super::super) async fn fill(&self, id: u64) -> Result<()> {
        let filler = self.disk(id)?.mount.join(FILLER);
        let name = text(&filler)?.to_owned();
        // Ends with "no space left", which is what was wanted.
        let of = format!("of={name}");
        let written = run(&["dd", "if=/dev/zero", &of, "bs=1M", "status=none"]).await;
        ensure!(written.is_err(), "the disk of node {id} is still not full");
        ensure!(filler.exists(), "nothing was written to node {id}'s disk");
        // The last kilobytes too.
        let tail = format!("{name}-tail");
        let of = format!("of={tail}");
        let _ = run(&["dd", "if=/dev/zero", &of, "bs=1k", "status=none"]).await;
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When the node has no disk, or a file cannot be removed.
    pub(in super::super) fn empty(&self, id: u64) -> Result<()> {
        let mount = &self.disk(id)?.mount;
        for name in [FILLER.to_owned(), format!("{FILLER}-tail")] {
            let path = mount.join(name);
            if path.exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn disk(&self, id: u64) -> Result<&Disk> {
        let disk = self.disks.get(&id);
        disk.with_context(|| format!("node {id} has no disk of its own"))
    }

    /// Unmounts all, after all processes are gone.
    pub(in super::super) async fn close(&self) {
        for disk in self.disks.values() {
            // What fails here ends with the mount namespace.
            if let Ok(mount) = text(&disk.mount) {
                let _ = run(&["umount", "-l", mount]).await;
            }
        }
    }
}

impl Disk {
    async fn attach(&self) -> Result<()> {
        let (image, mount) = (text(&self.image)?, text(&self.mount)?);
        run(&["mount", "-o", "loop", image, mount]).await?;
        Ok(())
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// Whether a table of mounts names this very path as a mount point of a loop device.
fn on_loop_device(table: &str, mount: &str) -> bool {
    let mut points = table.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = before.split(' ').nth(4)?;
        let source = after.split(' ').nth(1)?;
        Some((point, source))
    });
    points.any(|(point, source)| point == mount && source.starts_with("/dev/loop"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loop_device_may_be_cut_off() {
        let table = "36 25 7:0 / /tmp/x/1 rw,relatime shared:1 - ext4 /dev/loop0 rw\n\
                     21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n";
        assert!(on_loop_device(table, "/tmp/x/1"));
        for other in ["/", "/tmp/x", "/tmp/x/12", ""] {
            assert!(!on_loop_device(table, other), "{other}");
        }
    }
}
