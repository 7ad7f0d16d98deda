//! MNIST and Fashion-MNIST: grey images of 28x28 pixels in IDX files, gzipped or not.
//!
//! Both datasets have four files of the same names. An IDX file begins with numbers of four bytes, the highest byte
//! first:
//!
//! ```text
//! images   0x00000803, number of images, rows, columns     then the pixels, one byte each, row by row
//! labels   0x00000801, number of labels                    then the labels, one byte each
//! ```
//!
//! The first number is the magic number: its third byte, 08, means that the contents are bytes, and its last byte is
//! the number of axes. In the images, 0 is the background.

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use super::error::{DataError, Version};
use super::folder::{self, Files};
use super::{Dataset, DatasetSource, Defaults, ImageSize, ImageSpec, ReadOptions, Split};
use crate::base::shown::Shown;

/// The size of an image.
pub const SIZE: ImageSize = ImageSize { height: 28, width: 28, channels: 1 };

/// The number of classes of MNIST, and of Fashion-MNIST.
pub const N_CLASSES: usize = 10;

const IMAGES_MAGIC: u32 = 0x803;
const LABELS_MAGIC: u32 = 0x801;

/// The first two bytes of a gzipped file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The largest unpacked size that is accepted of a gzipped file, in bytes. The published files have at most 47 MB
/// unpacked.
const MAX_BYTES: u64 = 1 << 30;

/// The names of the files for training and for the test, without the ending `.gz`: first the images, then the labels.
const TRAINING_FILES: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST_FILES: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

const LISTED: &str = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                      t10k-labels-idx1-ubyte, each with .gz or without";

/// A dataset in IDX files: MNIST or Fashion-MNIST.
pub struct Idx {
    name: &'static str,
    title: &'static str,
    help: &'static str,
    files: Files,
    classes: [&'static str; N_CLASSES],
    mean: f64,
    standard_deviation: f64,
    /// True if training mirrors images by default, because a mirrored image belongs to the same class.
    flip: bool,
}

/// MNIST: handwritten digits.
pub const MNIST: Idx = Idx {
    name: "mnist",
    title: "MNIST",
    help: "MNIST: handwritten digits; an error if it is not found",
    files: files("mnist", "http://yann.lecun.com/exdb/mnist"),
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    mean: 0.1307,
    standard_deviation: 0.3081,
    flip: false,
};

/// Fashion-MNIST: photographs of clothes.
pub const FASHION_MNIST: Idx = Idx {
    name: "fashion-mnist",
    title: "Fashion-MNIST",
    help: "Fashion-MNIST: photographs of clothes; an error if it is not found",
    files: files("fashion-mnist", "https://github.com/zalandoresearch/fashion-mnist"),
    classes: [
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ],
    mean: 0.2860,
    standard_deviation: 0.3530,
    flip: true,
};

const fn files(folder: &'static str, page: &'static str) -> Files {
    Files {
        folder,
        python_folder: None,
        example: TRAINING_FILES[0],
        listed: LISTED,
        is_file: |name| {
            let name = name.strip_suffix(".gz").unwrap_or(name);
            TRAINING_FILES.contains(&name) || TEST_FILES.contains(&name)
        },
        version_of: |name| match name {
            "test_batch.bin" | "cifar-10-batches-bin" => Some(Version::Cifar10),
            "test_batch" | "cifar-10-batches-py" => Some(Version::Cifar10),
            "train.bin" | "cifar-100-binary" | "cifar-100-python" => Some(Version::Cifar100),
            _ => None,
        },
        page,
        archive: None,
    }
}

impl DatasetSource for Idx {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn help(&self) -> &'static str {
        self.help
    }

    fn spec(&self, _: ReadOptions) -> ImageSpec {
        ImageSpec {
            size: SIZE,
            classes: folder::owned(&self.classes),
            mean: vec![self.mean],
            standard_deviation: vec![self.standard_deviation],
        }
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            epochs: 12,
            batch_size: 512,
            width: 32,
            max_lr: 0.01,
            crop: true,
            resized_crop: false,
            flip: self.flip,
            cutout: true,
        }
    }

    fn files(&self) -> Option<&'static Files> {
        Some(if self.name == MNIST.name { &MNIST.files } else { &FASHION_MNIST.files })
    }

    /// Reads the four files from `dir`, or from the subfolder of `dir` with the dataset's name.
    fn read(&self, dir: &Path, options: ReadOptions) -> Result<Dataset, DataError> {
        let dir = folder::locate(dir, &self.files)?;
        let train = self.read_split(&dir, TRAINING_FILES)?;
        let test = self.read_split(&dir, TEST_FILES)?;
        Ok(Dataset {
            name: self.name,
            description: format!(
                "{} from {}: {} training and {} test images",
                self.title,
                dir.shown(),
                train.len(),
                test.len()
            ),
            dir: Some(fs::canonicalize(&dir).unwrap_or(dir)),
            spec: self.spec(options),
            warnings: Vec::new(),
            train,
            validation: Split::new(SIZE),
            test,
            whole: None,
            known: None,
        })
    }
}

