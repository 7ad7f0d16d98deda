//! CIFAR-10 in its binary version and in its Python version.
//!
//! The binary version has five files of training images, `data_batch_1.bin` to `data_batch_5.bin`, and one file of test
//! images, `test_batch.bin`. Each file consists of 10,000 records of [`RECORD_BYTES`] bytes:
//!
//! ```text
//! byte 0            the label, 0 to 9
//! byte 1..1025      the red plane, 32 rows of 32 bytes, from the top left
//! byte 1025..2049   the green plane
//! byte 2049..3073   the blue plane
//! ```
//!
//! The format has neither a header nor a checksum. So only two checks are possible, and the reader makes both: a file has
//! a whole number of records, and every label is at most 9. Files with fewer records than the published ones are
//! accepted with a warning, because a part of CIFAR-10 is enough for quick experiments.
//!
//! The Python version has the same images, in files of the same names without `.bin`: see [`super::pickled`].

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{DataError, Version};
use super::folder::{self, Files, PublishedArchive};
use super::form::{BINARY_END, Form};
use super::records::Layout;
use super::{Dataset, DatasetSource, Defaults, ImageSize, ImageSpec, ReadOptions, Split, pickled};
use crate::base::shown::Shown;

/// The name of the folder in the published archive.
pub const FOLDER: &str = "cifar-10-batches-bin";

/// The size of an image.
pub const SIZE: ImageSize = ImageSize { height: 32, width: 32, channels: 3 };

/// The layout of a record in a file of images: one byte with the label, then the image.
pub const LAYOUT: Layout = Layout { n_label_bytes: 1, label_ix: 0, n_classes: CLASSES.len() };

/// The number of bytes of a record: a label and an image.
pub const RECORD_BYTES: usize = LAYOUT.n_label_bytes + SIZE.n_bytes();

/// The class names, in the order of the labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The mean of the published training images by channel, for pixels in 0..=1.
pub const MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];

/// The standard deviation of the published training images by channel, for pixels in 0..=1.
pub const STANDARD_DEVIATION: [f64; 3] = [0.2470, 0.2435, 0.2616];

/// The default settings of a training run on CIFAR-10. At a batch size of 128 the best learning rate was 0.005
/// (`docs/performance/accuracy.md`). The default batch size of 512 is four times as large, so the default learning rate is √4
/// times as high: 0.01.
pub const DEFAULTS: Defaults = Defaults {
    epochs: 24,
    batch_size: 512,
    width: 64,
    max_lr: 0.01,
    crop: true,
    resized_crop: false,
    flip: true,
    cutout: true,
};

/// The beginning of the names of the files of training images. A number follows.
const TRAINING_FILE: &str = "data_batch_";
/// The name of the file of test images, without the ending.
const TEST_FILE: &str = "test_batch";
/// The binary version's file with the class names, one per line.
const CLASSES_FILE: &str = "batches.meta.txt";
/// The Python version's file with the class names.
const PICKLED_CLASSES_FILE: &str = "batches.meta";
const N_OFFICIAL_TRAINING_FILES: usize = 5;
const N_OFFICIAL_RECORDS: usize = 10_000;
/// The length of a published file of images, in bytes.
const FILE_BYTES: u64 = (N_OFFICIAL_RECORDS * RECORD_BYTES) as u64;

/// The names of CIFAR-10's files and folder, and the published archive.
pub const FILES: Files = Files {
    folder: FOLDER,
    python_folder: Some("cifar-10-batches-py"),
    example: "data_batch_1.bin",
    listed: "data_batch_1.bin to data_batch_5.bin and test_batch.bin",
    is_file: |name| [Form::Binary, Form::Python].into_iter().any(|form| is_image_file(form, name)),
    version_of: |name| match name {
        "cifar-10-batches-mat" => Some(Version::Matlab),
        "train.bin" | "fine_label_names.txt" | "cifar-100-binary" => Some(Version::Cifar100),
        "meta" | "cifar-100-python" => Some(Version::Cifar100),
        _ if name.ends_with(".mat") => Some(Version::Matlab),
        _ => None,
    },
    page: PAGE,
    archive: Some(PublishedArchive {
        name: "cifar-10-binary.tar.gz",
        title: "CIFAR-10 binary version",
        prefix: "cifar-10-",
        url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        n_bytes: 170_052_171,
        md5: 0xc32a_1d4a_b5d0_3f12_84b6_7883_e8d8_7530,
        files: &[
            ("data_batch_1.bin", FILE_BYTES),
            ("data_batch_2.bin", FILE_BYTES),
            ("data_batch_3.bin", FILE_BYTES),
            ("data_batch_4.bin", FILE_BYTES),
            ("data_batch_5.bin", FILE_BYTES),
            ("test_batch.bin", FILE_BYTES),
            ("batches.meta.txt", 1 << 12),
            ("readme.html", 1 << 16),
        ],
    }),
};

/// The web page of CIFAR-10 and CIFAR-100.
pub const PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";

/// The dataset CIFAR-10: its files, its format and the default settings of a run.
pub struct Cifar10;

