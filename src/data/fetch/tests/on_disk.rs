//! Tests with files that exist before a fetch, and with unusual contents of archives whose checksum is right.

use std::fs::{self, File};
use std::path::Path;

use super::archives::{self, Content, packed, small_archive};
use super::server::Server;
use super::*;
use crate::data::cifar100;

#[test]
fn a_second_process_is_rejected() {
    let (_server, archive) = small([]);
    let mut place = Place::new();
    place.write_part(b"");
    let held = File::open(place.part()).unwrap();
    held.lock().unwrap();
    let error = place.fetch(&archive).expect_err("it is taken");
    assert!(matches!(error, FetchError::Busy { .. }), "{error:?}");
    // The lock also protects the unpacking of an archive that the user has downloaded by hand.
    let by_hand = place.root.path().join("data/cifar-10-binary.tar.gz");
    fs::write(&by_hand, small_archive()).unwrap();
    let error = place.fetch(&archive).expect_err("it is taken");
    assert!(matches!(error, FetchError::Busy { .. }), "{error:?}");
    fs::remove_file(by_hand).unwrap();
    assert!(place.part().exists(), "it belongs to another process");
    drop(held);
    place.fetch(&archive).unwrap();
    place.assert_done();
}

#[test]
fn an_archive_downloaded_by_hand_is_used_if_its_checksum_is_right() {
    let (server, archive) = small([]);
    let mut place = Place::new();
    fs::create_dir(place.root.path().join("data")).unwrap();
    let by_hand = place.root.path().join("data/cifar-10-binary.tar.gz");
    fs::write(&by_hand, small_archive()).unwrap();
    place.write_part(&small_archive()[..100]);
    place.fetch(&archive).unwrap();
    place.assert_reported("Found");
    assert_eq!(
        place.names(),
        [cifar10::FOLDER, "cifar-10-binary.tar.gz"],
        "the user's archive stays"
    );
    assert_eq!(server.asked(), []);

    fs::remove_dir_all(place.dir()).unwrap();
    fs::write(&by_hand, &small_archive()[..9000]).unwrap();
    place.fetch(&archive).unwrap();
    place.assert_reported("NotUsed");
    assert_eq!(fs::read(&by_hand).unwrap().len(), 9000, "the unused archive stays unchanged");
}

