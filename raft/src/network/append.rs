//! One stream of log entries to a follower: many requests under way, answered in order.
//!
//! **Invariant:** never more than [`WINDOW_BYTES`] (or one request) unanswered, so that a slow
//! follower costs neither node memory; and never a request unanswered for much longer than
//! [`ANSWER_LIMIT`] without an error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use libra_proto::raft as wire;
use prost::Message;
use tokio::sync::Notify;
use tonic::{Status, Streaming};

use super::wire::append_to;
use crate::type_config::AppendRequest;

/// How much may be under way to one follower.
const WINDOW_BYTES: usize = 8 << 20;
/// How many requests may be.
const WINDOW_REQUESTS: usize = 64;
/// A dead connection is noticed by its pings; this is for a follower whose disk hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The opening of a stream waits for no disk.
pub(super) const OPEN_LIMIT: Duration = Duration::from_millis(500);

/// What of a stream is unanswered.
#[derive(Debug, Default)]
pub(super) struct Window {
    state: Mutex<Unanswered>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Unanswered {
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Window {
    /// Waits until another request may be sent.
    async fn has_room(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state();
                if state.bytes < WINDOW_BYTES && state.sizes.len() < WINDOW_REQUESTS {
                    return;
                }
            }
            changed.await;
        }
    }

    fn sent(&self, bytes: usize) {
        let mut state = self.state();
        state.sizes.push_back(bytes);
        state.bytes += bytes;
    }

    fn answered(&self) {
        let mut state = self.state();
        if let Some(bytes) = state.sizes.pop_front() {
            state.bytes -= bytes;
        }
        drop(state);
        self.changed.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.state().sizes.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, Unanswered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests as they are sent: the envelope is in the first.
pub(super) fn requests<S>(
    input: S,
    envelope: wire::Envelope,
    window: Arc<Window>,
) -> impl Stream<Item = wire::AppendRequest> + Send + 'static
where
    S: Stream<Item = AppendRequest> + Send + Unpin + 'static,
{
    let start = (input, Some(envelope), window);
    futures::stream::unfold(start, |(mut input, mut envelope, window)| async move {
        window.has_room().await;
        let request = append_to(&input.next().await?, envelope.take());
        window.sent(request.encoded_len());
        Some((request, (input, envelope, window)))
    })
}

/// Why there is no answer.
pub(super) enum Silence {
    Failed(Status),
    TooLong(Duration),
}

/// The next answer, or none at the end of the stream.
pub(super) async fn next_answer(
    answers: &mut Streaming<wire::AppendResponse>,
    window: &Window,
) -> Result<Option<wire::AppendResponse>, Silence> {
    loop {
        // A request that is sent during the wait has the next round.
        let owed = !window.is_empty();
        match tokio::time::timeout(ANSWER_LIMIT, answers.message()).await {
            Ok(Ok(answer)) => {
                window.answered();
                return Ok(answer);
            }
            Ok(Err(status)) => return Err(Silence::Failed(status)),
            Err(_elapsed) if owed => return Err(Silence::TooLong(ANSWER_LIMIT)),
            Err(_elapsed) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn no_more_is_sent_than_the_window_holds() {
        let window = Window::default();
        window.sent(WINDOW_BYTES - 1);
        assert!(window.has_room().now_or_never().is_some());
        window.sent(1);
        assert!(window.has_room().now_or_never().is_none());
        window.answered();
        assert!(window.has_room().now_or_never().is_some());
        window.answered();
        assert!(window.is_empty());
        for _ in 0..WINDOW_REQUESTS {
            assert!(window.has_room().now_or_never().is_some());
            window.sent(0);
        }
        assert!(window.has_room().now_or_never().is_none());
    }

    #[test]
    fn a_sender_that_waits_is_woken() {
        let window = Window::default();
        window.sent(WINDOW_BYTES);
        let mut waiting = Box::pin(window.has_room());
        assert!(waiting.as_mut().now_or_never().is_none());
        window.answered();
        assert!(waiting.as_mut().now_or_never().is_some());
    }
}
