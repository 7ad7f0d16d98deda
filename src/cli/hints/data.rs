//! Hints for datasets: files that are damaged or missing, and downloads that fail.

use std::path::Path;
use std::{fs, io};

use wgrad::base::shown::{Shown, escaped, quoted};
use wgrad::base::units::readable_bytes;
use wgrad::data::fetch::FetchError;
use wgrad::data::pictures::PicturesError;
use wgrad::data::{
    DATASETS, DataError, DatasetSource, Files, LoadError, Loaded, PublishedArchive, Source,
};

/// Adds sentences about how to get CIFAR-10 to the notice that the built-in shapes replace CIFAR-10. Returns a dataset
/// without a notice unchanged.
pub fn advised(mut loaded: Loaded) -> Loaded {
    if let Some(notice) = &mut loaded.notice {
        let cifar10 = Source::CIFAR10.dataset();
        let nearby = notice.nearby.as_ref().map(|error| hint_of_files(error, cifar10));
        notice.advice = nearby.iter().map(|hint| sentence(hint)).collect();
        let how_to_get_it = sentence(&how_to_get(cifar10));
        if !notice.advice.contains(&how_to_get_it) {
            notice.advice.push(how_to_get_it);
        }
    }
    loaded
}

/// Returns a hint as a sentence, with a capital letter and a full stop. Hints are written without these, because errors
/// print hints after the word `hint: `.
fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}.", first.map(String::from).unwrap_or_default(), letters.as_str())
}

/// Returns the hint for a dataset that cannot be used.
pub fn hint_of_data(error: &LoadError, has: &dyn Fn(&str) -> bool) -> String {
    if matches!(error.cause, DataError::Pictures(PicturesError::Unreadable { .. })) {
        let leave_out = if has("--skip-bad") { "--skip-bad leaves them out; " } else { "" };
        let folder = quoted(&escaped(error.dataset.name()));
        return format!("{leave_out}`wgrad data {folder}` reports on the folder without training");
    }
    if let DataError::Pictures(PicturesError::NoPictures { dir, .. }) = &error.cause
        && let Some(hint) = hint_of_published(dir, has)
    {
        return hint;
    }
    hint_of_files(&error.cause, error.dataset)
}

/// Returns the hint for a folder that should have pictures, and has the files of a published dataset instead; None for
/// another folder.
fn hint_of_published(dir: &Path, has: &dyn Fn(&str) -> bool) -> Option<String> {
    let entries = fs::read_dir(dir).ok()?.flatten().filter(|entry| entry.path().is_file());
    let names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let has_files = |files: &Files| names.iter().any(|name| (files.is_file)(name));
    let mut found = DATASETS.iter().filter(|dataset| dataset.files().is_some_and(has_files));
    let first = found.next()?;
    let titles =
        found.fold(first.title().to_string(), |all, next| format!("{all} or {}", next.title()));
    let flags = format!("--data {} --data-dir {}", first.name(), dir.in_command());
    Some(match has("--data") && has("--data-dir") {
        true => format!("these are files of {titles}: read them with {flags}"),
        false => format!("these are files of {titles}: `wgrad train {flags}` reads them"),
    })
}

/// Returns the hint for an error in the files of a dataset. For a dataset without published files it is empty, unless the
/// user has no permission.
fn hint_of_files(error: &DataError, dataset: &dyn DatasetSource) -> String {
    let Some(files) = dataset.files() else {
        return match error {
            DataError::Unreadable { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                "give yourself permission to read it".to_string()
            }
            _ => String::new(),
        };
    };
    let again = match &files.archive {
        Some(archive) => {
            format!("unpack {} again, or download it again from {}", archive.name, files.page)
        }
        None => format!("download it again from {}", files.page),
    };
    match error {
        DataError::NotAFolder { .. } => {
            format!("name the folder that holds {}; {}", files.listed, how_to_get(dataset))
        }
        DataError::MissingFile { partial: true, .. } => match &files.archive {
            Some(archive) => format!(
                "unpack {} again, all of it, or download it again from {}",
                archive.name, files.page
            ),
            None => how_to_get(dataset),
        },
        DataError::WrongVersion { version, .. } if version.name().is_some() => {
            let name = version.name().unwrap_or_default();
            format!("`--data {name}` reads these files; {}", how_to_get(dataset))
        }
        DataError::MissingFolder { .. }
        | DataError::MissingFile { .. }
        | DataError::WrongVersion { .. } => how_to_get(dataset),
        DataError::Mixed { .. } => {
            "move the files of one version to another folder; both have the same images".into()
        }
        DataError::Packed { path } => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.map_or_else(|| ".".into(), |p| p.in_command());
            format!(
                "unpack it with `tar -xzf {} -C {folder}`; the binary version and the Python version are read",
                path.in_command()
            )
        }
        DataError::Unreadable { source, .. } => match source.kind() {
            io::ErrorKind::PermissionDenied => {
                "give yourself permission to read it, or name another folder with --data-dir".into()
            }
            _ => format!(
                "check the disk and the name, or unpack the download again; {}",
                how_to_get(dataset)
            ),
        },
        DataError::ClassNames { .. } => format!(
            "write a name in each line, or remove the file to use {}'s names",
            dataset.title()
        ),
        DataError::Empty { .. } | DataError::Truncated { .. } => format!(
            "the download or the unpacking was probably interrupted: delete the file and {again}"
        ),
        DataError::Label { .. } | DataError::Format { .. } => {
            format!("this is not the published file: {again}")
        }
        DataError::Pictures(_) => String::new(),
    }
}

