//! `libra admin events`.

use std::time::Duration;

use libra_proto::admin::watch_events_request::Begin;
use libra_proto::admin::{
    ClusterStatusRequest, EventKind, Position, WatchEventsRequest, WatchEventsResponse,
};
use tokio::time::{sleep, timeout};
use tonic::{Code, Streaming};

use crate::cli::admin::arguments::{EventsArguments, From, KindOfEvent};
use crate::cli::admin::client::Client;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::view::EventView;
use crate::cli::{shutdown, tell};

const DOING: &str = "tell events";
/// A stream that was asked for what is kept, and says nothing for so long, has told it.
const QUIET: Duration = Duration::from_secs(1);
/// The same, where it has come as far as the cluster was when it was asked.
const QUIET_AT_THE_END: Duration = Duration::from_millis(150);
/// Between two attempts to go on elsewhere.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells events, those that are kept or for ever.
pub(in crate::cli::admin) async fn events(
    client: &mut Client,
    sink: &Sink,
    arguments: EventsArguments,
) -> Result<(), AdminError> {
    let shutdown = shutdown::requested().map_err(AdminError::Output)?;
    tokio::select! {
        () = shutdown => Ok(()),
        ended = Box::pin(tell_them(client, sink, &arguments)) => ended,
    }
}

async fn tell_them(
    client: &mut Client,
    sink: &Sink,
    arguments: &EventsArguments,
) -> Result<(), AdminError> {
    let mut from = arguments.from;
    if !arguments.follow {
        let until = applied(client).await?;
        let stream = open(client, arguments, from).await?;
        return tell_kept(sink, stream, until).await;
    }
    let mut connected = false;
    loop {
        let ended = match open(client, arguments, from).await {
            Ok(stream) => {
                connected = true;
                tell_on(sink, stream, &mut from).await
            }
            Err(error) => Err(error),
        };
        match ended {
            // Whoever never was connected is told so, and need not wait.
            Err(error) if !connected || !may_pass(&error) => return Err(error),
            Err(error) => tell(&format!("libra: {error}; going on in a moment")),
            Ok(()) => {}
        }
        sleep(AGAIN).await;
    }
}

fn may_pass(error: &AdminError) -> bool {
    match error {
        AdminError::Unreachable { .. } | AdminError::NoAnswer { .. } => true,
        AdminError::Refused { status, .. } => matches!(
            status.code(),
            Code::Unavailable
                | Code::Unknown
                | Code::Internal
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
        ),
        _ => false,
    }
}

async fn applied(client: &mut Client) -> Result<u64, AdminError> {
    let request = ClusterStatusRequest::default();
    let status = client
        .call(DOING, request, async |admin, request| {
            admin.cluster_status(request).await
        })
        .await?;
    Ok(status.applied_index)
}

async fn open(
    client: &mut Client,
    arguments: &EventsArguments,
    from: From,
) -> Result<Streaming<WatchEventsResponse>, AdminError> {
    let begin = match from {
        From::Oldest => Begin::Oldest(true),
        From::Now => Begin::Now(true),
        From::After(index, ordinal) => Begin::After(Position { index, ordinal }),
    };
    let request = WatchEventsRequest {
        kinds: arguments.kind.iter().map(|it| kind(*it).into()).collect(),
        session_id: arguments.session.clone().unwrap_or_default(),
        begin: Some(begin),
    };
    client
        .open(DOING, request, async |admin, request| {
            admin.watch_events(request).await
        })
        .await
}

/// Tells what comes until the stream ends.
async fn tell_on(
    sink: &Sink,
    mut stream: Streaming<WatchEventsResponse>,
    from: &mut From,
) -> Result<(), AdminError> {
    while let Some(told) = stream.message().await.map_err(refused)? {
        if let Some(event) = told.event {
            sink.show(&EventView::from(event), Series::Many)?;
        }
        if let Some(Position { index, ordinal }) = told.position {
            *from = From::After(index, ordinal);
        }
    }
    Ok(())
}

/// Tells what is kept up to log index `until`, and ends.
async fn tell_kept(
    sink: &Sink,
    mut stream: Streaming<WatchEventsResponse>,
    until: u64,
) -> Result<(), AdminError> {
    let mut reached = 0;
    loop {
        let quiet = if reached >= until {
            QUIET_AT_THE_END
        } else {
            QUIET
        };
        let Ok(told) = timeout(quiet, stream.message()).await else {
            return Ok(());
        };
        // A mark says that there is no more for now.
        let Some((event, position)) = told
            .map_err(refused)?
            .and_then(|told| Some((told.event?, told.position.unwrap_or_default())))
        else {
            return Ok(());
        };
        if position.index > until {
            return Ok(());
        }
        reached = position.index;
        sink.show(&EventView::from(event), Series::Many)?;
    }
}

fn refused(status: tonic::Status) -> AdminError {
    AdminError::Refused {
        doing: DOING.to_owned(),
        status: Box::new(status),
    }
}

fn kind(kind: KindOfEvent) -> EventKind {
    match kind {
        KindOfEvent::LeaderElected => EventKind::LeaderElected,
        KindOfEvent::MembersChanged => EventKind::MembersChanged,
        KindOfEvent::NodeRegistered => EventKind::NodeRegistered,
        KindOfEvent::NodeStateChanged => EventKind::NodeStateChanged,
        KindOfEvent::NodeRemoved => EventKind::NodeRemoved,
        KindOfEvent::FailedOver => EventKind::FailedOver,
        KindOfEvent::SessionCreated => EventKind::SessionCreated,
        KindOfEvent::SessionOpened => EventKind::SessionOpened,
        KindOfEvent::SessionMoved => EventKind::SessionMoved,
        KindOfEvent::SessionReset => EventKind::SessionReset,
        KindOfEvent::SessionEnded => EventKind::SessionEnded,
        KindOfEvent::StatementEnded => EventKind::StatementEnded,
        KindOfEvent::PoolChanged => EventKind::PoolChanged,
        KindOfEvent::PoolRemoved => EventKind::PoolRemoved,
        KindOfEvent::SettingsChanged => EventKind::SettingsChanged,
        KindOfEvent::FeatureLevelRaised => EventKind::FeatureLevelRaised,
        KindOfEvent::Restored => EventKind::Restored,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::cli::admin::view::kind_name;

    #[test]
    fn a_kind_is_asked_for_by_the_name_that_it_is_shown_with() {
        for asked in KindOfEvent::value_variants() {
            let value = asked.to_possible_value().unwrap();
            assert_eq!(value.get_name(), kind_name(kind(*asked)));
        }
        // All but the one that is none.
        let kinds = (0..100).filter(|n| EventKind::try_from(*n).is_ok()).count();
        assert_eq!(KindOfEvent::value_variants().len(), kinds - 1);
    }
}
