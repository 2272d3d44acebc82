//! The rules of failover, one by one.

use proptest::prelude::*;

use super::*;

const FRESH: Facts = Facts {
    fresh: true,
    remembers_operations: true,
    seen: false,
    stored_whole: false,
};
const RECOVERED: Facts = Facts {
    fresh: false,
    ..FRESH
};

fn at(monotonic_ms: u64) -> Now {
    Now {
        monotonic_ms,
        running_for_ms: monotonic_ms,
    }
}

fn machine(facts: Facts) -> Machine {
    Machine::new(Limits::default(), facts)
}

fn class_of(action: &Action) -> &str {
    match action {
        Action::Finish {
            end: End::Failed(error),
            ..
        } => &error.error_class,
        _ => "",
    }
}

/// Brings a machine to the point where Spark said NOT_FOUND to a reattach.
fn not_found(facts: Facts) -> (Machine, Action) {
    let mut machine = machine(facts);
    assert_eq!(machine.on(Event::Begin, at(0)), Action::Reattach);
    let action = machine.on(Event::Failed(Failure::NotFound), at(1));
    (machine, action)
}

#[test]
fn a_fresh_statement_is_sent_at_once_and_ends_with_its_result() {
    let mut machine = machine(FRESH);
    assert_eq!(machine.on(Event::Begin, at(0)), Action::Execute);
    assert_eq!(machine.on(Event::Attached, at(1)), Action::Read);
    assert_eq!(machine.on(Event::StreamEnded, at(2)), Action::Reattach);
    assert_eq!(machine.on(Event::Attached, at(3)), Action::Read);
    assert_eq!(machine.on(Event::Complete, at(4)), finish(End::Succeeded));
}

#[test]
fn a_recovered_statement_is_reattached_first() {
    let (mut machine, action) = not_found(RECOVERED);
    assert_eq!(action, Action::AskStatus);
    assert_eq!(
        machine.on(Event::Status(KnownStatus::Unknown), at(2)),
        Action::Execute
    );
}

#[test]
fn nothing_is_sent_again_once_spark_may_have_forgotten() {
    let (mut machine, _) = not_found(RECOVERED);
    let late = Now {
        monotonic_ms: 2,
        running_for_ms: 240_000,
    };
    assert_eq!(
        machine.on(Event::Status(KnownStatus::Unknown), late),
        Action::Poison
    );
    assert_eq!(
        class_of(&machine.on(Event::Poisoned, late)),
        "LIBRA_OUTCOME_UNKNOWN"
    );
}

#[test]
fn a_cancel_that_comes_while_spark_is_asked_is_honoured() {
    let (mut machine, action) = not_found(RECOVERED);
    assert_eq!(action, Action::AskStatus);
    machine.set_intents(Intents {
        cancel: true,
        timeout: false,
    });
    assert_eq!(
        machine.on(Event::Status(KnownStatus::Unknown), at(2)),
        Action::Poison
    );
    assert_eq!(machine.on(Event::Poisoned, at(3)), finish(End::Cancelled));
}

#[test]
fn nothing_is_sent_again_once_a_response_was_seen() {
    let (mut machine, _) = not_found(Facts {
        seen: true,
        ..RECOVERED
    });
    assert_eq!(
        machine.on(Event::Status(KnownStatus::Unknown), at(2)),
        Action::Poison
    );
}

/// Whose responses are perhaps stored where nobody answers: Spark has all of it, or it is lost.
#[test]
fn what_may_have_been_seen_is_taken_from_its_first_response_on() {
    let perhaps = Facts {
        seen: true,
        ..RECOVERED
    };
    let rows = [
        (Event::Attached, Action::Read, ""),
        (
            Event::Failed(Failure::PositionLost),
            stop_in_spark(lost(
                "Spark no longer has the part of the result that is missing here",
            )),
            "LIBRA_RESULT_LOST",
        ),
        (Event::Failed(Failure::NotFound), Action::AskStatus, ""),
    ];
    for (event, expected, class) in rows {
        let mut machine = machine(perhaps);
        assert_eq!(machine.on(Event::Begin, at(0)), Action::Reattach);
        let action = machine.on(event, at(1));
        assert_eq!(class_of(&action), class);
        assert_eq!(action, expected);
    }
}

