//! The list of a run's pictures, `pictures.csv` in the run folder. By it, a run that is resumed names the pictures that
//! have changed.

use std::collections::BTreeMap;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Writer};

use crate::base::files::{FileError, write_whole};
use crate::base::shown::Shown;
use crate::data::Dataset;
use crate::data::pictures::{count, first_few};

/// The name of the file.
pub const PICTURES: &str = "pictures.csv";

/// The columns of the file.
const COLUMNS: [&str; 4] = ["file", "part", "class", "sha256"];

/// The entries of each file. A list may have a picture several times.
type Entries = BTreeMap<Vec<u8>, Vec<Entry>>;

/// A picture of a dataset, as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    part: Vec<u8>,
    class: Vec<u8>,
    sha256: Vec<u8>,
}

/// Writes the list of the pictures of a dataset into a run folder. A dataset whose images have no files of their own has no
/// list.
///
/// # Errors
/// If the file cannot be written.
pub fn write(folder: &Path, dataset: &Dataset) -> Result<(), FileError> {
    if !has_files(dataset) {
        return Ok(());
    }
    let mut writer = Writer::from_writer(Vec::new());
    let in_memory = "a vector accepts all bytes";
    writer.write_record(COLUMNS).expect(in_memory);
    for (file, Entry { part, class, sha256 }) in pictures(dataset) {
        writer.write_record([&file, &part, &class, &sha256]).expect(in_memory);
    }
    write_whole(&folder.join(PICTURES), &writer.into_inner().expect(in_memory))
}

/// Returns the differences between the pictures of a dataset and the list in a run folder, as half a sentence. None if the
/// folder has no list, as that of an earlier version.
pub fn changes(folder: &Path, dataset: &Dataset) -> Option<String> {
    let before = read(&folder.join(PICTURES))?;
    let now = by_file(pictures(dataset));
    let is_in = |entries: &Entries, file: &[u8]| entries.contains_key(file);
    let hashes = |entries: &Entries, file: &[u8]| -> Vec<Vec<u8>> {
        entries[file].iter().map(|entry| entry.sha256.clone()).collect()
    };
    let both = || now.keys().filter(|file| is_in(&before, file));
    let is_changed = |file: &&Vec<u8>| hashes(&now, file) != hashes(&before, file);
    let is_moved = |file: &&Vec<u8>| !is_changed(file) && now[*file] != before[*file];
    let groups: [(Vec<&Vec<u8>>, &str, &str); 4] = [
        (now.keys().filter(|file| !is_in(&before, file)).collect(), "was added", "were added"),
        (before.keys().filter(|file| !is_in(&now, file)).collect(), "was removed", "were removed"),
        (both().filter(is_changed).collect(), "has other contents", "have other contents"),
        (
            both().filter(is_moved).collect(),
            "has another class or part",
            "have another class or part",
        ),
    ];
    let groups = groups.into_iter().filter(|(files, ..)| !files.is_empty());
    let texts: Vec<String> = groups
        .map(|(files, one, several)| {
            let names = files.iter().map(|file| Path::new(&*String::from_utf8_lossy(file)).shown());
            let verb = if files.len() == 1 { one } else { several };
            format!("{} {verb} ({})", count(files.len(), "picture"), first_few(names, files.len()))
        })
        .collect();
    Some(match texts.is_empty() {
        true => "the pictures have another order".to_string(),
        false => texts.join(", "),
    })
}

fn has_files(dataset: &Dataset) -> bool {
    [&dataset.train, &dataset.validation, &dataset.test]
        .iter()
        .any(|split| !split.hashes.is_empty())
}

/// Returns file and entry of each picture of a dataset, in its order.
fn pictures(dataset: &Dataset) -> impl Iterator<Item = (Vec<u8>, Entry)> {
    let parts = [
        ("training", &dataset.train),
        ("validation", &dataset.validation),
        ("test", &dataset.test),
    ];
    parts.into_iter().flat_map(move |(part, split)| {
        let pictures = split.files.iter().zip(&split.hashes).zip(&split.labels);
        pictures.map(move |((file, hash), &label)| {
            let class = dataset.spec.classes[usize::from(label)].clone().into_bytes();
            let sha256: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let entry = Entry { part: part.into(), class, sha256: sha256.into_bytes() };
            (file.as_os_str().as_encoded_bytes().to_vec(), entry)
        })
    })
}

fn by_file(pictures: impl Iterator<Item = (Vec<u8>, Entry)>) -> Entries {
    let mut entries = Entries::new();
    pictures.for_each(|(file, entry)| entries.entry(file).or_default().push(entry));
    entries.values_mut().for_each(|entries| entries.sort());
    entries
}

/// Reads a list; None if there is none, or it is damaged.
fn read(path: &Path) -> Option<Entries> {
    let reader = ReaderBuilder::new().from_path(path).ok()?;
    let records: Vec<ByteRecord> = reader.into_byte_records().collect::<Result<_, _>>().ok()?;
    let entry = |record: &ByteRecord| {
        let field = |ix: usize| record.get(ix).map(<[u8]>::to_vec);
        Some((field(0)?, Entry { part: field(1)?, class: field(2)?, sha256: field(3)? }))
    };
    let pictures: Option<Vec<_>> = records.iter().map(entry).collect();
    Some(by_file(pictures?.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Split, shapes};

    fn dataset(pictures: &[(&str, u16, u8)]) -> Dataset {
        let mut dataset = shapes::generate(0);
        let labels: Vec<u16> = pictures.iter().map(|(_, label, _)| *label).collect();
        dataset.train = Split {
            files: pictures.iter().map(|(file, ..)| file.into()).collect(),
            hashes: pictures.iter().map(|(.., hash)| [*hash; 32]).collect(),
            labels,
            ..dataset.train
        };
        dataset
    }

    #[test]
    fn changes_name_the_pictures_of_each_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let before =
            [("a/1, 2.png", 0, 1), ("a/2.png", 0, 2), ("b/3.png", 1, 3), ("b/4.png", 1, 4)];
        assert_eq!(changes(folder.path(), &dataset(&before)), None);
        write(folder.path(), &dataset(&before)).expect("written");
        let changes = |now: &[_]| changes(folder.path(), &dataset(now)).expect("a list");
        let mut swapped = before;
        swapped.swap(0, 1);
        assert_eq!(changes(&swapped), "the pictures have another order");
        let now = [("a/1, 2.png", 1, 1), ("b/3.png", 1, 9), ("b/4.png", 1, 4), ("c/5.png", 1, 5)];
        assert_eq!(
            changes(&now),
            "1 picture was added (c/5.png), 1 picture was removed (a/2.png), 1 picture has other contents (b/3.png), \
             1 picture has another class or part (a/1, 2.png)"
        );
        assert_eq!(
            changes(&[]),
            "4 pictures were removed (a/1, 2.png, a/2.png, b/3.png and 1 more)"
        );
        // Images without files have no list.
        let other = tempfile::tempdir().expect("a folder");
        write(other.path(), &shapes::generate(0)).expect("nothing to write");
        assert!(!other.path().join(PICTURES).exists());
    }
}
