//! Tests of the layouts of a folder, and of the order of its pictures.

use std::fs;

use super::*;
use crate::data::cifar10::Cifar10;
use crate::data::{DatasetSource, Split};

const PICTURES: [&str; 6] =
    ["cat/1.png", "cat/10.PNG", "cat/more/2.png", "dog/0 ü.png", "dog/a.png", "Ёж/犬.png"];

#[test]
fn classes_are_folders_and_pictures_have_the_order_of_bytes() {
    let folder = Folder::new();
    // The pictures are written in the reverse order.
    PICTURES.iter().enumerate().rev().for_each(|(seed, file)| folder.draw(file, seed as u64));
    folder.draw("cat/.hidden.png", 9);
    folder.draw(".git/x/1.png", 9);
    folder.write("cat/notes.txt", "text");
    let dataset = folder.read(all_training()).expect("pictures");
    assert_eq!(dataset.spec.classes, ["cat", "dog", "Ёж"]);
    assert_eq!(files(&dataset), PICTURES.map(Path::new));
    assert_eq!(dataset.train.labels, [0, 0, 0, 1, 1, 2]);
    for (ix, seed) in (0..6).enumerate() {
        assert_eq!(dataset.train.image(ix), shapes::draw_train(seed, 1).image(0), "{ix}");
    }
    assert!(dataset.validation.is_empty() && dataset.test.is_empty());
    assert_eq!(dataset.warnings, [""; 0]);
    let description = format!("pictures in {}: 6 training images of 3 classes", dataset.name);
    assert_eq!(dataset.description, description);
    let other = Folder::with(&PICTURES).read(all_training()).expect("pictures");
    assert_eq!((&other.train, other.fingerprint()), (&dataset.train, dataset.fingerprint()));
}

#[test]
fn parts_are_folders() {
    for validation in ["val", "valid", "validation"] {
        let folder =
            Folder::with(&["train/a/1.png", "train/b/2.png", "test/b/3.png", "other/x.png"]);
        folder.draw(format!("{validation}/a/4.png"), 4);
        let dataset = folder.read(ReadOptions { side: Some(32), ..ReadOptions::default() });
        let dataset = dataset.expect("pictures");
        assert_eq!(files(&dataset), ["train/a/1.png", "train/b/2.png"].map(Path::new));
        let parts =
            [&dataset.validation, &dataset.test].map(|part| (&part.labels[..], &part.files[0]));
        let paths = [PathBuf::from(format!("{validation}/a/4.png")), "test/b/3.png".into()];
        assert_eq!(parts, [(&[0][..], &paths[0]), (&[1], &paths[1])]);
        assert_eq!(dataset.test.image(0), shapes::draw_train(2, 1).image(0));
        assert!(dataset.warnings[0].contains("other"), "{:?}", dataset.warnings);
        assert!(
            dataset.description.ends_with(": 2 training, 1 validation, 1 test images of 2 classes")
        );
    }
    let two = Folder::with(&["train/a/1.png", "val/a/2.png", "valid/a/3.png"]);
    assert!(two.error(all_training()).contains("val and valid"));
    let none = Folder::with(&["val/a/2.png", "test/a/3.png"]);
    assert!(none.error(all_training()).contains("no training part"));
    // A class may have the name of a part.
    let class = Folder::with(&["train/1.png", "bus/2.png"]).read(all_training()).expect("classes");
    assert_eq!(class.spec.classes, ["bus", "train"]);
}

