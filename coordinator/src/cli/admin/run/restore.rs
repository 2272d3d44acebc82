//! `libra admin restore`.

use std::io;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, Stream};
use libra_proto::admin::restore_request::Part;
use libra_proto::admin::{RestoreRequest, RestoreStart};
use tokio::fs::File;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use super::backup_file::check;
use crate::cli::admin::arguments::RestoreArguments;
use crate::cli::admin::client::Client;
use crate::cli::admin::confirm::confirm;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::view::RestoreView;

const DOING: &str = "restore the backup";
/// As long as the service itself takes at most.
const RESTORED_WITHIN: Duration = Duration::from_secs(600);
/// What goes in one message.
const CHUNK: usize = 256 << 10;

/// Takes a backup into a fresh cluster.
pub(in crate::cli::admin) async fn restore(
    client: &mut Client,
    sink: &Sink,
    arguments: &RestoreArguments,
) -> Result<(), AdminError> {
    check(&arguments.file)?;
    let start = |dry_run| RestoreStart {
        other_cluster: arguments.other_cluster,
        dry_run,
    };
    if arguments.dry_run {
        let said = send(client, start(true), &arguments.file).await?;
        return sink.show(&said, Series::One);
    }
    if !arguments.sure.yes {
        let said = send(client, start(true), &arguments.file).await?;
        confirm(false, DOING, &said.consequence())?;
    }
    let done = send(client, start(false), &arguments.file).await?;
    sink.show(&done, Series::One)
}

async fn send(
    client: &Client,
    start: RestoreStart,
    path: &Path,
) -> Result<RestoreView, AdminError> {
    let dry_run = start.dry_run;
    let file = File::open(path).await.map_err(|source| AdminError::File {
        doing: "read",
        path: path.to_owned(),
        source,
    })?;
    let (endpoint, mut stub) = client.connected(DOING).await?;
    let sent = stub.restore(parts(start, ReaderStream::with_capacity(file, CHUNK)));
    match timeout(RESTORED_WITHIN, sent).await {
        Ok(Ok(answer)) => Ok(RestoreView::new(dry_run, answer.into_inner())),
        Ok(Err(status)) => Err(client.told(DOING, &endpoint, status).await),
        Err(_) => Err(AdminError::NoAnswer {
            doing: DOING.to_owned(),
            endpoint,
            timeout: RESTORED_WITHIN,
        }),
    }
}

/// The start, then the file. Where it cannot be read on, the stream ends, and the service refuses
/// what lacks its end.
fn parts(
    start: RestoreStart,
    file: impl Stream<Item = io::Result<bytes::Bytes>>,
) -> impl Stream<Item = RestoreRequest> {
    let message = |part| RestoreRequest { part: Some(part) };
    let data = file
        .take_while(|read| std::future::ready(read.is_ok()))
        .filter_map(|read| std::future::ready(read.ok()))
        .map(move |bytes| message(Part::Data(bytes)));
    stream::iter([message(Part::Start(start))]).chain(data)
}
