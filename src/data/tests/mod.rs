//! Tests of the choice of a dataset, and helpers that write small valid and invalid files.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

mod cifar100_files;
mod files;
mod idx_files;
mod python_files;

/// The default options of reading a dataset.
const NO_OPTIONS: ReadOptions = ReadOptions::DEFAULT;

/// Returns `n` records, each with its own label and bytes.
fn records(first_label: usize, n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| {
            let label = ((first_label + i) % 10) as u8;
            let bytes =
                (0..cifar10::SIZE.n_bytes()).map(move |k| (k * 5 + i * 31 + first_label) as u8);
            std::iter::once(label).chain(bytes)
        })
        .collect()
}

/// Writes two small training files with 3 and 2 records, and a test file with 4 records.
fn small_cifar10(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    // The files are written in the wrong order, because the reader must sort them.
    fs::write(dir.join("data_batch_2.bin"), records(7, 2)).unwrap();
    fs::write(dir.join("data_batch_1.bin"), records(1, 3)).unwrap();
    fs::write(dir.join("test_batch.bin"), records(4, 4)).unwrap();
}

fn temp_cifar10() -> TempDir {
    let dir = TempDir::new().unwrap();
    small_cifar10(dir.path());
    dir
}

/// Loads from a named folder, without `$WGRAD_DATA` and without a default folder.
fn load_named(dir: &Path) -> Result<Loaded, DataError> {
    load_from(Source::Auto, Some(dir), None, Path::new("/no/such/folder"), NO_OPTIONS)
}

fn error_of(dir: &Path) -> DataError {
    load_named(dir).expect_err("bad data was accepted")
}

/// Checks that an error names the file.
fn assert_names(error: &DataError, file: &Path) {
    let message = error.to_string();
    assert!(message.contains(&*file.to_string_lossy()), "{message:?} does not name {file:?}");
}

/// Folders with a good, a damaged and a missing dataset.
struct Places {
    _root: TempDir,
    good: PathBuf,
    damaged: PathBuf,
    missing: PathBuf,
}

impl Places {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let places = ["good", "damaged", "data/missing"].map(|name| root.path().join(name));
        let [good, damaged, missing] = places;
        small_cifar10(&good);
        small_cifar10(&damaged);
        fs::write(damaged.join("test_batch.bin"), [3; 5000]).unwrap();
        Self { _root: root, good, damaged, missing }
    }
}

#[test]
fn auto_falls_back_only_when_nothing_is_named_or_found() {
    let Places { good, damaged, missing, .. } = &Places::new();
    let seed_5 = ReadOptions { seed: 5, ..NO_OPTIONS };
    let auto = |dir: Option<&PathBuf>, variable: Option<&PathBuf>, default: &Path| {
        load_from(Source::Auto, dir.map(|p| &**p), variable.map(|p| &**p), default, seed_5)
    };

    let Loaded { dataset, notice } = auto(None, None, missing).unwrap();
    assert_eq!(dataset.name, "shapes");
    assert!(dataset.train == shapes::draw_train(5, shapes::N_TRAIN), "not the seed's pictures");
    let notice = notice.expect("the fallback has a notice");
    assert!(notice.folder == *missing && notice.nearby.is_none());
    assert!(notice.to_string().contains("built-in shapes"), "{notice}");

    // Each of the three folders is found, without a notice. The flag takes precedence over the variable, and the
    // variable over the default.
    for found in [
        auto(None, None, good),
        auto(None, Some(good), missing),
        auto(None, Some(good), damaged),
        auto(Some(good), Some(damaged), damaged),
    ] {
        let found = found.unwrap();
        assert!(found.dataset.name == "cifar10" && found.notice.is_none());
    }

    // A found or named folder with wrong data is an error; the shapes never replace it.
    let is_truncated = |r: Result<_, _>| matches!(r, Err(DataError::Truncated { .. }));
    assert!(is_truncated(auto(None, None, damaged)));
    assert!(is_truncated(auto(None, Some(damaged), good)));
    assert!(is_truncated(auto(Some(damaged), Some(good), good)));
    let origin = |r: Result<Loaded, _>| match r {
        Err(DataError::MissingFolder { origin, .. }) => origin,
        other => panic!("{other:?}"),
    };
    assert_eq!(origin(auto(None, Some(missing), good)), Origin::Variable);
    assert_eq!(origin(auto(Some(missing), Some(good), good)), Origin::Caller);
}

