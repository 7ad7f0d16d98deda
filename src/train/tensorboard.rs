//! TensorBoard's event files, which `tensorboard --logdir runs` reads.
//!
//! A file is a sequence of records. A record is a serialised `Event` between checksums. The messages are those of
//! TensorFlow's `event.proto` and `summary.proto`, with only the fields that are written here: Protocol Buffers
//! identify a field by its number (`tag`), and readers treat an absent field as empty.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;

/// The content of the first event of every file.
const FILE_VERSION: &str = "brain.Event:2";

/// The prefix of the name of an event file, by which readers find the files. A number follows the prefix.
const NAME: &str = "events.out.tfevents.";

/// An event: a time, a training step, and a content.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "Content", tags = "3, 5, 7")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// The start of a session, in TensorBoard's meaning. A run has one session, and one more for each resume.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// One point for each of several curves.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    points: Vec<Point>,
}

/// A point: the name of its curve, and its value.
#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(string, tag = "1")]
    tag: String,
    /// The field `simple_value` of TensorFlow's message. It is a member of the `oneof` named `value`, whose other
    /// members are not written.
    #[prost(float, optional, tag = "2")]
    value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(enumeration = "SessionStatus", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
enum SessionStatus {
    Unspecified = 0,
    Start = 1,
}

/// An open event file. Each event is in the file when the call that writes it returns.
#[derive(Debug)]
pub struct EventFile {
    file: File,
}

impl EventFile {
    /// Creates a new event file in a run folder, `events.out.tfevents.<seconds>.<host>.wgrad`. After a resume, the name
    /// of the new file sorts after the names of the run's earlier files, as readers expect.
    ///
    /// `first_step` is the first training step of the file. Readers drop the points of earlier files at this step and
    /// later: the stopped run may have written points of steps that now run again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(folder: &Path, first_step: usize) -> io::Result<Self> {
        let mut events = Self { file: create_new(folder)? };
        events.append(0, Content::FileVersion(FILE_VERSION.to_string()))?;
        let start = SessionLog { status: SessionStatus::Start.into() };
        events.append(first_step, Content::SessionLog(start))?;
        Ok(events)
    }

    /// Appends a point at a step to each of these curves, given as (name, value).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars(&mut self, step: usize, scalars: &[(&str, f64)]) -> io::Result<()> {
        let point =
            |&(tag, value): &(&str, f64)| Point { tag: tag.to_string(), value: Some(value as f32) };
        self.append(step, Content::Summary(Summary { points: scalars.iter().map(point).collect() }))
    }

    fn append(&mut self, step: usize, content: Content) -> io::Result<()> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let wall_time = since_1970().as_secs_f64();
        let event = Event { wall_time, step, content: Some(content) }.encode_to_vec();
        let length = self.file.metadata()?.len();
        // One write: a program that reads the file at the same time does not get half a record. Readers stop at a
        // damaged record, so a partial record is removed.
        self.file.write_all(&record(&event)).inspect_err(|_| {
            let _ = self.file.set_len(length);
        })
    }
}

/// Returns a record: length, checksum of the length, data, checksum of the data. Their types are u64, u32, bytes and
/// u32, little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    record
}

