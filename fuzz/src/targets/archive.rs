//! The downloaded archive: a gzipped tar file with CIFAR-10's files and possibly malicious entries.

use std::io::{self, Write};

use arbitrary::Arbitrary;
use flate2::Compression;
use flate2::write::GzEncoder;
use wgrad::data::cifar10;
use wgrad::data::fetch::unpack::{self, Item, Problem};

/// Names that most entries get. The fuzzer also makes other names.
const NAMES: [&str; 12] = [
    "cifar-10-batches-bin/data_batch_1.bin",
    "cifar-10-batches-bin/data_batch_5.bin",
    "cifar-10-batches-bin/test_batch.bin",
    "cifar-10-batches-bin/readme.html",
    "cifar-10-batches-bin/batches.meta.txt",
    "./cifar-10-batches-bin/test_batch.bin",
    "cifar-10-batches-bin/",
    "cifar-10-batches-bin/../../test_batch.bin",
    "/cifar-10-batches-bin/test_batch.bin",
    "cifar-10-batches-bin/test_batch.bin/x",
    "././@LongLink",
    "notes.txt",
];

/// Largest content of an entry, in bytes: above the limit of a small file, and quick to compress. The archive is built
/// in memory, which counts towards the memory limit of the target.
const MAX_CONTENT: usize = 1 << 17;

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Any(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
struct Entry<'a> {
    name: Name<'a>,
    /// The type flag in the tar header. Most of its values are mapped to valid flags.
    kind: u8,
    content: &'a [u8],
    /// Number of repetitions of the content.
    repeat: u16,
    /// Size in the header, if it is not that of the content.
    claimed: Option<u64>,
    /// Bytes that replace the size field in the header; they may be malformed.
    size_field: Option<[u8; 12]>,
    is_gnu: bool,
    /// True if the header has a valid checksum.
    is_checked: bool,
}

#[derive(Arbitrary, Debug)]
struct Archive<'a> {
    entries: Vec<Entry<'a>>,
    has_end: bool,
    /// The excess over 128 is the number of bytes missing at the end of the compressed file.
    cut: u8,
    /// Bytes appended to the compressed file.
    tail: &'a [u8],
}

fn build(archive: Archive<'_>) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    let mut write = |bytes: &[u8]| gz.write_all(bytes).expect("memory takes everything");
    for entry in archive.entries.iter().take(16) {
        let most = MAX_CONTENT / entry.content.len().max(1);
        let content = entry.content.repeat(usize::from(entry.repeat % 400).min(most));
        write(header(entry, content.len() as u64).as_bytes());
        write(&content);
        write(&vec![0; content.len().next_multiple_of(512) - content.len()]);
    }
    if archive.has_end {
        write(&[0; 1024]);
    }
    let mut bytes = gz.finish().expect("memory takes everything");
    bytes.truncate(bytes.len().saturating_sub(archive.cut.saturating_sub(128).into()));
    bytes.extend(archive.tail);
    bytes
}

fn header(entry: &Entry<'_>, n_bytes: u64) -> tar::Header {
    let mut header = if entry.is_gnu { tar::Header::new_gnu() } else { tar::Header::new_ustar() };
    let name = match entry.name {
        Name::Known(ix) => NAMES[usize::from(ix) % NAMES.len()].as_bytes(),
        Name::Any(name) => name,
    };
    let n = name.len().min(100);
    header.as_old_mut().name[..n].copy_from_slice(&name[..n]);
    let kinds = *b"0000000157LKxgS\0";
    let kind =
        if entry.kind < 240 { kinds[usize::from(entry.kind) % kinds.len()] } else { entry.kind };
    header.as_old_mut().linkflag = [kind];
    header.set_size(entry.claimed.unwrap_or(n_bytes));
    if let Some(size) = entry.size_field {
        header.as_old_mut().size = size;
    }
    header.set_mode(0o644);
    if entry.is_checked {
        header.set_cksum();
    }
    header
}

/// Reads an archive, and checks that only allowed files within their sizes would be unpacked, each at most once.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    let mut seen = Vec::new();
    let mut sink = |item: Item<'_>| {
        let Item::File(name, content) = item else { return Ok(()) };
        let n_bytes = io::copy(content, &mut io::sink());
        let n_bytes = n_bytes.map_err(|error| Problem::Archive(error.to_string()))?;
        let limit = match name {
            "batches.meta.txt" => 1 << 12,
            "readme.html" => 1 << 16,
            "data_batch_1.bin" | "data_batch_2.bin" | "data_batch_3.bin" | "data_batch_4.bin"
            | "data_batch_5.bin" | "test_batch.bin" => 30_730_000,
            _ => panic!("{name:?} would be unpacked"),
        };
        assert!(n_bytes <= limit, "{name} with {n_bytes} bytes");
        assert!(!seen.contains(&name.to_string()), "{name} twice");
        seen.push(name.to_string());
        Ok(())
    };
    match unpack::read(&*bytes, &cifar10::FILES, &mut sink) {
        Ok(()) => {}
        Err(Problem::Archive(reason)) => assert!(!reason.is_empty()),
        Err(Problem::Sink(error)) => unreachable!("nothing is written: {error}"),
    }
}
