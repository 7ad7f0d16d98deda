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
    let record =
        |split: &Split, ix: usize| [&[split.labels[ix] as u8][..], &split.image(ix)].concat();
    for (file, ix) in (1..=5).map(|n| (format!("data_batch_{n}.bin"), 10 * (n - 1))) {
        let records: Vec<u8> = (ix..ix + 10).flat_map(|ix| record(&train, ix)).collect();
        fs::write(binary.path().join(file), records).expect("written");
    }
    let records: Vec<u8> = (0..20).flat_map(|ix| record(&test, ix)).collect();
    fs::write(binary.path().join("test_batch.bin"), records).expect("written");
    for (name, split) in [("train", &train), ("test", &test)] {
        let mut list = "file,label\n".to_string();
        for (ix, label) in split.labels.iter().enumerate() {
            folder.write(format!("{name}/{ix}.png"), png(&split.image(ix), [32, 32]));
            list += &format!("{name}/{ix}.png,{label}\n");
        }
        folder.write(format!("{name}.csv"), list);
    }
    let expected = Cifar10.read(binary.path(), ReadOptions::default()).expect("records");
    let found = folder.read(ReadOptions { side: Some(32), ..ReadOptions::default() });
    let found = found.expect("pictures");
    for (found, expected) in [(found.train, expected.train), (found.test, expected.test)] {
        assert!(found.pieces().eq(expected.pieces()) && found.labels == expected.labels);
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
    assert!(dataset.warnings[1].contains("green, blue"), "{:?}", dataset.warnings);
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

/// The order of the pictures stays, so only their parts tell the two apart.
#[test]
fn the_hash_depends_on_the_held_out_part_alone() {
    let folder = Folder::with(&["p/1.png", "p/2.png", "p/3.png"]);
    let list = |files: &[&str]| files.iter().map(|file| format!("{file},a\n")).collect::<String>();
    folder.write("train.csv", list(&["p/1.png", "p/2.png", "p/3.png"]));
    let held_out = Some(HeldOut::Number(1));
    let held = ReadOptions { held_out, ..all_training() };
    let last = folder.read(held).expect("pictures").validation.files[0].clone();
    let mut files = ["p/1.png", "p/2.png", "p/3.png"];
    files.sort_by_key(|file| last == Path::new(file));
    folder.write("train.csv", list(&files));
    let [held, all] = [held, all_training()].map(|options| folder.read(options).expect("pictures"));
    assert_eq!(held.whole_fingerprint(), all.whole_fingerprint());
    assert_ne!(held.fingerprint(), all.fingerprint());
}

#[test]
fn large_letters_come_first_in_the_order_of_bytes() {
    let names = ["B/1.png", "B/b.png", "a/B.png", "a/a.png", "a/Ä.png", "a/ä.png"];
    let folder = Folder::with(&names);
    assert_eq!(files(&folder.read(all_training()).expect("pictures")), names.map(Path::new));
}

#[test]
fn large_letters_in_the_names_of_parts_do_not_matter() {
    for [train, validation, test] in [
        ["Train", "Valid", "Test"],
        ["TRAIN", "VAL", "TEST"],
        ["Training", "Validation", "Testing"],
    ] {
        let folder = Folder::with(&[]);
        for (ix, part) in [train, validation, test].into_iter().enumerate() {
            folder.draw(format!("{part}/a/{ix}.png"), ix as u64);
            folder.draw(format!("{part}/b/{ix}.png"), 9);
        }
        let dataset = folder.read(ReadOptions { held_out: None, ..all_training() });
        let dataset = dataset.expect("pictures");
        assert_eq!(dataset.spec.classes, ["a", "b"], "{train}");
        let splits = [&dataset.train, &dataset.validation, &dataset.test];
        for (ix, split) in splits.into_iter().enumerate() {
            assert_eq!(split.len(), 2, "{train}");
            assert_eq!(split.image(0), shapes::draw_train(ix as u64, 1).image(0), "{train}");
        }
        assert_eq!(dataset.warnings, [""; 0]);
        // A second folder of a part is refused. On some systems the first of these is the folder that is there.
        for other in ["train", "TraininG"] {
            folder.draw(format!("{other}/a/1.png"), 1);
        }
        let error = folder.error(all_training());
        assert!(error.contains("has two training parts, "), "{error}");
    }
    let lists = Folder::with(&["p/1.png", "p/2.png"]);
    lists.write("Train.CSV", "p/1.png,a\np/2.png,b\n");
    assert_eq!(lists.read(all_training()).expect("a list").train.labels, [0, 1]);
    lists.write("training.csv", "p/1.png,a\n");
    assert!(lists.error(all_training()).contains("a second list of training pictures"));
}

#[test]
fn classes_that_no_part_measures_are_named_in_one_line() {
    let folder = Folder::with(&["train/a/1.png", "test/a/2.png"]);
    for class in ["b", "c", "d", "e", "f"] {
        folder.draw(format!("train/{class}/1.png"), 3);
    }
    folder.draw("test/f/1.png", 3);
    let read = || folder.read(ReadOptions { held_out: None, ..all_training() }).expect("pictures");
    assert_eq!(read().warnings, ["4 classes have no test picture: b, c, d and 1 more"]);
    for class in ["b", "c", "d"] {
        folder.draw(format!("test/{class}/1.png"), 3);
    }
    assert_eq!(read().warnings, ["1 class has no test picture: e"]);
    ["x", "y", "z", "w"].into_iter().for_each(|name| {
        fs::create_dir(folder.path().join("train").join(name)).expect("made");
    });
    let train = folder.path().canonicalize().expect("there").join("train");
    let line = format!(
        "4 folders in {} hold no pictures, so they are no classes: w, x, y and 1 more",
        train.display()
    );
    assert_eq!(read().warnings[0], line);

    // A held-out part that misses a class. The hash of "1/x13.png" is below 0.1, that of "0/x13.png" is not.
    let held = Folder::with(&["a/1.png", "b/2.png", "b/3.png"]);
    let options = ReadOptions { held_out: Some(HeldOut::Number(1)), ..all_training() };
    let warnings = held.read(options).expect("pictures").warnings;
    assert_eq!(warnings, ["1 class has no validation picture: a"]);
}

#[test]
fn lists_in_another_encoding_and_unreadable_ones_are_named_with_the_fix() {
    let folder = Folder::with(&["p/1.png"]);
    let text = "file,label\np/1.png,Hündin\n";
    let latin: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    };
    let with_mark = |mark: [u8; 2], bytes: Vec<u8>| [&mark[..], &bytes].concat();
    for (bytes, words) in [
        (latin, "line 2 has the byte 0xfc, which is not UTF-8, so the list is probably in Latin-1"),
        (utf16(u16::to_le_bytes), "the list is in UTF-16"),
        (with_mark([0xff, 0xfe], utf16(u16::to_le_bytes)), "the list is in UTF-16"),
        (with_mark([0xfe, 0xff], utf16(u16::to_be_bytes)), "the list is in UTF-16"),
    ] {
        folder.write("train.csv", bytes);
        let error = folder.error(all_training());
        assert!(error.contains(words), "{words}: {error}");
        assert!(
            error.contains("train.csv") && error.ends_with("; save the list as UTF-8"),
            "{error}"
        );
    }
    folder.write("train.csv", text);
    assert_eq!(folder.read(all_training()).expect("a list").spec.classes, ["Hündin"]);
    #[cfg(unix)]
    {
        fs::remove_file(folder.path().join("train.csv")).expect("removed");
        std::os::unix::fs::symlink("nowhere", folder.path().join("train.csv")).expect("linked");
        let Err(error @ DataError::Unreadable { .. }) = folder.read(all_training()) else {
            panic!("it was accepted")
        };
        assert!(error.to_string().contains("train.csv cannot be read"), "{error}");
        let reason = std::error::Error::source(&error).expect("a reason").to_string();
        assert!(reason.contains("No such file"), "{reason}");
    }
}
