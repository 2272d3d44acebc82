//! What to paste next: the guide's examples, each with the line that reads its result.

use std::fmt::Write as _;

use libra_proto::registry::Mode;

/// What the hints are about.
pub(super) struct Hints<'a> {
    /// REST, such as `http://127.0.0.1:8080`.
    pub(super) base: &'a str,
    pub(super) mode: Mode,
    /// Whether `mydata` and `large_table` were made.
    pub(super) tables: bool,
    pub(super) spark_ui: &'a str,
    /// How this program was called.
    pub(super) libra: &'a str,
}

/// One example: where, what, in which pool.
struct Example {
    title: &'static str,
    session: &'static str,
    code: &'static str,
    pool: &'static str,
}

const SHARED: [Example; 3] = [
    Example {
        title: "Terminal 1: a long query, low priority",
        session: "default",
        code: "SELECT COUNT(*) FROM range(1000000000)",
        pool: "low-priority",
    },
    Example {
        title: "Terminal 2: an interactive query, at the same time",
        session: "default",
        code: "SELECT 1",
        pool: "interactive",
    },
    Example {
        title: "Terminal 3: high priority",
        session: "default",
        code: "SELECT AVG(id) FROM range(1000000)",
        pool: "high-priority",
    },
];

const ISOLATED: [Example; 2] = [
    Example {
        title: "Terminal 1: Alice, in a Spark session of her own",
        session: "user-alice",
        code: "CREATE TEMP VIEW mine AS SELECT 1 AS alice",
        pool: "default",
    },
    Example {
        title: "Terminal 2: Bob does not see her view",
        session: "user-bob",
        code: "SHOW VIEWS",
        pool: "default",
    },
];

const TABLES: Example = Example {
    title: "The guide's table",
    session: "default",
    code: "SELECT * FROM mydata LIMIT 5",
    pool: "default",
};

/// Writes them.
pub(super) fn hints(of: &Hints<'_>) -> String {
    let (base, libra) = (of.base, of.libra);
    let mut text = format!(
        "\nlibra is ready: {base}/swagger-ui   Spark's own view: {}/jobs/\n\
         Ctrl-C ends everything. Paste into other terminals; the first line of each submits, the \
         second reads the result of that job:\n",
        of.spark_ui
    );
    let examples: &[Example] = match of.mode {
        Mode::Isolated => &ISOLATED,
        Mode::Shared | Mode::Unspecified => &SHARED,
    };
    for example in examples {
        write_example(&mut text, base, example);
    }
    if of.tables {
        let session = examples.first().map_or("default", |first| first.session);
        write_example(&mut text, base, &Example { session, ..TABLES });
    }
    let _ = write!(
        text,
        "\n# All rows as CSV, the statements, the session\n\
         curl -s -H 'Accept: text/csv' \"{base}/api/v1/statements/$JOB/result\"\n\
         curl -s '{base}/api/v1/statements'; echo\n\
         curl -s '{base}/api/v1/sessions'; echo\n\
         \n# The same without curl\n\
         {libra} sql --url {base} -e 'SHOW TABLES'\n"
    );
    text
}

fn write_example(text: &mut String, base: &str, example: &Example) {
    let Example {
        title,
        session,
        code,
        pool,
    } = example;
    // The codes hold no quotes, neither JSON's nor the shell's.
    let _ = write!(
        text,
        "\n# {title}\n\
         JOB=$(curl -s -X POST '{base}/api/v1/sessions/{session}/statements' \
         -H 'Content-Type: application/json' \
         -d '{{\"code\": \"{code}\", \"kind\": \"sql\", \"pool\": \"{pool}\"}}' \
         | sed -E 's/.*\"jobId\": *\"([^\"]+)\".*/\\1/'); echo \"$JOB\"\n\
         curl -s \"{base}/api/v1/sessions/{session}/statements/$JOB?wait=60\"; echo\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mode: Mode, tables: bool) -> String {
        hints(&Hints {
            base: "http://127.0.0.1:8080",
            mode,
            tables,
            spark_ui: "http://127.0.0.1:4040",
            libra: "libra",
        })
    }

    #[test]
    fn every_example_can_be_pasted() {
        for example in SHARED.iter().chain(&ISOLATED).chain([&TABLES]) {
            assert!(
                !example.code.contains(['\'', '"', '\\', '$', '`']),
                "{}",
                example.code
            );
        }
        let shared = of(Mode::Shared, true);
        assert_eq!(shared.matches("JOB=$(curl -s -X POST").count(), 4);
        assert_eq!(shared.matches("/$JOB?wait=60").count(), 4);
        assert!(shared.contains(
            r#"-d '{"code": "SELECT 1", "kind": "sql", "pool": "interactive"}' | sed -E 's/.*"jobId": *"([^"]+)".*/\1/'); echo "$JOB""#
        ));
        assert!(shared.contains("FROM mydata") && !of(Mode::Shared, false).contains("FROM mydata"));
        assert!(of(Mode::Isolated, true).contains("sessions/user-bob/statements"));
    }
}
