//! Lists of pictures: `train.csv`, `val.csv` and `test.csv`, with a file and a label in each line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::error::{PicturesError, count};
use super::items::{Found, Part, PartOf, VALIDATION};
use crate::data::DataError;

/// Returns the pictures of the lists in a folder; None if the folder has no `train.csv`.
///
/// # Errors
/// If a list cannot be read, or has a line that is not a file and its label.
pub(super) fn find(dir: &Path) -> Result<Option<Vec<PartOf>>, DataError> {
    let path = |name: &str| Some(dir.join(format!("{name}.csv"))).filter(|path| path.is_file());
    let Some(train) = path("train") else { return Ok(None) };
    let mut validation = VALIDATION.iter().filter_map(|name| path(name));
    let mut lists = vec![(Part::Training, train)];
    lists.extend(validation.next().map(|path| (Part::Validation, path)));
    if let Some(path) = validation.next() {
        let reason = "a second list of validation pictures; remove one of the two".to_string();
        return Err(PicturesError::List { path, reason }.into());
    }
    lists.extend(path("test").map(|path| (Part::Test, path)));
    let read = |(part, place): (Part, PathBuf)| {
        let found = read(&place)?;
        Ok(PartOf { part, place, found })
    };
    lists.into_iter().map(read).collect::<Result<_, DataError>>().map(Some)
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
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    let mut reader = builder.from_path(path).map_err(|error| failed(error.to_string()))?;
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
