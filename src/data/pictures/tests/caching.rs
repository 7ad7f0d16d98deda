//! Tests of the file of decoded pictures.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::super::cache::{Cache, Entry, Key, Stamp, Writer};
use super::*;
use crate::data::Progress;

/// Replaces a picture by another one of the same length and with the same time.
fn replace_unnoticed(folder: &Folder, file: &str) {
    let path = folder.path().join(file);
    let old = fs::read(&path).expect("there");
    let time = fs::metadata(&path).and_then(|data| data.modified()).expect("a time");
    fs::write(&path, vec![b'x'; old.len()]).expect("written");
    set_time(&path, time);
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("set");
}

/// Returns the only file in the folder of decoded pictures.
fn cache_file(folder: &Folder) -> PathBuf {
    let files: Vec<_> = fs::read_dir(folder.cache()).expect("there").flatten().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].path()
}

/// The number of pictures that the latest reading decoded.
static N_DECODED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn unchanged_files_are_not_read_again() {
    let folder = Folder::with(&["a/1.png", "a/2.png", "b/3.png"]);
    let progress = Some(Progress(|_, all| N_DECODED.store(all, Ordering::Relaxed)));
    let read = || {
        N_DECODED.store(0, Ordering::Relaxed);
        let dataset = folder.read(ReadOptions { progress, ..all_training() }).expect("pictures");
        (dataset, N_DECODED.load(Ordering::Relaxed))
    };
    let (first, n) = read();
    assert_eq!(n, 3);
    let written =
        fs::metadata(cache_file(&folder)).and_then(|data| data.modified()).expect("a time");
    let (second, n) = read();
    assert_eq!(n, 0);
    assert_eq!((&second.train, second.fingerprint()), (&first.train, first.fingerprint()));
    assert_eq!(second.spec, first.spec);
    let now = fs::metadata(cache_file(&folder)).and_then(|data| data.modified()).expect("a time");
    assert_eq!(now, written);

    // A new picture, a removed one, and one with another content: the unchanged one is kept.
    folder.draw("a/0.png", 50);
    folder.draw("b/3.png", 51);
    fs::remove_file(folder.path().join("a/1.png")).expect("removed");
    let (third, n) = read();
    assert_eq!(n, 2);
    assert_eq!(files(&third), ["a/0.png", "a/2.png", "b/3.png"].map(Path::new));
    for (ix, seed) in [50, 1, 51].into_iter().enumerate() {
        assert_eq!(third.train.image(ix), shapes::draw_train(seed, 1).image(0), "{ix}");
    }
    // The first dataset still has the pixels of the replaced file.
    assert_eq!(first.train.image(0), shapes::draw_train(0, 1).image(0));
    // A later time alone is a change.
    set_time(&folder.path().join("a/2.png"), SystemTime::now());
    assert_eq!(read().1, 1);
}

/// Two pictures that change places keep their lengths and, as after `mv`, their times.
#[cfg(unix)]
#[test]
fn renamed_files_of_equal_length_and_time_are_read_again() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    folder.read(all_training()).expect("pictures");
    replace_unnoticed(&folder, "b/2.png");
    assert!(folder.error(all_training()).contains("b/2.png: neither"));
}

#[test]
fn damaged_files_are_written_again() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    // The file is changed in place below, so nothing may map it.
    let images = |folder: &Folder| {
        folder.read(all_training()).expect("pictures").train.pieces().collect::<Vec<_>>()
    };
    let expected = images(&folder);
    let path = cache_file(&folder);
    let good = fs::read(&path).expect("there");
    let n = good.len();
    let flipped = |at: usize| [&good[..at], &[good[at] ^ 1], &good[at + 1..]].concat();
    let truncated = [0, 20, n / 2, n - 1].map(|n| good[..n].to_vec());
    let damaged = [0, 9, 17, 24, 33, 50, n - 100, n - 1].map(flipped);
    let longer = [&good[..], &[0]].concat();
    for bytes in truncated.into_iter().chain(damaged).chain([longer]) {
        fs::write(&path, bytes).expect("written");
        assert!(images(&folder) == expected);
        assert!(fs::read(&path).expect("there") == good);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_no_obstacle() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    fs::write(folder.cache(), "a file").expect("written");
    let dataset = folder.read(all_training()).expect("pictures");
    assert_eq!(dataset.train.image(1), shapes::draw_train(1, 1).image(0));
    let without =
        reading::read(PictureFolder::at(&folder.path()).expect("text"), all_training(), None);
    assert_eq!(without.expect("pictures").train, dataset.train);
    assert_eq!(fs::read(folder.cache()).expect("there"), b"a file");
}

