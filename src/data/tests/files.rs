//! Valid and invalid files of CIFAR-10, in a temporary folder.

use std::fs;

use tempfile::TempDir;

use super::super::cifar10::{self, RECORD_BYTES};
use super::super::{DataError, Loaded, Origin, Version};
use super::{assert_names, error_of, load_named, records, small_cifar10, temp_cifar10};

#[test]
fn good_files_are_read_in_order() {
    let dir = temp_cifar10();
    let Loaded { dataset, notice } = load_named(dir.path()).unwrap();
    assert!(notice.is_none());
    assert_eq!(dataset.name, "cifar10");
    assert_eq!(dataset.dir, Some(fs::canonicalize(dir.path()).unwrap()));
    assert_eq!(dataset.spec.classes[..2], ["airplane", "automobile"]);
    assert_eq!(dataset.train.labels, [1, 2, 3, 7, 8]);
    assert_eq!(dataset.test.labels, [4, 5, 6, 7]);
    assert_eq!(dataset.train.len(), 5);
    assert_eq!(dataset.train.images.len(), 5 * cifar10::SIZE.n_bytes());
    // Image 4 is the second record of the second file, without the label.
    assert_eq!(dataset.train.image(4), &records(7, 2)[RECORD_BYTES + 1..]);
    assert_eq!(dataset.test.image(0), &records(4, 1)[1..]);
    assert!(dataset.description.contains("5 training and 4 test"), "{}", dataset.description);
    assert!(!dataset.description.contains('\n'));
}

#[test]
fn a_part_of_cifar10_gives_warnings() {
    let dir = temp_cifar10();
    let warnings = load_named(dir.path()).unwrap().dataset.warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for part in ["data_batch_1.bin 3", "data_batch_2.bin 2", "test_batch.bin 4", "10000"] {
        assert!(warnings[0].contains(part), "{:?} does not say {part:?}", warnings[0]);
    }
    assert!(warnings[1].contains("data_batch_5.bin"), "{:?}", warnings[1]);
}

#[test]
fn the_whole_of_cifar10_gives_no_warnings() {
    let dir = TempDir::new().unwrap();
    // Sparse files of zeros read as 10,000 black airplanes each, and take no space on the disk.
    let names = (1..=5).map(|i| format!("data_batch_{i}.bin"));
    for name in names.chain(["test_batch.bin".into()]) {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        file.set_len(10_000 * RECORD_BYTES as u64).unwrap();
    }
    let dataset = load_named(dir.path()).unwrap().dataset;
    assert!(dataset.warnings.is_empty(), "{:?}", dataset.warnings);
    assert_eq!((dataset.train.len(), dataset.test.len()), (50_000, 10_000));
}

#[test]
fn the_parent_folder_is_accepted() {
    let dir = TempDir::new().unwrap();
    small_cifar10(&dir.path().join(cifar10::FOLDER));
    assert_eq!(load_named(dir.path()).unwrap().dataset.train.len(), 5);
}

