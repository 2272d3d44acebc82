//! The picture of `libra top`, as lines of text.
//!
//! PURE: what was read in, lines out.

use chrono::{DateTime, Utc};
use console::{Alignment, measure_text_width, pad_str, truncate_str};
use serde::Deserialize;

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
    let mut lines = vec![head(picture)];
    lines.extend(picture.trouble.as_ref().map(|why| format!("! {why}")));
    for part in [pools(picture), sessions(picture), statements(picture)] {
        lines.push(String::new());
        lines.extend(part);
    }
    let hidden = lines.len().saturating_sub(rows);
    if hidden > 0 {
        lines.truncate(rows.saturating_sub(1));
        lines.push(format!("… {} lines more", hidden + 1));
    }
    let cut = |line: String| truncate_str(&line, columns, "…").into_owned();
    lines.into_iter().map(cut).collect()
}

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
        "{cluster_name} at {}   {up} of {} nodes up, {leader}   {} running, {} queued   {} UTC",
        picture.url,
        nodes.len(),
        sum(|pool| pool.running),
        sum(|pool| pool.queued),
        picture.now.format("%H:%M:%S")
    )
}

fn pools(picture: &Picture) -> Vec<String> {
    let head = [
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
    table(&head, rows.collect())
}

fn sessions(picture: &Picture) -> Vec<String> {
    let head = [
        "SESSION", "STATE", ">RUNNING", ">QUEUED", ">TOTAL", ">NODE", "USER", "ENDPOINT",
    ];
    let rows = picture.sessions.iter().map(|session| {
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
    table(&head, rows.collect())
}

fn statements(picture: &Picture) -> Vec<String> {
    let head = [
        "STATEMENT",
        ">SECONDS",
        "TASKS",
        "POOL",
        "SESSION",
        "USER",
        "",
        "CODE",
    ];
    let rows = picture.statements.iter().map(|statement| {
        let ran = statement.started_at.map(|at| picture.now - at);
        let seconds = ran.map_or(0, |ran| ran.num_seconds().max(0));
        let tasks = statement.progress.as_ref().map_or_else(
            || "-".to_owned(),
            |tasks| format!("{}/{}", tasks.completed_tasks, tasks.total_tasks),
        );
        vec![
            statement.job_id.clone(),
            seconds.to_string(),
            tasks,
            statement.pool.clone(),
            statement.session_id.clone(),
            statement.user.clone(),
            sign(statement).to_owned(),
            one_line(&statement.code),
        ]
    });
    table(&head, rows.collect())
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

/// Columns as wide as what is in them; a head that begins with `>` is aligned to the right.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let title = |head: &&str| head.trim_start_matches('>').to_owned();
    let titles: Vec<String> = head.iter().map(title).collect();
    let all: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let width = |n: usize| {
        let cells = all.iter().filter_map(|row| row.get(n));
        cells
            .map(|cell| measure_text_width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(head).zip(&widths);
        let cells = cells.map(|((cell, head), width)| {
            let side = if head.starts_with('>') {
                Alignment::Right
            } else {
                Alignment::Left
            };
            pad_str(cell, *width, side, None)
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
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
libra at http://h:8080   2 of 3 nodes up, leader 2   6 running, 12 queued   00:01:30 UTC

POOL           RUNNING  QUEUED  WEIGHT  MINSHARE  MAX  ORDER
default              1       0       1         2    -  FAIR
high-priority        5      12       3         4    8  FIFO

SESSION  STATE  RUNNING  QUEUED  TOTAL  NODE  USER  ENDPOINT
default  busy         6      12     99     1  ann   sc://h:15002

STATEMENT  SECONDS  TASKS  POOL     SESSION  USER    CODE
job-7           90  3/8    default  default  ann     SELECT 1 [2J";
        assert_eq!(draw(&picture(), 200, 100).join("\n"), expected);
    }

    #[test]
    fn it_fits_the_screen() {
        let mut picture = picture();
        picture.trouble = Some("http://h:8080 does not answer".to_owned());
        let lines = draw(&picture, 20, 5);
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| measure_text_width(line) <= 20));
        assert!(lines[1].starts_with("! http://h:8080"));
        assert_eq!(lines[4], "… 8 lines more");
    }
}
