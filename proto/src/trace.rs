//! Traces across nodes: W3C's trace context, and the joint between this process's spans and those
//! of others.
//!
//! Spans are `tracing`'s, of the target [`TARGET`]; whoever exports them installs a [`Joint`].
//! Without one every function here does nothing and costs a load.
//!
//! **Invariant:** what is taken from outside is checked and bounded: a context that is not of W3C's
//! form, or too long, is none.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use thiserror::Error;
use tracing::Span;

/// The target of spans that are exported. Other spans are this process's own.
pub const TARGET: &str = "libra::trace";
/// The header, and the key of gRPC's metadata, of a [`TraceContext`].
pub const TRACEPARENT: &str = "traceparent";
/// What the tracing systems on the way have added.
pub const TRACESTATE: &str = "tracestate";

/// What of a `tracestate` is passed on, in bytes; a longer one is dropped, as W3C allows.
const STATE_MOST: usize = 512;

/// Where in which trace something belongs: the span that it is a child of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Whether its spans are kept.
    pub sampled: bool,
    /// As it came, or empty.
    pub state: String,
}

/// A `traceparent` that is not of W3C's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a traceparent: 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")]
pub struct NotATraceparent;

impl TraceContext {
    /// Reads the two headers; `None` where the first is not of W3C's form. Versions to come are read
    /// as the one that there is, as W3C asks for.
    #[must_use]
    pub fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let mut context: Self = parent.parse().ok()?;
        let fits = |state: &&str| {
            state.len() <= STATE_MOST && state.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        context.state = state.filter(fits).unwrap_or_default().to_owned();
        Some(context)
    }

    /// The trace's id as it is written everywhere: 32 hex digits.
    #[must_use]
    pub fn trace(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let mut parts = text.split('-');
        let mut next = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits);
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let part = part.filter(|part| part.bytes().all(hex));
            part.ok_or(NotATraceparent)
        };
        let version = next(2)?;
        let (trace, span, flags) = (next(32)?, next(16)?, next(2)?);
        let too_much = version == "00" && parts.next().is_some();
        let number = |text, radix| u128::from_str_radix(text, radix).map_err(|_| NotATraceparent);
        let (trace_id, span_id) = (number(trace, 16)?, number(span, 16)?);
        let span_id = u64::try_from(span_id).map_err(|_| NotATraceparent)?;
        if version == "ff" || too_much || trace_id == 0 || span_id == 0 {
            return Err(NotATraceparent);
        }
        Ok(Self {
            trace_id,
            span_id,
            sampled: number(flags, 16)? & 1 == 1,
            state: String::new(),
        })
    }
}

/// What joins spans of `tracing` with traces.
pub trait Joint: Send + Sync + 'static {
    /// Where what is a child of `span` belongs; `None` for a span that is not exported.
    fn context_of(&self, span: &Span) -> Option<TraceContext>;
    /// Makes `span`, which has just begun, a child of `parent`.
    fn adopt(&self, span: &Span, parent: &TraceContext);
}

static JOINT: OnceLock<Box<dyn Joint>> = OnceLock::new();

/// Joins this process's spans with traces; only the first call counts. Says whether this was it.
pub fn join(joint: Box<dyn Joint>) -> bool {
    JOINT.set(joint).is_ok()
}

/// Whether spans are exported.
#[must_use]
pub fn is_on() -> bool {
    JOINT.get().is_some()
}

/// Where what is a child of the present span belongs.
#[must_use]
pub fn current() -> Option<TraceContext> {
    JOINT.get()?.context_of(&Span::current())
}

/// Where what is a child of `span` belongs.
#[must_use]
pub fn context_of(span: &Span) -> Option<TraceContext> {
    JOINT.get()?.context_of(span)
}

/// Makes `span`, which has just begun, a child of `parent`, and returns it.
#[must_use]
pub fn under(span: Span, parent: Option<&TraceContext>) -> Span {
    if let (Some(joint), Some(parent)) = (JOINT.get(), parent)
        && !span.is_disabled()
    {
        joint.adopt(&span, parent);
    }
    span
}

/// The span that `make` makes, if the present one is part of a trace: what is done outside of one,
/// such as housekeeping, begins none.
#[must_use]
pub fn child(make: impl FnOnce() -> Span) -> Span {
    match current() {
        Some(_) => make(),
        None => Span::none(),
    }
}

/// Adds the present span's context to a request of gRPC.
pub fn inject(metadata: &mut tonic::metadata::MetadataMap) {
    if let Some(context) = current() {
        inject_as(&context, metadata);
    }
}

/// Adds that context to a request of gRPC.
pub fn inject_as(context: &TraceContext, metadata: &mut tonic::metadata::MetadataMap) {
    if let Ok(value) = context.to_string().parse() {
        metadata.insert(TRACEPARENT, value);
    }
    if !context.state.is_empty()
        && let Ok(value) = context.state.parse()
    {
        metadata.insert(TRACESTATE, value);
    }
}

/// The context that a request of gRPC carries.
#[must_use]
pub fn extract(headers: &http::HeaderMap) -> Option<TraceContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::read(text(TRACEPARENT)?, text(TRACESTATE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn w3cs_example_reads_and_writes() {
        let context = TraceContext::read(EXAMPLE, Some("congo=t61rcWkgMzE")).unwrap();
        assert_eq!(context.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id, 0x00f0_67aa_0ba9_02b7);
        assert!(context.sampled);
        assert_eq!(context.state, "congo=t61rcWkgMzE");
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn what_is_not_of_its_form_is_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473ü-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::read(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_version_to_come_may_say_more() {
        let more = EXAMPLE.replacen("00", "01", 1) + "-more";
        assert_eq!(
            TraceContext::read(&more, None),
            TraceContext::read(EXAMPLE, None)
        );
    }

    #[test]
    fn a_state_that_is_too_long_or_not_printable_is_dropped() {
        for state in ["x".repeat(513), "a=\u{7f}".to_owned(), "a=\tb".to_owned()] {
            let context = TraceContext::read(EXAMPLE, Some(&state)).unwrap();
            assert_eq!(context.state, "", "{state}");
        }
    }

    proptest! {
        #[test]
        fn any_context_is_read_as_it_was_written(
            trace_id in 1..=u128::MAX, span_id in 1..=u64::MAX, sampled: bool,
        ) {
            let context = TraceContext { trace_id, span_id, sampled, state: String::new() };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }

        #[test]
        fn no_text_upsets_it(text: String, state: String) {
            let _ = TraceContext::read(&text, Some(&state));
        }
    }
}