#[test]
fn nothing_is_sent_again_to_a_server_without_memory() {
    let (_, action) = not_found(Facts {
        remembers_operations: false,
        ..RECOVERED
    });
    assert_eq!(class_of(&action), "LIBRA_OUTCOME_UNKNOWN");
}

#[test]
fn a_finished_and_released_operation_is_a_lost_result() {
    let (mut machine, _) = not_found(RECOVERED);
    let action = machine.on(Event::Status(KnownStatus::Succeeded), at(2));
    assert_eq!(class_of(&action), "LIBRA_RESULT_LOST");
}

#[test]
fn abandoned_is_always_unknown() {
    let mut machine = machine(RECOVERED);
    machine.on(Event::Begin, at(0));
    let action = machine.on(Event::Failed(Failure::Abandoned), at(1));
    assert_eq!(class_of(&action), "LIBRA_OUTCOME_UNKNOWN");
}

#[test]
fn an_id_in_use_is_attached_to() {
    let (mut machine, _) = not_found(RECOVERED);
    assert_eq!(
        machine.on(Event::Status(KnownStatus::Unknown), at(2)),
        Action::Execute
    );
    let action = machine.on(Event::Failed(Failure::AlreadyThere), at(3));
    assert!(matches!(
        action,
        Action::Wait {
            reconnecting: false,
            ..
        }
    ));
    assert_eq!(machine.on(Event::Waited, at(60)), Action::Reattach);
}

#[test]
fn a_cancelled_statement_that_never_arrived_is_poisoned_first() {
    let mut machine = machine(RECOVERED);
    machine.set_intents(Intents {
        cancel: true,
        timeout: false,
    });
    assert_eq!(machine.on(Event::Begin, at(0)), Action::Reattach);
    assert_eq!(
        machine.on(Event::Failed(Failure::NotFound), at(1)),
        Action::Poison
    );
    assert_eq!(machine.on(Event::Poisoned, at(2)), finish(End::Cancelled));
}

#[test]
fn poisoning_a_statement_that_arrived_late_attaches_to_it() {
    let mut machine = machine(RECOVERED);
    machine.set_intents(Intents {
        cancel: true,
        timeout: false,
    });
    machine.on(Event::Begin, at(0));
    machine.on(Event::Failed(Failure::NotFound), at(1));
    assert_eq!(machine.on(Event::Arrived, at(2)), Action::Reattach);
    assert_eq!(machine.on(Event::Attached, at(3)), Action::Read);
    assert_eq!(
        machine.on(Event::Failed(Failure::Canceled), at(4)),
        finish(End::Cancelled)
    );
}

#[test]
fn a_result_that_completed_wins_over_a_cancel() {
    let mut machine = machine(FRESH);
    machine.on(Event::Begin, at(0));
    machine.on(Event::Attached, at(1));
    machine.set_intents(Intents {
        cancel: true,
        timeout: false,
    });
    assert_eq!(machine.on(Event::Complete, at(2)), finish(End::Succeeded));
}

#[test]
fn cancelled_without_intent_is_interrupted() {
    let mut machine = machine(FRESH);
    machine.on(Event::Begin, at(0));
    let action = machine.on(Event::Failed(Failure::Canceled), at(1));
    assert_eq!(class_of(&action), "LIBRA_INTERRUPTED");
}