/// Returns the instructions for getting a dataset and placing its files; they are empty for a dataset without files.
fn how_to_get(dataset: &dyn DatasetSource) -> String {
    let title = dataset.title();
    let Some(Files { folder, example, listed, page, archive, .. }) = dataset.files() else {
        return String::new();
    };
    match archive {
        Some(archive) => {
            let fetch = match dataset.name() {
                "cifar10" => "wgrad fetch".to_string(),
                name => format!("wgrad fetch {name}"),
            };
            format!(
                "to get {title}, run `{fetch}`; or download \"{}\" ({}) from {page} and unpack it so that \
                 ./data/{folder}/{example} exists, or name its folder with --data-dir or $WGRAD_DATA",
                archive.title, archive.name
            )
        }
        None => format!(
            "to get {title}, download {listed} from {page} into ./data/{folder}, or name their folder with \
             --data-dir or $WGRAD_DATA"
        ),
    }
}

/// Returns the hint for a download that has failed. The hint names the file with the partial download, if one is kept.
pub fn hint_of_fetch(error: &FetchError) -> Option<String> {
    const RESUMES: &str = "the next `wgrad fetch` continues it";
    Some(match error {
        FetchError::Address { .. } => {
            "give an address that begins with http:// or https:// and names a file".into()
        }
        FetchError::Unreachable { archive, page, .. } => format!(
            "check the network, and $HTTPS_PROXY if there is a proxy; name a mirror with --url; or \
             download {archive} from {page} on another machine and put it into ./data, where `wgrad \
             fetch` checks and unpacks it"
        ),
        FetchError::Status { status: 500.., .. } => {
            "the server has failed: try later, or name a mirror with --url".into()
        }
        FetchError::Status { page, .. } => {
            format!("check the address, or name a mirror with --url; {page} has the original")
        }
        FetchError::BrokenOff { received: 0, .. } => {
            "no bytes have arrived: try later, or name a mirror with --url".into()
        }
        FetchError::BrokenOff { part, .. } => {
            format!("the partial download is kept in {}, and {RESUMES}", part.shown())
        }
        FetchError::Length { .. } => {
            "nothing was kept; name another mirror of the unchanged archive with --url, or give the checksum of another archive with --md5"
                .into()
        }
        FetchError::Checksum { .. } => {
            "the download was removed: it was damaged, or it is another file; try again, name another \
             mirror with --url, or give the checksum of another archive with --md5"
                .into()
        }
        FetchError::Archive { path, .. } => format!(
            "nothing was unpacked; look at {}, and remove it before the next try",
            path.shown()
        ),
        FetchError::Occupied { dir, .. } => {
            format!("move {} away or remove it, then fetch again", dir.shown())
        }
        FetchError::Busy { .. } => "wait for the other process to end, or end it".into(),
        FetchError::Io { source, .. } => return io_hint(source),
        FetchError::Stopped { received: 0, .. } => return None,
        FetchError::Stopped { .. } => format!("the partial download is kept, and {RESUMES}"),
    })
}

/// Returns half a sentence with the disk space for the largest archive and for its files.
pub fn space_of_archives() -> String {
    let archives = || DATASETS.iter().filter_map(|dataset| dataset.files()?.archive.as_ref());
    let largest = |size: fn(&PublishedArchive) -> u64| {
        readable_bytes(archives().map(size).max().unwrap_or_default())
    };
    let (packed, unpacked) = (largest(|a| a.n_bytes), largest(PublishedArchive::unpacked_bytes));
    format!("an archive takes up to {packed}, and its unpacked files take up to {unpacked} more")
}

