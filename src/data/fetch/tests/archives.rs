//! Archives for tests: an archive with a small CIFAR-10, and malicious and damaged archives.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use crate::data::cifar10::{CLASSES, RECORD_BYTES};

/// An archive's entry.
#[derive(Clone)]
pub enum Content {
    File(Vec<u8>),
    /// A file of this many zeros.
    Zeros(u64),
    Folder,
    Symlink(&'static str),
    Hardlink(&'static str),
    Fifo,
}

/// Returns the files of a CIFAR-10 with one record in each file of images.
pub fn cifar10_files() -> Vec<(&'static str, Vec<u8>)> {
    let record = |label: u8| {
        // The pixels are the high bits of a multiplicative random generator, because pseudo-random bytes cannot be
        // compressed.
        let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005));
        let states = std::iter::successors(Some(u64::from(label) * 2 + 1), next).skip(9);
        let noise = states.take(RECORD_BYTES - 1).map(|state| (state >> 56) as u8);
        std::iter::once(label).chain(noise).collect::<Vec<u8>>()
    };
    let names = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin"];
    let mut files: Vec<_> =
        names.into_iter().zip(0..).map(|(n, label)| (n, record(label))).collect();
    files.push(("data_batch_5.bin", record(5)));
    files.push(("test_batch.bin", record(9)));
    files.push(("batches.meta.txt", [CLASSES.join("\n").as_bytes(), b"\n"].concat()));
    files.push(("readme.html", b"<html></html>".to_vec()));
    files
}

/// Returns the files of [`cifar10_files`] as archive entries.
pub fn cifar10_entries() -> Vec<(String, Content)> {
    let in_folder =
        |(name, content)| (format!("cifar-10-batches-bin/{name}"), Content::File(content));
    let files = cifar10_files().into_iter().map(in_folder);
    std::iter::once(("cifar-10-batches-bin/".to_string(), Content::Folder)).chain(files).collect()
}

/// Returns an archive with the files of [`cifar10_files`].
pub fn small_archive() -> Vec<u8> {
    packed(&cifar10_entries())
}

/// Packs a gzipped tar file.
pub fn packed(entries: &[(String, Content)]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    for (name, content) in entries {
        let mut header = Header::new_ustar();
        let (kind, link, bytes, size) = match content {
            Content::File(bytes) => (EntryType::Regular, "", bytes.clone(), bytes.len() as u64),
            Content::Zeros(n) => (EntryType::Regular, "", vec![0; *n as usize], *n),
            Content::Folder => (EntryType::Directory, "", Vec::new(), 0),
            Content::Symlink(to) => (EntryType::Symlink, *to, Vec::new(), 0),
            Content::Hardlink(to) => (EntryType::Link, *to, Vec::new(), 0),
            Content::Fifo => (EntryType::Fifo, "", Vec::new(), 0),
        };
        // `Header::set_path` would reject the malicious names.
        let fields = header.as_ustar_mut().expect("it is ustar");
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        gz.write_all(header.as_bytes()).unwrap();
        gz.write_all(&bytes).unwrap();
        gz.write_all(&vec![0; bytes.len().next_multiple_of(512) - bytes.len()]).unwrap();
    }
    gz.write_all(&[0; 1024]).unwrap();
    gz.finish().unwrap()
}

/// Returns malicious and damaged archives, each with a description of its fault.
pub fn hostile() -> Vec<(&'static str, Vec<(String, Content)>)> {
    let evil = || Content::File(b"evil".to_vec());
    let added = |name: &str, content| {
        let mut entries = cifar10_entries();
        entries.insert(1, (name.to_string(), content));
        entries
    };
    let replaced = |name: &str, content: Option<Content>| {
        let mut entries = cifar10_entries();
        entries.retain(|(n, _)| !n.ends_with(name));
        entries.extend(content.map(|content| (format!("cifar-10-batches-bin/{name}"), content)));
        entries
    };
    let mut label = cifar10_files()[0].1.clone();
    label[0] = 10;
    vec![
        ("climbs", added("../evil.bin", evil())),
        ("climbs later", added("cifar-10-batches-bin/../../evil.bin", evil())),
        ("climbs with backslashes", added("cifar-10-batches-bin\\..\\evil.bin", evil())),
        ("is absolute", added("/tmp/wgrad-evil.bin", evil())),
        ("is on a drive", added("C:evil.bin", evil())),
        ("climbs by a link", added("../evil", Content::Symlink("/etc"))),
        ("a link for a file", replaced("test_batch.bin", Some(Content::Symlink("/etc/passwd")))),
        (
            "a hard link for a file",
            replaced("test_batch.bin", Some(Content::Hardlink("/etc/passwd"))),
        ),
        ("a pipe for a file", replaced("readme.html", Some(Content::Fifo))),
        ("a folder for a file", replaced("readme.html", Some(Content::Folder))),
        ("a file twice", added("cifar-10-batches-bin/readme.html", evil())),
        ("a file too large", replaced("readme.html", Some(Content::Zeros(65_537)))),
        ("a batch too large", replaced("test_batch.bin", Some(Content::Zeros(30_730_001)))),
        ("a bomb", added("zeros", Content::Zeros(200_000_000))),
        ("no test images", replaced("test_batch.bin", None)),
        ("a label over nine", replaced("data_batch_1.bin", Some(Content::File(label)))),
        ("half a record", replaced("data_batch_1.bin", Some(Content::File(vec![1; 99])))),
        ("nothing", Vec::new()),
    ]
}
