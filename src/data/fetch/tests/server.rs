//! A small HTTP server for tests. Each connection gets the next planned reply.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The server's reply to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The whole file, or the range of the file that the client requests.
    Good,
    /// The whole file, also for a range request.
    WholeAlways,
    /// As `Good`, but the connection closes after this many bytes.
    CutAfter(usize),
    /// As `Good`, but after this many bytes the connection stays open and silent.
    HangAfter(usize),
    /// As `Good`, but in up to 20 pieces, with a pause of 20 ms before each piece.
    Slow,
    /// The file and one more byte, without the header `Content-Length`.
    LongerThanStated,
    /// The file without the header `Content-Length`; the end of the connection marks the end of the file.
    WithoutLength,
    /// For a range request, a range that begins one byte after the requested offset.
    OtherPart,
    /// This HTTP status, without a file.
    Status(u16),
    /// A redirect to this URL.
    Redirect(String),
}

/// A server in a thread of the test process. It runs until the process ends.
pub struct Server {
    address: String,
    /// The offset of the first byte of each request; None for a request of the whole file.
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    /// Serves `file`. Each connection gets the next reply; after the last reply, each gets [`Reply::Good`].
    pub fn new(file: Vec<u8>, replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let reply = replies.pop_front().unwrap_or(Reply::Good);
                let (file, log) = (file.clone(), Arc::clone(&log));
                // The result is not checked, because a client may close the connection early.
                thread::spawn(move || answer(stream.expect("a connection"), &file, &reply, &log));
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}/archive.tar.gz", self.address)
    }

    /// Returns the offset of the first byte of each request so far; None for a request of the whole file.
    pub fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().expect("no thread panics with the lock").clone()
    }
}

fn answer(
    mut stream: TcpStream,
    file: &[u8],
    reply: &Reply,
    log: &Mutex<Vec<Option<usize>>>,
) -> io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let range = head.iter().find_map(|line| {
        let value = line.to_ascii_lowercase();
        value.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok()
    });
    log.lock().expect("no thread panics with the lock").push(range);

    let first = match reply {
        Reply::Status(status) => {
            return write!(
                stream,
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Reply::Redirect(to) => {
            return write!(
                stream,
                "HTTP/1.1 302 X\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
            );
        }
        Reply::WithoutLength | Reply::LongerThanStated => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(file)?;
            return stream.write_all(if matches!(reply, Reply::LongerThanStated) {
                b"!"
            } else {
                b""
            });
        }
        Reply::WholeAlways => 0,
        Reply::OtherPart => range.map_or(0, |first| first + 1),
        _ => range.unwrap_or(0),
    };
    if first > 0 && first >= file.len() {
        let n = file.len();
        return write!(
            stream,
            "HTTP/1.1 416 X\r\nConnection: close\r\nContent-Range: bytes */{n}\r\nContent-Length: 0\r\n\r\n"
        );
    }
    let body = &file[first..];
    if first > 0 {
        let (last, n) = (file.len() - 1, file.len());
        write!(stream, "HTTP/1.1 206 Partial\r\nContent-Range: bytes {first}-{last}/{n}\r\n")?;
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\n")?;
    }
    write!(stream, "Connection: close\r\nContent-Length: {}\r\n\r\n", body.len())?;
    match reply {
        Reply::CutAfter(n) => stream.write_all(&body[..*n]),
        Reply::HangAfter(n) => {
            stream.write_all(&body[..*n])?;
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Reply::Slow => body.chunks(body.len().div_ceil(20)).try_for_each(|bytes| {
            thread::sleep(Duration::from_millis(20));
            stream.write_all(bytes)
        }),
        _ => stream.write_all(body),
    }
}