#[test]
fn whole_pictures_are_added_to_the_inputs() {
    let folder = Folder::with(&["train/a/1.png", "test/a/2.png"]);
    let planes: Vec<u8> = (0..3 * 40 * 60).map(|ix: u32| (ix / 40) as u8).collect();
    folder.write("train/b/3.png", png(&planes, [40, 60]));
    let inputs = folder.read(all_training()).expect("pictures");
    static N_DECODED: AtomicUsize = AtomicUsize::new(0);
    let progress = Some(Progress(|_, all| N_DECODED.store(all, Ordering::Relaxed)));
    let options = ReadOptions { whole_pictures: true, progress, ..all_training() };
    for _ in 0..2 {
        N_DECODED.store(0, Ordering::Relaxed);
        let whole = folder.read(options).expect("pictures");
        assert!(whole.train.pieces().eq(inputs.train.pieces()) && whole.test == inputs.test);
        assert_eq!(whole.train.image_size(0), [32, 32, 3].into());
        // The shorter side of 40 becomes 37, 8/7 of 32.
        assert_eq!(whole.train.image_size(1), [37, 55, 3].into());
        assert_eq!(whole.train.image(1).len(), 37 * 55 * 3);
        assert_eq!(whole.train.largest_image(), (37 * 55 * 3_usize).next_multiple_of(4));
        assert_eq!(whole.train.image(0), inputs.train.image(0));
        let last = whole.train.select(&[1]);
        assert_eq!((last.len(), last.image(0)), (1, whole.train.image(1)));
        assert_eq!(last.files, [PathBuf::from("train/b/3.png")]);
        assert_eq!(whole.train.mirrored().image_size(1), [32, 32, 3].into());
        assert!(whole.test.stored.is_none());
    }
    // The second reading decoded nothing.
    assert_eq!(N_DECODED.load(Ordering::Relaxed), 0);
    // A reading without whole pictures uses the same file.
    assert_eq!(folder.read(all_training()).expect("pictures").train, inputs.train);
    cache_file(&folder);
}

#[test]
fn entries_survive_the_file() {
    let root = TempDir::new().expect("a folder");
    let cache = root.path().join("deep");
    let key = |side| Key { dir: root.path().into(), side, background: [255; 3] };
    let path = cache.join(key(2).file_name());
    let entry = |name: &[u8]| Entry {
        path: name.to_vec(),
        stamp: Stamp { length: 7, modified: -5, changed: 3 },
        hash: [3; 32],
        sums: [1, 2, 3],
        squares: [4, 5, 6],
        ..Entry::default()
    };
    let mut writer = Writer::create(Some(&cache), &key(2), 3).expect("a file");
    let whole = Entry { whole_size: [1, 2], ..entry(b"a") };
    writer.push(whole, &[1; 12], &[2; 6]).expect("written");
    let bad = Entry { reason: "no picture".to_string(), ..entry(b"b\xff") };
    writer.push(bad, &[], &[]).expect("written");
    assert!(Cache::open(&path, &key(2)).is_none());
    writer.push(entry(b"c"), &[3; 12], &[]).expect("written");
    let written = writer.finish().expect("written");
    let read = Cache::open(&path, &key(2)).expect("complete");
    assert_eq!(read.entries, written.entries);
    let [first, bad, last] = &read.entries[..] else { panic!("three entries") };
    assert_eq!((read.input(first), read.whole(first)), (&[1; 12][..], &[2; 6][..]));
    assert_eq!((read.input(last), read.whole(last)), (&[3; 12][..], &[][..]));
    assert!(read.input(bad).is_empty() && !bad.is_picture() && bad.path == b"b\xff");
    assert!(Cache::open(&path, &key(3)).is_none());
    // An unfinished file is removed.
    drop(Writer::create(Some(&cache), &key(2), 1).expect("a file"));
    assert_eq!(fs::read_dir(&cache).expect("there").count(), 1);
}

/// Returns the names of the files in the folder of decoded pictures, sorted.
fn cache_names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.cache()).expect("there").flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn another_held_out_part_decodes_nothing_and_keeps_the_file() {
    static N_DECODED: AtomicUsize = AtomicUsize::new(0);
    let folder = Folder::new();
    (0..20).for_each(|ix| folder.draw(format!("{}/{ix}.png", ["a", "b"][ix % 2]), ix as u64));
    let progress = Some(Progress(|_, all| N_DECODED.store(all, Ordering::Relaxed)));
    for whole_pictures in [false, true] {
        let read = |held_out: HeldOut| {
            N_DECODED.store(0, Ordering::Relaxed);
            let held_out = Some(held_out);
            let options = ReadOptions { progress, whole_pictures, held_out, ..all_training() };
            let dataset = folder.read(options).expect("pictures");
            (dataset, N_DECODED.load(Ordering::Relaxed))
        };
        let (held, n) = read(HeldOut::Number(5));
        assert_eq!((held.validation.len(), n), (5, 20));
        let written = fs::metadata(cache_file(&folder)).expect("there").modified().expect("a time");
        for held_out in [HeldOut::Part(0.4), HeldOut::NONE, HeldOut::Number(5)] {
            let (dataset, n) = read(held_out);
            assert_eq!(n, 0, "{held_out}");
            for split in [&dataset.train, &dataset.validation] {
                for (ix, file) in split.files.iter().enumerate() {
                    let seed = file.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
                    let drawn = shapes::draw_train(seed.expect("a number"), 1);
                    assert_eq!(split.image(ix), drawn.image(0), "{file:?}");
                }
            }
        }
        let now = fs::metadata(cache_file(&folder)).expect("there").modified().expect("a time");
        assert_eq!(now, written);
    }
}