impl Idx {
    fn read_split(&self, dir: &Path, [images, labels]: [&str; 2]) -> Result<Split, DataError> {
        let read = |name: &str| {
            let gzipped = dir.join(format!("{name}.gz"));
            let path = if gzipped.exists() { gzipped } else { dir.join(name) };
            if !path.exists() {
                return Err(folder::missing(dir, name, &self.files));
            }
            let bytes = folder::read_file(&path)?;
            Ok((path, bytes))
        };
        let ((images_path, images), (labels_path, labels)) = (read(images)?, read(labels)?);
        let images = parse_images(&images_path, &images)?;
        let labels = parse_labels(&labels_path, &labels)?;
        let (n_labels, n_images) = (labels.len(), images.len() / SIZE.n_bytes());
        if n_labels != n_images {
            let reason =
                format!("has {n_labels} labels, but {} has {n_images} images", images_path.shown());
            return Err(DataError::Format { path: labels_path, reason });
        }
        Ok(Split::of(SIZE, images, labels))
    }
}

/// Returns `bytes`, the contents of the file `path`, unpacked if they are gzipped.
///
/// # Errors
/// If the gzipped contents are damaged or incomplete, or larger than 1 GiB.
fn unpacked<'a>(path: &Path, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, DataError> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes.into());
    }
    let refused = |reason| DataError::Format { path: path.to_path_buf(), reason };
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(bytes).take(MAX_BYTES + 1).read_to_end(&mut unpacked);
    read.map_err(|error| refused(format!("is a damaged gzip file ({error})")))?;
    match unpacked.len() as u64 > MAX_BYTES {
        true => Err(refused(format!("unpacks to more than {MAX_BYTES} bytes"))),
        false => Ok(unpacked.into()),
    }
}

/// Returns the pixels of an IDX file of images, `[N, 28, 28]`. `bytes` are the contents of the file, gzipped or not, and
/// `path` is its name in errors.
///
/// # Errors
/// If gzipped contents are damaged, or the magic number, the size of the images or the length of the file is wrong.
pub fn parse_images(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let bytes = unpacked(path, bytes)?;
    let [n, height, width] = axes(path, &bytes, IMAGES_MAGIC)?;
    if [height, width] != [SIZE.height as u64, SIZE.width as u64] {
        let reason = format!("has images of {height}x{width} pixels, not 28x28");
        return Err(DataError::Format { path: path.to_path_buf(), reason });
    }
    contents(path, &bytes[16..], n * SIZE.n_bytes() as u64, "images", n)
}

/// Returns the labels of an IDX file of labels, `[N]`. `bytes` are the contents of the file, gzipped or not, and `path`
/// is its name in errors.
///
/// # Errors
/// If gzipped contents are damaged, the magic number or the length of the file is wrong, or a label is not a class.
pub fn parse_labels(path: &Path, bytes: &[u8]) -> Result<Vec<u16>, DataError> {
    let bytes = unpacked(path, bytes)?;
    let [n] = axes(path, &bytes, LABELS_MAGIC)?;
    let labels = contents(path, &bytes[8..], n, "labels", n)?;
    match labels.iter().position(|&label| usize::from(label) >= N_CLASSES) {
        Some(record) => Err(DataError::Label {
            path: path.to_path_buf(),
            record,
            offset: 8 + record,
            label: labels[record],
            n_classes: N_CLASSES,
        }),
        None => Ok(labels.into_iter().map(u16::from).collect()),
    }
}

/// Returns the lengths of the axes from the header of an IDX file, after checking the magic number.
fn axes<const N: usize>(path: &Path, bytes: &[u8], magic: u32) -> Result<[u64; N], DataError> {
    let path = || path.to_path_buf();
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path() });
    }
    let number = |ix: usize| bytes.get(4 * ix..4 * ix + 4)?.try_into().map(u32::from_be_bytes).ok();
    match number(0) {
        Some(found) if found == magic => {}
        Some(found) => {
            let reason = format!("has the magic number {found:#010x}, not {magic:#010x}");
            return Err(DataError::Format { path: path(), reason });
        }
        None => {
            let reason = format!("has {} bytes, fewer than its magic number", bytes.len());
            return Err(DataError::Format { path: path(), reason });
        }
    }
    let mut axes = [0; N];
    for (ix, axis) in axes.iter_mut().enumerate() {
        let short = || {
            let reason =
                format!("has {} bytes, fewer than its header of {}", bytes.len(), 4 + 4 * N);
            DataError::Format { path: path(), reason }
        };
        *axis = number(1 + ix).ok_or_else(short)?.into();
    }
    Ok(axes)
}

/// Returns `bytes`, the contents after the header of an IDX file, if their number is `expected`. `n` is the number of
/// images or labels, and `what` is the word for them in errors.
fn contents(
    path: &Path,
    bytes: &[u8],
    expected: u64,
    what: &str,
    n: u64,
) -> Result<Vec<u8>, DataError> {
    if n == 0 {
        return Err(DataError::Empty { path: path.to_path_buf() });
    }
    if bytes.len() as u64 != expected {
        let reason = format!(
            "has {} bytes after its header, but its {n} {what} take {expected}",
            bytes.len()
        );
        return Err(DataError::Format { path: path.to_path_buf(), reason });
    }
    Ok(bytes.to_vec())
}
