//! Inside a pool.

use std::collections::BTreeMap;

use libra_proto::types::{JobId, Stand, Standing};
use proptest::prelude::*;

use crate::fair::model::Order;
use crate::fair::queue::Queue;

const WAITING: Stand = Stand::Waiting { open: true };
const SHUT: Stand = Stand::Waiting { open: false };

fn standing(job: u64, user: &str, session: &str, stand: Stand) -> Standing {
    Standing {
        job: JobId(job),
        user: user.to_owned(),
        session: session.parse().unwrap(),
        stand,
        started_at_ms: 0,
    }
}

fn queue(standings: &[(u64, &str, &str, Stand)]) -> Queue {
    let standings: Vec<_> = standings
        .iter()
        .map(|(job, user, session, stand)| standing(*job, user, session, *stand))
        .collect();
    Queue::of(&standings)
}

fn head(queue: &mut Queue, order: Order, most: u32) -> Vec<u64> {
    let head = queue.head(order, most);
    head.iter().map(|candidate| candidate.job.0).collect()
}

#[test]
fn fifo_is_by_acceptance() {
    let mut queue = queue(&[
        (3, "ann", "s", WAITING),
        (1, "ann", "s", WAITING),
        (2, "bob", "t", WAITING),
    ]);
    assert_eq!(head(&mut queue, Order::Fifo, 9), [1, 2, 3]);
    assert_eq!(head(&mut queue, Order::Fifo, 1), [1]);
}

#[test]
fn fair_is_even_between_users_then_sessions_then_by_acceptance() {
    let mut queue = queue(&[
        (1, "ann", "s", WAITING),
        (2, "ann", "s", WAITING),
        (3, "ann", "s", WAITING),
        (4, "ann", "t", WAITING),
        (5, "bob", "u", WAITING),
        (6, "bob", "u", WAITING),
        (7, "cem", "v", WAITING),
    ]);
    assert_eq!(head(&mut queue, Order::Fair, 9), [1, 5, 7, 4, 6, 2, 3]);
    let oldest: Vec<u64> = queue
        .head(Order::Fair, 4)
        .iter()
        .map(|c| c.oldest.0)
        .collect();
    assert_eq!(
        oldest,
        [1, 2, 2, 2],
        "what waits longest, whoever goes first"
    );
}

#[test]
fn fair_counts_what_is_held() {
    let mut queue = queue(&[
        (1, "ann", "s", Stand::Holding),
        (2, "ann", "s", WAITING),
        (3, "bob", "t", WAITING),
        (4, "bob", "t", WAITING),
    ]);
    assert_eq!((queue.waiting(), queue.holding()), (3, 1));
    assert_eq!(head(&mut queue, Order::Fair, 9), [3, 2, 4]);
}

#[test]
fn a_pool_of_one_slot_goes_round_between_users() {
    let mut queue = queue(&[
        (1, "ann", "s", WAITING),
        (2, "ann", "s", WAITING),
        (3, "ann", "s", WAITING),
        (4, "bob", "t", WAITING),
        (5, "bob", "t", WAITING),
    ]);
    let mut order = Vec::new();
    for now in 1..=5 {
        let job = head(&mut queue, Order::Fair, 1)[0];
        let (user, session) = if job < 4 { ("ann", "s") } else { ("bob", "t") };
        for stand in [Stand::Holding, Stand::Ended] {
            queue.put(&Standing {
                started_at_ms: now,
                ..standing(job, user, session, stand)
            });
        }
        order.push(job);
    }
    assert_eq!(order, [1, 4, 2, 5, 3]);
    assert_eq!((queue.waiting(), queue.holding()), (0, 0));
}

#[test]
fn sessions_that_are_not_open_are_passed_over() {
    let mut queue = queue(&[
        (1, "ann", "s", SHUT),
        (2, "ann", "s", SHUT),
        (3, "bob", "t", WAITING),
    ]);
    for order in [Order::Fifo, Order::Fair] {
        assert_eq!(head(&mut queue, order, 9), [3]);
    }
    queue.set_open(&"s".parse().unwrap(), true);
    queue.set_open(&"t".parse().unwrap(), false);
    for order in [Order::Fifo, Order::Fair] {
        assert_eq!(head(&mut queue, order, 9), [1, 2]);
    }
    assert_eq!(queue.waiting(), 3);
}

#[test]
fn what_is_forgotten_is_gone() {
    let mut queue = queue(&[(1, "ann", "s", WAITING), (2, "ann", "s", Stand::Holding)]);
    for job in [1, 2, 3] {
        queue.forget(JobId(job));
    }
    assert_eq!((queue.waiting(), queue.holding()), (0, 0));
    assert!(queue.head(Order::Fair, 9).is_empty());
}

#[test]
fn lanes_in_which_nothing_is_are_not_kept_for_ever() {
    let mut queue = Queue::default();
    for job in 0..10_000 {
        queue.put(&Standing {
            started_at_ms: job,
            ..standing(job, &format!("user-{job}"), "s", Stand::Ended)
        });
    }
    let lanes = format!("{queue:?}").matches("served_ms").count();
    assert!(lanes < 10_000, "{lanes}");
}

/// One piece of news: a job, and what it is.
fn any_news() -> impl Strategy<Value = (u64, u8)> {
    (0_u64..24, 0_u8..4)
}

proptest! {
    /// The queue after any news is the queue made of the last word on each statement.
    #[test]
    fn only_the_last_word_counts(news in prop::collection::vec(any_news(), 0..120)) {
        let mut queue = Queue::default();
        let mut last = BTreeMap::new();
        for (job, what) in &news {
            // Whose a statement is, and in which session, never changes.
            let user = format!("user-{}", job % 3);
            let stand = [WAITING, SHUT, Stand::Holding, Stand::Ended][usize::from(*what)];
            let session = format!("{}-{}", job % 3, job % 2);
            let standing = standing(*job, &user, &session, stand);
            queue.put(&standing);
            last.insert(*job, standing);
        }
        // A session is open or not; the last word on one of its statements says so.
        let mut open = BTreeMap::new();
        for (job, _) in &news {
            if let Stand::Waiting { open: is } = last[job].stand {
                open.insert(last[job].session.clone(), is);
            }
        }
        for (session, open) in open {
            queue.set_open(&session, open);
            for standing in last.values_mut().filter(|s| s.session == session) {
                if matches!(standing.stand, Stand::Waiting { .. }) {
                    standing.stand = Stand::Waiting { open };
                }
            }
        }
        let mut anew = Queue::of(&last.into_values().collect::<Vec<_>>());
        prop_assert_eq!((queue.waiting(), queue.holding()), (anew.waiting(), anew.holding()));
        for order in [Order::Fifo, Order::Fair] {
            let heads = (queue.head(order, 50), anew.head(order, 50));
            prop_assert_eq!(&heads.0, &heads.1);
            prop_assert_eq!(queue.head(order, 50), heads.0, "asking changes nothing");
        }
    }
}
