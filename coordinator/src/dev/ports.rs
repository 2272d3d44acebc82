//! Ports on 127.0.0.1.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use super::console::Console;

/// Hands out ports that are free now. Between this look and the bind somebody else may come: then
/// the bind says so.
#[derive(Debug, Default)]
pub(super) struct Ports {
    given: BTreeSet<u16>,
}

impl Ports {
    /// The wanted port, or a free one instead if it is taken, which is said.
    pub(super) fn take(&mut self, wanted: u16, what: &str, console: Console) -> u16 {
        if wanted != 0 && !self.given.contains(&wanted) && is_free(wanted) {
            self.given.insert(wanted);
            return wanted;
        }
        let port = self.any().unwrap_or(wanted);
        if wanted != 0 {
            console.say(&format!(
                "port {wanted} is taken: {what} uses {port} instead"
            ));
        }
        self.given.insert(port);
        port
    }

    /// This port and no other; false if it is taken.
    pub(super) fn take_exactly(&mut self, port: u16) -> bool {
        !self.given.contains(&port) && is_free(port) && self.given.insert(port)
    }

    fn any(&self) -> Option<u16> {
        // Ports stay bound while one is looked for that has not been given yet.
        let mut listeners = Vec::new();
        while listeners.len() <= self.given.len() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let port = listener.local_addr().ok()?.port();
            if !self.given.contains(&port) {
                return Some(port);
            }
            listeners.push(listener);
        }
        None
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced() {
        let console = Console::new();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wanted = taken.local_addr().unwrap().port();
        let mut ports = Ports::default();
        let first = ports.take(wanted, "REST", console);
        assert_ne!(first, wanted);
        let second = ports.take(first, "gRPC", console);
        assert_ne!(second, first, "no port is given twice");
        assert!(!ports.take_exactly(wanted));
        drop(taken);
        assert_eq!(ports.take(wanted, "Spark", console), wanted);
        assert!(!ports.take_exactly(wanted), "it is given");
        assert_ne!(ports.take(0, "Spark's UI", console), 0);
    }
}