#[test]
fn existing_files_at_the_destination_stay() {
    let (server, archive) = small([]);
    let mut place = Place::new();
    fs::create_dir_all(place.dir()).unwrap();
    fs::write(place.dir().join("notes.txt"), "mine").unwrap();
    let error = place.fetch(&archive).expect_err("it is taken");
    assert!(matches!(error, FetchError::Occupied { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(place.dir().join("notes.txt")).unwrap(), "mine");
    assert_eq!(server.asked(), []);

    // An empty folder at the destination is replaced.
    fs::remove_file(place.dir().join("notes.txt")).unwrap();
    place.fetch(&archive).unwrap();
    place.assert_done();

    // If the path of the destination's parent folder belongs to a file, the fetch fails.
    let mut place = Place::new();
    fs::write(place.root.path().join("data"), "a file").unwrap();
    let error = place.fetch(&archive).expect_err("it is a file");
    assert!(matches!(error, FetchError::Io { .. } | FetchError::Occupied { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(place.root.path().join("data")).unwrap(), "a file");
}

#[test]
fn malicious_archives_are_rejected() {
    for (what, entries) in archives::hostile() {
        let file = packed(&entries);
        let server = Server::new(file.clone(), []);
        let mut place = Place::new();
        let error = place.fetch(&known(&file, server.url())).expect_err(what);
        assert!(matches!(error, FetchError::Archive { .. }), "{what}: {error:?}");
        assert_eq!(place.names(), ["cifar-10-binary.tar.gz.part"], "{what}");
        let outside = fs::read_dir(place.root.path()).unwrap().count();
        assert_eq!(outside, 1, "{what}: something was written outside");
        assert!(!Path::new("/tmp/wgrad-evil.bin").exists(), "{what}");
    }
}

#[test]
fn files_that_are_not_archives_are_rejected() {
    let whole = small_archive();
    for file in [b"".to_vec(), b"<html>".to_vec(), whole[..whole.len() / 2].to_vec()] {
        let server = Server::new(file.clone(), []);
        let mut place = Place::new();
        let error =
            place.fetch(&known(&file, server.url())).expect_err("the file is not an archive");
        assert!(matches!(error, FetchError::Archive { .. }), "{error:?}");
        assert!(!place.dir().exists());
    }
}

#[test]
fn entries_that_are_not_files_of_cifar10_stay_packed() {
    let mut entries: Vec<(String, Content)> = archives::cifar10_entries();
    for name in ["cifar-10-batches-bin/._test_batch.bin", "notes.txt", "a/b/../c"] {
        entries.push((name.to_string(), Content::File(b"x".to_vec())));
    }
    // A path with `..` is rejected even if it stays inside the folder.
    let climbing = packed(&entries);
    let server = Server::new(climbing.clone(), []);
    assert!(Place::new().fetch(&known(&climbing, server.url())).is_err());
    entries.pop();
    let file = packed(&entries);
    let server = Server::new(file.clone(), []);
    let mut place = Place::new();
    place.fetch(&known(&file, server.url())).unwrap();
    place.assert_done();
    place.assert_reported("Skipped(\"cifar-10-batches-bin/._test_batch.bin\")");
    place.assert_reported("Skipped(\"notes.txt\")");
}

#[test]
fn the_folder_of_a_killed_process_is_removed() {
    let (_server, archive) = small([]);
    let mut place = Place::new();
    let left = place.dir().with_file_name("cifar-10-batches-bin.part");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("test_batch.bin"), "half").unwrap();
    place.fetch(&archive).unwrap();
    place.assert_done();
}

#[test]
fn checksums_can_be_parsed_and_printed() {
    for (dataset, md5) in [
        (&cifar10::Cifar10 as &'static dyn DatasetSource, "c32a1d4ab5d03f1284b67883e8d87530"),
        (&cifar100::Cifar100, "03b5dce01913d631647c71ecec9e9cb8"),
    ] {
        let published = Archive::published(dataset, None).expect("an archive").md5;
        assert_eq!(published.to_string(), md5);
        assert_eq!(md5.to_uppercase().parse(), Ok(published));
    }
    for bad in ["", "c32a", "+32a1d4ab5d03f1284b67883e8d87530", "x32a1d4ab5d03f1284b67883e8d87530"]
    {
        assert!(bad.parse::<Md5Sum>().is_err(), "{bad:?}");
    }
    // The MD5 of an empty input, from RFC 1321.
    assert_eq!(md5_of_bytes(b"").to_string(), "d41d8cd98f00b204e9800998ecf8427e");
}

#[test]
fn only_an_archive_with_another_checksum_may_have_another_length() {
    let of = |url| Archive::published(&cifar10::Cifar10, url).expect("an archive");
    let published = of(Some("http://mirror/x".into()));
    assert_eq!(published.n_bytes, Some(170_052_171));
    assert_eq!(published.clone().with_md5(published.md5), published);
    assert_eq!(published.with_md5(Md5Sum([1; 16])).n_bytes, None);
    assert!(of(None).url.ends_with("/cifar-10-binary.tar.gz"));
    let cifar100 = Archive::published(&cifar100::Cifar100, None).expect("an archive");
    assert_eq!(cifar100.n_bytes, Some(168_513_733));
    assert_eq!(cifar100.destination(Path::new("d")), Path::new("d/cifar-100-binary"));
    assert_eq!(Archive::published(&crate::data::idx::MNIST, None), None);
}

#[test]
fn the_destination_is_the_named_folder_or_its_subfolder() {
    let archive = Archive::published(&cifar10::Cifar10, None).expect("an archive");
    for (named, meant) in [
        ("data", "data/cifar-10-batches-bin"),
        ("/d/cifar-10-batches-bin", "/d/cifar-10-batches-bin"),
        ("cifar-10-batches-bin/", "cifar-10-batches-bin"),
        (".", "./cifar-10-batches-bin"),
    ] {
        assert_eq!(archive.destination(Path::new(named)), Path::new(meant));
    }
}