fn io_hint(source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(format!(
            "{}: free some space, or name a folder on another disk with --data-dir. The partial \
                 download is kept, and the next `wgrad fetch` continues it",
            space_of_archives()
        )),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("name a folder that you may write to with --data-dir".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgrad::data::Notice;
    use wgrad::data::cifar10::PAGE as CIFAR10_PAGE;
    use wgrad::data::fetch::Md5Sum;
    use wgrad::data::pictures::PictureFolder;
    use wgrad::data::{Origin, Version};

    #[test]
    fn hints_of_data_name_the_remedy() {
        let path = || "data/file".into();
        let unreadable =
            |kind: io::ErrorKind| DataError::Unreadable { path: path(), source: kind.into() };
        for (error, words) in [
            (DataError::MissingFolder { dir: path(), origin: Origin::Default }, CIFAR10_PAGE),
            (DataError::NotAFolder { path: path() }, "the folder that holds"),
            (DataError::MissingFile { path: path(), partial: false }, "`wgrad fetch`"),
            (DataError::MissingFile { path: path(), partial: true }, "all of it"),
            (
                DataError::WrongVersion { path: path(), version: Version::Matlab },
                "CIFAR-10 binary version",
            ),
            (DataError::Mixed { path: path(), other: "x".into() }, "another folder"),
            (DataError::Packed { path: path() }, "tar -xzf data/file -C data"),
            (unreadable(io::ErrorKind::PermissionDenied), "permission"),
            (unreadable(io::ErrorKind::Other), "check the disk"),
            (DataError::ClassNames { path: path(), reason: String::new() }, "a name in each line"),
            (DataError::Empty { path: path() }, "download it again"),
            (
                DataError::Label { path: path(), record: 0, offset: 0, label: 10, n_classes: 10 },
                "unpack cifar-10",
            ),
        ] {
            let hint = hint_of_files(&error, Source::CIFAR10.dataset());
            assert!(hint.contains(words), "{error}: {hint}");
        }
        let folder = PictureFolder::at("pictures".as_ref()).expect("text");
        let hint = hint_of_files(&unreadable(io::ErrorKind::PermissionDenied), folder);
        assert_eq!(hint, "give yourself permission to read it");
        assert_eq!(hint_of_files(&unreadable(io::ErrorKind::Other), folder), "");
    }

    #[test]
    fn hints_of_downloads_name_a_mirror_and_the_partial_file() {
        let (url, reason) = (String::new, String::new);
        let part = || "data/archive.part".into();
        let broken = |received| FetchError::BrokenOff {
            url: url(),
            reason: reason(),
            received,
            part: part(),
        };
        let md5 = Md5Sum([0; 16]);
        for (error, words) in [
            (
                FetchError::Unreachable {
                    url: url(),
                    reason: reason(),
                    archive: "a.tar.gz",
                    page: "p",
                },
                "--url",
            ),
            (FetchError::Status { url: url(), status: 503, page: "p" }, "later"),
            (FetchError::Status { url: url(), status: 404, page: "p" }, "check the address"),
            (broken(0), "no bytes have arrived"),
            (broken(5), "kept in data/archive.part, and the next `wgrad fetch`"),
            (FetchError::Checksum { url: url(), found: md5, expected: md5 }, "removed"),
            (
                FetchError::Archive { dataset: "CIFAR-10", path: part(), reason: reason() },
                "look at data/archive.part",
            ),
            (
                FetchError::Io { path: part(), source: io::ErrorKind::StorageFull.into() },
                "free some space",
            ),
        ] {
            let hint = hint_of_fetch(&error).expect("a hint");
            assert!(hint.contains(words), "{error}: {hint}");
        }
        assert_eq!(hint_of_fetch(&FetchError::Stopped { received: 0, part: part() }), None);
    }

    #[test]
    fn the_space_of_archives_is_that_of_the_published_files() {
        let expected =
            "an archive takes up to 162.2 MiB, and its unpacked files take up to 175.9 MiB more";
        assert_eq!(space_of_archives(), expected);
    }

    #[test]
    fn a_notice_has_each_advice_once() {
        let dataset = wgrad::data::shapes::generate(0);
        let advice = |nearby| {
            let notice = Notice { folder: "data".into(), nearby, advice: Vec::new() };
            let loaded = Loaded { dataset: dataset.clone(), notice: Some(notice) };
            advised(loaded).notice.expect("a notice").to_string()
        };
        let of_matlab = DataError::WrongVersion { path: "x".into(), version: Version::Matlab };
        for notice in [advice(None), advice(Some(of_matlab))] {
            for part in [CIFAR10_PAGE, "./data/cifar-10-batches-bin/data_batch_1.bin", "--data-dir"]
            {
                assert_eq!(notice.matches(part).count(), 1, "{part}: {notice}");
            }
        }
        let packed = advice(Some(DataError::Packed { path: "data/x.tar.gz".into() }));
        assert!(packed.contains("not unpacked yet.\nUnpack it with `tar -xzf"), "{packed}");
    }
}
