//! Tests of fetching from a local server that simulates faults of servers and networks. `on_disk` tests files
//! on the disk and the contents of archives.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use md5::{Digest, Md5};
use tempfile::TempDir;

use super::*;
use crate::data::cifar10;

mod archives;
mod on_disk;
mod server;

use archives::{cifar10_files, small_archive};
use server::{Reply, Server};

/// Short time limits, so that the tests are fast.
const QUICK: RetryPolicy = RetryPolicy {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(5),
    bytes: Duration::from_secs(10),
    connect_retries: 0,
    retries: 2,
    pause: Duration::from_millis(1),
};

/// A temporary folder that a test fetches to, and the events that were reported.
struct Place {
    root: TempDir,
    events: Vec<String>,
}

impl Place {
    fn new() -> Self {
        Self { root: TempDir::new().unwrap(), events: Vec::new() }
    }

    /// Returns the destination. Its parent folder does not exist yet.
    fn dir(&self) -> PathBuf {
        self.root.path().join("data").join(cifar10::FOLDER)
    }

    fn part(&self) -> PathBuf {
        self.root.path().join("data/cifar-10-binary.tar.gz.part")
    }

    fn write_part(&self, bytes: &[u8]) {
        fs::create_dir_all(self.root.path().join("data")).unwrap();
        fs::write(self.part(), bytes).unwrap();
    }

    /// Returns the names of the files and folders in the destination's parent folder, sorted.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.path().join("data")) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fetch(&mut self, archive: &Archive) -> Result<Fetched, FetchError> {
        self.fetch_with(archive, &QUICK, &AtomicBool::new(false))
    }

    fn fetch_with(
        &mut self,
        archive: &Archive,
        patience: &RetryPolicy,
        stop: &AtomicBool,
    ) -> Result<Fetched, FetchError> {
        let dir = self.dir();
        let mut watch = |event: Event<'_>| self.events.push(format!("{event:?}"));
        fetch(archive, &dir, patience, &mut watch, stop)
    }

    #[track_caller]
    fn assert_reported(&self, word: &str) {
        assert!(self.events.iter().any(|e| e.contains(word)), "{word:?}: {:?}", self.events);
    }

    /// Checks that the files are unpacked and that no other file is left.
    #[track_caller]
    fn assert_done(&self) {
        assert_eq!(self.names(), [cifar10::FOLDER]);
        for (name, content) in cifar10_files() {
            assert!(fs::read(self.dir().join(name)).unwrap() == content, "{name}");
        }
        assert_eq!(fs::read_dir(self.dir()).unwrap().count(), cifar10_files().len());
    }
}

fn md5_of_bytes(bytes: &[u8]) -> Md5Sum {
    Md5Sum(Md5::digest(bytes).into())
}

/// Returns the description of the archive with the contents `file` at this URL.
fn known(file: &[u8], url: String) -> Archive {
    let published = Archive::published(&cifar10::Cifar10, Some(url)).expect("an archive");
    Archive { n_bytes: Some(file.len() as u64), md5: md5_of_bytes(file), ..published }
}

/// Starts a server that serves [`small_archive`].
fn small(replies: impl IntoIterator<Item = Reply>) -> (Server, Archive) {
    let file = small_archive();
    let server = Server::new(file.clone(), replies);
    let archive = known(&file, server.url());
    (server, archive)
}

#[test]
fn a_whole_archive_is_checked_unpacked_and_removed() {
    let (server, archive) = small([]);
    let mut place = Place::new();
    assert_eq!(place.fetch(&archive).unwrap(), Fetched::Now);
    place.assert_done();
    place.assert_reported("Started { received: 0, total: Some(");
    place.assert_reported("Unpacking");
    // A second fetch sends no request.
    assert_eq!(place.fetch(&archive).unwrap(), Fetched::Before);
    assert_eq!(server.asked(), [None]);
}

#[test]
fn a_broken_download_continues_where_it_broke() {
    for broken in [Reply::CutAfter(5000), Reply::HangAfter(5000)] {
        let (server, archive) = small([broken.clone(), broken]);
        let mut place = Place::new();
        let brisk = RetryPolicy { bytes: Duration::from_millis(500), ..QUICK };
        place.fetch_with(&archive, &brisk, &AtomicBool::new(false)).unwrap();
        place.assert_done();
        place.assert_reported("Retrying");
        assert_eq!(server.asked(), [None, Some(5000), Some(10_000)]);
    }
}