#[test]
fn decoded_pictures_of_folders_that_are_gone_are_removed() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    let root = folder.path();
    let read = |name: &str| {
        let pictures = PictureFolder::at(&folder.root.path().join(name)).expect("text");
        reading::read(pictures, all_training(), Some(&folder.cache())).expect("pictures")
    };
    let copy = |name: &str| {
        for file in ["a/1.png", "b/2.png"] {
            let path = folder.root.path().join(name).join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::copy(root.join(file), path).expect("copied");
        }
    };
    ["gone", "kept"].into_iter().for_each(copy);
    let gone = read("gone");
    let first = cache_names(&folder);
    read("kept");
    let [own, other, text] =
        [first[0].clone(), "0123456789abcdef.pixels".to_string(), "notes.pixels".to_string()];
    // A file under a name that its contents do not give, and one that is no file of decoded pictures.
    fs::copy(folder.cache().join(&own), folder.cache().join(&other)).expect("copied");
    fs::write(folder.cache().join(&text), "text").expect("written");
    let path = folder.root.path().join("gone");
    fs::rename(&path, folder.root.path().join("moved")).expect("renamed");
    // A run that writes nothing removes nothing.
    read("kept");
    assert!(cache_names(&folder).contains(&own));
    read("data");
    let names = cache_names(&folder);
    assert!(!names.contains(&own) && names.contains(&other) && names.contains(&text), "{names:?}");
    assert_eq!(names.len(), 4, "{names:?}");
    // A dataset in memory keeps its pixels.
    if cfg!(unix) {
        assert_eq!(gone.train.image(1), shapes::draw_train(1, 1).image(0));
    }
}

#[test]
fn files_of_interrupted_processes_are_removed_and_those_of_others_stay() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    fs::create_dir(folder.cache()).expect("made");
    let path = |name: &str| folder.cache().join(format!("{name}.wgrad-tmp"));
    let long_ago = SystemTime::now() - std::time::Duration::from_secs(600);
    for name in ["abandoned", "locked", "new"] {
        fs::write(path(name), "text").expect("written");
    }
    ["abandoned", "locked"].into_iter().for_each(|name| set_time(&path(name), long_ago));
    let lock = File::open(path("locked")).expect("there");
    lock.lock().expect("locked");
    folder.read(all_training()).expect("pictures");
    let left = ["abandoned", "locked", "new"].map(|name| path(name).exists());
    assert_eq!(left, [false, true, true]);
}

#[test]
fn decoding_stops_on_request_and_leaves_the_cache_as_it_was() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    let before = folder.read(all_training()).expect("pictures");
    let file = fs::read(cache_file(&folder)).expect("there");
    (3..300).for_each(|ix| folder.write(format!("a/{ix}.png"), png(&[9; 3], [1, 1])));
    // The first calls are in front of the decoding, one for each picture.
    for n_calls in [0, 299, 310, 450, 590] {
        let n = AtomicUsize::new(0);
        let stop = || n.fetch_add(1, Ordering::Relaxed) >= n_calls;
        let stop = Some(crate::data::Stop(&stop));
        let result = folder.read(ReadOptions { stop, ..all_training() });
        assert!(
            matches!(result, Err(DataError::Pictures(PicturesError::Interrupted))),
            "{n_calls}: {result:?}"
        );
        assert!(n.load(Ordering::Relaxed) < n_calls + 8 + rayon::current_num_threads(), "goes on");
        assert!(fs::read(cache_file(&folder)).expect("there") == file, "{n_calls}");
    }
    assert_eq!(before.train.image(1), shapes::draw_train(1, 1).image(0));
    let stop = Some(crate::data::Stop(&|| false));
    assert_eq!(
        folder.read(ReadOptions { stop, ..all_training() }).expect("pictures").train.len(),
        299
    );
}

#[test]
fn a_picture_of_several_parts_has_its_whole_picture_and_backgrounds_have_files_of_their_own() {
    let folder = Folder::new();
    let planes: Vec<u8> = (0..3 * 40 * 60).map(|ix: u32| (ix / 40) as u8).collect();
    folder.write("p/1.png", png(&planes, [40, 60]));
    folder.write("p/2.png", transparent());
    folder.write("train.csv", "p/1.png,a\np/2.png,b\n");
    folder.write("test.csv", "p/1.png,a\n");
    for background in [[255; 3], [0, 50, 100], [255; 3]] {
        let options =
            ReadOptions { whole_pictures: true, background: Some(background), ..all_training() };
        let dataset = folder.read(options).expect("pictures");
        assert_eq!(dataset.train.image_size(0), [37, 55, 3].into());
        let image = dataset.train.image(1);
        let colours = [0, 1, 2].map(|channel| image[channel * image.len() / 3]);
        assert_eq!(colours, background);
    }
}

/// Returns a PNG of one transparent pixel.
fn transparent() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&[9, 9, 9, 0]).expect("a pixel");
    writer.finish().expect("an end");
    bytes
}
