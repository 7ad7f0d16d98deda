//! The targets of the fuzzers. `tests/corpus.rs` runs the same targets on the inputs in `fuzz/corpus/`.
//!
//! A target takes any bytes. If the first byte is 0, the rest is the file itself. Otherwise the rest describes a file,
//! which the target builds with valid lengths and checksums. A fuzzer that changes a file at random could not guess a
//! valid CRC, and the reader would refuse the file there.

use arbitrary::{Arbitrary, Unstructured};

pub mod archive;
pub mod checkpoint;
pub mod cifar_batch;
pub mod config;
pub mod idx;
pub mod image;
pub mod pickle;
mod tensors;
pub mod weights;

/// A target: a function that passes a fuzzer's bytes to a reader. The reader may return any error. A panic is a fault.
pub type Target = fn(&[u8]);

/// All targets, with the names of their archives in `fuzz/corpus/`.
pub const ALL: [(&str, Target); 8] = [
    ("archive", archive::run),
    ("checkpoint", checkpoint::run),
    ("cifar_batch", cifar_batch::run),
    ("config", config::run),
    ("idx", idx::run),
    ("image", image::run),
    ("pickle", pickle::run),
    ("weights", weights::run),
];

/// Returns the file that a fuzzer's bytes describe; None if they describe no file. `build` makes the file from its
/// description.
fn file<'a, T: Arbitrary<'a>>(data: &'a [u8], build: impl FnOnce(T) -> Vec<u8>) -> Option<Vec<u8>> {
    match data.split_first()? {
        (0, raw) => Some(raw.to_vec()),
        (_, rest) => T::arbitrary_take_rest(Unstructured::new(rest)).ok().map(build),
    }
}

/// A change to a list of parts, for example the chunks of a PNG or the tensors of a weights file.
#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Remove {
        part: u8,
    },
    Repeat {
        part: u8,
    },
    Swap {
        part: u8,
        with: u8,
    },
    Insert {
        part: u8,
        bytes: &'a [u8],
    },
    /// Overwrites bytes; a patch beyond the end makes the part longer.
    Patch {
        part: u8,
        at: u16,
        bytes: &'a [u8],
    },
    Cut {
        part: u8,
        at: u16,
    },
}

impl Edit<'_> {
    fn apply(&self, parts: &mut Vec<Vec<u8>>) {
        if parts.is_empty() {
            return;
        }
        let n = parts.len();
        let index = |part: u8| usize::from(part) % n;
        match *self {
            Edit::Remove { part } => drop(parts.remove(index(part))),
            Edit::Repeat { part } => parts.insert(index(part), parts[index(part)].clone()),
            Edit::Swap { part, with } => parts.swap(index(part), index(with)),
            Edit::Insert { part, bytes } => parts.insert(index(part), bytes.to_vec()),
            Edit::Patch { part, at, bytes } => {
                let (part, at) = (&mut parts[index(part)], usize::from(at));
                part.resize(part.len().max(at + bytes.len()), 0);
                part[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Edit::Cut { part, at } => parts[index(part)].truncate(at.into()),
        }
    }
}
