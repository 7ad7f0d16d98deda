//! Downloads an archive to a [`PartialDownload`] over HTTP, with range requests, retries and a limit on the size.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Response;
use ureq::{Agent, Body, Timeout};

use super::partial_download::PartialDownload;
use super::{Archive, Event, FetchError, MAX_ARCHIVE_BYTES, RetryPolicy};

/// The largest chunk that the network thread sends to the thread that writes the partial download, in bytes.
const CHUNK_BYTES: usize = 1 << 16;
/// The largest number of chunks that wait until they are written to the disk.
const N_WAITING: usize = 16;
/// The interval at which a waiting thread checks `stop`.
const LOOK: Duration = Duration::from_millis(50);

/// Downloads the missing bytes of the archive and appends them to the partial download `part`, with the time limits and
/// retries of `patience`. The caller compares the checksum.
pub(super) fn download(
    archive: &Archive,
    part: &mut PartialDownload,
    patience: &RetryPolicy,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<(), FetchError> {
    if archive.n_bytes.is_some_and(|n| part.len() > n) {
        watch(Event::StartingOver { reason: "the partial download is longer than the archive" });
        part.clear()?;
    }
    let mut attempt = Attempts { patience, n_failed: 0, was_connected: false };
    while archive.n_bytes != Some(part.len()) {
        let before = part.len();
        let mut transfer = Transfer { archive, part, watch, stop, was_connected: false };
        let broken = match transfer.run(patience)? {
            Ended::Whole => return Ok(()),
            Ended::Broken(broken) => broken,
        };
        attempt.was_connected |= transfer.was_connected;
        if part.len() > before {
            attempt.n_failed = 0;
        }
        let Some(pause) = attempt.pause(&broken) else {
            return Err(give_up(archive, part, broken, attempt.was_connected));
        };
        watch(Event::Retrying { reason: &broken.reason, pause });
        sleep(pause, stop).map_err(|Stop| part.stopped())?;
    }
    Ok(())
}

/// The way in which a connection ended.
enum Ended {
    /// All bytes of the response have arrived.
    Whole,
    /// The connection failed; see [`Broken::may_pass`].
    Broken(Broken),
}

/// The failure of a connection.
struct Broken {
    reason: String,
    /// True if a retry may succeed.
    may_pass: bool,
    /// The server's HTTP status, if it caused the failure.
    status: Option<u16>,
}

impl Broken {
    fn passing(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), may_pass: true, status: None }
    }

    fn lasting(reason: impl ToString) -> Self {
        Self { may_pass: false, ..Self::passing(reason) }
    }
}

/// The user stopped the download.
struct Stop;

/// The number of failed attempts in a row.
struct Attempts<'a> {
    patience: &'a RetryPolicy,
    n_failed: u32,
    was_connected: bool,
}

impl Attempts<'_> {
    /// Counts a failure and returns the pause before the next attempt; None if no attempt remains or another attempt
    /// would be useless.
    fn pause(&mut self, broken: &Broken) -> Option<Duration> {
        let RetryPolicy { connect_retries, retries, pause, .. } = *self.patience;
        let n_allowed = if self.was_connected { retries } else { connect_retries };
        if !broken.may_pass || self.n_failed >= n_allowed {
            return None;
        }
        self.n_failed += 1;
        Some(pause * 2_u32.saturating_pow(self.n_failed - 1))
    }
}

fn give_up(
    archive: &Archive,
    part: &PartialDownload,
    broken: Broken,
    was_connected: bool,
) -> FetchError {
    let (url, reason) = (archive.url.clone(), broken.reason);
    let page = archive.dataset.files().map_or("", |files| files.page);
    match broken.status {
        Some(status) => FetchError::Status { url, status, page },
        None if was_connected => {
            let (received, part) = (part.len(), part.path().to_path_buf());
            FetchError::BrokenOff { url, reason, received, part }
        }
        None => FetchError::Unreachable { url, reason, archive: archive.published.name, page },
    }
}