#[test]
fn three_seconds_of_refusals_end_a_sent_statement_unknown_and_keep_its_slot() {
    let mut machine = machine(FRESH);
    machine.on(Event::Begin, at(0));
    machine.on(Event::Attached, at(10));
    let reset = Event::Failed(Failure::Unreachable("reset".into()));
    assert!(matches!(
        machine.on(reset, at(20)),
        Action::Wait {
            reconnecting: true,
            ..
        }
    ));
    for now in [30, 1_000, 3_029] {
        assert_eq!(machine.on(Event::Waited, at(now)), Action::Reattach);
        let action = machine.on(Event::Failed(Failure::Refused), at(now));
        assert!(
            matches!(
                action,
                Action::Wait {
                    reconnecting: true,
                    ..
                }
            ),
            "{now}: {action:?}"
        );
    }
    let action = machine.on(Event::Failed(Failure::Refused), at(3_030));
    assert_eq!(class_of(&action), "LIBRA_OUTCOME_UNKNOWN");
    assert!(matches!(
        action,
        Action::Finish {
            needs_cleanup: true,
            ..
        }
    ));
}

#[test]
fn a_break_in_the_refusals_starts_the_three_seconds_anew() {
    let mut machine = machine(RECOVERED);
    machine.on(Event::Begin, at(0));
    machine.on(Event::Failed(Failure::Refused), at(0));
    machine.on(
        Event::Failed(Failure::Unreachable("timeout".into())),
        at(2_900),
    );
    let action = machine.on(Event::Failed(Failure::Refused), at(3_100));
    assert!(matches!(action, Action::Wait { .. }), "{action:?}");
}

#[test]
fn a_statement_that_was_never_sent_waits_for_spark() {
    let mut machine = machine(FRESH);
    for now in (0..240_000).step_by(1_000) {
        let action = machine.on(
            if now == 0 {
                Event::Begin
            } else {
                Event::Waited
            },
            at(now),
        );
        assert_eq!(action, Action::Execute);
        let action = machine.on(Event::Failed(Failure::Refused), at(now));
        assert!(matches!(
            action,
            Action::Wait {
                reconnecting: true,
                ..
            }
        ));
    }
    machine.on(Event::Waited, at(240_000));
    let action = machine.on(Event::Failed(Failure::Refused), at(240_000));
    assert_eq!(class_of(&action), "LIBRA_SPARK_UNREACHABLE");
}

#[test]
fn a_black_hole_is_no_death_for_four_minutes() {
    let mut machine = machine(RECOVERED);
    machine.on(Event::Begin, at(0));
    for now in [0, 60_000, 239_999] {
        let action = machine.on(
            Event::Failed(Failure::Unreachable("timeout".into())),
            at(now),
        );
        assert!(matches!(
            action,
            Action::Wait {
                reconnecting: true,
                ..
            }
        ));
    }
    let action = machine.on(
        Event::Failed(Failure::Unreachable("timeout".into())),
        at(240_000),
    );
    assert_eq!(class_of(&action), "LIBRA_OUTCOME_UNKNOWN");
    assert!(matches!(
        action,
        Action::Finish {
            needs_cleanup: true,
            ..
        }
    ));
}

#[test]
fn disconnected_is_not_reattached_before_the_epoch_is_confirmed() {
    let mut machine = machine(RECOVERED);
    machine.on(Event::Begin, at(0));
    machine.on(Event::Attached, at(1));
    assert_eq!(
        machine.on(Event::Failed(Failure::Disconnected), at(2)),
        Action::ConfirmEpoch
    );
    assert_eq!(machine.clone().on(Event::Owner(false), at(3)), Action::Stop);
    assert!(matches!(
        machine.on(Event::Owner(true), at(3)),
        Action::Wait { .. }
    ));
}

/// As after a poison that was left behind by a crash: its responses are not the statement's.
#[test]
fn a_lost_position_of_a_cancelled_statement_ends_it_cancelled() {
    let mut machine = machine(Facts {
        seen: true,
        ..RECOVERED
    });
    machine.set_intents(Intents {
        cancel: true,
        timeout: false,
    });
    machine.on(Event::Begin, at(0));
    let action = machine.on(Event::Failed(Failure::PositionLost), at(1));
    assert_eq!(action, stop_in_spark(End::Cancelled));
}