/// Returns the CRC-32C, rotated and with a constant added, like `masked_crc32c` of TensorFlow's `record_writer`.
/// Without the mask, the CRC of data that contain their own CRC would be a constant.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Creates a file whose name sorts after all event files in the folder, since readers read files in the order of their
/// names. The number in the name is the time in seconds since 1970. If a file with this or a larger number exists, the
/// number is the largest one so far plus 1.
fn create_new(folder: &Path) -> io::Result<File> {
    let numbers = std::fs::read_dir(folder)?.flatten().filter_map(|entry| number(&entry.path()));
    let first = numbers.map(|number| number.saturating_add(1)).max().unwrap_or(0);
    let host = host();
    for seconds in first.max(since_1970().as_secs()).. {
        let path = folder.join(format!("{NAME}{seconds:010}.{host}.wgrad"));
        match OpenOptions::new().append(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    unreachable!("the numbers do not end")
}

/// Returns the number in the name of an event file of this or another program; none for other files.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(NAME)?.split('.').next()?.parse().ok()
}

fn since_1970() -> Duration {
    // A clock that is set before 1970 gives 0 instead of an error.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns the name of the machine, for the name of an event file. Programs ignore this part of the name.
fn host() -> String {
    let name = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|key| std::env::var(key).ok());
    let host = name.or_else(|| std::fs::read_to_string("/etc/hostname").ok()).unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    // The name ends before the first dot, so the domain is left out.
    let host: String = host.trim().chars().take_while(is_plain).take(63).collect();
    if host.is_empty() { "localhost".to_string() } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the events of a file. Checks the checksums.
    fn events(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (length_crc, rest) = rest.split_at(4);
            let n = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
            let (data, rest) = rest.split_at(n);
            let (data_crc, rest) = rest.split_at(4);
            assert_eq!(unmasked(length_crc), crc32c_bit_by_bit(length));
            assert_eq!(unmasked(data_crc), crc32c_bit_by_bit(data));
            events.push(Event::decode(data).expect("an event"));
            bytes = rest;
        }
        events
    }

    /// Returns the CRC without its mask, computed as readers do.
    fn unmasked(crc: &[u8]) -> u32 {
        let masked = u32::from_le_bytes(crc.try_into().expect("4 bytes"));
        masked.wrapping_sub(0xa282_ead8).rotate_left(15)
    }

    /// Returns the CRC-32C (Castagnoli), computed from its polynomial.
    fn crc32c_bit_by_bit(data: &[u8]) -> u32 {
        !data.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
        })
    }

    #[test]
    fn written_events_decode_to_the_same_values() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut file = EventFile::create(folder.path(), 7).expect("it can be written");
        file.scalars(14, &[("loss/train", 1.5), ("accuracy/test", 0.25)]).expect("written");
        let entries = std::fs::read_dir(folder.path()).expect("readable");
        let path = entries.map(|entry| entry.expect("readable").path()).next().expect("a file");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name.starts_with("events.out.tfevents.") && name.ends_with(".wgrad"), "{name}");

        let [version, start, point] = &events(&std::fs::read(path).expect("there"))[..] else {
            panic!("three events");
        };
        assert_eq!(version.content, Some(Content::FileVersion("brain.Event:2".to_string())));
        let status = SessionLog { status: 1 };
        assert_eq!((start.step, &start.content), (7, &Some(Content::SessionLog(status))));
        let value = |tag: &str, value| Point { tag: tag.into(), value: Some(value) };
        let points = vec![value("loss/train", 1.5), value("accuracy/test", 0.25)];
        assert_eq!((point.step, &point.content), (14, &Some(Content::Summary(Summary { points }))));
        assert!(point.wall_time >= start.wall_time && start.wall_time > 1.7e9);
    }

    /// The bytes were written by hand from `event.proto` and `summary.proto`: a key is `field << 3 | wire type`. A
    /// value of 0 is written too.
    #[test]
    fn an_event_has_the_bytes_of_the_definition() {
        let points = vec![Point { tag: "x".into(), value: Some(0.0) }];
        let content = Some(Content::Summary(Summary { points }));
        let event = Event { wall_time: 1.0, step: 300, content };
        let wall_time = [&[0x09][..], &1.0f64.to_le_bytes()].concat();
        let step = [0x10, 0xac, 0x02];
        let point = [0x0a, 1, b'x', 0x15, 0, 0, 0, 0];
        let summary = [0x2a, 10, 0x0a, 8];
        assert_eq!(event.encode_to_vec(), [&wall_time[..], &step, &summary, &point].concat());
    }

    #[test]
    fn the_file_of_a_resumed_run_sorts_behind_the_others() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The run began on a machine of another name, whose clock was an hour ahead.
        EventFile::create(folder.path(), 0).expect("it can be written");
        let first = std::fs::read_dir(folder.path()).expect("readable").next().expect("a file");
        let ahead = since_1970().as_secs() + 3600;
        let path = first.expect("readable").path();
        std::fs::rename(path, folder.path().join(format!("{NAME}{ahead}.zebra.1.0")))
            .expect("renamed");
        std::fs::write(folder.path().join("events.out.tfevents.tmp"), "").expect("written");
        for step in [5, 10] {
            EventFile::create(folder.path(), step).expect("it can be written");
        }
        std::fs::remove_file(folder.path().join("events.out.tfevents.tmp")).expect("removed");
        let entries = std::fs::read_dir(folder.path()).expect("readable");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        paths.sort();
        let first_step =
            |path: &std::path::PathBuf| events(&std::fs::read(path).expect("there"))[1].step;
        assert_eq!(paths.iter().map(first_step).collect::<Vec<_>>(), [0, 5, 10]);
    }
}
