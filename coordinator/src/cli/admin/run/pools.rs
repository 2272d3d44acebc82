//! `libra admin pools …`.

use libra_proto::admin::{
    ListPoolsRequest, PausePoolRequest, RemovePoolRequest, ResumePoolRequest, SchedulingMode,
    SetPoolRequest,
};

use crate::cli::admin::arguments::{Order, PoolsCommand, SetArguments, SureArguments};
use crate::cli::admin::client::Client;
use crate::cli::admin::confirm::confirm;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::view::{ChangeView, PoolView, PoolsView};
use crate::cli::admin::watch::watch;

/// Does something with pools.
pub(in crate::cli::admin) async fn pools(
    client: &mut Client,
    sink: &Sink,
    command: PoolsCommand,
) -> Result<(), AdminError> {
    match command {
        PoolsCommand::List(arguments) => {
            watch(
                sink,
                arguments.watch.every(),
                "libra admin pools list",
                async || list(client).await,
            )
            .await
        }
        PoolsCommand::Set(arguments) => set(client, sink, arguments).await,
        PoolsCommand::Remove(arguments) => {
            remove(client, sink, arguments.pool.name, &arguments.sure).await
        }
        PoolsCommand::Pause(pool) => pause(client, sink, pool.name).await,
        PoolsCommand::Resume(pool) => resume(client, sink, pool.name).await,
    }
}

async fn list(client: &mut Client) -> Result<PoolsView, AdminError> {
    let answer = client
        .call("list pools", ListPoolsRequest {}, async |admin, request| {
            admin.list_pools(request).await
        })
        .await?;
    Ok(answer.into())
}

async fn set(client: &mut Client, sink: &Sink, arguments: SetArguments) -> Result<(), AdminError> {
    let name = arguments.pool.name;
    let mode = arguments.scheduling_mode.map(|order| match order {
        Order::Fifo => SchedulingMode::Fifo,
        Order::Fair => SchedulingMode::Fair,
    });
    let request = SetPoolRequest {
        name: name.clone(),
        weight: arguments.weight,
        min_share: arguments.min_share,
        scheduling_mode: mode.map(Into::into),
        max_running: arguments.max_running,
    };
    let answer = client
        .call(
            &format!("set pool {name}"),
            request,
            async |admin, request| admin.set_pool(request).await,
        )
        .await?;
    let how = if answer.made { "was made" } else { "is set" };
    let view = PoolView::new(format!("pool {name} {how}"), answer.pool);
    sink.show(&view, Series::One)
}

async fn remove(
    client: &mut Client,
    sink: &Sink,
    name: String,
    sure: &SureArguments,
) -> Result<(), AdminError> {
    let doing = format!("remove pool {name}");
    confirm(
        sure.yes,
        &doing,
        "Statements that name it are refused then.",
    )?;
    let request = RemovePoolRequest { name: name.clone() };
    client
        .call(&doing, request, async |admin, request| {
            admin.remove_pool(request).await
        })
        .await?;
    let done = format!("pool {name} was removed");
    sink.show(
        &ChangeView {
            done,
            changed: true,
        },
        Series::One,
    )
}

async fn pause(client: &mut Client, sink: &Sink, name: String) -> Result<(), AdminError> {
    let request = PausePoolRequest { name: name.clone() };
    let answer = client
        .call(
            &format!("pause pool {name}"),
            request,
            async |admin, request| admin.pause_pool(request).await,
        )
        .await?;
    let already = if answer.changed { "" } else { " already" };
    let done = format!("pool {name} is paused{already}: it queues, and starts nothing");
    sink.show(&PoolView::new(done, answer.pool), Series::One)
}

async fn resume(client: &mut Client, sink: &Sink, name: String) -> Result<(), AdminError> {
    let request = ResumePoolRequest { name: name.clone() };
    let answer = client
        .call(
            &format!("resume pool {name}"),
            request,
            async |admin, request| admin.resume_pool(request).await,
        )
        .await?;
    let done = if answer.changed {
        format!("pool {name} starts statements again")
    } else {
        format!("pool {name} was not paused")
    };
    sink.show(&PoolView::new(done, answer.pool), Series::One)
}
