use bytes::Bytes;
use tempfile::TempDir;

use super::super::archive::{Act, Archive};
use super::*;
use crate::dev::console::Console;

const NAME: &str = "pyspark-4.3.0.tar.gz";
const SIZE: u64 = 5_000_000;
/// What a connection that is cut may take with it.
const ON_THE_WAY: u64 = 700_000;

struct Case {
    places: Places,
    archive: Archive,
    remote: Remote,
    content: Bytes,
    _cache: TempDir,
}

impl Case {
    /// An empty cache and a server that begins with `acts`.
    async fn new(acts: Vec<Act>) -> Self {
        let cache = TempDir::new().unwrap();
        let places = Places::in_cache(cache.path());
        places.clear().unwrap();
        let mut random = 1_u64;
        let content: Bytes = (0..SIZE)
            .map(|_| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                random.to_be_bytes()[0]
            })
            .collect();
        let sha256 = format!("{:x}", Sha256::digest(&content));
        let archive = Archive::start(NAME, &sha256, content.clone(), acts).await;
        let url = format!("{}/file/{NAME}", archive.base);
        let remote = Remote {
            url: url.parse().unwrap(),
            name: NAME.to_owned(),
            sha256,
            authorization: None,
            proxy: None,
            roots: None,
        };
        Self {
            places,
            archive,
            remote,
            content,
            _cache: cache,
        }
    }

    fn part(&self) -> PathBuf {
        self.places.downloads.join(format!("{NAME}.part"))
    }

    async fn run(&self) -> Result<PathBuf, DownloadError> {
        let mut download = Download::new(&self.remote, &self.places);
        download.pauses = pauses().with_min_delay(Duration::from_millis(1));
        download.pauses = download.pauses.with_max_delay(Duration::from_millis(5));
        download.run(&Console::new().step("test")).await
    }

    /// It ends with the file, and nothing else is there.
    async fn arrives(&self) {
        let file = self.run().await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), self.content);
        assert!(!self.part().exists());
        assert_eq!(self.run().await.unwrap(), file, "it is not asked for again");
    }
}

fn cut(most: u64) -> Act {
    Act {
        most,
        ..Act::default()
    }
}

fn answers(status: u16) -> Act {
    Act {
        status: StatusCode::from_u16(status).unwrap(),
        ..Act::default()
    }
}

fn no_ranges(most: u64) -> Act {
    Act {
        knows_ranges: false,
        most,
        ..Act::default()
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_costs_nothing_twice() {
    let acts = (0..4).map(|_| cut(1_000_000)).collect();
    let case = Case::new(acts).await;
    case.arrives().await;
    let ranges = case.archive.ranges();
    assert_eq!(ranges.len(), 5);
    let lost = case.archive.sent() - SIZE;
    assert!(lost < 5 * ON_THE_WAY, "{lost} bytes in {ranges:?}");
}

#[tokio::test]
async fn the_next_start_goes_on() {
    let case = Case::new(vec![]).await;
    std::fs::write(case.part(), &case.content[..3_000_000]).unwrap();
    case.arrives().await;
    assert_eq!(case.archive.ranges(), ["bytes=3000000-"]);
    assert_eq!(case.archive.sent(), 2_000_000);
}

#[tokio::test]
async fn a_part_that_is_all_needs_only_its_check() {
    let case = Case::new(vec![]).await;
    std::fs::write(case.part(), &case.content).unwrap();
    case.arrives().await;
    assert_eq!(case.archive.sent(), 0);
}

#[tokio::test]
async fn a_server_without_ranges_begins_anew() {
    let case = Case::new(vec![no_ranges(4_000_000), no_ranges(u64::MAX)]).await;
    case.arrives().await;
    let ranges = case.archive.ranges();
    assert!(
        ranges.len() == 2 && ranges[1].starts_with("bytes="),
        "{ranges:?}"
    );
    assert_eq!(case.archive.sent(), 4_000_000 + SIZE);
}

#[tokio::test]
async fn a_server_that_never_gets_on_is_left() {
    let acts = (0..20).map(|_| no_ranges(2_000_000)).collect();
    let case = Case::new(acts).await;
    let e = case.run().await.unwrap_err();
    let DownloadError::Broken { done, .. } = e else {
        panic!("{e:?}");
    };
    assert!(done > 2_000_000 - ON_THE_WAY, "{done}");
    let after = format!("after {}", megabytes(done));
    assert!(e.to_string().contains(&after), "{e}");
    assert_eq!(
        case.archive.ranges().len(),
        7,
        "the first, and one after each pause"
    );
    assert!(case.part().exists());
}

#[tokio::test]
async fn what_was_kept_of_another_file_is_thrown_away() {
    for kept in [3_000_000, SIZE, SIZE + 1] {
        let case = Case::new(vec![]).await;
        std::fs::write(case.part(), vec![0; kept as usize]).unwrap();
        case.arrives().await;
    }
}

#[tokio::test]
async fn a_wrong_file_is_an_error_and_removed() {
    let mut case = Case::new(vec![]).await;
    case.remote.sha256 = "0".repeat(64);
    let e = case.run().await.unwrap_err();
    assert!(
        matches!(e, DownloadError::Wrong { .. }) && !e.is_refusal(),
        "{e:?}"
    );
    let files = std::fs::read_dir(&case.places.downloads).unwrap();
    assert_eq!(files.count(), 0);
    assert_eq!(case.archive.sent(), SIZE, "it is not asked for twice");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_refusal_is_taken() {
    let case = Case::new(vec![answers(503), answers(429)]).await;
    case.arrives().await;
    let case = Case::new(vec![answers(404)]).await;
    let e = case.run().await.unwrap_err();
    assert!(
        e.is_refusal() && e.to_string().ends_with("404 Not Found"),
        "{e}"
    );
    assert_eq!(case.archive.ranges().len(), 1);
}

#[tokio::test]
async fn who_cannot_be_reached_is_not_waited_for() {
    let mut case = Case::new(vec![]).await;
    case.remote.url = "http://127.0.0.1:1/x".parse().unwrap();
    let e = case.run().await.unwrap_err();
    assert!(e.is_refusal() && !e.is_transient(), "{e:?}");
    assert!(
        e.with_cause().starts_with("the server cannot be reached: "),
        "{e:?}"
    );
    case.remote.roots = Some("/nowhere.pem".into());
    let e = case.run().await.unwrap_err();
    assert!(
        matches!(e, DownloadError::Roots { .. }) && e.is_refusal(),
        "{e:?}"
    );
}

#[test]
fn answers_are_told_apart() {
    let range = |text| Some(text);
    for (kept, status, content_range, expected) in [
        (0, 200, None, Plan::FromStart),
        (5, 200, None, Plan::FromStart),
        (5, 206, range("bytes 5-9/10"), Plan::Append),
        (5, 206, range("bytes 5-9/*"), Plan::Append),
        (5, 206, range("bytes 0-9/10"), Plan::Discard),
        (5, 206, range("lines 5-9/10"), Plan::Discard),
        (5, 206, None, Plan::Discard),
        (0, 206, range("bytes 0-9/10"), Plan::Refused),
        (10, 416, range("bytes */10"), Plan::Whole),
        (11, 416, range("bytes */10"), Plan::Discard),
        (11, 416, None, Plan::Discard),
        (0, 416, range("bytes */10"), Plan::Refused),
        (5, 404, None, Plan::Refused),
        (5, 204, None, Plan::Refused),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let is = plan(kept, status, content_range);
        assert_eq!(is, expected, "{kept} {status} {content_range:?}");
    }
}