fn sleep(pause: Duration, stop: &AtomicBool) -> Result<(), Stop> {
    let begun = Instant::now();
    while begun.elapsed() < pause {
        if stop.load(Ordering::Relaxed) {
            return Err(Stop);
        }
        thread::sleep(LOOK.min(pause));
    }
    Ok(())
}

/// A message from the network thread.
enum Message {
    Head(Head),
    Bytes(Vec<u8>),
    End,
    Broken(Broken),
    /// The URL is invalid.
    Refused(String),
}

/// The parts of a response's status line and headers that the download reads.
struct Head {
    status: u16,
    /// The length of the body, if the server sends it.
    length: Option<u64>,
    /// For a partial response: the offset of its first byte, and the length of the whole file, if the server sends
    /// them.
    range: (Option<u64>, Option<u64>),
}

/// One connection to the server, and the partial download to which the received bytes are appended.
struct Transfer<'a> {
    archive: &'a Archive,
    part: &'a mut PartialDownload,
    watch: &'a mut dyn FnMut(Event<'_>),
    stop: &'a AtomicBool,
    was_connected: bool,
}

impl Transfer<'_> {
    fn run(&mut self, patience: &RetryPolicy) -> Result<Ended, FetchError> {
        let messages = connect(self.archive.url.clone(), self.part.len(), *patience);
        let mut total = self.archive.n_bytes;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(self.part.stopped());
            }
            match messages.recv_timeout(LOOK) {
                Ok(Message::Head(head)) => {
                    self.was_connected = true;
                    match self.begin(&head)? {
                        ControlFlow::Continue(of_server) => total = total.or(of_server),
                        ControlFlow::Break(ended) => return Ok(ended),
                    }
                    (self.watch)(Event::Started { received: self.part.len(), total });
                }
                Ok(Message::Bytes(bytes)) => {
                    let limit = total.unwrap_or(MAX_ARCHIVE_BYTES);
                    if self.part.len() + bytes.len() as u64 > limit {
                        return Err(self.wrong_length(None, limit)?);
                    }
                    self.part.append(&bytes)?;
                    (self.watch)(Event::Received(self.part.len()));
                }
                Ok(Message::End) => {
                    let is_whole = total.is_none_or(|total| total == self.part.len());
                    let early = || Broken::passing("the server closed the connection early");
                    return Ok(if is_whole { Ended::Whole } else { Ended::Broken(early()) });
                }
                Ok(Message::Broken(broken)) => return Ok(Ended::Broken(broken)),
                Ok(Message::Refused(reason)) => {
                    return Err(FetchError::Address { url: self.archive.url.clone(), reason });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(Ended::Broken(Broken::passing("the connection is lost")));
                }
            }
        }
    }

    /// Compares the head of a response with the partial download. If the body of the response begins at byte 0, clears
    /// the partial download. Returns `Continue` with the length of the whole file, if the server sends it; returns
    /// `Break` if the response has no usable body.
    fn begin(&mut self, head: &Head) -> Result<ControlFlow<Ended, Option<u64>>, FetchError> {
        let here = self.part.len();
        let total = match (head.status, head.range) {
            (200, _) => {
                if here > 0 {
                    self.start_over("the server does not resume downloads")?;
                }
                head.length
            }
            (206, (Some(first), total)) if first == here => total,
            // Status 416: the server's file has no bytes after the end of the partial download. Either the partial
            // download is complete, or the server's file has become shorter.
            (416, (_, total)) if here > 0 => {
                let is_whole = self.archive.n_bytes.is_none() && total == Some(here);
                if is_whole {
                    return Ok(ControlFlow::Break(Ended::Whole));
                }
                self.start_over("the server does not have the requested range")?;
                let again = Broken::passing("the server does not have the requested range");
                return Ok(ControlFlow::Break(Ended::Broken(again)));
            }
            (206, _) => {
                self.start_over("the server sends another range than requested")?;
                let again = Broken::passing("the server sends another range than requested");
                return Ok(ControlFlow::Break(Ended::Broken(again)));
            }
            (status, _) => {
                // A retry may succeed after a timeout, after too many requests, and after an error of the server.
                let may_pass = matches!(status, 408 | 425 | 429 | 500..);
                let reason = format!("the server answers {status}");
                let broken = Broken { reason, may_pass, status: Some(status) };
                return Ok(ControlFlow::Break(Ended::Broken(broken)));
            }
        };
        match (total, self.archive.n_bytes) {
            (Some(found), Some(expected)) if found != expected => {
                Err(self.wrong_length(Some(found), expected)?)
            }
            (Some(found), None) if found > MAX_ARCHIVE_BYTES => {
                Err(self.wrong_length(Some(found), MAX_ARCHIVE_BYTES)?)
            }
            _ => Ok(ControlFlow::Continue(total)),
        }
    }

    fn start_over(&mut self, reason: &str) -> Result<(), FetchError> {
        if self.part.len() > 0 {
            (self.watch)(Event::StartingOver { reason });
        }
        self.part.clear()
    }

    /// Clears the partial download, because the server's file has the wrong length. Returns the error.
    fn wrong_length(
        &mut self,
        found: Option<u64>,
        expected: u64,
    ) -> Result<FetchError, FetchError> {
        self.part.clear()?;
        Ok(FetchError::Length { url: self.archive.url.clone(), found, expected })
    }
}