#[test]
fn a_later_fetch_continues_the_partial_download() {
    let (server, archive) = small([Reply::CutAfter(5000)]);
    let mut place = Place::new();
    let impatient = RetryPolicy { retries: 0, ..QUICK };
    let error =
        place.fetch_with(&archive, &impatient, &AtomicBool::new(false)).expect_err("it was cut");
    assert!(matches!(error, FetchError::BrokenOff { received: 5000, .. }), "{error:?}");
    assert_eq!(fs::read(place.part()).unwrap(), small_archive()[..5000]);
    assert!(!place.dir().exists());

    place.fetch(&archive).unwrap();
    place.assert_done();
    place.assert_reported("Started { received: 5000");
    assert_eq!(server.asked(), [None, Some(5000)]);
}

#[test]
fn a_network_that_stays_broken_is_an_error() {
    let (server, archive) = small(vec![Reply::CutAfter(0); 9]);
    let mut place = Place::new();
    let error = place.fetch(&archive).expect_err("no bytes arrive");
    assert!(matches!(error, FetchError::BrokenOff { received: 0, .. }), "{error:?}");
    assert_eq!(server.asked().len(), 1 + QUICK.retries as usize);
    assert_eq!(place.names(), [""; 0], "an empty part is removed");
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let (server, archive) = small([Reply::WholeAlways]);
    let mut place = Place::new();
    place.write_part(&small_archive()[..5000]);
    place.fetch(&archive).unwrap();
    place.assert_done();
    place.assert_reported("StartingOver");
    assert_eq!(server.asked(), [Some(5000)]);
}

#[test]
fn a_server_that_sends_another_range_gets_a_new_request() {
    let (server, archive) = small([Reply::OtherPart]);
    let mut place = Place::new();
    place.write_part(&small_archive()[..5000]);
    place.fetch(&archive).unwrap();
    place.assert_done();
    assert_eq!(server.asked(), [Some(5000), None]);
}

#[test]
fn the_lengths_of_the_archive_and_of_the_response_may_be_unknown() {
    // In the first fetch, only the archive's length is known. In the second one, no length is known; in the third one,
    // only the length of the server's response.
    let (_server, archive) = small([Reply::WithoutLength]);
    let mut place = Place::new();
    place.fetch(&archive).unwrap();
    place.assert_done();

    for reply in [Reply::WithoutLength, Reply::Good] {
        let (_server, archive) = small([reply]);
        let mut place = Place::new();
        place.fetch(&Archive { n_bytes: None, ..archive }).unwrap();
        place.assert_done();
    }
}

#[test]
fn a_complete_part_is_not_downloaded_again() {
    let mut place = Place::new();
    let (server, archive) = small([]);
    place.write_part(&small_archive());
    place.fetch(&archive).unwrap();
    place.assert_done();
    assert_eq!(server.asked(), [], "no request is needed");

    // If the length is unknown, the client requests the bytes after the partial download, and the server answers that
    // there are none.
    let mut place = Place::new();
    place.write_part(&small_archive());
    place.fetch(&Archive { n_bytes: None, ..archive }).unwrap();
    place.assert_done();
    assert_eq!(server.asked(), [Some(small_archive().len())]);
}

#[test]
fn a_partial_download_of_another_file_is_replaced() {
    for (part, asked) in [
        (vec![7; 5000], vec![Some(5000), None]),
        (vec![7; small_archive().len()], vec![None]),
        (vec![7; small_archive().len() + 1], vec![None]),
    ] {
        let (server, archive) = small([]);
        let mut place = Place::new();
        place.write_part(&part);
        place.fetch(&archive).unwrap();
        place.assert_done();
        place.assert_reported("StartingOver");
        assert_eq!(server.asked(), asked);
    }
}

#[test]
fn a_wrong_checksum_is_an_error_and_leaves_no_file() {
    let mut file = small_archive();
    let right = md5_of_bytes(&file);
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let server = Server::new(file.clone(), []);
    let mut place = Place::new();
    let error = place.fetch(&Archive { md5: right, ..known(&file, server.url()) });
    let error = error.expect_err("a bit is wrong");
    assert!(
        matches!(error, FetchError::Checksum { expected, .. } if expected == right),
        "{error:?}"
    );
    for md5 in [right, md5_of_bytes(&file)] {
        assert!(error.to_string().contains(&md5.to_string()), "{error}");
    }
    assert_eq!(place.names(), [""; 0]);
    assert_eq!(server.asked(), [None], "the download is not repeated");
}

