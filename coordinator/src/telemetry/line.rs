//! A log line in JSON: one flat object, so that one name finds a field wherever it comes from.
//!
//! **Invariant:** `timestamp`, `level`, `target`, `message`, `cluster` and `node` are in every line
//! and mean the line itself: a field of that name that code gives is written as `fields.<name>`.

use std::fmt;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Config;

/// What every line begins with, in this order.
const OWN: [&str; 6] = ["timestamp", "level", "target", "message", "cluster", "node"];

/// Formats lines of one node.
#[derive(Debug, Clone)]
pub(super) struct JsonLine {
    cluster: String,
    node: u64,
}

impl JsonLine {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            cluster: config.cluster.name.clone(),
            node: config.node.id.0,
        }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|s| s.from_root())
        {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<N>>();
            let parsed = formatted.map(|formatted| serde_json::from_str(&formatted.fields));
            // Of outer and inner spans the inner one counts, and the event's own before both.
            if let Some(Ok(Value::Object(of_span))) = parsed {
                fields.0.extend(of_span);
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let message = fields.0.remove("message").unwrap_or_default();
        let now: DateTime<Utc> = SystemTime::now().into();
        let own = [
            now.to_rfc3339_opts(SecondsFormat::Micros, true).into(),
            metadata.level().as_str().into(),
            metadata.target().into(),
            message,
            self.cluster.as_str().into(),
            self.node.into(),
        ];
        write_line(&mut writer, own, fields.0)
    }
}

fn write_line(
    writer: &mut Writer<'_>,
    own: [Value; OWN.len()],
    fields: Map<String, Value>,
) -> fmt::Result {
    let mut separator = '{';
    let own = OWN.into_iter().map(str::to_owned).zip(own);
    let renamed = fields.into_iter().map(|(name, value)| {
        let taken = OWN.contains(&name.as_str());
        (
            if taken {
                format!("fields.{name}")
            } else {
                name
            },
            value,
        )
    });
    for (name, value) in own.chain(renamed) {
        write!(writer, "{separator}{}:{value}", Value::from(name))?;
        separator = ',';
    }
    writeln!(writer, "}}")
}

/// An event's fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // Raw identifiers: `r#type` is `type`.
        let name = field.name().trim_start_matches("r#");
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(say: impl FnOnce()) -> Vec<Value> {
        let written = Written::default();
        let to = written.clone();
        let mut config = Config::default();
        config.cluster.name = "prod".to_owned();
        config.node.id = libra_proto::types::NodeId(7);
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLine::of(&config))
            .with_writer(move || to.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        let bytes = written.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_its_spans() {
        let lines = lines(|| {
            let outer = tracing::info_span!("request", request_id = "r-1", job_id = "job-1");
            let _outer = outer.enter();
            let inner = tracing::info_span!("statement", job_id = "job-2");
            let _inner = inner.enter();
            tracing::info!(epoch = 3_u64, "statement \"ended\"\n");
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(
            timestamp.ends_with('Z') && timestamp.len() == 27,
            "{timestamp}"
        );
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("timestamp");
        assert_eq!(
            line,
            serde_json::json!({
                "level": "INFO",
                "target": module_path!(),
                "message": "statement \"ended\"\n",
                "cluster": "prod",
                "node": 7,
                "request_id": "r-1",
                "job_id": "job-2",
                "epoch": 3,
            })
        );
    }

    #[test]
    fn no_field_takes_the_place_of_the_lines_own() {
        let lines = lines(|| tracing::warn!(node = 9, level = "x", message_ = true, "up"));
        assert_eq!(lines[0]["node"], 7);
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(lines[0]["fields.node"], 9);
        assert_eq!(lines[0]["fields.level"], "x");
    }
}
