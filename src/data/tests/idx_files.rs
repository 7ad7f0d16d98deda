//! Valid and invalid IDX files, in a temporary folder.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::super::idx::{FASHION_MNIST, MNIST, SIZE};
use super::super::{DataError, Dataset, DatasetSource};
use super::{NO_OPTIONS, assert_names};

/// Returns the bytes of an IDX file: the magic number, the lengths of the axes, and the contents.
fn idx(magic: u32, axes: &[u32], contents: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(axes).flat_map(|number| number.to_be_bytes());
    header.chain(contents.iter().copied()).collect()
}

/// Returns the names and contents of MNIST's four files, with three training images and two test images.
fn files() -> [(&'static str, Vec<u8>); 4] {
    let images = |n: usize| {
        let pixels: Vec<u8> = (0..n * SIZE.n_bytes()).map(|k| (k / 7) as u8).collect();
        idx(0x803, &[n as u32, 28, 28], &pixels)
    };
    [
        ("train-images-idx3-ubyte", images(3)),
        ("train-labels-idx1-ubyte", idx(0x801, &[3], &[9, 0, 4])),
        ("t10k-images-idx3-ubyte", images(2)),
        ("t10k-labels-idx1-ubyte", idx(0x801, &[2], &[1, 2])),
    ]
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// Reads MNIST from the files of [`files`]. The contents of the file `name` are replaced by `bytes`.
fn read_with(name: &str, bytes: &[u8]) -> (TempDir, Result<Dataset, DataError>) {
    let dir = TempDir::new().unwrap();
    for (name, bytes) in files() {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    fs::write(dir.path().join(name), bytes).unwrap();
    let result = MNIST.read(dir.path(), NO_OPTIONS);
    (dir, result)
}

#[test]
fn files_are_read_gzipped_or_not() {
    for gz in [false, true] {
        let root = TempDir::new().unwrap();
        let dir = root.path().join("fashion-mnist");
        fs::create_dir(&dir).unwrap();
        for (name, bytes) in files() {
            match gz {
                true => fs::write(dir.join(format!("{name}.gz")), gzipped(&bytes)).unwrap(),
                false => fs::write(dir.join(name), bytes).unwrap(),
            }
        }
        for named in [root.path(), &dir] {
            let dataset = FASHION_MNIST.read(named, NO_OPTIONS).unwrap();
            assert_eq!((dataset.name, dataset.train.size), ("fashion-mnist", SIZE));
            assert_eq!(dataset.train.labels, [9, 0, 4]);
            assert_eq!(dataset.test.labels, [1, 2]);
            assert_eq!(dataset.train.image(1)[..7], [112; 7]);
            assert_eq!(dataset.spec.classes[9], "ankle boot");
        }
    }
}

#[test]
fn digits_are_not_flipped_by_default() {
    assert!(!MNIST.defaults().flip && FASHION_MNIST.defaults().flip);
}

#[test]
fn damaged_files_are_errors() {
    let images = &files()[0].1;
    for (name, bytes, words) in [
        ("train-images-idx3-ubyte", Vec::new(), "is empty"),
        ("train-images-idx3-ubyte", vec![0, 0], "fewer than its magic number"),
        (
            "train-images-idx3-ubyte",
            idx(0x801, &[3], &[0; 3]),
            "has the magic number 0x00000801, not 0x00000803",
        ),
        ("train-images-idx3-ubyte", images[..15].to_vec(), "fewer than its header of 16"),
        (
            "train-images-idx3-ubyte",
            images[..images.len() - 1].to_vec(),
            "2351 bytes after its header, but its 3 images take 2352",
        ),
        ("train-images-idx3-ubyte", [&images[..], &[0]].concat(), "has 2353 bytes"),
        ("t10k-images-idx3-ubyte", idx(0x803, &[2, 28, 27], &[0; 2 * 28 * 27]), "28x27 pixels"),
        ("t10k-images-idx3-ubyte", idx(0x803, &[u32::MAX, 28, 28], &[0; 9]), "has 9 bytes"),
        ("t10k-labels-idx1-ubyte", idx(0x803, &[2], &[1, 2]), "magic number 0x00000803"),
        ("t10k-labels-idx1-ubyte", idx(0x801, &[2], &[1]), "1 bytes after its header"),
        ("t10k-labels-idx1-ubyte", idx(0x801, &[2], &[1, 10]), "the label 10"),
        ("train-labels-idx1-ubyte", idx(0x801, &[2], &[1, 2]), "has 2 labels, but"),
        ("t10k-images-idx3-ubyte", gzipped(images)[..40].to_vec(), "damaged gzip file"),
        ("t10k-labels-idx1-ubyte", idx(0x801, &[0], &[]), "is empty"),
    ] {
        let (dir, result) = read_with(name, &bytes);
        let error = result.expect_err(words);
        assert_names(&error, &dir.path().join(name));
        assert!(error.to_string().contains(words), "{error}, not {words:?}");
    }
}

#[test]
fn a_missing_file_and_another_dataset_are_errors() {
    let (dir, _) = read_with("train-labels-idx1-ubyte", b"");
    fs::remove_file(dir.path().join("t10k-labels-idx1-ubyte")).unwrap();
    fs::write(dir.path().join("train-labels-idx1-ubyte"), &files()[1].1).unwrap();
    let error = MNIST.read(dir.path(), NO_OPTIONS).unwrap_err();
    assert!(matches!(error, DataError::MissingFile { partial: true, .. }), "{error:?}");
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("train.bin"), "x").unwrap();
    let error = MNIST.read(dir.path(), NO_OPTIONS).unwrap_err();
    assert!(error.to_string().contains("CIFAR-100"), "{error}");
    assert!(MNIST.read(Path::new("/no/such/folder"), NO_OPTIONS).is_err());
}
