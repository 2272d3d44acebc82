//! The responses of one operation, as they come over the simulated network.

use std::time::Duration;

use libra_actors::spark::seal;
use libra_raft::simulation::Runtime;
use prost::Message as _;

use super::super::net::{Net, SPARK};
use super::word::{Broken, said, sealed};
use super::{Spark, now_ms};
use crate::stub::engine::{Attached, Kind, Outgoing, Step, StreamId};
use crate::stub::rows::Table;

/// A stream is looked at so often.
const POLL: Duration = Duration::from_millis(10);
/// A stream that is cut off for so long is dead.
const SILENCE: Duration = Duration::from_millis(600);

/// A stream of responses that somebody reads.
#[derive(Debug)]
pub struct Reading {
    stream: StreamId,
    /// It is the poison that answers, and not the statement.
    sealed: bool,
    ready: Vec<Outgoing>,
    unheard_since: Option<Duration>,
    /// Since then a response is missing: nothing more comes, and its reader will find out.
    lost_since: Option<Duration>,
}

/// What a stream has to say.
#[derive(Debug)]
pub enum Heard {
    /// A response.
    Response(Outgoing),
    /// The server ended the stream.
    End,
    /// It broke.
    Failed(Broken),
}

impl Spark {
    /// Waits for the next response. Cancel safe: whoever waits may leave and come again.
    pub async fn next(&self, net: &Net, node: u64, reading: &mut Reading) -> Heard {
        loop {
            if let Some(since) = reading.lost_since {
                Runtime::pause((since + SILENCE).saturating_sub(Runtime::now())).await;
                return self.broken(reading);
            }
            if !reading.ready.is_empty() {
                // Taken only once it is here.
                if net.travel(SPARK, node).await {
                    reading.unheard_since = None;
                    let response = reading.ready.remove(0);
                    if reading.sealed && response.kind == Kind::Schema {
                        return Heard::Failed(sealed());
                    }
                    return Heard::Response(response);
                }
                // Lost, with all that follows it in this stream.
                reading.ready.clear();
                reading.lost_since = Some(Runtime::now());
                continue;
            }
            if net.is_cut(SPARK, node) || net.is_cut(node, SPARK) {
                let since = *reading.unheard_since.get_or_insert_with(Runtime::now);
                if Runtime::now() >= since + SILENCE {
                    return self.broken(reading);
                }
                Runtime::pause(POLL).await;
                continue;
            }
            let (step, is_down) = {
                let mut state = self.lock();
                let is_down = Runtime::now() < state.down_until;
                (state.engine.poll(now_ms(), reading.stream), is_down)
            };
            match step {
                Step::Send(responses) => reading.ready = responses,
                Step::Wait(_) => Runtime::pause(POLL).await,
                Step::End(Ok(())) => return Heard::End,
                Step::End(Err(error)) => {
                    let broken = if is_down { Broken::Silent } else { said(error) };
                    return Heard::Failed(broken);
                }
            }
        }
    }

    fn broken(&self, reading: &Reading) -> Heard {
        self.lock().engine.leave(now_ms(), reading.stream);
        Heard::Failed(Broken::Silent)
    }

    /// The reader is gone.
    pub fn leave(&self, reading: &Reading) {
        self.lock().engine.leave(now_ms(), reading.stream);
    }
}

pub(super) fn reading(attached: &Attached) -> Reading {
    let schema = attached.script.result().map(Table::spark_schema);
    let schema = schema.map(|schema| schema.encode_to_vec());
    Reading {
        sealed: seal::is_sealed(&attached.operation_id, &schema.unwrap_or_default()),
        stream: attached.stream,
        ready: Vec::new(),
        unheard_since: None,
        lost_since: None,
    }
}

/// Whether the response is the batch of some number.
#[must_use]
pub fn batch(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Batch(number) => Some(number),
        Kind::Schema | Kind::Progress(_) | Kind::Metrics | Kind::Complete => None,
    }
}