impl DatasetSource for Cifar10 {
    fn name(&self) -> &'static str {
        "cifar10"
    }

    fn title(&self) -> &'static str {
        "CIFAR-10"
    }

    fn help(&self) -> &'static str {
        "CIFAR-10; an error if it is not found"
    }

    fn spec(&self, _: ReadOptions) -> ImageSpec {
        ImageSpec {
            size: SIZE,
            classes: folder::owned(&CLASSES),
            mean: MEAN.to_vec(),
            standard_deviation: STANDARD_DEVIATION.to_vec(),
        }
    }

    fn defaults(&self) -> Defaults {
        DEFAULTS
    }

    fn files(&self) -> Option<&'static Files> {
        Some(&FILES)
    }

    /// Reads CIFAR-10 from `dir`, or from the folder `cifar-10-batches-bin` or `cifar-10-batches-py` in `dir`.
    ///
    /// The training images are those of all files `data_batch_*`, in the order of the file names. The class names come
    /// from `batches.meta.txt` or `batches.meta`; without that file they are [`CLASSES`].
    fn read(&self, dir: &Path, options: ReadOptions) -> Result<Dataset, DataError> {
        let dir = folder::locate(dir, &FILES)?;
        let form = Form::of(&dir, &FILES)?;
        let (training_files, test_file) = image_files(&dir, form)?;
        let append = |path: &Path, split: &mut Split| {
            Ok((folder::file_name(path), form.append(path, LAYOUT, "labels", split)?))
        };
        let (mut train, mut test) = (Split::new(SIZE), Split::new(SIZE));
        let counts = training_files.iter().map(|path| append(path, &mut train));
        let mut counts = counts.collect::<Result<Vec<_>, DataError>>()?;
        let classes = match form {
            Form::Binary => folder::class_names(&dir.join(CLASSES_FILE), &CLASSES)?,
            Form::Python => {
                pickled::class_names(&dir.join(PICKLED_CLASSES_FILE), "label_names", &CLASSES)?
            }
        };
        counts.push(append(&test_file, &mut test)?);

        Ok(Dataset {
            name: self.name(),
            description: format!(
                "CIFAR-10 from {}: {} training and {} test images",
                dir.shown(),
                train.len(),
                test.len()
            ),
            dir: Some(fs::canonicalize(&dir).unwrap_or(dir)),
            spec: ImageSpec { classes, ..self.spec(options) },
            warnings: warnings(form, &counts),
            train,
            validation: Split::new(SIZE),
            test,
            whole: None,
            known: None,
        })
    }
}

/// Returns the paths of all files of training images in a folder, sorted by name, and that of the test images. Without
/// one of them, returns an error.
fn image_files(dir: &Path, form: Form) -> Result<(Vec<PathBuf>, PathBuf), DataError> {
    let test_file = form.file(TEST_FILE);
    let mut names = folder::list(dir)?;
    names.retain(|name| is_image_file(form, name));
    let has_test_file = names.contains(&test_file);
    names.retain(|name| *name != test_file);
    names.sort();
    if names.is_empty() {
        return Err(folder::missing(dir, &form.file(&format!("{TRAINING_FILE}1")), &FILES));
    }
    if !has_test_file {
        return Err(folder::missing(dir, &test_file, &FILES));
    }
    Ok((names.iter().map(|name| dir.join(name)).collect(), dir.join(test_file)))
}

/// Returns true for the names of the files of images. A name of the Python version ends with the number or the stem.
fn is_image_file(form: Form, name: &str) -> bool {
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let is_training_file = name.strip_prefix(TRAINING_FILE).is_some_and(|rest| match form {
        Form::Binary => rest.ends_with(BINARY_END),
        Form::Python => is_number(rest),
    });
    is_training_file || name == form.file(TEST_FILE)
}

/// Returns warnings about differences from the published dataset. `counts` has the name and the number of records of
/// each file; the test file is the last one.
fn warnings(form: Form, counts: &[(String, usize)]) -> Vec<String> {
    let mut warnings = Vec::new();

    let odd: Vec<String> = counts
        .iter()
        .filter(|(_, n_records)| *n_records != N_OFFICIAL_RECORDS)
        .map(|(name, n_records)| format!("{name} {n_records}"))
        .collect();
    if !odd.is_empty() {
        warnings.push(format!(
            "not the published CIFAR-10, whose files hold {N_OFFICIAL_RECORDS} images each: {}",
            odd.join(", ")
        ));
    }

    let names: Vec<&str> = counts.iter().map(|(name, _)| name.as_str()).collect();
    let names = &names[..names.len() - 1]; // The last file is the test file.
    let official = |number| form.file(&format!("{TRAINING_FILE}{number}"));
    if !(1..=N_OFFICIAL_TRAINING_FILES).map(official).eq(names.iter().copied()) {
        warnings.push(format!(
            "not the published CIFAR-10, whose training files are {} to {}: {}",
            official(1),
            official(N_OFFICIAL_TRAINING_FILES),
            names.join(", ")
        ));
    }
    warnings
}