/// Spark still has what is missing, and another node may have room for it.
#[test]
fn what_cannot_be_stored_here_is_left_as_it_is_in_spark_and_what_is_damaged_is_not() {
    for cancel in [false, true] {
        let mut machine = machine(RECOVERED);
        machine.set_intents(Intents {
            cancel,
            timeout: false,
        });
        machine.on(Event::Begin, at(0));
        machine.on(Event::Attached, at(1));
        let cause = "No space left on device".to_owned();
        let full = Failure::NotStored(cause.clone());
        let action = machine.clone().on(Event::Failed(full), at(2));
        assert_eq!(action, Action::Leave { cause });
        let damaged = Failure::Damaged("a gap".to_owned());
        let action = machine.on(Event::Failed(damaged), at(2));
        assert_eq!(action, stop_in_spark(lost("a gap")));
    }
}

#[test]
fn a_session_changed_in_answer_to_the_first_send_means_never_sent() {
    let lost = Failure::SessionLost("SESSION_CHANGED".into());
    let mut fresh = machine(FRESH);
    fresh.on(Event::Begin, at(0));
    let action = fresh.on(Event::Failed(lost.clone()), at(1));
    assert!(matches!(
        action,
        Action::SessionLost {
            never_sent: true,
            ..
        }
    ));
    let mut recovered = machine(RECOVERED);
    recovered.on(Event::Begin, at(0));
    let action = recovered.on(Event::Failed(lost), at(1));
    assert!(matches!(
        action,
        Action::SessionLost {
            never_sent: false,
            ..
        }
    ));
}

/// What may be reported after `action`, picked by `choice`.
fn possible(action: &Action, choice: usize) -> Event {
    let silence = [Failure::Refused, Failure::Unreachable(String::new())];
    let failures = [
        Failure::Canceled,
        Failure::NotFound,
        Failure::Abandoned,
        Failure::Disconnected,
        Failure::Refused,
        Failure::Unreachable(String::new()),
    ];
    let silent = || Event::Failed(silence[choice % silence.len()].clone());
    match action {
        Action::Execute | Action::Reattach | Action::Read => match choice % 8 {
            0 => Event::Attached,
            1 => Event::StreamEnded,
            other => Event::Failed(failures[other - 2].clone()),
        },
        Action::AskStatus => match choice % 4 {
            0 => Event::Status(KnownStatus::Running),
            1 | 2 => Event::Status(KnownStatus::Unknown),
            _ => silent(),
        },
        Action::Poison => match choice % 3 {
            0 => Event::Poisoned,
            1 => Event::Arrived,
            _ => silent(),
        },
        Action::ConfirmEpoch => match choice % 4 {
            0 => Event::Owner(false),
            1 => Event::OwnerUnknown,
            _ => Event::Owner(true),
        },
        Action::Wait { .. } => Event::Waited,
        Action::Finish { .. }
        | Action::SessionLost { .. }
        | Action::Leave { .. }
        | Action::Stop => Event::Waited,
    }
}

