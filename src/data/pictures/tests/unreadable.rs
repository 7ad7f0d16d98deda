//! Tests of pictures that cannot be read, and of odd ones that can.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::data::{ImageSize, Progress};

#[test]
fn all_unreadable_pictures_are_reported_together() {
    let folder = Folder::with(&["a/1.png", "b/2.png"]);
    folder.write("a/text.jpg", "text");
    folder.write("a/phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    folder.write("b/empty.png", "");
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", folder.path().join("b/link.png")).expect("linked");
    // The second reading finds the reasons in the file of decoded pictures.
    for _ in 0..2 {
        let Err(DataError::Pictures(PicturesError::Unreadable { pictures, .. })) =
            folder.read(all_training())
        else {
            panic!("they were read")
        };
        let reason = |name: &str| {
            let of_name = pictures.iter().find(|picture| picture.path.ends_with(name));
            of_name.map(|picture| picture.reason.clone()).unwrap_or_default()
        };
        assert!(reason("text.jpg").contains("neither PNG nor JPEG"));
        assert!(reason("phone.heic").contains("heif-convert"));
        assert!(reason("empty.png").contains("empty"));
        #[cfg(unix)]
        assert!(reason("link.png").contains("No such file"));
        assert_eq!(pictures.len(), if cfg!(unix) { 4 } else { 3 });
    }
    let error = folder.error(all_training());
    let lines: Vec<&str> = error.lines().map(str::trim_start).collect();
    assert!(lines[0].ends_with("pictures cannot be read"), "{error}");
    assert!(lines[1].starts_with("a/phone.heic: "), "{error}");

    let some = ReadOptions { skip_bad: true, ..all_training() };
    let dataset = folder.read(some).expect("the others");
    assert_eq!(files(&dataset), ["a/1.png", "b/2.png"].map(Path::new));
    assert_eq!(dataset.train.image(1), shapes::draw_train(1, 1).image(0));
    assert!(dataset.warnings[0].contains("and others"), "{:?}", dataset.warnings);

    folder.write("b/2.png", "");
    assert!(folder.error(some).contains("no training picture of the class b can be read"));
}

#[test]
fn a_long_list_of_unreadable_pictures_is_cut() {
    let folder = Folder::new();
    (0..25).for_each(|ix| folder.write(format!("a/{ix:02}.png"), "text"));
    let error = folder.error(all_training());
    assert!(error.contains("25 pictures") && error.contains("a/19.png"), "{error}");
    assert!(error.ends_with("and 5 pictures more") && !error.contains("a/20.png"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_reported_with_the_others() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::with(&["a/1.png", "b/in/2.png", "c/3.png"]);
    let closed = folder.path().join("b/in");
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).expect("set");
    if fs::read_dir(&closed).is_ok() {
        return; // The administrator can read everything.
    }
    folder.write("c/text.png", "text");
    let error = folder.error(all_training());
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).expect("set");
    assert!(error.contains("2 pictures cannot"), "{error}");
    assert!(error.contains("b/in: Permission denied") && error.contains("c/text.png"), "{error}");
}

#[test]
fn very_long_pictures_are_read() {
    let folder = Folder::with(&["a/1.png"]);
    let row = |shift: usize| (0..30_000).map(move |x| ((x + shift) / 118) as u8);
    let planes: Vec<u8> = (0..3 * 10).flat_map(|y| row(y * 7)).collect();
    folder.write("b/long.png", png(&planes, [10, 30_000]));
    let tall: Vec<u8> = (0..3 * 30_000).flat_map(|y| [(y / 360) as u8; 10]).collect();
    folder.write("b/tall.png", png(&tall, [30_000, 10]));
    let options = ReadOptions { side: Some(96), whole_pictures: true, ..all_training() };
    let dataset = folder.read(options).expect("pictures");
    let sizes: Vec<ImageSize> = (0..3).map(|ix| dataset.train.image_size(ix)).collect();
    assert_eq!(sizes, [[32, 32, 3], [10, 20, 3], [20, 10, 3]].map(ImageSize::from));
    assert_eq!(dataset.train.largest_image(), 3 * 32 * 32);
    assert_eq!(dataset.train.pieces().flatten().count(), 3 * 3 * 96 * 96);
}

#[test]
fn the_progress_counts_decoded_pictures() {
    static LAST: AtomicUsize = AtomicUsize::new(usize::MAX);
    let folder = Folder::new();
    (0..130).for_each(|ix| folder.draw(format!("a/{ix}.png"), ix));
    let progress = Some(Progress(|done, all| {
        assert!(done <= all && all == 130);
        LAST.store(done, Ordering::Relaxed);
    }));
    let options = ReadOptions { progress, ..all_training() };
    folder.read(options).expect("pictures");
    assert_ne!(LAST.swap(7, Ordering::Relaxed), usize::MAX);
    folder.read(options).expect("pictures");
    assert_eq!(LAST.load(Ordering::Relaxed), 7, "decoded again");
}
