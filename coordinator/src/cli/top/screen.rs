//! The picture of `libra top`, as lines of text.
//!
//! PURE: what was read in, lines out.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::layout::{fit, share, table};

/// Everything that is shown.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) url: String,
    pub(super) cluster: Cluster,
    pub(super) pools: Vec<Pool>,
    pub(super) sessions: Vec<Session>,
    pub(super) statements: Vec<Statement>,
    pub(super) now: DateTime<Utc>,
    /// Why the picture is not of now, if it is not.
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster {
    cluster_name: String,
    leader: Option<u64>,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Deserialize)]
struct Node {
    state: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pools {
    pub(super) pools: Vec<Pool>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pool {
    name: String,
    weight: u32,
    min_share: u32,
    scheduling_mode: String,
    max_running: Option<u32>,
    queued: u64,
    running: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<Session>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    session_id: String,
    state: String,
    user: String,
    endpoint: String,
    owner: Owner,
    statements: Counts,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    node_id: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Counts {
    queued: u64,
    running: u64,
    total: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Statements {
    pub(super) statements: Vec<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement {
    job_id: String,
    session_id: String,
    pool: String,
    user: String,
    code: String,
    started_at: Option<DateTime<Utc>>,
    progress: Option<Progress>,
    #[serde(default)]
    reconnecting: bool,
    cancel_requested_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    completed_tasks: u64,
    total_tasks: u64,
}

/// The picture in lines of at most `columns`, no more than `rows` of them.
pub(super) fn draw(picture: &Picture, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![fit(&head(picture), columns)];
    if let Some(why) = &picture.trouble {
        let line = format!("! no answer since then: {why}");
        lines.push(fit(&line, columns));
    }
    let parts = [pools(picture), sessions(picture), statements(picture)];
    let parts = parts.map(|(head, rows, none)| table(head, &rows, none, columns));
    let room = rows.saturating_sub(lines.len() + parts.len());
    for part in share(parts.into(), room) {
        lines.push(String::new());
        lines.extend(part);
    }
    lines.truncate(rows);
    lines
}

/// What is most asked for stands first: a narrow screen cuts the end.
fn head(picture: &Picture) -> String {
    let Cluster {
        cluster_name,
        leader,
        nodes,
    } = &picture.cluster;
    let up = nodes.iter().filter(|node| node.state == "up").count();
    let leader = leader.map_or_else(|| "no leader".to_owned(), |id| format!("leader {id}"));
    let sum = |count: fn(&Pool) -> u64| picture.pools.iter().map(count).sum::<u64>();
    format!(
        "{cluster_name}   {} UTC   {} running, {} queued   {up} of {} nodes up, {leader}   {}",
        picture.now.format("%H:%M:%S"),
        sum(|pool| pool.running),
        sum(|pool| pool.queued),
        nodes.len(),
        picture.url,
    )
}

/// Titles, cells, and what is said if there are none.
type Part = (&'static [&'static str], Vec<Vec<String>>, &'static str);

fn pools(picture: &Picture) -> Part {
    let head = &[
        "POOL",
        ">RUNNING",
        ">QUEUED",
        ">WEIGHT",
        ">MINSHARE",
        ">MAX",
        "ORDER",
    ];
    let rows = picture.pools.iter().map(|pool| {
        vec![
            pool.name.clone(),
            pool.running.to_string(),
            pool.queued.to_string(),
            pool.weight.to_string(),
            pool.min_share.to_string(),
            pool.max_running
                .map_or_else(|| "-".to_owned(), |max| max.to_string()),
            pool.scheduling_mode.clone(),
        ]
    });
    (head, rows.collect(), "no pools")
}

/// Those in which most is going on first.
fn sessions(picture: &Picture) -> Part {
    let head = &[
        "SESSION", "STATE", ">RUNNING", ">QUEUED", ">TOTAL", ">NODE", "USER", "ENDPOINT",
    ];
    let mut sessions: Vec<&Session> = picture.sessions.iter().collect();
    let busy = |session: &Session| (session.statements.running, session.statements.queued);
    sessions.sort_by_key(|session| Reverse(busy(session)));
    let rows = sessions.into_iter().map(|session| {
        vec![
            session.session_id.clone(),
            session.state.clone(),
            session.statements.running.to_string(),
            session.statements.queued.to_string(),
            session.statements.total.to_string(),
            session.owner.node_id.to_string(),
            session.user.clone(),
            session.endpoint.clone(),
        ]
    });
    (head, rows.collect(), "no sessions")
}

fn statements(picture: &Picture) -> Part {
    let head = &[
        "JOB", ">TIME", "TASKS", "POOL", "SESSION", "USER", "", "CODE",
    ];
    let rows = picture.statements.iter().map(|statement| {
        let ran = statement.started_at.map(|at| picture.now - at);
        let tasks = statement.progress.as_ref().map_or_else(
            || "-".to_owned(),
            |tasks| format!("{}/{}", tasks.completed_tasks, tasks.total_tasks),
        );
        vec![
            statement.job_id.clone(),
            clock(ran.map_or(0, |ran| ran.num_seconds().max(0))),
            tasks,
            statement.pool.clone(),
            statement.session_id.clone(),
            statement.user.clone(),
            sign(statement).to_owned(),
            one_line(&statement.code),
        ]
    });
    (head, rows.collect(), "nothing runs")
}

/// Seconds as `m:ss`, or `h:mm:ss`.
fn clock(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

fn sign(statement: &Statement) -> &'static str {
    if statement.cancel_requested_at.is_some() {
        "cancelling"
    } else if statement.reconnecting {
        "reconnecting"
    } else {
        ""
    }
}

/// The text in one line, with nothing in it that moves a cursor.
fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(visible).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;
    use serde_json::{Value, json};

    use super::*;

    fn picture() -> Picture {
        fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
            serde_json::from_value(value).unwrap()
        }
        Picture {
            url: "http://h:8080".to_owned(),
            cluster: of(
                json!({"clusterName": "libra", "leader": 2, "term": 3, "nodes": [
                    {"nodeId": 1, "state": "up"}, {"nodeId": 2, "state": "up"}, {"nodeId": 3, "state": "down"},
                ]}),
            ),
            pools: of(json!([
                {"name": "default", "weight": 1, "minShare": 2, "schedulingMode": "FAIR", "queued": 0, "running": 1},
                {"name": "high-priority", "weight": 3, "minShare": 4, "maxRunning": 8,
                 "schedulingMode": "FIFO", "queued": 12, "running": 5},
            ])),
            sessions: of(
                json!([{"sessionId": "default", "state": "busy", "user": "ann",
                "endpoint": "sc://h:15002", "owner": {"nodeId": 1, "http": "h:8080"},
                "statements": {"queued": 12, "running": 6, "total": 99}}]),
            ),
            statements: of(
                json!([{"jobId": "job-7", "sessionId": "default", "pool": "default",
                "user": "ann", "code": "SELECT\n\t1\u{1b}[2J", "startedAt": "2026-01-01T00:00:00Z",
                "progress": {"completedTasks": 3, "totalTasks": 8}}]),
            ),
            now: "2026-01-01T00:01:30Z".parse().unwrap(),
            trouble: None,
        }
    }

    #[test]
    fn the_picture() {
        let expected = "\
libra   00:01:30 UTC   6 running, 12 queued   2 of 3 nodes up, leader 2   http://h:8080

POOL           RUNNING  QUEUED  WEIGHT  MINSHARE  MAX  ORDER
default              1       0       1         2    -  FAIR
high-priority        5      12       3         4    8  FIFO

SESSION  STATE  RUNNING  QUEUED  TOTAL  NODE  USER  ENDPOINT
default  busy         6      12     99     1  ann   sc://h:15002

JOB    TIME  TASKS  POOL     SESSION  USER  CODE
job-7  1:30  3/8    default  default  ann   SELECT 1 [2J";
        assert_eq!(draw(&picture(), 200, 100).join("\n"), expected);
    }

    #[test]
    fn nothing_is_said_too() {
        let mut picture = picture();
        picture.sessions.clear();
        picture.statements.clear();
        let lines = draw(&picture, 80, 24);
        assert_eq!(
            lines[6],
            "SESSION  STATE  RUNNING  QUEUED  TOTAL  NODE  USER  ENDPOINT"
        );
        assert_eq!(lines[7], "no sessions");
        assert_eq!(lines.last().unwrap(), "nothing runs");
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in [
            (0, "0:00"),
            (61, "1:01"),
            (3_599, "59:59"),
            (3_661, "1:01:01"),
        ] {
            assert_eq!(clock(seconds), text);
        }
    }

    #[test]
    fn many_sessions_leave_room_for_statements() {
        let mut picture = picture();
        picture.sessions = vec![picture.sessions[0].clone(); 100];
        let mut idle = picture.sessions[0].clone();
        (idle.statements.running, idle.session_id) = (0, "idle".to_owned());
        picture.sessions.insert(0, idle);
        let lines = draw(&picture, 80, 24);
        assert_eq!(lines.len(), 24);
        assert!(lines.last().unwrap().starts_with("job-7"));
        assert!(
            !lines.iter().any(|line| line.starts_with("idle")),
            "it is last"
        );
        assert!(lines.contains(&"… 88 more".to_owned()), "{lines:#?}");
    }

    #[test]
    fn it_fits_the_screen() {
        let mut picture = picture();
        picture.trouble = Some("Connection refused".to_owned());
        for (columns, rows) in [(0, 0), (1, 1), (20, 5), (40, 10), (80, 24), (120, 40)] {
            let lines = draw(&picture, columns, rows);
            assert!(lines.len() <= rows, "{columns} x {rows}: {lines:#?}");
            let fits = |line: &String| measure_text_width(line) <= columns;
            assert!(lines.iter().all(fits), "{columns} x {rows}: {lines:#?}");
        }
        let lines = draw(&picture, 60, 24);
        assert_eq!(lines[1], "! no answer since then: Connection refused");
    }
}
