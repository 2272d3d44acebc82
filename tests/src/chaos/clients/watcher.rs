//! Reads on any node: the newest statement of a session, its epoch and owner, and the list of all.

use reqwest::Method;

use super::pause;
use crate::evidence::{Dice, Newest, Owned};
use crate::harness::{Session, StatementList};
use crate::kill::calls::Calls;
use crate::kill::client::Signals;

const PAUSE_MS: u64 = 25;

pub(super) async fn run(calls: Calls, sessions: Vec<String>, mut dice: Dice, signals: Signals) {
    while !signals.stopped() {
        let at = usize::try_from(dice.below(sessions.len() as u64)).unwrap_or(0);
        let Some(session) = sessions.get(at) else {
            return;
        };
        match dice.below(4) {
            0 => {
                calls.look_at_all().await;
            }
            1 => owner(&calls, session).await,
            _ => newest(&calls, session).await,
        }
        pause(PAUSE_MS).await;
    }
}

async fn owner(calls: &Calls, session: &str) {
    let path = format!("sessions/{session}");
    let (span, reply) = calls.send(calls.request(Method::GET, &path)).await;
    let Ok(Ok(found)) = reply.map(|reply| reply.json::<Session>(&[200])) else {
        return;
    };
    let owned = Owned {
        session: session.to_owned(),
        epoch: found.epoch,
        owner: found.owner.node_id,
        span,
    };
    calls.book.note(|history| history.owned.push(owned));
}

async fn newest(calls: &Calls, session: &str) {
    let path = format!("sessions/{session}/statements?limit=1");
    let (span, reply) = calls.send(calls.request(Method::GET, &path)).await;
    let Ok(Ok(list)) = reply.map(|reply| reply.json::<StatementList>(&[200])) else {
        return;
    };
    let first = list.statements.first();
    let Ok(job) = first.map_or(Ok(0), |statement| statement.job_number()) else {
        return;
    };
    let newest = Newest {
        session: session.to_owned(),
        job,
        span,
    };
    calls.book.note(|history| history.newest.push(newest));
}
