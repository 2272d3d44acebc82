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
    /// Spark's own pages, if it is known where they are.
    pub(super) spark_ui: Option<&'a str>,
    /// How this program was called.
    pub(super) libra: &'a str,
    /// Coordinators that are processes of their own, if there are any.
    pub(super) nodes: &'a [NodeHint],
}

/// One coordinator of several.
#[derive(Debug, Clone)]
pub(super) struct NodeHint {
    pub(super) id: u8,
    /// Its REST.
    pub(super) base: String,
    /// Its process, if that is known.
    pub(super) pid: Option<u32>,
}

/// One example: where, what, in which pool.
struct Example<'a> {
    title: &'a str,
    session: &'a str,
    code: &'a str,
    pool: &'a str,
}

const SHARED: [Example<'static>; 3] = [
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

const ISOLATED: [Example<'static>; 2] = [
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

const TABLES: Example<'static> = Example {
    title: "The guide's table",
    session: "default",
    code: "SELECT * FROM mydata LIMIT 5",
    pool: "default",
};

const ANYWHERE: Example<'static> = Example {
    title: "",
    session: "default",
    code: "SELECT COUNT(*) FROM range(10000000)",
    pool: "default",
};

/// Writes them.
pub(super) fn hints(of: &Hints<'_>) -> String {
    let (base, libra) = (of.base, of.libra);
    let spark_ui = of
        .spark_ui
        .map_or_else(String::new, |ui| format!("   Spark's own view: {ui}/jobs/"));
    let mut text = format!(
        "\nlibra is ready: {base}/swagger-ui{spark_ui}\n\
         Ctrl-C ends everything. Paste into other terminals; the first line of each submits, the \
         second reads the result of that job:\n"
    );
    let examples: &[Example<'_>] = match of.mode {
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
    let session = examples.first().map_or("default", |first| first.session);
    write_nodes(&mut text, session, of.nodes);
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

/// Any of them takes any request, and any of them may die.
fn write_nodes(text: &mut String, session: &str, nodes: &[NodeHint]) {
    let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else {
        return;
    };
    let example = Example {
        title: "Any coordinator takes any request: submit at the last, read at all",
        session,
        ..ANYWHERE
    };
    write_example(text, &last.base, &example);
    for node in nodes {
        let _ = writeln!(
            text,
            "curl -s \"{}/api/v1/statements/$JOB\"; echo   # node {}",
            node.base, node.id
        );
    }
    let _ = write!(
        text,
        "\n# Who leads, and how many sessions each has\n\
         curl -s '{}/api/v1/cluster'; echo\n\
         \n# One that dies: its sessions move, their statements go on\n",
        first.base
    );
    for node in nodes {
        if let Some(pid) = node.pid {
            let _ = writeln!(text, "kill -9 {pid}   # node {}", node.id);
        }
    }
}

fn write_example(text: &mut String, base: &str, example: &Example<'_>) {
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
            spark_ui: Some("http://127.0.0.1:4040"),
            libra: "libra",
            nodes: &[],
        })
    }

    #[test]
    fn every_example_can_be_pasted() {
        for example in SHARED.iter().chain(&ISOLATED).chain([&TABLES, &ANYWHERE]) {
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

    #[test]
    fn every_node_has_lines_of_its_own() {
        let node = |id: u8| NodeHint {
            id,
            base: format!("http://127.0.0.1:808{id}"),
            pid: (id < 3).then_some(4_000 + u32::from(id)),
        };
        let nodes = [node(1), node(2), node(3)];
        let text = hints(&Hints {
            base: &nodes[0].base,
            mode: Mode::Isolated,
            tables: false,
            spark_ui: None,
            libra: "libra",
            nodes: &nodes,
        });
        for node in &nodes {
            let read = format!("curl -s \"{}/api/v1/statements/$JOB\"; echo", node.base);
            assert!(text.contains(&read), "{text}");
        }
        assert!(
            text.contains("8083/api/v1/sessions/user-alice/statements'"),
            "{text}"
        );
        assert!(text.contains("kill -9 4002   # node 2"), "{text}");
        assert_eq!(text.matches("kill -9").count(), 2);
        assert!(!text.contains("Spark's own view"));
    }
}
