//! `libra admin statements …`.

use std::time::Duration;

use libra_proto::admin::{
    CancelStatementsRequest, GetStatementRequest, ListStatementsRequest, StatementFilter,
    StatementState,
};

use crate::cli::admin::arguments::{
    CancelArguments, FilterArguments, ListStatements, StateOfStatement, StatementsCommand,
};
use crate::cli::admin::client::Client;
use crate::cli::admin::confirm::confirm;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::run::page_size;
use crate::cli::admin::view::{CancelView, OneStatement, StatementsView};
use crate::cli::admin::watch::watch;

/// Does something with statements.
pub(in crate::cli::admin) async fn statements(
    client: &mut Client,
    sink: &Sink,
    command: StatementsCommand,
) -> Result<(), AdminError> {
    match command {
        StatementsCommand::List(arguments) => {
            watch(
                sink,
                arguments.watch.every(),
                "libra admin statements list",
                async || list(client, &arguments).await,
            )
            .await
        }
        StatementsCommand::Show(arguments) => {
            watch(
                sink,
                arguments.watch.every(),
                "libra admin statements show",
                async || get(client, &arguments.job).await,
            )
            .await
        }
        StatementsCommand::Cancel(arguments) => cancel(client, sink, arguments).await,
    }
}

fn state(state: StateOfStatement) -> StatementState {
    match state {
        StateOfStatement::Queued => StatementState::Queued,
        StateOfStatement::Running => StatementState::Running,
        StateOfStatement::Succeeded => StatementState::Succeeded,
        StateOfStatement::Failed => StatementState::Failed,
        StateOfStatement::Cancelled => StatementState::Cancelled,
    }
}

fn filter(jobs: &[String], filter: &FilterArguments) -> StatementFilter {
    let millis = |time: Option<Duration>| {
        time.map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        })
    };
    StatementFilter {
        job_ids: jobs.to_vec(),
        session_id: filter.session.clone().unwrap_or_default(),
        pool: filter.pool.clone().unwrap_or_default(),
        user: filter.user.clone().unwrap_or_default(),
        states: filter.state.iter().map(|it| state(*it).into()).collect(),
        older_than_ms: millis(filter.older_than),
        running_longer_than_ms: millis(filter.running_longer_than),
    }
}

async fn list(
    client: &mut Client,
    arguments: &ListStatements,
) -> Result<StatementsView, AdminError> {
    let mut request = ListStatementsRequest {
        filter: Some(filter(&arguments.job, &arguments.filter)),
        limit: 0,
        after: String::new(),
    };
    let mut view = StatementsView::default();
    while let Some(limit) = page_size(arguments.limit, view.len()) {
        request.limit = limit;
        let page = client
            .call(
                "list statements",
                request.clone(),
                async |admin, request| admin.list_statements(request).await,
            )
            .await?;
        request.after.clone_from(&page.next);
        view.extend(page);
        if request.after.is_empty() {
            break;
        }
    }
    Ok(view)
}

async fn get(client: &mut Client, job: &str) -> Result<OneStatement, AdminError> {
    let request = GetStatementRequest {
        job_id: job.to_owned(),
    };
    let doing = format!("show {job}");
    let answer = client
        .call(&doing, request, async |admin, request| {
            admin.get_statement(request).await
        })
        .await?;
    let lacks = "statement";
    let statement = answer.statement.map(OneStatement::from);
    statement.ok_or(AdminError::Incomplete { doing, lacks })
}

async fn cancel(
    client: &mut Client,
    sink: &Sink,
    arguments: CancelArguments,
) -> Result<(), AdminError> {
    let filter = filter(&arguments.job, &arguments.filter);
    let names_something = filter != StatementFilter::default();
    if !names_something && !arguments.all {
        return Err(AdminError::Arguments {
            what: "cancel which statements? none is named".to_owned(),
            next: "give ids (job-17), or --session, --pool, --user, --state, --older-than, \
                   --running-longer-than, or --all; --dry-run only shows which it would be"
                .to_owned(),
        });
    }
    let mut request = CancelStatementsRequest {
        filter: names_something.then_some(filter),
        all: arguments.all,
        limit: arguments.limit,
        dry_run: true,
    };
    // One that is named is not many.
    let asks = !arguments.sure.yes && arguments.job.len() != 1;
    if arguments.dry_run || asks {
        let found = call(client, request.clone()).await?;
        if arguments.dry_run || found.live() == 0 {
            return sink.show(&found, Series::One);
        }
        if found.live() > 1 {
            let doing = format!("cancel {}", found.whom());
            confirm(false, &doing, "")?;
        }
    }
    request.dry_run = false;
    let done = call(client, request).await?;
    sink.show(&done, Series::One)
}

async fn call(
    client: &mut Client,
    request: CancelStatementsRequest,
) -> Result<CancelView, AdminError> {
    let dry_run = request.dry_run;
    let answer = client
        .call("cancel statements", request, async |admin, request| {
            admin.cancel_statements(request).await
        })
        .await?;
    Ok(CancelView::new(dry_run, answer))
}
