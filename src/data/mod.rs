//! Datasets of pictures.
//!
//! Reading order:
//!
//! * [`load`] finds a dataset: [`cifar10`] if it is on the disk, otherwise [`shapes`], ten kinds of drawn
//!   figures that need no download;
//! * [`mod@fetch`] downloads CIFAR-10;
//! * [`batches`] shuffles a split and packs images into the words that the device reads;
//! * [`image_file`] converts any picture to an input for a trained network;
//! * [`DataError`] has the errors of dataset files.
//!
//! Images stay bytes here. Cropping, flipping, cutout and normalisation are the first nodes of the training
//! tape, so they run on the device.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::base::files;
use crate::base::fingerprint::Fingerprint;
use crate::base::shown::Shown;
use random::{Draws, Purpose};

pub mod batches;
pub mod cifar10;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "runs")]
pub mod image_file;
mod random;
pub mod shapes;
#[cfg(test)]
mod tests;

pub use error::{CIFAR10_PAGE, DataError, Origin, Version};

/// Rows and columns of an image.
pub const IMAGE_SIZE: usize = 32;
/// Colour channels: red, green and blue.
pub const N_CHANNELS: usize = 3;
/// Bytes of one image: 3 planes of 32 rows of 32 columns.
pub const IMAGE_BYTES: usize = N_CHANNELS * IMAGE_SIZE * IMAGE_SIZE;
/// The number of classes of every dataset.
pub const N_CLASSES: usize = 10;

/// The environment variable with CIFAR-10's folder; the caller's folder takes precedence.
pub const DATA_VARIABLE: &str = "WGRAD_DATA";
/// The default folder of CIFAR-10.
pub const DEFAULT_FOLDER: &str = "./data/cifar-10-batches-bin";

/// Images of 3x32x32 bytes, planar (channel, row, column), and their labels.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// The pixels, `[len, 3, 32, 32]`, row-major; 0 is black, 255 is full intensity.
    pub images: Vec<u8>,
    /// The classes, `[len]`, 0 to 9.
    pub labels: Vec<u8>,
}

impl Split {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns true for a split without images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the bytes of image `i`, `[3, 32, 32]`.
    ///
    /// # Panics
    ///
    /// If there is no image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.images[i * IMAGE_BYTES..(i + 1) * IMAGE_BYTES]
    }

    /// Returns the images mirrored left to right, with their labels.
    pub fn mirrored(&self) -> Self {
        let mut images = self.images.clone();
        images.chunks_exact_mut(IMAGE_SIZE).for_each(<[u8]>::reverse);
        Self { images, labels: self.labels.clone() }
    }
}

impl Split {
    /// Returns the images with these numbers, in this order.
    ///
    /// # Panics
    ///
    /// If there is no image of a number.
    pub fn select(&self, indices: &[u32]) -> Self {
        let images = indices.iter().flat_map(|&ix| self.image(ix as usize)).copied().collect();
        let labels = indices.iter().map(|&ix| self.labels[ix as usize]).collect();
        Self { images, labels }
    }
}

impl fmt::Debug for Split {
    /// Prints the number of images: the bytes of a split would fill a terminal for minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}

/// Training and test images of ten classes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name in run folders, `"cifar10"` or `"shapes"`.
    pub name: &'static str,
    /// One line for the terminal: the source of the images and their number.
    pub description: String,
    /// The absolute path of the folder that the files were read from; None for drawn images.
    pub dir: Option<PathBuf>,
    /// The names of the ten classes, in the order of the labels.
    pub classes: Vec<String>,
    /// The training images.
    pub train: Split,
    /// The validation images, held out of the training images to choose between models; see
    /// [`Dataset::hold_out`]. Usually empty.
    pub validation: Split,
    /// The test images. Training never uses them.
    pub test: Split,
    /// Warnings for the user, one per line. Usually empty.
    pub warnings: Vec<String>,
    /// The value of [`Dataset::fingerprint`] before [`Dataset::hold_out`]; None if no images are held out.
    pub whole: Option<Fingerprint>,
}

impl Dataset {
    /// Moves `n` training images to the validation split. They are drawn at random with a fixed seed.
    ///
    /// # Panics
    ///
    /// If there are fewer training images.
    pub fn hold_out(&mut self, n: usize) {
        self.whole = Some(self.whole_fingerprint());
        let mut order = batches::in_order(self.train.len());
        // A stream of its own, with a fixed seed: all runs have the same validation images.
        Draws::new(0, Purpose::Validation, 0).shuffle(&mut order);
        let (held_out, rest) = order.split_at_mut(n);
        // The files' order mixes the classes already, so both parts keep it.
        held_out.sort_unstable();
        rest.sort_unstable();
        self.validation = self.train.select(held_out);
        self.train = self.train.select(rest);
    }

    /// Returns the images that each epoch is evaluated on: the validation images, or the test images if none
    /// are held out.
    pub fn evaluated(&self) -> &Split {
        if self.validation.is_empty() { &self.test } else { &self.validation }
    }

    /// Returns the hash of all images and labels as they were read, before any were held out.
    pub fn whole_fingerprint(&self) -> Fingerprint {
        self.whole.unwrap_or_else(|| self.fingerprint())
    }

