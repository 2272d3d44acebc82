//! The conformance suite against the stub.

use libra_tests::stub::conformance::{Needs, Target, run, scenarios, short_settings};
use libra_tests::stub::engine::{Profile, Settings};
use libra_tests::stub::server::StubSpark;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_behaves_as_spark_does() {
    let stub = StubSpark::start(Settings::default()).await.unwrap();
    let target = Target::stub(stub);
    let offered = [Needs::Nothing, Needs::Restart];
    let played = run(&target, &offered).await.unwrap();
    let expected = scenarios()
        .iter()
        .filter(|scenario| offered.contains(&scenario.needs))
        .count();
    assert_eq!(played, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_keeps_time_as_spark_does() {
    let stub = StubSpark::start(short_settings()).await.unwrap();
    let target = Target::stub(stub);
    run(&target, &[Needs::ShortTimeouts]).await.unwrap();
}

/// The suite must be able to fail: servers that behave otherwise do not pass it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_forget_or_run_twice_are_found_out() {
    for (profile, broken) in [
        (Profile::Spark40, "a poisoned id never runs: "),
        (
            Profile::Spark35,
            "the same id and plan again is a reattach, nothing runs twice: ",
        ),
        (
            Profile::Sail,
            "an operation outlives the channel that sent it: ",
        ),
    ] {
        let settings = Settings {
            profile,
            ..Settings::default()
        };
        let target = Target::stub(StubSpark::start(settings).await.unwrap());
        let found = run(&target, &[Needs::Nothing]).await.unwrap_err();
        assert!(found.to_string().contains(broken), "{profile:?}: {found}");
    }
}