#[test]
fn a_wrong_length_is_an_error() {
    let expected = small_archive().len() as u64 - 1;
    for (reply, stated) in [
        (Reply::Good, Some(expected + 1)),
        (Reply::WithoutLength, None),
        (Reply::LongerThanStated, None),
    ] {
        let (_server, archive) = small([reply]);
        let mut place = Place::new();
        let error = place.fetch(&Archive { n_bytes: Some(expected), ..archive });
        let error = error.expect_err("it is longer");
        assert!(matches!(error, FetchError::Length { found, .. } if found == stated), "{error:?}");
        assert!(error.to_string().contains(&expected.to_string()), "{error}");
        assert_eq!(place.names(), [""; 0]);
    }
    // The server's file ends before the expected length.
    let (_server, archive) = small(vec![Reply::WithoutLength; 9]);
    let error = Place::new().fetch(&Archive { n_bytes: Some(expected + 2), ..archive });
    assert!(matches!(error, Err(FetchError::BrokenOff { .. })), "{error:?}");
}

#[test]
fn an_http_status_is_an_error_or_retried() {
    for status in [400, 401, 403, 404, 410] {
        let (server, archive) = small([Reply::Status(status)]);
        let mut place = Place::new();
        let error = place.fetch(&archive).expect_err("the status is an error");
        assert!(matches!(error, FetchError::Status { status: s, .. } if s == status), "{error:?}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(server.asked().len(), 1, "such a status is not retried");
        assert_eq!(place.names(), [""; 0]);
    }
    let (_server, archive) = small([Reply::Status(503), Reply::Status(429)]);
    let mut place = Place::new();
    place.fetch(&archive).unwrap();
    place.assert_done();
    place.assert_reported("503");
    let (_server, archive) = small(vec![Reply::Status(500); 9]);
    Place::new().fetch(&archive).expect_err("the retries are used up");
}

#[test]
fn redirects_are_followed_but_not_in_a_loop() {
    let (goal, archive) = small([]);
    let there = Reply::Redirect(goal.url());
    let server = Server::new(Vec::new(), [there.clone(), there]);
    let mut place = Place::new();
    place.write_part(&small_archive()[..5000]);
    place.fetch(&Archive { url: server.url(), ..archive }).unwrap();
    place.assert_done();
    assert_eq!(goal.asked(), [Some(5000)], "the redirected request has the same range");

    let (server, archive) = small(vec![Reply::Redirect("/again".into()); 99]);
    let error = Place::new().fetch(&archive).expect_err("the redirects form a loop");
    assert!(matches!(error, FetchError::Address { .. }), "{error:?}");
    assert!(server.asked().len() < 20);
}

#[test]
fn invalid_urls_are_rejected() {
    for url in ["", "cifar", "ftp://example.org/x", "http://", "file:///etc/passwd", "http://a b/"]
    {
        let (_, archive) = small([]);
        let mut place = Place::new();
        let error = place.fetch(&Archive { url: url.into(), ..archive }).expect_err(url);
        assert!(matches!(error, FetchError::Address { .. }), "{url}: {error:?}");
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn an_address_without_a_server_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    let (_, archive) = small([]);
    let mut place = Place::new();
    let begun = Instant::now();
    let error =
        place.fetch(&Archive { url: url.clone(), ..archive }).expect_err("no server listens");
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(!place.root.path().join("data").exists(), "no folder is left");
}

#[test]
fn a_slow_server_does_not_count_as_broken() {
    let (server, archive) = small([Reply::Slow]);
    let mut place = Place::new();
    place.fetch(&archive).unwrap();
    place.assert_done();
    assert_eq!(server.asked(), [None]);
    let n_received = place.events.iter().filter(|event| event.contains("Received")).count();
    assert!(n_received > 5, "progress is reported during the download: {:?}", place.events);
}

#[test]
fn a_stop_ends_every_wait() {
    let (_server, archive) = small([Reply::HangAfter(5000)]);
    let mut place = Place::new();
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(500));
            stop.store(true, Ordering::Relaxed);
        });
        place.fetch_with(&archive, &QUICK, &stop).expect_err("it was stopped")
    });
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, FetchError::Stopped { received: 5000, .. }), "{error:?}");
    assert_eq!(fs::metadata(place.part()).unwrap().len(), 5000);
    place.fetch(&archive).unwrap();
    place.assert_done();
}
