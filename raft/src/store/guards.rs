//! What a data directory must be before a node answers from it.
//!
//! **Invariant:** a guard that refuses has changed nothing.

use std::fs;
use std::path::Path;

use super::log_store::Found;
use super::marker::Marker;
use super::version;
use crate::error::StartError;
use crate::options::Options;

/// Checks version, cluster and node of a data directory, or makes a new one.
pub(super) fn check_dir(options: &Options, log_dir: &Path) -> Result<Marker, StartError> {
    let dir = &options.data_dir;
    let has_log = log_dir.exists();
    let marker = Marker::read(dir)?;
    let is_new = marker.is_none() && !has_log;
    version::check(dir, is_new)?;
    let Some(marker) = marker else {
        if is_new {
            return Marker::create(dir, &options.cluster_name, options.node_id);
        }
        return Err(StartError::Guard {
            path: dir.join("marker"),
            found: "missing".to_owned(),
            expected: "the marker of the log beside it",
        });
    };
    check_owner(&marker, options)?;
    Ok(marker)
}

fn check_owner(marker: &Marker, options: &Options) -> Result<(), StartError> {
    let content = marker.content();
    if content.cluster_name != options.cluster_name {
        return Err(StartError::OtherCluster {
            path: options.data_dir.clone(),
            found: content.cluster_name,
            expected: options.cluster_name.clone(),
        });
    }
    if content.node_id != options.node_id.0 {
        return Err(StartError::OtherNode {
            path: options.data_dir.clone(),
            found: libra_proto::types::NodeId(content.node_id),
            expected: options.node_id,
        });
    }
    Ok(())
}

/// Refuses a store whose database file is gone, before sled would make a new one.
pub(super) fn check_database(marker: &Marker, log_dir: &Path) -> Result<(), StartError> {
    let there = fs::metadata(log_dir.join("db")).is_ok_and(|file| file.len() > 0);
    if there {
        Ok(())
    } else {
        check_may_be_empty(marker, log_dir)
    }
}

/// Refuses a store that has forgotten what its marker remembers.
pub(super) fn check_content(
    marker: &Marker,
    log_dir: &Path,
    found: &Found,
    snapshot_next: u64,
) -> Result<(), StartError> {
    if found.vote.is_none() && found.index.last().is_none() {
        check_may_be_empty(marker, log_dir)?;
    }
    let older = |found, expected| {
        Err(StartError::Older {
            path: log_dir.to_owned(),
            found,
            expected,
        })
    };
    if let Some(known) = marker.last_vote()
        && !found.vote.is_some_and(|vote| vote >= known)
    {
        let found = match found.vote {
            Some(vote) => format!("the vote {vote}"),
            None => "no vote".to_owned(),
        };
        return older(found, format!("the vote {known} or a later one"));
    }
    let floor = marker.content().log_floor;
    let next = found.index.next().max(snapshot_next);
    if next < floor {
        return older(format!("{next} entries"), format!("at least {floor}"));
    }
    Ok(())
}

fn check_may_be_empty(marker: &Marker, log_dir: &Path) -> Result<(), StartError> {
    let content = marker.content();
    if content.initialised || content.last_vote.is_some() || content.log_floor > 0 {
        return Err(StartError::Emptied {
            path: log_dir.to_owned(),
            node: libra_proto::types::NodeId(content.node_id),
            floor: content.log_floor,
        });
    }
    Ok(())
}
