//! 10,000 files that are made from pictures by changing bytes: no decoder panics or takes much memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use wgrad::data::image_file::decode_upright;

use super::{BACKGROUND, archive, are_equal, of_ppm};

const N_FILES: usize = 10_000;

/// The limit on pixels, which is lower than that of wgrad.
const MAX_PIXELS: u64 = 1 << 16;

/// The limit on memory while a file is decoded, in bytes.
const MAX_MEMORY: usize = 16 << 20;

/// The system's allocator, with a count of the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system allocator; the counts allocate nothing.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        LARGEST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let now = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        LARGEST.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the pictures of the archive.
fn pictures() -> Vec<(String, Vec<u8>)> {
    archive().into_iter().filter(|(name, _)| !name.ends_with(".ppm")).collect()
}

/// Returns the name and the bytes of file `ix`.
fn mutated(pictures: &[(String, Vec<u8>)], ix: usize) -> (String, Vec<u8>) {
    let mut random = ChaCha8Rng::seed_from_u64(ix as u64);
    let (name, original) = &pictures[ix % pictures.len()];
    let mut bytes = original.clone();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..bytes.len());
        let end = bytes.len().min(at + random.random_range(1..64));
        match random.random_range(0..8) {
            0 => bytes.truncate(at.max(16)),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => {
                let (_, other) = &pictures[random.random_range(0..pictures.len())];
                let from = random.random_range(0..other.len());
                bytes.splice(at..end, other[from..].iter().take(64).copied());
            }
            // Headers are changed as often as pixels.
            4 => {
                let at = random.random_range(0..bytes.len().min(64));
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)];
            }
            5 => bytes[at] = random.random(),
            _ => bytes[at] ^= 1 << random.random_range(0..8),
        }
    }
    if random.random() {
        repair_checksums(&mut bytes);
    }
    (name.clone(), bytes)
}

/// Corrects the checksums of a PNG, up to the first chunk that is not whole.
fn repair_checksums(bytes: &mut [u8]) {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return;
    }
    let mut at = 8;
    while let Some(&[a, b, c, d]) = bytes.get(at..at + 4) {
        let end = at + 8 + u32::from_be_bytes([a, b, c, d]) as usize;
        if end + 4 > bytes.len() {
            break;
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
}

#[test]
fn no_mutated_file_makes_a_decoder_panic_or_take_much_memory() {
    let pictures = pictures();
    let mut n_read = 0;
    for ix in 0..N_FILES {
        let (name, bytes) = mutated(&pictures, ix);
        // The test harness captures this output, and shows it if the decoder panics.
        println!("file {ix}, from {name}");
        let before = IN_USE.load(Ordering::Relaxed);
        LARGEST.store(before, Ordering::Relaxed);
        let result = decode_upright(&bytes, BACKGROUND, MAX_PIXELS);
        let used = LARGEST.load(Ordering::Relaxed) - before;
        assert!(used < MAX_MEMORY, "file {ix}, from {name}: {used} bytes");
        match result {
            Ok(picture) => {
                assert_eq!(picture.rgb.len(), 3 * picture.size[0] * picture.size[1]);
                n_read += 1;
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    assert!(n_read > N_FILES / 10, "only {n_read} files are pictures");
}

use Outcome::{OnlyPillowReads, OnlyWgradReads, OtherPixels};

/// The two readings of a mutated file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    OnlyPillowReads,
    OnlyWgradReads,
    OtherPixels,
}

/// The differences from Pillow in mutated files, with their causes.
const DIFFERENCES: [(&str, Outcome, &str); 16] = [
    (
        "bmp",
        OnlyPillowReads,
        "rows that are incomplete in runs of equal pixels; more pixels than the test's limit",
    ),
    ("bmp", OnlyWgradReads, "any masks of bits are read; Pillow has a list of masks"),
    (
        "gif",
        OnlyPillowReads,
        "codes that end before the picture, and pictures without a palette, are refused",
    ),
    ("gif", OnlyWgradReads, "codes behind the last pixel are not read"),
    (
        "gif",
        OtherPixels,
        "an extension of the wrong length, in which the two look for the transparent colour",
    ),
    (
        "jpg",
        OnlyPillowReads,
        "a missing table or end marker, and segments of a wrong length, are refused",
    ),
    ("jpg", OnlyWgradReads, "invalid codes are skipped"),
    (
        "jpg",
        OtherPixels,
        "the two continue in another way behind an invalid code, or with another table",
    ),
    (
        "png",
        OnlyPillowReads,
        "a wrong checksum of all pixels, which Pillow compares only if it reads so far",
    ),
    (
        "png",
        OnlyWgradReads,
        "damaged orientations, and damaged chunks behind the pixels, are ignored",
    ),
    ("tif", OnlyPillowReads, "kinds of pixels that are not supported; lists of a wrong length"),
    (
        "tif",
        OnlyWgradReads,
        "damaged tags and kinds of pixels that Pillow's table lacks; grey that is multiplied by its opacity",
    ),
    ("tif", OtherPixels, "damaged compressed data, and tags that occur twice"),
    ("webp", OnlyPillowReads, "a picture that differs in size from its header; damaged data"),
    (
        "webp",
        OnlyWgradReads,
        "chunks of a wrong length behind the pixels, and damaged orientations, are ignored",
    ),
    ("webp", OtherPixels, "damaged data that both read"),
];

/// Compares the results for all mutated files with Pillow's. Run with `$PYTHON` naming a Python with Pillow.
#[test]
#[ignore = "needs Pillow"]
fn differences_from_pillow_in_mutated_files_have_a_known_cause() {
    let pictures = pictures();
    let folder = tempfile::tempdir().expect("a folder");
    for ix in 0..N_FILES {
        let (_, bytes) = mutated(&pictures, ix);
        fs::write(folder.path().join(format!("{ix:05}")), bytes).expect("written");
    }
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/kinds.py");
    let status = Command::new(python).arg(script).arg(folder.path()).status();
    assert!(status.expect("it starts").success());
    let mut found: BTreeMap<(String, Outcome), Vec<String>> = BTreeMap::new();
    for ix in 0..N_FILES {
        let (name, bytes) = mutated(&pictures, ix);
        let theirs = fs::read(folder.path().join(format!("{ix:05}.ppm"))).map(|ppm| of_ppm(&ppm));
        let ours = decode_upright(&bytes, BACKGROUND, MAX_PIXELS);
        let (outcome, reason) = match (&ours, &theirs) {
            (Err(_), Err(_)) => continue,
            (Ok(_), Err(_)) => {
                let reason = fs::read_to_string(folder.path().join(format!("{ix:05}.txt")));
                (OnlyWgradReads, reason.expect("a reason"))
            }
            (Err(reason), Ok(_)) => (OnlyPillowReads, reason.clone()),
            (Ok(ours), Ok(theirs)) => match are_equal(&name, ours, theirs) {
                Ok(()) => continue,
                Err(reason) => (OtherPixels, reason),
            },
        };
        let (format, _) = name.split_once('-').expect("a format");
        let line = format!("{ix} {name} {reason}");
        found.entry((format.to_string(), outcome)).or_default().push(line);
    }
    for ((format, outcome), files) in &found {
        println!("{format} {outcome:?}: {} files", files.len());
        files.iter().for_each(|file| println!("    {file}"));
    }
    found.retain(|(format, outcome), _| {
        !DIFFERENCES.iter().any(|(known, of, _)| known == format && of == outcome)
    });
    assert!(found.is_empty(), "{:?}", found.keys());
}