proptest! {
    /// Whatever happens: once a response was seen, or after the limit, nothing is sent again; and
    /// never to a server that would run it twice.
    #[test]
    fn never_sent_again_when_that_could_run_it_twice(
        fresh: bool,
        remembers: bool,
        cancel: bool,
        choices in prop::collection::vec((0_usize..24, 0_u64..60_000), 1..80),
    ) {
        let facts = Facts { fresh, remembers_operations: remembers, seen: false, stored_whole: false };
        let mut machine = machine(facts);
        let (mut now, mut seen, mut reached) = (0, false, !fresh);
        let mut cut_off = false;
        let mut action = machine.on(Event::Begin, at(0));
        for (n, (choice, passed)) in choices.into_iter().enumerate() {
            if n == 10 {
                machine.set_intents(Intents { cancel, timeout: false });
            }
            let event = possible(&action, choice);
            match event {
                Event::Failed(Failure::Disconnected) => cut_off = true,
                Event::Owner(_) => cut_off = false,
                _ => {}
            }
            if action == Action::Execute {
                prop_assert!(!seen, "sent again after a response");
                prop_assert!(!reached || (remembers && now < 240_000), "sent again at {now}");
                prop_assert!(n <= 10 || !cancel, "sent after a cancel");
                reached |= event != Event::Failed(Failure::Refused);
            }
            if matches!(action, Action::Finish { .. } | Action::SessionLost { .. } | Action::Stop) {
                break;
            }
            now += passed;
            seen |= event == Event::Attached;
            action = machine.on(event, at(now));
            let waits = matches!(action, Action::ConfirmEpoch | Action::Wait { .. });
            prop_assert!(!cut_off || waits, "{action:?} before the owner is known");
        }
    }
}

/// One row: what happens on a node that has just got the session, by what the registry says of how
/// long the statement has been running; and what is done last.
#[test]
fn a_statement_that_has_moved_is_found_or_sent_with_its_id_or_given_up() {
    let young = Now {
        monotonic_ms: 5,
        running_for_ms: 239_999,
    };
    let old = Now {
        monotonic_ms: 5,
        running_for_ms: 240_000,
    };
    let not_found = Event::Failed(Failure::NotFound);
    let unknown = Event::Status(KnownStatus::Unknown);
    let rows: [(&str, &[Event], Now, Action); 7] = [
        ("it runs on", &[Event::Attached], old, Action::Read),
        (
            "nobody knows it",
            std::slice::from_ref(&not_found),
            old,
            Action::AskStatus,
        ),
        (
            "it never arrived",
            &[not_found.clone(), unknown.clone()],
            young,
            Action::Execute,
        ),
        (
            "that was too long ago",
            &[not_found.clone(), unknown.clone()],
            old,
            Action::Poison,
        ),
        (
            "its end was seen by Spark alone",
            &[not_found.clone(), Event::Status(KnownStatus::Succeeded)],
            young,
            finish(lost(
                "the statement ran to its end, but Spark no longer has its result",
            )),
        ),
        (
            "the old owner's request comes late",
            &[
                not_found.clone(),
                unknown,
                Event::Failed(Failure::AlreadyThere),
                Event::Waited,
            ],
            young,
            Action::Reattach,
        ),
        (
            "the old owner attaches again",
            &[Event::Attached, Event::Failed(Failure::Disconnected)],
            young,
            Action::ConfirmEpoch,
        ),
    ];
    for (what, events, now, expected) in rows {
        let mut machine = machine(RECOVERED);
        assert_eq!(machine.on(Event::Begin, now), Action::Reattach, "{what}");
        let actions = events.iter().map(|event| machine.on(event.clone(), now));
        assert_eq!(actions.last(), Some(expected), "{what}");
    }
}

#[test]
fn an_owner_that_nobody_knows_is_asked_for_again_after_a_pause() {
    let mut machine = machine(FRESH);
    machine.on(Event::Begin, at(0));
    machine.on(Event::Attached, at(1));
    machine.on(Event::Failed(Failure::Disconnected), at(2));
    for now in 3..10 {
        let action = machine.on(Event::OwnerUnknown, at(now));
        assert!(
            matches!(action, Action::Wait { ms, .. } if ms > 0),
            "{action:?}"
        );
        assert_eq!(machine.on(Event::Waited, at(now)), Action::ConfirmEpoch);
    }
    machine.on(Event::Owner(true), at(11));
    assert_eq!(machine.on(Event::Waited, at(12)), Action::Reattach);
}
