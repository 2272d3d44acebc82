//! Whatever clients do, in whatever order: nothing runs twice, nothing is left behind.

use proptest::prelude::*;

use super::*;

/// What a client may do at any moment.
#[derive(Debug, Clone)]
enum Action {
    Execute(u8),
    Reattach(u8),
    Release(u8),
    Interrupt(u8),
    Leave,
    Read,
    Pass(u16),
}

fn action() -> impl Strategy<Value = Action> {
    let id = 0..4_u8;
    prop_oneof![
        3 => id.clone().prop_map(Action::Execute),
        2 => id.clone().prop_map(Action::Reattach),
        1 => id.clone().prop_map(Action::Release),
        1 => id.prop_map(Action::Interrupt),
        1 => Just(Action::Leave),
        3 => Just(Action::Read),
        2 => (0..2_000_u16).prop_map(Action::Pass),
    ]
}

fn play(actions: &[Action]) -> Engine {
    let mut engine = engine(|settings| {
        settings.detached_timeout_ms = 1_000;
        settings.maintenance_interval_ms = 100;
        settings.sender_max_stream_ms = 500;
        settings.retry_buffer_bytes = 2_000;
        settings.start_delay_ms = 20;
    });
    let sql = "/* stub: rows=40 batch_rows=10 delay_ms=50 batch_delay_ms=100 */ SELECT 1";
    let name = |n: &u8| OPERATION.replace("00a", &format!("00{n}"));
    let (mut now, mut stream) = (0, None);
    for action in actions {
        match action {
            Action::Execute(n) => {
                let attached = engine.execute(now, request(&name(n), sql));
                stream = attached.ok().map(|attached| attached.stream).or(stream);
            }
            Action::Reattach(n) => {
                let attached = engine.reattach(now, &caller(), &name(n), None);
                stream = attached.ok().map(|attached| attached.stream).or(stream);
            }
            Action::Release(n) => {
                let _ = engine.release(now, &caller(), &name(n), &Release::All);
            }
            Action::Interrupt(n) => {
                let what = Interrupt::Operation(Some(name(n)));
                engine.interrupt(now, &caller(), &what).unwrap();
            }
            Action::Leave => {
                if let Some(id) = stream.take() {
                    engine.leave(now, id);
                }
            }
            Action::Read => {
                if let Some(id) = stream {
                    read(&mut engine, now, id);
                }
            }
            Action::Pass(ms) => now += u64::from(*ms),
        }
    }
    engine.advance(now + 100_000);
    engine
}

proptest! {
    #[test]
    fn no_id_runs_twice_while_it_is_remembered(actions in prop::collection::vec(action(), 1..60)) {
        let mut engine = play(&actions);
        let ledger = engine.ledger(1_000_000);
        prop_assert!(ledger.repeated_operations().is_empty());
        prop_assert!(ledger.executions().iter().all(|execution| execution.outcome.is_some()));
    }

    #[test]
    fn nothing_is_left_behind_once_time_has_passed(actions in prop::collection::vec(action(), 1..60)) {
        let engine = play(&actions);
        prop_assert_eq!(engine.operations.len(), 0);
        let unread = engine.streams.values().filter(|stream| !stream.is_cut()).count();
        prop_assert_eq!(unread, 0);
        prop_assert_eq!(engine.agenda.len(), 1);
    }
}