/// Starts a request for the bytes from `offset` on in a new thread, because a thread that waits for the network cannot
/// check `stop`. The thread ends when the receiver is dropped.
fn connect(url: String, offset: u64, patience: RetryPolicy) -> Receiver<Message> {
    let (sender, receiver) = mpsc::sync_channel(N_WAITING);
    thread::spawn(move || {
        let message = match request(&url, offset, &patience) {
            Ok(response) => send_on(response, &sender),
            Err(message) => message,
        };
        // Sending fails only if the receiver is dropped.
        let _ = sender.send(message);
    });
    receiver
}

fn request(url: &str, offset: u64, patience: &RetryPolicy) -> Result<Response<Body>, Message> {
    let config = Agent::config_builder()
        .user_agent(concat!("wgrad/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.answer))
        .timeout_per_read(Some(patience.bytes))
        .build();
    let mut request = Agent::new_with_config(config).get(url);
    if offset > 0 {
        request = request.header("Range", format!("bytes={offset}-"));
    }
    request.call().map_err(|error| match error {
        ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::TooManyRedirects
        | ureq::Error::RedirectFailed => Message::Refused(error.to_string()),
        error => Message::Broken(broken(&error)),
    })
}

fn broken(error: &ureq::Error) -> Broken {
    match error {
        ureq::Error::HostNotFound => Broken::lasting("the server's name has no address"),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            Broken::passing("the server does not answer")
        }
        ureq::Error::Timeout(_) => Broken::passing("no bytes have arrived for some time"),
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Broken::lasting("the connection is refused")
        }
        ureq::Error::Io(error) => Broken::passing(error),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Broken::lasting(error),
        error => Broken::passing(error),
    }
}

/// Sends the head and the body of a response to the receiver, the body in chunks. Returns the last message, which the
/// caller sends.
fn send_on(response: Response<Body>, sender: &SyncSender<Message>) -> Message {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let range = header("content-range").map_or((None, None), content_range);
    let (status, length) = (response.status().as_u16(), response.body().content_length());
    if sender.send(Message::Head(Head { status, length, range })).is_err() {
        return Message::End;
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut bytes = vec![0; CHUNK_BYTES];
        match body.read(&mut bytes) {
            Ok(0) => return Message::End,
            Ok(n) => {
                bytes.truncate(n);
                if sender.send(Message::Bytes(bytes)).is_err() {
                    return Message::End;
                }
            }
            Err(error) => return Message::Broken(broken(&error.into())),
        }
    }
}

/// Parses the offset of the first byte and the length of the whole file from `bytes 5-99/100`, `bytes 5-99/*` or `bytes
/// */100`.
fn content_range(value: &str) -> (Option<u64>, Option<u64>) {
    let Some((range, total)) = value.trim().strip_prefix("bytes ").and_then(|v| v.split_once('/'))
    else {
        return (None, None);
    };
    let first = range.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
    (first, total.trim().parse().ok())
}