#[test]
fn a_truncated_file_is_an_error() {
    for (name, n_bytes, expected) in [
        ("data_batch_1.bin", 2 * RECORD_BYTES + 100, (2, 2 * RECORD_BYTES, 100)),
        ("data_batch_2.bin", 1, (0, 0, 1)),
        ("test_batch.bin", RECORD_BYTES - 1, (0, 0, RECORD_BYTES - 1)),
    ] {
        let dir = temp_cifar10();
        let file = dir.path().join(name);
        fs::write(&file, &records(0, 4)[..n_bytes]).unwrap();
        let error = error_of(dir.path());
        let DataError::Truncated { record, offset, n_bytes, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((record, offset, n_bytes), expected);
        assert_names(&error, &file);
        assert!(error.to_string().contains(&format!("byte {offset},")), "{error}");
    }
}

#[test]
fn a_label_above_nine_is_an_error() {
    for (name, record) in [("data_batch_2.bin", 1), ("test_batch.bin", 3)] {
        let dir = temp_cifar10();
        let file = dir.path().join(name);
        let mut bytes = fs::read(&file).unwrap();
        let offset = record * RECORD_BYTES;
        bytes[offset] = 10;
        fs::write(&file, bytes).unwrap();
        let error = error_of(dir.path());
        assert!(
            matches!(error, DataError::Label { record: r, offset: o, label: 10, .. }
                if r == record && o == offset),
            "{error:?}"
        );
        assert_names(&error, &file);
        let message = error.to_string();
        assert!(message.contains(&format!("record {record}")), "{message}");
        assert!(message.contains(&format!("byte {offset},")), "{message}");
    }
}

#[test]
fn an_empty_file_is_an_error() {
    for name in ["data_batch_1.bin", "test_batch.bin"] {
        let dir = temp_cifar10();
        let file = dir.path().join(name);
        fs::write(&file, []).unwrap();
        let error = error_of(dir.path());
        assert!(matches!(error, DataError::Empty { .. }), "{error:?}");
        assert_names(&error, &file);
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let dir = temp_cifar10();
    let test = dir.path().join("test_batch.bin");
    fs::remove_file(&test).unwrap();
    let error = error_of(dir.path());
    assert!(matches!(error, DataError::MissingFile { .. }), "{error:?}");
    assert_names(&error, &test);
    assert_names(&error, &test);

    // A folder without training files is an error, and so is an empty folder.
    let dir = temp_cifar10();
    for i in [1, 2] {
        fs::remove_file(dir.path().join(format!("data_batch_{i}.bin"))).unwrap();
    }
    let empty = TempDir::new().unwrap();
    for dir in [dir, empty] {
        let error = error_of(dir.path());
        assert!(matches!(error, DataError::MissingFile { .. }), "{error:?}");
        assert_names(&error, &dir.path().join("data_batch_1.bin"));
    }
}

#[test]
fn an_unreadable_file_is_an_error() {
    // A folder in place of a file cannot be read, not even by root.
    let dir = temp_cifar10();
    let file = dir.path().join("data_batch_1.bin");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = error_of(dir.path());
    assert!(matches!(error, DataError::Unreadable { .. }), "{error:?}");
    assert_names(&error, &file);
    assert!(std::error::Error::source(&error).is_some());

    let denied =
        DataError::Unreadable { path: file, source: std::io::ErrorKind::PermissionDenied.into() };
    assert_names(&denied, dir.path());
}

#[test]
fn a_missing_folder_and_a_file_in_its_place_are_errors() {
    let dir = temp_cifar10();
    let missing = dir.path().join("nowhere");
    let error = error_of(&missing);
    assert!(matches!(error, DataError::MissingFolder { origin: Origin::Caller, .. }), "{error:?}");
    assert_names(&error, &missing);

    let file = dir.path().join("data_batch_1.bin");
    let error = error_of(&file);
    assert!(matches!(error, DataError::NotAFolder { .. }), "{error:?}");
    assert_names(&error, &file);
}

#[test]
fn another_version_of_the_dataset_is_an_error() {
    for (names, version) in [
        (&["data_batch_1.mat", "batches.meta.mat"][..], Version::Matlab),
        (&["train.bin", "test.bin"], Version::Cifar100),
        (&["train", "test", "meta"], Version::Cifar100),
    ] {
        let dir = TempDir::new().unwrap();
        for name in names {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let error = error_of(dir.path());
        assert!(
            matches!(error, DataError::WrongVersion { version: v, .. } if v == version),
            "{names:?}: {error:?}"
        );
        let named = names.iter().any(|name| error.to_string().contains(name));
        assert!(named && error.to_string().contains(&version.to_string()), "{error}");
        assert_names(&error, dir.path());
    }
    // Another version is also recognised by the name of the folder in its archive.
    for (name, version) in [
        ("cifar-10-batches-mat", Version::Matlab),
        ("cifar-100-binary", Version::Cifar100),
        ("cifar-100-python", Version::Cifar100),
    ] {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        let error = error_of(dir.path());
        assert!(
            matches!(error, DataError::WrongVersion { version: v, .. } if v == version),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn an_archive_that_is_not_unpacked_is_an_error() {
    let dir = TempDir::new().unwrap();
    let archive = dir.path().join("cifar-10-binary.tar.gz");
    fs::write(&archive, "x").unwrap();
    // The user may name the folder that holds the archive, or the archive itself.
    for named in [dir.path(), &archive] {
        let error = error_of(named);
        assert!(matches!(error, DataError::Packed { .. }), "{error:?}");
        assert_names(&error, &archive);
        assert_names(&error, &archive);
    }
    // An archive next to the unpacked files is ignored.
    small_cifar10(&dir.path().join(cifar10::FOLDER));
    assert!(load_named(dir.path()).is_ok());
}
