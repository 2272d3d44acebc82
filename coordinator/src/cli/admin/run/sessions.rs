//! `libra admin sessions …`.

use libra_proto::admin::{
    CloseSessionRequest, GetSessionRequest, ListSessionsRequest, MoveSessionRequest,
    RebalanceSessionsRequest, SessionState,
};

use crate::cli::admin::arguments::{
    ListSessions, MoveArguments, SessionsCommand, StateOfSession, SureArguments,
};
use crate::cli::admin::client::Client;
use crate::cli::admin::confirm::confirm;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::run::page_size;
use crate::cli::admin::view::{
    RebalanceView, SessionAndStatements, SessionView, SessionsView, count,
};
use crate::cli::admin::watch::watch;

/// Does something with sessions.
pub(in crate::cli::admin) async fn sessions(
    client: &mut Client,
    sink: &Sink,
    command: SessionsCommand,
) -> Result<(), AdminError> {
    match command {
        SessionsCommand::List(arguments) => {
            watch(
                sink,
                arguments.watch.every(),
                "libra admin sessions list",
                async || list(client, &arguments).await,
            )
            .await
        }
        SessionsCommand::Show(arguments) => {
            let session = &arguments.session.session;
            watch(
                sink,
                arguments.watch.every(),
                "libra admin sessions show",
                async || get(client, session).await,
            )
            .await
        }
        SessionsCommand::Move(arguments) => move_one(client, sink, &arguments).await,
        SessionsCommand::Rebalance(arguments) => {
            rebalance(client, sink, arguments.limit, &arguments.sure).await
        }
        SessionsCommand::Close(arguments) => {
            close(client, sink, &arguments.session.session, &arguments.sure).await
        }
    }
}

fn state(state: StateOfSession) -> SessionState {
    match state {
        StateOfSession::Starting => SessionState::Starting,
        StateOfSession::Idle => SessionState::Idle,
        StateOfSession::Busy => SessionState::Busy,
        StateOfSession::Closing => SessionState::Closing,
        StateOfSession::Closed => SessionState::Closed,
        StateOfSession::Failed => SessionState::Failed,
    }
}

async fn list(client: &mut Client, arguments: &ListSessions) -> Result<SessionsView, AdminError> {
    let mut request = ListSessionsRequest {
        states: arguments.state.iter().map(|it| state(*it).into()).collect(),
        owner_node: arguments.node.unwrap_or_default(),
        user: arguments.user.clone().unwrap_or_default(),
        endpoint: arguments.spark.clone().unwrap_or_default(),
        limit: 0,
        after: String::new(),
    };
    let mut view = SessionsView::default();
    while let Some(limit) = page_size(arguments.limit, view.len()) {
        request.limit = limit;
        let page = client
            .call("list sessions", request.clone(), async |admin, request| {
                admin.list_sessions(request).await
            })
            .await?;
        request.after.clone_from(&page.next);
        view.extend(page);
        if request.after.is_empty() {
            break;
        }
    }
    Ok(view)
}

async fn get(client: &mut Client, session: &str) -> Result<SessionAndStatements, AdminError> {
    let request = GetSessionRequest {
        session_id: session.to_owned(),
    };
    let doing = format!("show session {session}");
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.get_session(request).await
        })
        .await?;
    let lacks = "session";
    SessionAndStatements::of(answer).ok_or(AdminError::Incomplete { doing, lacks })
}

async fn move_one(
    client: &mut Client,
    sink: &Sink,
    arguments: &MoveArguments,
) -> Result<(), AdminError> {
    let session = &arguments.session.session;
    let doing = match arguments.to {
        0 => format!("move session {session}"),
        node => format!("move session {session} to node {node}"),
    };
    if !arguments.sure.yes {
        let it = get(client, session).await?.session;
        let running = count(it.running, "running statement");
        let consequence = format!(
            "Session {session} is on node {}; {running} of it go on where it moves to.",
            it.owner_node
        );
        confirm(false, &doing, &consequence)?;
    }
    let request = MoveSessionRequest {
        session_id: session.clone(),
        to_node: arguments.to,
        epoch: arguments.epoch,
    };
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.move_session(request).await
        })
        .await?;
    let to = answer
        .session
        .as_ref()
        .map_or(0, |session| session.owner_node);
    let done = if answer.moved {
        format!(
            "session {session} moved from node {} to node {to}",
            answer.from_node
        )
    } else {
        format!("session {session} stays on node {to}")
    };
    sink.show(
        &SessionView::new(done, answer.moved, answer.session),
        Series::One,
    )
}

async fn rebalance(
    client: &mut Client,
    sink: &Sink,
    limit: u32,
    sure: &SureArguments,
) -> Result<(), AdminError> {
    let doing = "rebalance sessions";
    let consequence = format!("Up to {limit} sessions move; their running statements go on.");
    confirm(sure.yes, doing, &consequence)?;
    let request = RebalanceSessionsRequest { limit };
    let answer = client
        .call(doing, request, async |admin, request| {
            admin.rebalance_sessions(request).await
        })
        .await?;
    sink.show(&RebalanceView::from(answer), Series::One)
}

async fn close(
    client: &mut Client,
    sink: &Sink,
    session: &str,
    sure: &SureArguments,
) -> Result<(), AdminError> {
    let doing = format!("close session {session}");
    if !sure.yes {
        let it = get(client, session).await?.session;
        let consequence = format!(
            "Session {session} is {}: {} running and {} queued statements are cancelled.",
            it.state, it.running, it.queued
        );
        confirm(false, &doing, &consequence)?;
    }
    let request = CloseSessionRequest {
        session_id: session.to_owned(),
    };
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.close_session(request).await
        })
        .await?;
    let closed = answer
        .session
        .as_ref()
        .is_some_and(|session| session.state() == SessionState::Closed);
    let done = if closed {
        format!("session {session} is closed")
    } else {
        format!("session {session} is closing: its owner lets go of Spark")
    };
    sink.show(&SessionView::new(done, true, answer.session), Series::One)
}
