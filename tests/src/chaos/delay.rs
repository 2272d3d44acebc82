//! A process that holds every packet of a queue of the kernel's packet filter for a while: delay
//! and jitter where the kernel has no `netem`.
//!
//! **Invariant:** packets are held, never changed and never lost; how long each is held is decided
//! by the seed.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use nfq::{Message, Queue, Verdict};

use crate::evidence::Dice;

/// Packets that may be held at a time; the kernel drops what is beyond.
const HELD: u32 = 65_535;
/// How many bytes of a packet are looked at.
const COPIED: u16 = 64;
/// Pause where nothing is due and nothing comes.
const PAUSE: Duration = Duration::from_millis(1);

/// What is done to packets.
#[derive(Debug, Clone, Args)]
pub struct Delay {
    /// The number of the queue.
    #[arg(long)]
    queue: u16,
    /// How long a packet is held, ms.
    #[arg(long)]
    millis: u64,
    /// So much more or less, ms.
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// Decides how much.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Delay {
    /// Holds packets until the process is killed.
    ///
    /// # Errors
    /// When the queue cannot be had, or the kernel takes no verdict.
    pub async fn run(&self) -> io::Result<()> {
        let mut queue = Queue::open()?;
        queue.bind(self.queue)?;
        queue.set_queue_max_len(self.queue, HELD)?;
        queue.set_copy_range(self.queue, COPIED)?;
        queue.set_nonblocking(true);
        let mut dice = Dice::new(self.seed, 0);
        // By the moment when it is due, and among those of one moment by arrival.
        let mut held: BTreeMap<(Instant, u64), Message> = BTreeMap::new();
        let mut arrived = 0;
        loop {
            let mut idle = true;
            while let Some(packet) = received(&mut queue)? {
                arrived += 1;
                let due = Instant::now() + self.time(&mut dice);
                held.insert((due, arrived), packet);
                idle = false;
            }
            let now = Instant::now();
            while let Some(first) = held.first_entry().filter(|first| first.key().0 <= now) {
                let mut packet = first.remove();
                packet.set_verdict(Verdict::Accept);
                queue.verdict(packet)?;
                idle = false;
            }
            if idle {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn time(&self, dice: &mut Dice) -> Duration {
        let most = self.millis + self.jitter;
        let less = dice.below(2 * self.jitter + 1);
        Duration::from_millis(most.saturating_sub(less))
    }
}

fn received(queue: &mut Queue) -> io::Result<Option<Message>> {
    match queue.recv() {
        Ok(packet) => Ok(Some(packet)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_held_for_as_long_as_asked_more_or_less() {
        let delay = Delay {
            queue: 1,
            millis: 50,
            jitter: 40,
            seed: 1,
        };
        let mut dice = Dice::new(1, 0);
        let times: Vec<u128> = (0..1_000)
            .map(|_| delay.time(&mut dice).as_millis())
            .collect();
        assert_eq!(times.iter().min(), Some(&10));
        assert_eq!(times.iter().max(), Some(&90));
    }
}
