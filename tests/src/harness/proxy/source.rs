//! Which of some processes opened a connection, as Linux tells it: the socket of that pair of ports
//! has an inode in `/proc/net/tcp`, and its process a descriptor that points there.

use std::fs;
use std::io;
use std::path::Path;

/// The process among `pids` whose end of a connection has the port `local`, to the port `remote`,
/// both of 127.0.0.1.
pub(super) fn process_of(local: u16, remote: u16, pids: &[u32]) -> io::Result<Option<u32>> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let Some(inode) = inode(&table, local, remote) else {
        return Ok(None);
    };
    let wanted = format!("socket:[{inode}]");
    let holds = |pid: &&u32| holds(Path::new(&format!("/proc/{pid}/fd")), &wanted);
    Ok(pids.iter().find(holds).copied())
}

fn holds(descriptors: &Path, wanted: &str) -> bool {
    // A process that has ended holds nothing.
    let Ok(entries) = fs::read_dir(descriptors) else {
        return false;
    };
    let mut targets = entries.flatten().map(|entry| fs::read_link(entry.path()));
    targets.any(|target| target.is_ok_and(|target| target == Path::new(wanted)))
}

/// Columns of the table: number, local address, remote address, state, …, inode as the tenth.
fn inode(table: &str, local: u16, remote: u16) -> Option<u64> {
    let loopback = |port: u16| format!("0100007F:{port:04X}");
    let (local, remote) = (loopback(local), loopback(remote));
    let mut rows = table.lines().map(str::split_whitespace);
    let mut row = rows.find(|row| {
        let mut columns = row.clone().skip(1);
        columns.next() == Some(&local) && columns.next() == Some(&remote)
    })?;
    row.nth(9)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_row_is_found_by_its_ports() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 42 1 0 20 4 30 10 -1\n   \
            1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0 20 4 30 10 -1\n";
        assert_eq!(inode(table, 0xC001, 8080), Some(43));
        assert_eq!(inode(table, 8080, 0xC001), Some(42));
        assert_eq!(inode(table, 1, 2), None);
    }

    #[test]
    fn a_connection_of_this_process_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", remote)).unwrap();
        let local = stream.local_addr().unwrap().port();
        let me = std::process::id();
        assert_eq!(process_of(local, remote, &[1, me]).unwrap(), Some(me));
        assert_eq!(process_of(local, remote, &[]).unwrap(), None);
        assert_eq!(process_of(remote, remote, &[me]).unwrap(), None);
    }
}
