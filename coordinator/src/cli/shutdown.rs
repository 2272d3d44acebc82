//! Signals: the first SIGINT or SIGTERM asks for an orderly stop, a second one ends at once.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the shell says of a process that a signal has ended: 128 + the signal.
const ENDED_BY: i32 = 128;

/// Listens from now on; the future completes with the first signal. From then on the second one
/// ends the process.
///
/// # Errors
/// When the handlers cannot be installed.
pub(super) fn requested() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            let number = signals.next().await;
            std::process::exit(ENDED_BY + number);
        });
    })
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}
