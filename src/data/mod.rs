//! The pictures that a network is trained on.
//!
//! Reading order:
//!
//! * [`load`] finds a dataset: [`cifar10`] where it is on the disk, otherwise [`shapes`], ten
//!   kinds of drawn figures that need no download;
//! * [`mod@fetch`] downloads CIFAR-10, when it is asked to;
//! * [`batches`] shuffles a split and packs images into the words that the device reads;
//! * [`image_file`] makes an image of any picture, for a trained network to look at;
//! * [`DataError`] is everything that can be wrong with files.
//!
//! Images stay bytes here. Cropping, flipping, cutout and normalisation are the first nodes of the
//! training tape, so they run on the device.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::base::files;
use crate::base::fingerprint::Fingerprint;
use crate::base::shown::Shown;
use random::{Draws, Purpose};

pub mod batches;
pub mod cifar10;
mod error;
pub mod fetch;
pub mod image_file;
mod random;
pub mod shapes;
#[cfg(test)]
mod tests;

pub use error::{CIFAR10_PAGE, DataError, Version};

/// Rows of an image, and columns.
pub const IMAGE_SIZE: usize = 32;
/// Red, green and blue.
pub const N_CHANNELS: usize = 3;
/// Bytes of one image: 3 planes of 32 rows of 32 columns.
pub const IMAGE_BYTES: usize = N_CHANNELS * IMAGE_SIZE * IMAGE_SIZE;
/// Classes of every dataset here.
pub const N_CLASSES: usize = 10;

/// The environment variable that names the folder with CIFAR-10 where `--data-dir` does not.
pub const DATA_VARIABLE: &str = "WGRAD_DATA";
/// Where CIFAR-10 is looked for when nothing names a folder.
pub const DEFAULT_FOLDER: &str = "./data/cifar-10-batches-bin";

/// Images of 3x32x32 bytes, planar (channel, row, column), and their labels.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// `[len, 3, 32, 32]`, row-major; 0 is black, 255 is full intensity.
    pub images: Vec<u8>,
    /// `[len]`, each the index of a class, 0 to 9.
    pub labels: Vec<u8>,
}

impl Split {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of image `i`: `[3, 32, 32]`.
    ///
    /// # Panics
    ///
    /// If there is no image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        &self.images[i * IMAGE_BYTES..(i + 1) * IMAGE_BYTES]
    }

    /// The same images, each as a mirror shows it: left and right are exchanged.
    pub fn mirrored(&self) -> Self {
        let mut images = self.images.clone();
        images.chunks_exact_mut(IMAGE_SIZE).for_each(<[u8]>::reverse);
        Self { images, labels: self.labels.clone() }
    }
}

impl Split {
    /// The images of those indices, in that order.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn select(&self, indices: &[u32]) -> Self {
        let images = indices.iter().flat_map(|&ix| self.image(ix as usize)).copied().collect();
        let labels = indices.iter().map(|&ix| self.labels[ix as usize]).collect();
        Self { images, labels }
    }
}

impl fmt::Debug for Split {
    /// The count alone: the bytes of a split would fill a terminal for minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}

/// Training and test images of ten classes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// `"cifar10"` or `"shapes"`, as run folders record it.
    pub name: &'static str,
    /// One line for the terminal: where the images are from, and how many.
    pub description: String,
    /// The folder that the files were read from, absolute; none for images that were drawn.
    pub dir: Option<PathBuf>,
    /// The names of the ten classes, in the order of their labels.
    pub classes: Vec<String>,
    /// What is learned from.
    pub train: Split,
    /// What is held out of the training images to choose between models by; see
    /// [`Dataset::hold_out`]. Usually none.
    pub validation: Split,
    /// What accuracy is measured on, and never learned from.
    pub test: Split,
    /// What a user should know before trusting a result, a line each. Usually none.
    pub warnings: Vec<String>,
    /// [`Dataset::fingerprint`] before [`Dataset::hold_out`]; none as long as nothing is held out.
    pub whole: Option<Fingerprint>,
}

impl Dataset {
    /// Moves `n` training images, drawn at random and always the same ones, to the validation split.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn hold_out(&mut self, n: usize) {
        self.whole = Some(self.whole_fingerprint());
        let mut order = batches::in_order(self.train.len());
        // Another draw than any epoch's, since no seed of a run takes part in it.
        Draws::new(0, Purpose::Validation, 0).shuffle(&mut order);
        let (held_out, rest) = order.split_at_mut(n);
        // In their old order, in which files mix the classes as well as any.
        held_out.sort_unstable();
        rest.sort_unstable();
        self.validation = self.train.select(held_out);
        self.train = self.train.select(rest);
    }

    /// The images that each epoch is evaluated on: those that were held out, else the test images.
    pub fn evaluated(&self) -> &Split {
        if self.validation.is_empty() { &self.test } else { &self.validation }
    }

    /// Hash of all images and labels as they were read, whichever were held out since.
    pub fn whole_fingerprint(&self) -> Fingerprint {
        self.whole.unwrap_or_else(|| self.fingerprint())
    }

    /// All images and labels, as 16 digits: whether a run goes on with those that it began with.
    pub fn fingerprint(&self) -> Fingerprint {
        let splits = [&self.train, &self.validation, &self.test];
        Fingerprint::of(splits.into_iter().flat_map(|split| [&split.labels[..], &split.images[..]]))
    }
}