#[test]
#[cfg(unix)]
fn a_dangling_link_is_an_error() {
    let dir = TempDir::new().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("gone"), &link).unwrap();
    let error = load_from(Source::Auto, None, None, &link, NO_OPTIONS).unwrap_err();
    assert!(matches!(error, DataError::Unreadable { .. }), "{error:?}");
    assert_names(&error, &link);
}

#[test]
fn a_packed_download_near_the_folder_is_named() {
    let root = TempDir::new().unwrap();
    let default = root.path().join(cifar10::FOLDER);
    let archive = root.path().join("cifar-10-binary.tar.gz");
    fs::write(&archive, "x").unwrap();

    let loaded = load_from(Source::Auto, None, None, &default, NO_OPTIONS).unwrap();
    let notice = loaded.notice.unwrap();
    assert!(notice.to_string().contains(&*archive.to_string_lossy()), "{notice}");

    let error = load_from(Source::CIFAR10, None, None, &default, NO_OPTIONS).unwrap_err();
    assert!(matches!(error, DataError::Packed { .. }), "{error:?}");
}

#[test]
fn cifar10_has_no_fallback_and_shapes_reads_no_file() {
    let Places { good, damaged, missing, .. } = &Places::new();
    let strict = |default| load_from(Source::CIFAR10, None, None, default, NO_OPTIONS);
    assert_eq!(strict(good).unwrap().dataset.name, "cifar10");
    assert!(matches!(strict(missing), Err(DataError::MissingFolder { .. })));
    assert!(matches!(strict(damaged), Err(DataError::Truncated { .. })));

    let drawn = load_from(Source::SHAPES, None, Some(damaged), damaged, NO_OPTIONS).unwrap();
    assert!(drawn.dataset.name == "shapes" && drawn.notice.is_none());
    assert!(drawn.dataset.warnings.is_empty());
    // The built-in shapes need no folder. If the user names a folder, it is not read, and the dataset has a warning.
    let drawn = load_from(Source::SHAPES, Some(damaged), None, good, NO_OPTIONS).unwrap();
    assert!(drawn.dataset.warnings[0].contains(&*damaged.to_string_lossy()));
}

#[test]
fn sources_have_one_name_in_files_and_settings() {
    for source in Source::values() {
        let name = format!("\"{}\"", source.name());
        assert_eq!(serde_json::to_string(&source).unwrap(), name);
        assert_eq!(Source::from_name(source.name()), Ok(source));
    }
    let error = Source::from_name("cifar-10").unwrap_err();
    let list = "auto, cifar10, cifar100, mnist, fashion-mnist, shapes";
    assert!(error.contains("did you mean cifar10?") && error.contains(list), "{error}");
    assert_eq!(Source::default(), Source::Auto);
}

#[test]
fn printing_a_split_prints_no_pixels() {
    assert_eq!(format!("{:?}", shapes::draw_test(0, 20)), "Split(20 images)");
}

#[test]
fn hashes_of_at_most_256_classes_are_those_of_earlier_versions() {
    let dataset = shapes::generate(0);
    let parts = [&dataset.train, &dataset.validation, &dataset.test].map(|split| {
        let labels: Vec<u8> = split.labels.iter().map(|&label| label as u8).collect();
        (labels, split.images.to_vec())
    });
    let bytes = parts.iter().flat_map(|(labels, images)| [&labels[..], &images[..]]);
    assert_eq!(dataset.fingerprint(), crate::base::fingerprint::Fingerprint::of(bytes));
    // In a dataset with more than 256 classes, a label enters the hash as two bytes.
    let mut large = dataset.clone();
    large.spec.classes = vec![String::new(); 300];
    let mut other = large.clone();
    other.train.labels[0] += 256;
    assert_ne!(large.fingerprint(), other.fingerprint());
}

#[test]
fn labels_follow_the_names_of_the_classes() {
    let mut dataset = shapes::generate(0);
    let before = dataset.clone();
    let names: Vec<String> = dataset.spec.classes.iter().rev().cloned().collect();
    let names = [&["other".to_string()][..], &names].concat();
    assert!(dataset.relabel(&names));
    for (split, before) in [(&dataset.train, &before.train), (&dataset.test, &before.test)] {
        assert!(split.labels.iter().zip(&before.labels).all(|(now, before)| now + before == 10));
    }
    assert_eq!(dataset.spec.classes, names);
    let unchanged = dataset.clone();
    assert!(!dataset.relabel(&names[1..4]));
    assert_eq!((dataset.train, dataset.spec), (unchanged.train, unchanged.spec));
}
