//! Calls to Spark Connect: how many, how long, how they ended.

use std::time::Duration;

use libra_actors::spark::CallObserver;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use tonic::Code;

/// Seconds: from an answer out of memory to a driver that plans for minutes.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0,
];

/// The calls that are made, so that each is there from the start.
const CALLS: [&str; 9] = [
    "AnalyzePlan",
    "Config",
    "ExecutePlan",
    "FetchErrorDetails",
    "GetStatus",
    "Interrupt",
    "ReattachExecute",
    "ReleaseExecute",
    "ReleaseSession",
];

/// The metrics of all calls to Spark.
#[derive(Debug)]
pub(crate) struct SparkMetrics {
    calls: IntCounterVec,
    times: HistogramVec,
    streams_failed: IntCounterVec,
}

impl SparkMetrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let made = Self {
            calls: IntCounterVec::new(
                Opts::new(
                    "libra_spark_calls_total",
                    "Calls of Spark Connect by name and gRPC status, repetitions counted as one",
                ),
                &["call", "code"],
            )?,
            times: HistogramVec::new(
                HistogramOpts::new(
                    "libra_spark_call_seconds",
                    "Time to the answer of a call of Spark Connect, of a stream to its opening",
                )
                .buckets(BUCKETS.to_vec()),
                &["call"],
            )?,
            streams_failed: IntCounterVec::new(
                Opts::new(
                    "libra_spark_streams_failed_total",
                    "Streams of responses that broke after they were opened, by gRPC status",
                ),
                &["code"],
            )?,
        };
        for call in CALLS {
            let _ = made.calls.with_label_values(&[call, label(Code::Ok)]);
            let _ = made.times.with_label_values(&[call]);
        }
        for code in [Code::Unavailable, Code::Internal] {
            let _ = made.streams_failed.with_label_values(&[label(code)]);
        }
        Ok(made)
    }

    pub(super) fn register(&self, metrics: &Registry) -> Result<(), prometheus::Error> {
        metrics.register(Box::new(self.calls.clone()))?;
        metrics.register(Box::new(self.times.clone()))?;
        metrics.register(Box::new(self.streams_failed.clone()))
    }
}

impl CallObserver for SparkMetrics {
    fn called(&self, call: &'static str, code: Code, took: Duration) {
        self.calls.with_label_values(&[call, label(code)]).inc();
        let times = self.times.with_label_values(&[call]);
        times.observe(took.as_secs_f64());
    }

    fn stream_failed(&self, code: Code) {
        self.streams_failed.with_label_values(&[label(code)]).inc();
    }
}

/// gRPC's own names.
fn label(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_and_status() {
        let metrics = SparkMetrics::new().unwrap();
        metrics.called("ExecutePlan", Code::Ok, Duration::from_millis(3));
        metrics.called("ExecutePlan", Code::Unavailable, Duration::from_secs(5));
        metrics.stream_failed(Code::Unavailable);
        let calls = |code| {
            metrics
                .calls
                .with_label_values(&["ExecutePlan", code])
                .get()
        };
        assert_eq!((calls("OK"), calls("UNAVAILABLE")), (1, 1));
        let times = metrics.times.with_label_values(&["ExecutePlan"]);
        assert_eq!(times.get_sample_count(), 2);
        let failed = metrics.streams_failed.with_label_values(&["UNAVAILABLE"]);
        assert_eq!(failed.get(), 1);
    }
}
