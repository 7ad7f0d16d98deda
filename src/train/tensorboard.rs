//! TensorBoard's event files, which `tensorboard --logdir runs` reads.
//!
//! A file is a sequence of records. A record is a serialised `Event` between checksums. The messages are those of
//! TensorFlow's `event.proto` and `summary.proto`: Protocol Buffers identify a field by its number, and readers treat
//! an absent field as empty.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The content of the first event of every file.
const FILE_VERSION: &str = "brain.Event:2";

/// The prefix of the name of an event file, by which readers find the files. A number follows the prefix.
const NAME: &str = "events.out.tfevents.";

/// The content of an event.
enum Content<'a> {
    /// The version of the format.
    FileVersion(&'a str),
    /// The start of a session. A run has one session, and one more for each resume.
    Start,
    /// One point for each of several curves: the name of the curve, and the value.
    Scalars(&'a [(&'a str, f64)]),
}

/// The value `START` of `SessionLog.SessionStatus`.
const SESSION_START: u64 = 1;

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
        events.append(0, &Content::FileVersion(FILE_VERSION))?;
        events.append(first_step, &Content::Start)?;
        Ok(events)
    }

    /// Appends a point at a step to each of these curves, given as (name, value).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars(&mut self, step: usize, scalars: &[(&str, f64)]) -> io::Result<()> {
        self.append(step, &Content::Scalars(scalars))
    }

    fn append(&mut self, step: usize, content: &Content<'_>) -> io::Result<()> {
        let event = event(since_1970().as_secs_f64(), step, content);
        let length = self.file.metadata()?.len();
        // One write: a program that reads the file at the same time does not get half a record. Readers stop at a
        // damaged record, so a partial record is removed.
        self.file.write_all(&record(&event)).inspect_err(|_| {
            let _ = self.file.set_len(length);
        })
    }
}

/// Returns an `Event`: its time in seconds since 1970 (field 1), its step (2), and its content.
fn event(wall_time: f64, step: usize, content: &Content<'_>) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint(2, step as u64);
    match content {
        Content::FileVersion(version) => event.bytes(3, version.as_bytes()),
        Content::Start => {
            let mut log = Message::default();
            log.varint(1, SESSION_START);
            event.bytes(7, &log.0);
        }
        Content::Scalars(scalars) => {
            let mut summary = Message::default();
            for &(tag, value) in *scalars {
                let mut point = Message::default();
                point.bytes(1, tag.as_bytes());
                point.float(2, value as f32);
                summary.bytes(1, &point.0);
            }
            event.bytes(5, &summary.0);
        }
    }
    event.0
}

/// A message of Protocol Buffers. A key precedes each value. The key contains the field's number and its wire type.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// Appends an integer in groups of 7 bits, the lowest first. The top bit of a byte is 1 if more bytes follow.
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    /// Appends a string, or another message.
    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
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
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Returns the CRC-32C (Castagnoli). One bit at a time is fast enough, since an event has few bytes.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    })
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
    // The domain is cut off at the first dot.
    let host: String = host.trim().chars().take_while(is_plain).take(63).collect();
    if host.is_empty() { "localhost".to_string() } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of a message: its number, and its value.
    #[derive(Clone, PartialEq, Debug)]
    enum Field {
        Varint(u64, u64),
        Double(u64, f64),
        Bytes(u64, Vec<u8>),
        Float(u64, f32),
    }

    /// Returns the fields of an encoded message.
    fn fields(mut bytes: &[u8]) -> Vec<Field> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = take(bytes, 1)[0];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
            let (taken, rest) = bytes.split_at(n);
            *bytes = rest;
            taken
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let number = key >> 3;
            fields.push(match key & 7 {
                0 => Field::Varint(number, varint(&mut bytes)),
                1 => {
                    let value = take(&mut bytes, 8).try_into().expect("8 bytes");
                    Field::Double(number, f64::from_le_bytes(value))
                }
                2 => {
                    let n = varint(&mut bytes) as usize;
                    Field::Bytes(number, take(&mut bytes, n).to_vec())
                }
                5 => {
                    let value = take(&mut bytes, 4).try_into().expect("4 bytes");
                    Field::Float(number, f32::from_le_bytes(value))
                }
                other => panic!("wire type {other}"),
            });
        }
        fields
    }

    /// Returns the fields of each event of a file. Checks the checksums.
    fn events(mut bytes: &[u8]) -> Vec<Vec<Field>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let (length_crc, rest) = rest.split_at(4);
            let n = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
            let (data, rest) = rest.split_at(n);
            let (data_crc, rest) = rest.split_at(4);
            assert_eq!(unmasked(length_crc), crc32c(length));
            assert_eq!(unmasked(data_crc), crc32c(data));
            events.push(fields(data));
            bytes = rest;
        }
        events
    }

    /// Returns the CRC without its mask, computed as readers do.
    fn unmasked(crc: &[u8]) -> u32 {
        let masked = u32::from_le_bytes(crc.try_into().expect("4 bytes"));
        masked.wrapping_sub(0xa282_ead8).rotate_left(15)
    }

    /// The values are those of RFC 3720, appendix B.4.
    #[test]
    fn crc32c_has_the_published_values() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
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
        assert_eq!(version[2], Field::Bytes(3, b"brain.Event:2".to_vec()));
        let status = fields_of_bytes(7, &start[2]);
        assert_eq!((&start[1], &status[..]), (&Field::Varint(2, 7), &[Field::Varint(1, 1)][..]));
        assert_eq!(point[1], Field::Varint(2, 14));
        let values = fields_of_bytes(5, &point[2]).iter().map(|v| fields_of_bytes(1, v)).collect();
        let value = |tag: &str, value| vec![Field::Bytes(1, tag.into()), Field::Float(2, value)];
        let expected: Vec<_> = vec![value("loss/train", 1.5), value("accuracy/test", 0.25)];
        assert_eq!((point.len(), &values), (3, &expected));
        let (Field::Double(1, started), Field::Double(1, written)) = (&start[0], &point[0]) else {
            panic!("{start:?} and {point:?} have no time");
        };
        assert!(written >= started && *started > 1.7e9);
    }

    /// Returns the fields of the message in a field. Panics if the field has another number.
    fn fields_of_bytes(number: u64, field: &Field) -> Vec<Field> {
        match field {
            Field::Bytes(n, bytes) if *n == number => fields(bytes),
            other => panic!("{other:?} is not field {number}"),
        }
    }

    #[test]
    fn a_zero_and_a_long_name_are_written() {
        let name = "x".repeat(200);
        let event = fields(&event(0.0, 300, &Content::Scalars(&[(&name, 0.0)])));
        assert_eq!(event[..2], [Field::Double(1, 0.0), Field::Varint(2, 300)]);
        let point = fields_of_bytes(1, &fields_of_bytes(5, &event[2])[0]);
        assert_eq!(point, [Field::Bytes(1, name.into()), Field::Float(2, 0.0)]);
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
            |path: &std::path::PathBuf| events(&std::fs::read(path).expect("there"))[1][1].clone();
        let steps: Vec<_> = paths.iter().map(first_step).collect();
        assert_eq!(steps, [0, 5, 10].map(|step| Field::Varint(2, step)));
    }
}
