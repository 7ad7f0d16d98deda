//! Valid and invalid files of CIFAR-100, in a temporary folder.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::super::cifar100::{Cifar100, RECORD_BYTES};
use super::super::{DataError, DatasetSource, Loaded, ReadOptions, Source, Version, cifar10};
use super::{NO_OPTIONS, assert_names, small_cifar10};
use crate::data::load_from;

const COARSE: ReadOptions = ReadOptions { coarse: true, ..ReadOptions::DEFAULT };

/// Returns one CIFAR-100 record for each pair of a coarse and a fine label.
fn records(labels: &[[u8; 2]]) -> Vec<u8> {
    let record = |&[coarse, fine]: &[u8; 2]| {
        let pixels = (0..cifar10::SIZE.n_bytes()).map(move |k| (k as u8).wrapping_mul(fine));
        [coarse, fine].into_iter().chain(pixels)
    };
    labels.iter().flat_map(record).collect()
}

fn small_cifar100(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("train.bin"), records(&[[3, 99], [19, 0], [0, 42]])).unwrap();
    fs::write(dir.join("test.bin"), records(&[[7, 64]])).unwrap();
}

fn load(dir: &Path, options: ReadOptions) -> Result<Loaded, DataError> {
    load_from(Source::Of(&Cifar100), Some(dir), None, Path::new("/no/such/folder"), options)
}

#[test]
fn fine_and_coarse_labels_are_read() {
    let root = TempDir::new().unwrap();
    // The user may name the folder `cifar-100-binary` itself, or its parent folder.
    let dir = root.path().join("cifar-100-binary");
    small_cifar100(&dir);
    for named in [root.path(), &dir] {
        let fine = load(named, NO_OPTIONS).unwrap().dataset;
        assert_eq!((fine.name, fine.spec.n_classes()), ("cifar100", 100));
        assert_eq!((&fine.train.labels[..], &fine.test.labels[..]), (&[99, 0, 42][..], &[64][..]));
        assert_eq!([&fine.spec.classes[0], &fine.spec.classes[99]], ["apple", "worm"]);
        assert_eq!(fine.train.image(2), &records(&[[0, 42]])[2..]);
        assert!(fine.warnings[0].contains("train.bin 3, test.bin 1"), "{:?}", fine.warnings);
        let coarse = load(named, COARSE).unwrap().dataset;
        assert_eq!((coarse.spec.n_classes(), &coarse.train.labels[..]), (20, &[3, 19, 0][..]));
        assert_ne!(fine.fingerprint(), coarse.fingerprint());
    }
    // A network with 20 classes is measured on the coarse labels, and one with 100 classes on the fine labels.
    assert_eq!([100, 20].map(|n| Cifar100.options(n).coarse), [false, true]);
}

#[test]
fn class_names_come_from_the_text_files() {
    let dir = TempDir::new().unwrap();
    small_cifar100(dir.path());
    let names = |n: usize, of: &str| (0..n).map(|i| format!("{of} {i}\n")).collect::<String>();
    fs::write(dir.path().join("fine_label_names.txt"), names(100, "fine")).unwrap();
    fs::write(dir.path().join("coarse_label_names.txt"), names(20, "coarse")).unwrap();
    assert_eq!(load(dir.path(), NO_OPTIONS).unwrap().dataset.spec.classes[42], "fine 42");
    assert_eq!(load(dir.path(), COARSE).unwrap().dataset.spec.classes[19], "coarse 19");
    fs::write(dir.path().join("fine_label_names.txt"), names(20, "fine")).unwrap();
    let error = load(dir.path(), NO_OPTIONS).unwrap_err();
    assert!(error.to_string().contains("20 names for 100 classes"), "{error}");
}

#[test]
fn damaged_files_are_errors() {
    for (labels, options, largest) in [([20, 5], COARSE, 19), ([3, 100], NO_OPTIONS, 99)] {
        let dir = TempDir::new().unwrap();
        small_cifar100(dir.path());
        fs::write(dir.path().join("test.bin"), records(&[[1, 1], labels])).unwrap();
        let error = load(dir.path(), options).unwrap_err();
        assert_names(&error, &dir.path().join("test.bin"));
        let words = format!("record 1 (counted from 0), at byte {RECORD_BYTES}, has the label");
        assert!(error.to_string().contains(&words), "{error}");
        assert!(error.to_string().contains(&format!("labels are 0 to {largest}")), "{error}");
        let mut cut = records(&[[1, 1]]);
        cut.pop();
        fs::write(dir.path().join("test.bin"), cut).unwrap();
        let error = load(dir.path(), options).unwrap_err();
        assert!(error.to_string().contains("3073 of 3074 bytes"), "{error}");
        fs::remove_file(dir.path().join("test.bin")).unwrap();
        let error = load(dir.path(), options).unwrap_err();
        assert!(matches!(error, DataError::MissingFile { partial: true, .. }), "{error:?}");
    }
}

#[test]
fn files_of_cifar10_are_refused_as_cifar100_and_the_reverse() {
    let dir = TempDir::new().unwrap();
    small_cifar10(dir.path());
    let error = load(dir.path(), NO_OPTIONS).unwrap_err();
    assert!(
        matches!(error, DataError::WrongVersion { version: Version::Cifar10, .. }),
        "{error:?}"
    );
    let dir = TempDir::new().unwrap();
    small_cifar100(dir.path());
    let nowhere = Path::new("/no/such/folder");
    let error =
        load_from(Source::CIFAR10, Some(dir.path()), None, nowhere, NO_OPTIONS).unwrap_err();
    assert!(
        matches!(error, DataError::WrongVersion { version: Version::Cifar100, .. }),
        "{error:?}"
    );
}
