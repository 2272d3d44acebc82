//! What every call brings beside its message: until when it is of use, and whether it was passed on.
//!
//! **Invariant:** no call is without an end, and a call is passed on at most once.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataMap;

use super::problem::Problem;
use super::reason::Reason;
use crate::service::Patience;

/// The end of a call that does not say its own.
pub(super) const USUAL: Duration = Duration::from_secs(30);
/// The same of a call that carries a whole registry.
pub(super) const LONG: Duration = Duration::from_secs(600);
/// How long a call waits for a leader at most: then it is better made again.
const LEADER_WAIT: Duration = Duration::from_secs(5);
/// The answer must be on its way before the other side, or the server, cuts the call off.
const MARGIN: Duration = Duration::from_millis(50);

const TIMEOUT: &str = "grpc-timeout";
/// Of a call that another node has passed on: how often.
const HOPS: &str = "libra-hops";

/// One call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    arrival: Instant,
    until: Instant,
    passed_on: bool,
}

impl Call {
    /// The call that came with this metadata.
    pub(super) fn of(metadata: &MetadataMap, usual: Duration) -> Self {
        let arrival = Instant::now();
        let told = metadata.get(TIMEOUT).and_then(|value| value.to_str().ok());
        let limit = told.and_then(parse_timeout).unwrap_or(usual).min(LONG);
        let margin = MARGIN.min(limit / 10);
        Self {
            arrival,
            until: arrival + limit.saturating_sub(margin),
            passed_on: metadata.get(HOPS).is_some(),
        }
    }

    /// How long the registry's leader is waited for.
    pub(super) fn patience(&self) -> Patience {
        Patience::from(self.arrival, self.left_of(LEADER_WAIT))
    }

    /// What is left of the call.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn left_of(&self, most: Duration) -> Duration {
        most.min(self.until.saturating_duration_since(self.arrival))
    }

    /// Whether it may be passed on.
    pub(super) fn may_be_passed_on(&self) -> bool {
        !self.passed_on
    }

    /// The message as it is passed on to another node.
    pub(super) fn pass_on<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.left());
        request
            .metadata_mut()
            .insert(HOPS, tonic::metadata::MetadataValue::from_static("1"));
        request
    }

    /// Does the work within the call. `changes` says whether it may have been done when its time is
    /// over.
    pub(super) async fn within<T>(
        &self,
        changes: bool,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        match timeout_at(self.until, work).await {
            Ok(done) => done,
            Err(_elapsed) if changes => Err(Problem::outcome_unknown("the call's time is over")),
            Err(_elapsed) => Err(Problem::new(
                Reason::DeadlineExceeded,
                "not answered within the time that the call had",
            )),
        }
    }
}

/// `grpc-timeout`: up to eight digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount.saturating_mul(3_600))),
        "M" => Some(Duration::from_secs(amount.saturating_mul(60))),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&'static str, &str)]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for (key, value) in pairs {
            metadata.insert(*key, value.parse().unwrap());
        }
        metadata
    }

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("5S", Some(Duration::from_secs(5))),
            ("100m", Some(Duration::from_millis(100))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-5S", None),
            ("123456789m", None),
            ("5ä", None),
        ] {
            assert_eq!(parse_timeout(text), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn its_own_end_counts_and_comes_a_little_early() {
        let call = Call::of(&metadata(&[(TIMEOUT, "2S")]), USUAL);
        assert_eq!(call.left(), Duration::from_millis(1_950));
        let call = Call::of(&metadata(&[(TIMEOUT, "100m")]), USUAL);
        assert_eq!(call.left(), Duration::from_millis(90));
        let call = Call::of(&metadata(&[]), USUAL);
        assert_eq!(call.left(), USUAL.saturating_sub(MARGIN));
        let call = Call::of(&metadata(&[(TIMEOUT, "99999999H")]), USUAL);
        assert_eq!(call.left(), LONG.saturating_sub(MARGIN));
    }

    #[tokio::test(start_paused = true)]
    async fn its_time_over_says_whether_it_may_have_been_done() {
        for (changes, reason) in [
            (true, Reason::OutcomeUnknown),
            (false, Reason::DeadlineExceeded),
        ] {
            let call = Call::of(&metadata(&[(TIMEOUT, "2S")]), USUAL);
            let work = std::future::pending::<Result<(), Problem>>();
            let problem = call.within(changes, work).await.unwrap_err();
            assert_eq!(problem.reason(), reason);
            assert_eq!(call.left(), Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_passed_on_once() {
        let call = Call::of(&metadata(&[]), USUAL);
        assert!(call.may_be_passed_on());
        let passed_on = Call::of(call.pass_on(()).metadata(), USUAL);
        assert!(!passed_on.may_be_passed_on());
        assert!(passed_on.left() <= call.left());
    }
}
