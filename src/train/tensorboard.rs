//! TensorBoard's event files: what `tensorboard --logdir runs` shows.
//!
//! A file is a sequence of records, each a serialised `Event` between checksums. The
//! messages are those of TensorFlow's `event.proto` and `summary.proto`, of which only the fields that
//! are written here are declared: Protocol Buffers name fields by number, and readers take absent ones
//! for empty.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;

/// What readers expect of the first event.
const FILE_VERSION: &str = "brain.Event:2";

/// The beginning of a file's name, by which readers find it; a number follows.
const NAME: &str = "events.out.tfevents.";

/// One event: when, at which step, and what.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

/// A number with a name: a point of the curve of that name.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// The member `simple_value` of the message's `oneof`.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
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

/// A file of events that is being written. Each event is in it as soon as it was told.
#[derive(Debug)]
pub struct EventFile {
    file: File,
}

impl EventFile {
    /// Starts a file of its own in a run folder, `events.out.tfevents.<seconds>.<host>.wgrad`; a run that
    /// is continued gets another one beside the first, which sorts behind it, as readers expect.
    ///
    /// `first_step` is the first one that the file may tell of: readers drop what earlier files say of it
    /// and of those after it, which a run that was stopped may have done before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: &Path, first_step: usize) -> io::Result<Self> {
        let mut events = Self { file: create_new(folder)? };
        events.append(0, What::FileVersion(FILE_VERSION.to_string()))?;
        let start = SessionLog { status: SessionStatus::Start.into() };
        events.append(first_step, What::SessionLog(start))?;
        Ok(events)
    }

    /// Adds a point to each of those curves, at a step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn scalars(&mut self, step: usize, scalars: &[(&str, f64)]) -> io::Result<()> {
        let value = |&(tag, value): &(&str, f64)| Value {
            tag: tag.to_string(),
            simple_value: Some(value as f32),
        };
        self.append(step, What::Summary(Summary { values: scalars.iter().map(value).collect() }))
    }

    fn append(&mut self, step: usize, what: What) -> io::Result<()> {
        let wall_time = since_1970().as_secs_f64();
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Event { wall_time, step, what: Some(what) };
        let length = self.file.metadata()?.len();
        // In one piece, so that a reader that follows the file sees no half of it; and readers end at a
        // record that is damaged, so one that did not fit is taken back.
        self.file.write_all(&record(&event.encode_to_vec())).inspect_err(|_| {
            let _ = self.file.set_len(length);
        })
    }
}

/// `length, checksum of length, data, checksum of data`: u64, u32, bytes, u32, little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    record
}

/// CRC-32C, turned and shifted, so that the checksum of data that hold checksums is no trivial one
/// (`masked_crc32c` of TensorFlow's `record_writer`).
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A file whose name sorts behind those in the folder, by its number. Readers read a folder's files in the
/// order of their names, and clocks are put back: the number is the time only where that is the largest.
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
    unreachable!("there is no end of numbers")
}

/// The number in the name of a file of events, whoever wrote it.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(NAME)?.split('.').next()?.parse().ok()
}

fn since_1970() -> Duration {
    // A clock that is set before 1970 is no reason to stop.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The machine's name as part of a file's name. It tells people which machine a file is from; nothing
/// depends on it.
fn host() -> String {
    let told = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let host = told.or_else(|| std::fs::read_to_string("/etc/hostname").ok()).unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    // Without the domain.
    let host: String = host.trim().chars().take_while(is_plain).take(63).collect();
    if host.is_empty() { "localhost".to_string() } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a file, whose checksums are held against its bytes.
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

    /// The inverse of the mask, as readers have it.
    fn unmasked(crc: &[u8]) -> u32 {
        let masked = u32::from_le_bytes(crc.try_into().expect("4 bytes"));
        masked.wrapping_sub(0xa282_ead8).rotate_left(15)
    }

    /// CRC-32C from its polynomial.
    fn crc32c_bit_by_bit(data: &[u8]) -> u32 {
        !data.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
        })
    }

    #[test]
    fn what_was_written_decodes() {
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
        assert_eq!(version.what, Some(What::FileVersion("brain.Event:2".to_string())));
        let status = SessionLog { status: 1 };
        assert_eq!((start.step, &start.what), (7, &Some(What::SessionLog(status))));
        let value = |tag: &str, value| Value { tag: tag.into(), simple_value: Some(value) };
        let values = vec![value("loss/train", 1.5), value("accuracy/test", 0.25)];
        assert_eq!((point.step, &point.what), (14, &Some(What::Summary(Summary { values }))));
        assert!(point.wall_time >= start.wall_time && start.wall_time > 1.7e9);
    }

    #[test]
    fn zero_is_a_value() {
        let event = Value { tag: "x".into(), simple_value: Some(0.0) };
        assert_eq!(Value::decode(&event.encode_to_vec()[..]).expect("it decodes"), event);
    }

    #[test]
    fn a_run_that_goes_on_gets_a_file_that_sorts_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The clock was ahead of today's when the run began, on a machine of another name.
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
