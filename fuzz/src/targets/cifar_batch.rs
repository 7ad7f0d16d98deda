//! A CIFAR-10 file. The reader must accept whole records with labels below 10, and refuse any other file.

use std::path::Path;

use arbitrary::Arbitrary;
use wgrad::data::cifar10::{self, RECORD_BYTES};
use wgrad::data::{IMAGE_BYTES, Split};

#[derive(Arbitrary, Debug)]
struct Batch<'a> {
    /// The label of each record, and the factor from which its pixels are computed.
    records: Vec<(u8, u8)>,
    tail: &'a [u8],
    /// Number of bytes missing at the end.
    cut: u16,
}

fn build(batch: Batch<'_>) -> Vec<u8> {
    let record = |&(label, fill): &(u8, u8)| {
        // Most labels are valid.
        let label = if label < 250 { label % 10 } else { label };
        std::iter::once(label).chain((0..IMAGE_BYTES).map(move |k| (k as u8).wrapping_mul(fill)))
    };
    let mut bytes: Vec<u8> = batch.records.iter().take(8).flat_map(record).collect();
    bytes.extend(batch.tail);
    bytes.truncate(bytes.len().saturating_sub(batch.cut.into()));
    bytes
}

/// Reads a batch, and compares the result with the definition of the format.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    let is_right = !records.is_empty() && rest.is_empty() && records.iter().all(|r| r[0] < 10);
    let mut split = Split::default();
    match cifar10::append_bytes(Path::new("data_batch_1.bin"), &bytes, &mut split) {
        Ok(n) => {
            assert!(is_right, "a wrong file was read");
            assert_eq!((n, split.len()), (records.len(), records.len()));
            for (i, record) in records.iter().enumerate() {
                assert_eq!((split.labels[i], split.image(i)), (record[0], &record[1..]));
            }
        }
        Err(error) => assert!(!is_right, "a right file was refused: {error}"),
    }
}
