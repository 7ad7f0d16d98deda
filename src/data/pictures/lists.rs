//! Lists of pictures: `train.csv`, `val.csv` and `test.csv`, with a file and a label in each line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, str};

use csv::{ReaderBuilder, StringRecord};

use super::error::{PicturesError, count};
use super::items::{Found, Part, PartOf};
use crate::data::DataError;

/// Returns the pictures of the lists in a folder; None if the folder has no `train.csv`.
///
/// # Errors
/// If the folder or a list cannot be read, or a list has a line that is not a file and its label.
pub(super) fn find(dir: &Path) -> Result<Option<Vec<PartOf>>, DataError> {
    let failed = |source| DataError::Unreadable { path: dir.to_path_buf(), source };
    let mut lists = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        lists.extend(part_of(&path).filter(|_| !path.is_dir()).map(|part| (part, path)));
    }
    // The order of a folder's entries depends on the file system.
    lists.sort();
    if lists.first().is_none_or(|(part, _)| *part != Part::Training) {
        return Ok(None);
    }
    if let Some([_, (part, path)]) = lists.array_windows().find(|[a, b]| a.0 == b.0) {
        let reason = format!("a second list of {} pictures; remove one of the two", part.name());
        return Err(PicturesError::List { path: path.clone(), reason }.into());
    }
    let read = |(part, place): (Part, PathBuf)| {
        let found = read(&place)?;
        Ok(PartOf { part, place, found })
    };
    lists.into_iter().map(read).collect::<Result<_, DataError>>().map(Some)
}

/// Returns the part whose pictures a file lists, by the file's name; None if the file is no list.
fn part_of(path: &Path) -> Option<Part> {
    let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    path.file_stem().filter(|_| is_csv).and_then(Part::of_name)
}

/// Sorts the labels of lists: numbers by their value if all labels are whole numbers, otherwise all by their bytes.
pub(super) fn sort_labels(labels: &mut [OsString]) {
    let number = |label: &OsString| label.to_str().and_then(|text| text.parse::<u64>().ok());
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by_key(number);
    }
}

/// The names of the columns in a header, in lower case.
const FILE_COLUMNS: [&str; 4] = ["file", "filename", "image", "path"];
const LABEL_COLUMNS: [&str; 2] = ["label", "class"];

/// Returns the pictures of a list, in the order of its lines.
fn read(path: &Path) -> Result<Vec<Found>, DataError> {
    let failed = |reason| DataError::from(PicturesError::List { path: path.to_path_buf(), reason });
    let text =
        fs::read(path).map_err(|source| DataError::Unreadable { path: path.into(), source })?;
    if let Some(reason) = other_encoding(&text) {
        return Err(failed(reason));
    }
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    let mut reader = builder.from_reader(&text[..]);
    let (mut record, mut found) = (StringRecord::new(), Vec::new());
    // Without a header, the columns are the file and the label.
    let (mut columns, mut n_fields) = ([0, 1], 2);
    let mut is_first = true;
    while reader.read_record(&mut record).map_err(|error| failed(error.to_string()))? {
        let line = record.position().map_or(0, csv::Position::line);
        if std::mem::take(&mut is_first) {
            let column = |names: &[&str]| {
                let is_one = |field: &str| names.contains(&field.trim().to_lowercase().as_str());
                record.iter().position(is_one)
            };
            match (column(&FILE_COLUMNS), column(&LABEL_COLUMNS)) {
                (Some(file), Some(label)) => {
                    (columns, n_fields) = ([file, label], record.len());
                    continue;
                }
                (Some(0), None) => {
                    let reason = "the first line names no column `label`; write `file,label`";
                    return Err(failed(reason.to_string()));
                }
                _ => {}
            }
        }
        let fields = columns.map(|column| record.get(column).unwrap_or_default());
        let [file, label] = [fields[0], fields[1].trim()];
        if record.len() != n_fields || file.is_empty() || label.is_empty() {
            let n_fields = record.iter().filter(|field| !field.is_empty()).count();
            let is_other = n_fields == 1 && file.contains([';', '\t']);
            let fix = match is_other {
                true => "the fields are separated by commas, not by semicolons or tabs",
                false => "write a name with a comma in quotation marks",
            };
            return Err(failed(format!(
                "line {line} has {}, but a line is a file and its label, with a comma between them; {fix}",
                count(n_fields, "field")
            )));
        }
        found.push(Found { file: file.into(), key: file.into(), class: label.into() });
    }
    Ok(found)
}

/// Returns the problem with a list that is not in UTF-8, and the fix; None for a list in UTF-8.
fn other_encoding(text: &[u8]) -> Option<String> {
    const FIX: &str = "save the list as UTF-8";
    // Latin text in UTF-16 has a zero beside each letter.
    let n_zeros = text.iter().filter(|&&byte| byte == 0).count();
    if text.starts_with(&[0xff, 0xfe])
        || text.starts_with(&[0xfe, 0xff])
        || 4 * n_zeros > text.len()
    {
        return Some(format!("the list is in UTF-16; {FIX}"));
    }
    let valid = str::from_utf8(text).err()?.valid_up_to();
    let line = 1 + text[..valid].iter().filter(|&&byte| byte == b'\n').count();
    Some(format!(
        "line {line} has the byte 0x{:02x}, which is not UTF-8, so the list is probably in Latin-1 or Windows-1252; {FIX}",
        text[valid]
    ))
}