#[test]
fn lists_keep_their_order_and_sort_numbers_as_numbers() {
    let folder = Folder::with(&["p/1.png", "p/2.png", "p/with, comma.png"]);
    folder.write("train.csv", "p/2.png,10\n\"p/with, comma.png\",9\np/2.png, 10\n");
    folder.write("test.csv", "file,width,label\np/1.png,32,9\n");
    let dataset = folder.read(ReadOptions { side: Some(32), ..ReadOptions::default() });
    let dataset = dataset.expect("pictures");
    assert_eq!(dataset.spec.classes, ["9", "10"]);
    assert_eq!(dataset.train.labels, [1, 0, 1]);
    assert_eq!(files(&dataset), ["p/2.png", "p/with, comma.png", "p/2.png"].map(Path::new));
    assert_eq!((&dataset.test.labels[..], dataset.validation.len()), (&[0][..], 0));
    // The same file in two lines is read from the cache, too.
    let again = folder.read(ReadOptions { side: Some(32), ..ReadOptions::default() });
    assert_eq!(again.expect("pictures").train, dataset.train);

    folder.write("train.csv", "\u{feff}file,label\np/1.png,10\np/2.png,9\np/1.png,cat\n");
    folder.write("test.csv", "file,label\n");
    let dataset = folder.read(all_training()).expect("pictures");
    assert_eq!(dataset.spec.classes, ["10", "9", "cat"]);
    for (text, words) in [
        ("p/1.png,a\np/2.png\n", "line 2 has 1 field,"),
        ("p/1.png,a\np/2.png,\n", "line 2"),
        ("p/1.png,a,b\n", "line 1 has 3 fields"),
        ("file,kind\np/1.png,a\n", "no column `label`"),
        ("", "no training pictures"),
    ] {
        folder.write("train.csv", text);
        let error = folder.error(all_training());
        assert!(error.contains(words), "{text:?}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_names_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let folder = Folder::with(&["a/1.png"]);
    let elsewhere = Folder::with(&["pictures/2.png"]);
    symlink(elsewhere.path().join("pictures"), folder.path().join("b")).expect("linked");
    symlink(elsewhere.path().join("pictures/2.png"), folder.path().join("a/3.png"))
        .expect("linked");
    symlink(folder.path(), folder.path().join("a/loop")).expect("linked");
    let odd = OsStr::from_bytes(b"c\xff/\xfe.png");
    folder.draw(odd, 5);
    let dataset = folder.read(all_training()).expect("pictures");
    assert_eq!(
        files(&dataset),
        [Path::new("a/1.png"), "a/3.png".as_ref(), "b/2.png".as_ref(), odd.as_ref()]
    );
    assert_eq!(dataset.spec.classes, ["a", "b", "c\\xff"]);
    assert_eq!(dataset.train.image(1), dataset.train.image(2));
    assert!(
        dataset.warnings[0].contains("a/loop is a link to a folder above"),
        "{:?}",
        dataset.warnings
    );
}

#[test]
fn folders_without_pictures_are_described() {
    let empty = Folder::new();
    assert!(empty.error(all_training()).contains("DIR/CLASS/"));
    let loose = Folder::with(&["1.png", "2.png"]);
    let error = loose.error(all_training());
    assert!(error.contains("1.png and 1 more in"), "{error}");
    let missing = PictureFolder::at(&empty.path().join("none")).expect("text");
    assert!(
        missing
            .read(Path::new(""), all_training())
            .unwrap_err()
            .to_string()
            .contains("no such folder")
    );
    empty.write("file", "text");
    let file = PictureFolder::at(&empty.path().join("file")).expect("text");
    assert!(matches!(file.read(Path::new(""), all_training()), Err(DataError::NotAFolder { .. })));
}

#[test]
fn classes_are_those_of_the_training_pictures() {
    let folder = Folder::with(&["train/a/1.png", "test/a/2.png"]);
    fs::create_dir(folder.path().join("train/b")).expect("made");
    let dataset = folder.read(all_training()).expect("pictures");
    assert_eq!(dataset.spec.classes, ["a"]);
    let warnings = dataset.warnings.join("\n");
    assert!(warnings.contains("train/b holds no pictures, so it is no class"), "{warnings}");
    assert!(warnings.contains("have one class, a, so there is nothing to learn"), "{warnings}");
    folder.draw("test/b/3.png", 3);
    assert!(folder.error(all_training()).contains("the class b is in"));
}

#[test]
fn two_pictures_are_a_dataset() {
    let folder = Folder::with(&["a/1.png", "b/1.png"]);
    let dataset = folder.read(ReadOptions { side: Some(96), ..ReadOptions::default() });
    let dataset = dataset.expect("pictures");
    assert_eq!((dataset.train.len(), dataset.evaluated().len()), (2, 0));
    assert!(dataset.warnings[0].contains("too few pictures"), "{:?}", dataset.warnings);
    let half = ReadOptions { held_out: Some(HeldOut::Part(0.999)), ..all_training() };
    assert!(folder.error(half).contains("leaves the class a without"));
}

/// Writes drawn images in the form of CIFAR-10 and as PNG with lists, and compares the two.
#[test]
fn lists_of_png_have_the_bytes_of_the_binary_files() {
    let (train, test) = (shapes::draw_train(3, 50), shapes::draw_test(3, 20));
    let (binary, folder) = (TempDir::new().expect("a folder"), Folder::new());
    let record = |split: &Split, ix: usize| [&[split.labels[ix] as u8], split.image(ix)].concat();
    for (file, ix) in (1..=5).map(|n| (format!("data_batch_{n}.bin"), 10 * (n - 1))) {
        let records: Vec<u8> = (ix..ix + 10).flat_map(|ix| record(&train, ix)).collect();
        fs::write(binary.path().join(file), records).expect("written");
    }
    let records: Vec<u8> = (0..20).flat_map(|ix| record(&test, ix)).collect();
    fs::write(binary.path().join("test_batch.bin"), records).expect("written");
    for (name, split) in [("train", &train), ("test", &test)] {
        let mut list = "file,label\n".to_string();
        for (ix, label) in split.labels.iter().enumerate() {
            folder.write(format!("{name}/{ix}.png"), png(split.image(ix), [32, 32]));
            list += &format!("{name}/{ix}.png,{label}\n");
        }
        folder.write(format!("{name}.csv"), list);
    }
    let expected = Cifar10.read(binary.path(), ReadOptions::default()).expect("records");
    let found = folder.read(ReadOptions { side: Some(32), ..ReadOptions::default() });
    let found = found.expect("pictures");
    for (found, expected) in [(found.train, expected.train), (found.test, expected.test)] {
        assert!(found.images == expected.images && found.labels == expected.labels);
    }
}

/// Mean and standard deviation are those of the training pictures alone, over all pixels.
#[test]
fn mean_and_deviation_are_measured() {
    let folder = Folder::new();
    let planes = |red: u8| [[red; 64], [10; 64], [250; 64]].concat();
    for (file, red) in [("train/a/1.png", 0), ("train/b/2.png", 100), ("test/a/3.png", 255)] {
        folder.write(file, png(&planes(red), [8, 8]));
    }
    let dataset = folder.read(ReadOptions { side: Some(8), ..ReadOptions::default() });
    let dataset = dataset.expect("pictures");
    assert_eq!(dataset.spec.mean, [50.0 / 255.0, 10.0 / 255.0, 250.0 / 255.0]);
    assert_eq!(dataset.spec.standard_deviation, [50.0 / 255.0, 1.0, 1.0]);
    assert!(dataset.warnings[0].contains("green, blue"), "{:?}", dataset.warnings);
}

#[test]
fn the_held_out_part_changes_one_hash_and_not_the_other() {
    let names: Vec<String> = (0..40).map(|ix| format!("{}/{ix}.png", ["a", "b"][ix % 2])).collect();
    let folder = Folder::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let all = folder.read(all_training()).expect("pictures");
    let part = |part| ReadOptions { held_out: Some(HeldOut::Part(part)), ..all_training() };
    let held = folder.read(part(0.3)).expect("pictures");
    assert_eq!(held.whole_fingerprint(), all.whole_fingerprint());
    assert_ne!(held.fingerprint(), all.fingerprint());
    assert_eq!(held.train.len() + held.validation.len(), 40);
    for split in [&held.train, &held.validation] {
        assert!(split.files.is_sorted() && !split.is_empty());
        for (ix, file) in split.files.iter().enumerate() {
            let at = all.train.files.iter().position(|other| other == file).expect("there");
            assert_eq!(split.image(ix), all.train.image(at));
            assert_eq!(split.labels[ix], all.train.labels[at]);
        }
    }
    let larger = ReadOptions { side: Some(48), ..part(0.3) };
    let larger = folder.read(larger).expect("pictures");
    assert_eq!(larger.whole_fingerprint(), all.whole_fingerprint());
    assert_eq!(larger.fingerprint(), held.fingerprint());
    folder.draw("a/0.png", 77);
    assert_ne!(
        folder.read(all_training()).expect("pictures").whole_fingerprint(),
        all.whole_fingerprint()
    );
}