    /// Returns the hash of all images and labels. A resumed run compares it with that of its start.
    pub fn fingerprint(&self) -> Fingerprint {
        let splits = [&self.train, &self.validation, &self.test];
        Fingerprint::of(splits.into_iter().flat_map(|split| [&split.labels[..], &split.images[..]]))
    }
}

/// The choice of the dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// CIFAR-10 if it is found or a folder is named, otherwise the built-in shapes
    #[default]
    Auto,
    /// CIFAR-10, or an error
    Cifar10,
    /// The built-in shapes: drawn figures, no download
    Shapes,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Cifar10, Self::Shapes];

    /// Returns the name, as files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cifar10 => "cifar10",
            Self::Shapes => "shapes",
        }
    }

    /// Returns the names of the ten classes, in the order of the labels; CIFAR-10's for [`Source::Auto`],
    /// which prefers it.
    pub fn classes(self) -> Vec<String> {
        match self {
            Source::Auto | Source::Cifar10 => cifar10::CLASSES.map(String::from).to_vec(),
            Source::Shapes => shapes::Figure::ALL.map(|figure| figure.name().to_string()).to_vec(),
        }
    }
}

/// A dataset, with a notice about its choice.
#[derive(Debug)]
pub struct Loaded {
    /// The images.
    pub dataset: Dataset,
    /// The notice that the images are not those that the user expects.
    pub notice: Option<Notice>,
}

/// The notice that the built-in shapes replace CIFAR-10: paragraphs for the start and the summary of a run.
#[derive(Debug)]
pub struct Notice {
    /// The folder without CIFAR-10.
    pub folder: PathBuf,
    /// Another form of CIFAR-10 nearby.
    pub nearby: Option<DataError>,
    /// Instructions for getting CIFAR-10, a paragraph each. [`load`] leaves them empty; its caller adds them.
    pub advice: Vec<String>,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "There is no {}, so the built-in shapes are used: drawn figures of ten kinds, easier than photographs. \
             An accuracy on them is not an accuracy on CIFAR-10.",
            self.folder.shown()
        )?;
        if let Some(nearby) = &self.nearby {
            write!(f, "\nHowever, {nearby}.")?;
        }
        self.advice.iter().try_for_each(|advice| write!(f, "\n{advice}"))
    }
}

/// Returns the folders that are searched for CIFAR-10 without a flag: that of `$WGRAD_DATA`, and the default.
pub fn usual_folders() -> Vec<PathBuf> {
    files::path_variable(DATA_VARIABLE).into_iter().chain([DEFAULT_FOLDER.into()]).collect()
}

/// Loads a dataset.
///
/// CIFAR-10 is searched in `data_dir`, otherwise in the folder of `$WGRAD_DATA`, otherwise in
/// [`DEFAULT_FOLDER`]. [`Source::Auto`] falls back to the shapes, with a notice, only if no folder is named
/// and the default folder does not exist. A named folder that is wrong, or damaged data, is an error. `seed`
/// draws the shapes; it has no effect on CIFAR-10.
///
/// # Errors
///
/// If CIFAR-10 is requested, named or found, and cannot be read completely.
pub fn load(source: Source, data_dir: Option<&Path>, seed: u64) -> Result<Loaded, DataError> {
    let variable = files::path_variable(DATA_VARIABLE);
    load_from(source, data_dir, variable.as_deref(), Path::new(DEFAULT_FOLDER), seed)
}

/// Returns the default folder if [`load`] would search it and it does not exist.
pub fn missing_by_default(source: Source, data_dir: Option<&Path>) -> Option<&'static Path> {
    let is_named = data_dir.is_some() || files::path_variable(DATA_VARIABLE).is_some();
    let default = Path::new(DEFAULT_FOLDER);
    (source != Source::Shapes && !is_named && is_absent(default)).then_some(default)
}

/// Returns true if nothing is at this path. A dangling link or a folder without permission exists, and
/// reading it reports the cause.
fn is_absent(dir: &Path) -> bool {
    matches!(dir.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

/// [`load`] with its environment as arguments.
fn load_from(
    source: Source,
    data_dir: Option<&Path>,
    variable: Option<&Path>,
    default: &Path,
    seed: u64,
) -> Result<Loaded, DataError> {
    if source == Source::Shapes {
        let mut dataset = shapes::generate(seed);
        if let Some(dir) = data_dir {
            let dir = dir.shown();
            dataset.warnings.push(format!("{dir} is not read: the built-in shapes are selected"));
        }
        return Ok(Loaded { dataset, notice: None });
    }

    let named =
        data_dir.map(|dir| (dir, Origin::Caller)).or(variable.map(|dir| (dir, Origin::Variable)));
    let (dir, origin) = named.unwrap_or((default, Origin::Default));
    if !is_absent(dir) {
        let dataset = cifar10::read(dir)?;
        return Ok(Loaded { dataset, notice: None });
    }

    // A packed download, or another version, is often in the default folder's parent, `./data`.
    let nearby = match named {
        None => default.parent().and_then(cifar10::other_form),
        Some(_) => None,
    };
    if source == Source::Auto && named.is_none() {
        let dataset = shapes::generate(seed);
        let notice = Notice { folder: default.to_path_buf(), nearby, advice: Vec::new() };
        return Ok(Loaded { dataset, notice: Some(notice) });
    }
    Err(nearby.unwrap_or_else(|| DataError::MissingFolder { dir: dir.to_path_buf(), origin }))
}
