//! `libra admin backup`.
//!
//! **Invariant:** the file is there, whole and durable, or nothing is: it is written beside its
//! place, read back and checked, synced, and only then given its name.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use libra_proto::admin::backup_response::Part;
use libra_proto::admin::{BackupDone, BackupRequest, BackupResponse};
use tempfile::NamedTempFile;
use tokio::time::timeout;
use tonic::Streaming;

use super::backup_file::check;
use crate::cli::admin::arguments::BackupArguments;
use crate::cli::admin::client::Client;
use crate::cli::admin::error::AdminError;
use crate::cli::admin::output::{Series, Sink};
use crate::cli::admin::view::BackupView;

const DOING: &str = "make a backup";

/// Writes the registry into a file.
pub(in crate::cli::admin) async fn backup(
    client: &mut Client,
    sink: &Sink,
    arguments: &BackupArguments,
) -> Result<(), AdminError> {
    let place = Place {
        file: arguments.file.clone(),
        replaces: arguments.force,
    };
    // Said before anything is read: the backup of a big registry takes a while.
    if !place.replaces && place.file.exists() {
        return Err(AdminError::Exists { path: place.file });
    }
    let mut temporary = place.temporary()?;
    let stream = client
        .open(DOING, BackupRequest {}, async |admin, request| {
            admin.backup(request).await
        })
        .await?;
    let done = receive(client, stream, &mut temporary, &place.file).await?;
    let whole = check(temporary.path()).map_err(|error| place.named(error))?;
    if (whole.bytes, whole.records) != (done.bytes, done.records) {
        let what = format!(
            "{} bytes and {} records arrived of {} and {}",
            whole.bytes, whole.records, done.bytes, done.records
        );
        let path = place.file;
        return Err(AdminError::Damaged { path, what });
    }
    place.take(temporary)?;
    let file = place.file.display().to_string();
    sink.show(&BackupView::new(file, whole.header, &done), Series::One)
}

/// Writes what arrives; gives what the node says of it at the end.
async fn receive(
    client: &Client,
    mut stream: Streaming<BackupResponse>,
    temporary: &mut NamedTempFile,
    file: &Path,
) -> Result<BackupDone, AdminError> {
    let early = || AdminError::Damaged {
        path: file.to_owned(),
        what: "the node ended it too early".to_owned(),
    };
    loop {
        let next = timeout(client.timeout(), stream.message()).await;
        let next = next.map_err(|_| AdminError::Damaged {
            path: file.to_owned(),
            what: format!("nothing came for {} s", client.timeout().as_secs()),
        })?;
        let part = next.map_err(|status| AdminError::Refused {
            doing: DOING.to_owned(),
            status: Box::new(status),
        })?;
        match part.ok_or_else(early)?.part {
            Some(Part::Data(bytes)) => {
                temporary
                    .write_all(&bytes)
                    .map_err(|source| AdminError::File {
                        doing: "write",
                        path: file.to_owned(),
                        source,
                    })?;
            }
            Some(Part::Done(done)) => return Ok(done),
            // The header is in the file too, and what comes later tells nothing that is needed.
            Some(Part::Info(_)) | None => {}
        }
    }
}

/// Where the file goes.
struct Place {
    file: PathBuf,
    replaces: bool,
}

impl Place {
    fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        }
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> AdminError {
        let path = self.file.clone();
        move |source| AdminError::File {
            doing,
            path,
            source,
        }
    }

    /// A file beside it, that is gone if it is not taken.
    fn temporary(&self) -> Result<NamedTempFile, AdminError> {
        let made = tempfile::Builder::new()
            .prefix(".libra-backup-")
            .tempfile_in(self.folder());
        made.map_err(self.failed("write"))
    }

    /// An error of the temporary file is one of this.
    fn named(&self, error: AdminError) -> AdminError {
        let path = self.file.clone();
        match error {
            AdminError::Damaged { what, .. } => AdminError::Damaged { path, what },
            other => other,
        }
    }

    fn take(&self, temporary: NamedTempFile) -> Result<(), AdminError> {
        temporary
            .as_file()
            .sync_all()
            .map_err(self.failed("sync"))?;
        let taken = if self.replaces {
            temporary.persist(&self.file)
        } else {
            temporary.persist_noclobber(&self.file)
        };
        match taken {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                let path = self.file.clone();
                return Err(AdminError::Exists { path });
            }
            Err(error) => return Err(self.failed("write")(error.error)),
        }
        let folder = File::open(self.folder()).and_then(|folder| folder.sync_all());
        folder.map_err(self.failed("sync"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path, replaces: bool) -> Place {
        Place {
            file: folder.join("b"),
            replaces,
        }
    }

    fn written(place: &Place, text: &str) -> Result<(), AdminError> {
        let mut temporary = place.temporary().unwrap();
        temporary.write_all(text.as_bytes()).unwrap();
        place.take(temporary)
    }

    fn files(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_that_is_there_stays_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        written(&place(folder.path(), false), "first").unwrap();
        let refused = written(&place(folder.path(), false), "second").unwrap_err();
        assert!(matches!(refused, AdminError::Exists { .. }), "{refused}");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("b")).unwrap(),
            "first"
        );
        written(&place(folder.path(), true), "third").unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join("b")).unwrap(),
            "third"
        );
        assert_eq!(files(folder.path()), ["b"]);
    }

    #[test]
    fn what_is_not_taken_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(place(folder.path(), false).temporary().unwrap());
        assert!(files(folder.path()).is_empty());
    }

    #[test]
    fn a_name_without_a_folder_is_beside_oneself() {
        let place = Place {
            file: "b".into(),
            replaces: false,
        };
        assert_eq!(place.folder(), Path::new("."));
    }
}
