//! A file of records of CIFAR-10 or CIFAR-100. The reader must accept whole records with labels that are classes, and
//! refuse any other file.

use std::path::Path;

use arbitrary::Arbitrary;
use wgrad::data::records::{self, Layout};
use wgrad::data::{Split, cifar10};

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
        std::iter::once(label)
            .chain((0..cifar10::SIZE.n_bytes()).map(move |k| (k as u8).wrapping_mul(fill)))
    };
    let mut bytes: Vec<u8> = batch.records.iter().take(8).flat_map(record).collect();
    bytes.extend(batch.tail);
    bytes.truncate(bytes.len().saturating_sub(batch.cut.into()));
    bytes
}

/// Reads a batch in the layouts of CIFAR-10 and CIFAR-100, and compares the results with the definition of the formats.
pub fn run(data: &[u8]) {
    let Some(bytes) = super::file(data, build) else { return };
    for layout in [
        cifar10::LAYOUT,
        Layout { n_label_bytes: 2, label_ix: 0, n_classes: 20 },
        Layout { n_label_bytes: 2, label_ix: 1, n_classes: 100 },
    ] {
        let records = bytes.chunks_exact(layout.n_label_bytes + cifar10::SIZE.n_bytes());
        let is_class = |record: &[u8]| usize::from(record[layout.label_ix]) < layout.n_classes;
        let is_right =
            records.len() > 0 && records.remainder().is_empty() && records.clone().all(is_class);
        let mut split = Split::new(cifar10::SIZE);
        match records::append(Path::new("data_batch_1.bin"), &bytes, layout, &mut split) {
            Ok(n) => {
                assert!(is_right, "a wrong file was read");
                assert_eq!((n, split.len()), (records.len(), records.len()));
                for (i, record) in records.enumerate() {
                    let label = u16::from(record[layout.label_ix]);
                    let image = &record[layout.n_label_bytes..];
                    assert_eq!((split.labels[i], &*split.image(i)), (label, image));
                }
            }
            Err(error) => assert!(!is_right, "a right file was refused: {error}"),
        }
    }
}
