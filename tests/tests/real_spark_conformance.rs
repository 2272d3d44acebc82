//! The conformance suite against real Spark: what keeps the stub honest.

use libra_tests::harness::{SharedSpark, SparkServer};
use libra_tests::stub::conformance::{Needs, SHORT_CONFS, Target, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_spark_behaves_as_the_stub_does() {
    let target = Target::shared(SharedSpark::find().unwrap());
    run(&target, &[Needs::Nothing]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_spark_keeps_time_and_restarts_as_the_stub_does() {
    let mut builder = SparkServer::builder();
    for (key, value) in SHORT_CONFS {
        builder = builder.conf(key, value);
    }
    let target = Target::own(builder.start().await.unwrap());
    run(&target, &[Needs::ShortTimeouts, Needs::Restart])
        .await
        .unwrap();
}