/// Which dataset to load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
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
    /// The names of its ten classes, in the order of their labels; those of CIFAR-10 for
    /// [`Source::Auto`], which prefers it.
    pub fn classes(self) -> Vec<String> {
        match self {
            Source::Auto | Source::Cifar10 => cifar10::CLASSES.map(String::from).to_vec(),
            Source::Shapes => shapes::Figure::ALL.map(|figure| figure.name().to_string()).to_vec(),
        }
    }
}

/// A dataset, and what to tell the user about how it was chosen.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The images.
    pub dataset: Dataset,
    /// A paragraph to print at the start and again in the summary: there when the images are
    /// not the ones that the user might think they are.
    pub notice: Option<String>,
}

/// The folders in which CIFAR-10 is looked for when no flag names one: that of `$WGRAD_DATA`, and the default.
pub fn usual_folders() -> Vec<PathBuf> {
    files::path_variable(DATA_VARIABLE).into_iter().chain([DEFAULT_FOLDER.into()]).collect()
}

/// Loads a dataset.
///
/// CIFAR-10 is looked for in `data_dir`, else in the folder that `$WGRAD_DATA` names, else in
/// [`DEFAULT_FOLDER`]. [`Source::Auto`] falls back to the shapes, with a notice, only when nothing
/// named a folder and the default one does not exist: a folder that was named and is wrong, or
/// data that was found and is damaged, is an error. `seed` draws the shapes and does not affect
/// CIFAR-10.
///
/// # Errors
///
/// CIFAR-10 was asked for, named or found, and cannot be read whole.
pub fn load(source: Source, data_dir: Option<&Path>, seed: u64) -> Result<Loaded, DataError> {
    let variable = files::path_variable(DATA_VARIABLE);
    load_from(source, data_dir, variable.as_deref(), Path::new(DEFAULT_FOLDER), seed)
}

/// The default folder, if [`load`] would look there for CIFAR-10 and find none.
pub fn missing_by_default(source: Source, data_dir: Option<&Path>) -> Option<&'static Path> {
    let is_named = data_dir.is_some() || files::path_variable(DATA_VARIABLE).is_some();
    let default = Path::new(DEFAULT_FOLDER);
    (source != Source::Shapes && !is_named && is_absent(default)).then_some(default)
}

/// Not the opposite of `exists`: a link that leads nowhere, or a folder that may not be entered, is
/// there and broken, and reading it says why.
fn is_absent(dir: &Path) -> bool {
    matches!(dir.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

/// [`load`] with its surroundings as arguments.
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
            dataset.warnings.push(format!("{dir} is not read: the built-in shapes were asked for"));
        }
        return Ok(Loaded { dataset, notice: None });
    }

    let named = data_dir
        .map(|dir| (dir, "from --data-dir"))
        .or(variable.map(|dir| (dir, "from $WGRAD_DATA")));
    let (dir, origin) = named.unwrap_or((default, "the default"));
    if !is_absent(dir) {
        let dataset = cifar10::read(dir)?;
        return Ok(Loaded { dataset, notice: None });
    }

    // A download that is not unpacked, or of another version, is likely to lie beside the default
    // folder, in `./data`.
    let nearby = match named {
        None => default.parent().and_then(cifar10::other_form),
        Some(_) => None,
    };
    if source == Source::Auto && named.is_none() {
        let dataset = shapes::generate(seed);
        let notice = Some(fall_back_notice(default, nearby.as_ref()));
        return Ok(Loaded { dataset, notice });
    }
    Err(nearby.unwrap_or_else(|| DataError::MissingFolder { dir: dir.to_path_buf(), origin }))
}

/// Says that the shapes stand in for CIFAR-10, and how to get the latter.
fn fall_back_notice(default: &Path, nearby: Option<&DataError>) -> String {
    let mut notice = format!(
        "There is no {}, so the built-in shapes are used: drawn figures of ten kinds, easier \
         than photographs. An accuracy on them is not an accuracy on CIFAR-10.\n",
        default.shown()
    );
    if let Some(nearby) = nearby {
        let hint = nearby.hint().unwrap_or_default();
        notice += &format!("However, {nearby}. {}\n", sentence(&hint));
    }
    notice + &sentence(&error::how_to_get_cifar10())
}

/// A hint, which stands behind `hint: `, as a sentence of its own.
fn sentence(hint: &str) -> String {
    let mut letters = hint.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}.", first.map(String::from).unwrap_or_default(), letters.as_str())
}
