//! The conformance suite against the stub.
#![expect(clippy::unwrap_used, reason = "tests")]

use libra_tests::stub::conformance::{Needs, Target, run, scenarios, short_settings};
use libra_tests::stub::engine::Settings;
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
