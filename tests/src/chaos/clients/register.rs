//! Numbers that are written and read and mean nothing: the weight of pools that nobody uses. What
//! is read of them has to be explained by some order of what was written.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use super::{MADE_WITHIN, pause};
use crate::checkers::FIRST;
use crate::evidence::{Dice, Kept, Outcome, Wrote};
use crate::harness::{PoolList, until};
use crate::kill::calls::{Calls, outcome};
use crate::kill::client::Signals;

/// The registers.
const KEYS: [&str; 2] = ["register-1", "register-2"];
const PAUSE_MS: u64 = 40;
/// Values of one client, so that no two clients write the same.
const OWN: u64 = 100_000;

/// Makes the registers, with their first value.
///
/// # Errors
/// When that is not answered in time.
pub(super) async fn make(calls: &Calls) -> Result<()> {
    for key in KEYS {
        until("a pool to be made", MADE_WITHIN, || async {
            let request = calls.request(Method::PUT, &format!("pools/{key}"));
            let (_, reply) = calls.send(request.with(|r| r.json(&body(FIRST)))).await;
            Ok(outcome(&reply) == Outcome::Ok)
        })
        .await?;
    }
    Ok(())
}

pub(super) async fn run(calls: Calls, client: u64, mut dice: Dice, signals: Signals) {
    let mut value = client * OWN + FIRST;
    while !signals.stopped() {
        if dice.once_in(3) {
            value += 1;
            let at = usize::from(dice.once_in(2));
            write(&calls, KEYS[at], value).await;
        } else {
            read(&calls).await;
        }
        pause(PAUSE_MS).await;
    }
}

fn body(value: u64) -> serde_json::Value {
    json!({ "weight": value, "minShare": 0, "schedulingMode": "FIFO" })
}

async fn write(calls: &Calls, key: &str, value: u64) {
    let request = calls.request(Method::PUT, &format!("pools/{key}"));
    let (span, reply) = calls.send(request.with(|r| r.json(&body(value)))).await;
    let wrote = Wrote {
        key: key.to_owned(),
        value,
        span,
        outcome: outcome(&reply),
    };
    calls.book.note(|history| history.wrote.push(wrote));
}

async fn read(calls: &Calls) {
    let (span, reply) = calls.send(calls.request(Method::GET, "pools")).await;
    let Ok(Ok(list)) = reply.map(|reply| reply.json::<PoolList>(&[200])) else {
        return;
    };
    let of_us = list
        .pools
        .iter()
        .filter(|p| KEYS.contains(&p.name.as_str()));
    let kept = of_us.map(|pool| Kept {
        key: pool.name.clone(),
        value: pool.weight,
        span,
    });
    calls.book.note(|history| history.kept.extend(kept));
}
