//! What a pool actor does with each message.

use libra_proto::types::{JobId, SessionId};

use crate::failpoint;
use crate::scheduler::arbiter;

use super::message::{Message, Offer};
use super::state::State;

pub(super) fn handle(message: Message, state: &mut State) {
    failpoint::hit("pool-actor-panic");
    match message {
        Message::News {
            jobs,
            sessions,
            handled,
        } => {
            news(&jobs, &sessions, state);
            drop(handled);
        }
        Message::Reread(handled) => {
            state.reread();
            drop(handled);
        }
        Message::Offer(offer) => answer(&offer, state),
    }
}

fn news(jobs: &[JobId], sessions: &[SessionId], state: &mut State) {
    let standings = state.registry.standings(jobs);
    for (job, standing) in jobs.iter().zip(standings) {
        match standing {
            Some(standing) => state.queue.put(&standing),
            None => state.queue.forget(*job),
        }
    }
    if !sessions.is_empty() {
        let open = state.registry.are_open(sessions);
        for (session, open) in sessions.iter().zip(open) {
            state.queue.set_open(session, open);
        }
    }
}

fn answer(offer: &Offer, state: &mut State) {
    let mut candidates = state.queue.head(offer.order, offer.most);
    if candidates.len() < offer.most as usize {
        // The registry had more: news of it is on its way, or was lost.
        state.reread();
        candidates = state.queue.head(offer.order, offer.most);
    }
    // The arbiter is this actor's supervisor: if it is gone, so will this be.
    let _ = offer.arbiter.cast(arbiter::Message::Offered {
        round: offer.round,
        pool: state.place.pool.clone(),
        candidates,
    });
}
