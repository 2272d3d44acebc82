//! Who is told of every call to Spark: how long it took, and how it ended.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::{Code, Status};

/// Counts calls; must not wait for anything.
pub trait CallObserver: Send + Sync + 'static {
    /// A call of that name of Spark Connect's has ended, its repetitions counted as one; `took` is
    /// until the answer, of a stream until it was opened.
    fn called(&self, call: &'static str, code: Code, took: Duration);

    /// A stream of responses that had been opened has failed.
    fn stream_failed(&self, code: Code);
}

/// An observer, or none. All are alike: two endpoints do not differ by who counts their calls.
#[derive(Clone, Default)]
pub(super) struct Observed(pub(super) Option<Arc<dyn CallObserver>>);

impl PartialEq for Observed {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Observed {}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observed").field(&self.0.is_some()).finish()
    }
}

impl Observed {
    /// Times a call.
    pub(super) async fn call<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let begun = Instant::now();
        let answer = answer.await;
        if let Some(observer) = &self.0 {
            let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
            observer.called(call, code, begun.elapsed());
        }
        answer
    }

    pub(super) fn stream_failed(&self, code: Code) {
        if let Some(observer) = &self.0 {
            observer.stream_failed(code);
        }
    }
}
