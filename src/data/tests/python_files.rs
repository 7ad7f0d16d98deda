//! Files of the Python versions of CIFAR-10 and CIFAR-100: those of tests/fixtures/cifar_python, which numpy has
//! pickled, and files in a temporary folder.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::super::cifar10::{LAYOUT, RECORD_BYTES, SIZE};
use super::super::cifar100::Cifar100;
use super::super::{DataError, ReadOptions, Source, Split, Version, load_from, pickled, records};
use super::{
    NO_OPTIONS, assert_names, error_of, load_named, records as cifar10_records, small_cifar10,
};

const COARSE: ReadOptions = ReadOptions { coarse: true, ..NO_OPTIONS };

/// Returns the length of a list or text, the operand of an instruction of four bytes.
fn length(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

/// Returns the instructions of a key of a dictionary and a list.
fn list(key: &str, elements: Vec<Vec<u8>>) -> Vec<u8> {
    let key = [&[b'U', key.len() as u8][..], key.as_bytes()].concat();
    [&key[..], b"](", &elements.concat(), b"e"].concat()
}

/// Returns the pickle of a batch: the images of `records`, and lists of labels, as Python 2 writes them.
fn batch(records: &[u8], record_bytes: usize, labels: &[(&str, usize)]) -> Vec<u8> {
    let n_labels = record_bytes - SIZE.n_bytes();
    let records: Vec<&[u8]> = records.chunks(record_bytes).collect();
    let images: Vec<u8> = records.iter().flat_map(|record| &record[n_labels..]).copied().collect();
    let lists = labels
        .iter()
        .map(|&(key, ix)| list(key, records.iter().map(|record| vec![b'K', record[ix]]).collect()));
    let shape = [&[b'J'][..], &length(records.len()), b"M\x00\x0c\x86"].concat();
    [
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01",
        &shape[..],
        b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T",
        &length(images.len()),
        &images,
        b"tb",
        &lists.collect::<Vec<_>>().concat(),
        b"u.",
    ]
    .concat()
}

/// Returns a dictionary of lists of names.
fn meta(lists: &[(&str, usize)]) -> Vec<u8> {
    let names = |key: &str, n: usize| {
        let name = |ix| format!("{}{ix}", &key[..4]);
        let instruction = |name: String| [&[b'U', name.len() as u8][..], name.as_bytes()].concat();
        list(key, (0..n).map(|ix| instruction(name(ix))).collect())
    };
    let lists: Vec<_> = lists.iter().map(|&(key, n)| names(key, n)).collect();
    [b"\x80\x02}(", &lists.concat()[..], b"u."].concat()
}

/// Writes the images of [`small_cifar10`] in the Python version.
fn small_python(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for (name, first, n) in [("data_batch_2", 7, 2), ("data_batch_1", 1, 3), ("test_batch", 4, 4)] {
        let pickle = batch(&cifar10_records(first, n), RECORD_BYTES, &[("labels", 0)]);
        fs::write(dir.join(name), pickle).unwrap();
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cifar_python");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn every_pickle_of_numpy_has_the_images_of_the_binary_version() {
    let mut expected = Split::new(SIZE);
    records::append(Path::new("x"), &fixture("batch.bin"), LAYOUT, &mut expected).unwrap();
    for name in ["python2", "protocol2", "protocol4", "protocol5", "fortran", "fortran5", "axes4"] {
        let mut split = Split::new(SIZE);
        let bytes = fixture(&format!("{name}.pickle"));
        let n = pickled::append(Path::new(name), &bytes, "labels", 10, &mut split);
        assert_eq!(n.map_err(|error| error.to_string()), Ok(2));
        assert!(split == expected, "{name}");
    }
    let mut split = Split::new(SIZE);
    let error =
        pickled::append(Path::new("x"), &fixture("signed.pickle"), "labels", 10, &mut split);
    assert!(error.unwrap_err().to_string().contains("images of type i1, not u1"));
}

#[test]
fn cifar10_is_the_same_dataset_in_both_versions() {
    let [binary, root] = [(); 2].map(|()| TempDir::new().unwrap());
    small_cifar10(binary.path());
    let dir = root.path().join("cifar-10-batches-py");
    small_python(&dir);
    let expected = load_named(binary.path()).unwrap().dataset;
    for named in [root.path(), &dir] {
        let dataset = load_named(named).unwrap().dataset;
        assert_eq!(dataset.fingerprint(), expected.fingerprint());
        assert!(dataset.train == expected.train && dataset.test == expected.test);
        assert_eq!(dataset.dir, Some(fs::canonicalize(&dir).unwrap()));
        assert_eq!(dataset.spec.classes, expected.spec.classes);
        for part in
            ["data_batch_1 3, data_batch_2 2, test_batch 4", "are data_batch_1 to data_batch_5:"]
        {
            assert!(dataset.warnings.iter().any(|warning| warning.contains(part)), "{part}");
        }
    }
    fs::write(dir.join("batches.meta"), meta(&[("label_names", 10)])).unwrap();
    assert_eq!(load_named(&dir).unwrap().dataset.spec.classes[7], "labe7");
    fs::write(dir.join("batches.meta"), meta(&[("label_names", 9)])).unwrap();
    assert!(error_of(&dir).to_string().contains("9 names for 10 classes"));
    fs::write(dir.join("batches.meta"), meta(&[("names", 10)])).unwrap();
    assert_names(&error_of(&dir), &dir.join("batches.meta"));
    // If both folders are there, the binary version is read, as before the Python version was.
    small_cifar10(&root.path().join("cifar-10-batches-bin"));
    let found = load_named(root.path()).unwrap().dataset.dir.unwrap();
    assert!(found.ends_with("cifar-10-batches-bin"), "{found:?}");
}

#[test]
fn cifar100_has_fine_and_coarse_labels_in_its_python_version() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("cifar-100-python");
    fs::create_dir(&dir).unwrap();
    let record =
        |[coarse, fine]: [u8; 2]| [&[coarse, fine][..], &vec![fine; SIZE.n_bytes()]].concat();
    let labels = [("fine_labels", 1), ("coarse_labels", 0)];
    let write = |name: &str, records: &[[u8; 2]]| {
        let records: Vec<u8> = records.iter().flat_map(|&labels| record(labels)).collect();
        fs::write(dir.join(name), batch(&records, 2 + SIZE.n_bytes(), &labels)).unwrap();
    };
    write("train", &[[3, 99], [19, 0], [0, 42]]);
    write("test", &[[7, 64]]);
    let load = |dir: &Path, options| {
        load_from(Source::Of(&Cifar100), Some(dir), None, Path::new("/no/such/folder"), options)
    };
    for named in [root.path(), &dir] {
        let fine = load(named, NO_OPTIONS).unwrap().dataset;
        assert_eq!((&fine.train.labels[..], &fine.test.labels[..]), (&[99, 0, 42][..], &[64][..]));
        assert_eq!(*fine.train.image(2), [42; SIZE.n_bytes()]);
        assert!(fine.warnings[0].contains("train 3, test 1"), "{:?}", fine.warnings);
        assert_eq!(load(named, COARSE).unwrap().dataset.train.labels, [3, 19, 0]);
    }
    fs::write(dir.join("meta"), meta(&[("fine_label_names", 100), ("coarse_label_names", 20)]))
        .unwrap();
    assert_eq!(load(&dir, NO_OPTIONS).unwrap().dataset.spec.classes[42], "fine42");
    assert_eq!(load(&dir, COARSE).unwrap().dataset.spec.classes[19], "coar19");
    // Each dataset recognises the other.
    let error = error_of(&dir);
    assert!(
        matches!(error, DataError::WrongVersion { version: Version::Cifar100, .. }),
        "{error:?}"
    );
    let other = TempDir::new().unwrap();
    small_python(other.path());
    let error = load(other.path(), NO_OPTIONS).unwrap_err();
    assert!(
        matches!(error, DataError::WrongVersion { version: Version::Cifar10, .. }),
        "{error:?}"
    );
}

#[test]
fn files_of_two_versions_in_a_folder_are_refused() {
    let dir = TempDir::new().unwrap();
    small_python(dir.path());
    fs::write(dir.path().join("data_batch_3.bin"), cifar10_records(0, 1)).unwrap();
    let error = error_of(dir.path());
    assert_names(&error, &dir.path().join("data_batch_1"));
    assert!(error.to_string().contains("data_batch_3.bin beside it"), "{error}");
}

#[test]
fn damaged_pickles_are_errors_with_the_name_of_the_file() {
    let whole = batch(&cifar10_records(1, 2), RECORD_BYTES, &[("labels", 0)]);
    let mut label = whole.clone();
    let n = whole.len();
    label[n - 4] = 10; // The last label is before the instructions `e`, `u` and `.`.
    let replaced = |from: &[u8], to: &[u8]| {
        let at = whole.windows(from.len()).position(|part| part == from).expect("there");
        [&whole[..at], to, &whole[at + from.len()..]].concat()
    };
    let dir = TempDir::new().unwrap();
    small_python(dir.path());
    let file = dir.path().join("data_batch_2");
    for (bytes, words) in [
        (whole[..n / 2].to_vec(), "truncated"),
        (whole[..n - 1].to_vec(), "truncated"),
        (Vec::new(), "is empty"),
        (label, "image 1 (counted from 0) has a label that is not 0 to 9"),
        (replaced(b"J\x02\0\0\0M", b"J\x03\0\0\0M"), "2 labels, and an array of 3 rows"),
        (replaced(b"](K\x01K\x02e", b"](K\x01e"), "1 labels, and an array of 2 rows"),
        (replaced(b"U\x04data", b"U\x04date"), "no entry \"data\""),
        (replaced(b"U\x06labels", b"U\x06lobels"), "no list \"labels\""),
        (b"cposix\nsystem\n(S'ls'\ntR.".to_vec(), "posix.system: a Python object"),
        (b"\x80\x02]".repeat(9), "truncated"),
        (cifar10_records(0, 1), "is not a file of CIFAR"),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = error_of(dir.path());
        assert_names(&error, &file);
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    fs::remove_file(dir.path().join("test_batch")).unwrap();
    fs::write(&file, whole).unwrap();
    let error = error_of(dir.path());
    assert!(matches!(error, DataError::MissingFile { partial: true, .. }), "{error:?}");
    assert_names(&error, &dir.path().join("test_batch"));
}
