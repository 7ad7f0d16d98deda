//! Datasets of images.
//!
//! Reading order:
//!
//! * [`load`] finds a dataset: [`cifar10`] if it is on the disk, otherwise [`shapes`], ten kinds of drawn figures that
//!   need no download;
//! * [`mod@fetch`] downloads CIFAR-10;
//! * [`batches`] shuffles a split and packs images into the 32-bit words that the device reads;
//! * [`image_file`] converts any picture to an input for a trained network;
//! * [`DataError`] is the type of errors in dataset files.
//!
//! In this module, an image is an array of bytes. Cropping, flipping, cutout and normalisation are the first nodes of
//! the training tape, so they run on the device.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::base::choice::Choice;
use crate::base::files;
use crate::base::shown::Shown;

pub mod batches;
pub mod cifar10;
mod dataset;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "runs")]
pub mod image_file;
mod random;
pub mod shapes;
mod split;
#[cfg(test)]
mod tests;

pub use dataset::Dataset;
pub use error::{CIFAR10_PAGE, DataError, Origin, Version};
pub use split::{IMAGE_BYTES, IMAGE_SIZE, N_CHANNELS, N_CLASSES, Split};

/// The environment variable that names CIFAR-10's folder. A folder that the caller names takes precedence.
pub const DATA_VARIABLE: &str = "WGRAD_DATA";
/// The default folder of CIFAR-10.
pub const DEFAULT_FOLDER: &str = "./data/cifar-10-batches-bin";

/// The choice of the dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// CIFAR-10 if a folder is named or the default folder exists, otherwise the built-in shapes
    #[default]
    Auto,
    /// CIFAR-10; an error if it is not found
    Cifar10,
    /// The built-in shapes: drawn figures that need no download
    Shapes,
}

impl Choice for Source {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::Auto,
            "auto",
            "CIFAR-10 if it is found or a folder is named, otherwise the built-in shapes",
        ),
        (Self::Cifar10, "cifar10", "CIFAR-10; an error if it is not found"),
        (Self::Shapes, "shapes", "The built-in shapes: drawn figures, no download"),
    ];
}

impl Source {
    /// Returns the names of the ten classes, in the order of the labels. For [`Source::Auto`], these are CIFAR-10's
    /// names, because [`load`] takes CIFAR-10 if it is found.
    pub fn classes(self) -> Vec<String> {
        match self {
            Source::Auto | Source::Cifar10 => cifar10::CLASSES.map(String::from).to_vec(),
            Source::Shapes => shapes::Figure::ALL.map(|figure| figure.name().to_string()).to_vec(),
        }
    }
}

/// A loaded dataset, and a notice if the built-in shapes replace CIFAR-10.
#[derive(Debug)]
pub struct Loaded {
    /// The images.
    pub dataset: Dataset,
    /// The notice that the built-in shapes replace CIFAR-10; None if they do not.
    pub notice: Option<Notice>,
}

/// The notice that the built-in shapes replace CIFAR-10: paragraphs for the start and the summary of a run.
#[derive(Debug)]
pub struct Notice {
    /// The default folder of CIFAR-10, which does not exist.
    pub folder: PathBuf,
    /// A packed archive or another version of CIFAR-10 in the folder's parent; None if the parent has neither.
    pub nearby: Option<DataError>,
    /// Instructions for getting CIFAR-10, one paragraph each. [`load`] leaves them empty; its caller adds them.
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

/// Returns the folders that are searched for CIFAR-10 if the caller names no folder: the folder of `$WGRAD_DATA`, if
/// the variable is set, and the default folder.
pub fn usual_folders() -> Vec<PathBuf> {
    files::path_variable(DATA_VARIABLE).into_iter().chain([DEFAULT_FOLDER.into()]).collect()
}

/// Loads a dataset.
///
/// CIFAR-10 is read from one folder: from `data_dir`, otherwise from the folder of `$WGRAD_DATA`, otherwise from
/// [`DEFAULT_FOLDER`]. With [`Source::Auto`], the shapes replace CIFAR-10 only if neither the caller nor the variable
/// names a folder and the default folder does not exist; the result then has a notice. A named folder that does not
/// exist is an error, and so are damaged data. The shapes depend on `seed`; CIFAR-10 does not.
///
/// # Errors
///
/// If CIFAR-10 cannot be read completely. With [`Source::Auto`], this is an error only if a folder is named or the
/// default folder exists.
pub fn load(source: Source, data_dir: Option<&Path>, seed: u64) -> Result<Loaded, DataError> {
    let variable = files::path_variable(DATA_VARIABLE);
    load_from(source, data_dir, variable.as_deref(), Path::new(DEFAULT_FOLDER), seed)
}

/// Returns the default folder if [`load`] would read CIFAR-10 from this folder and the folder does not exist.
pub fn missing_by_default(source: Source, data_dir: Option<&Path>) -> Option<&'static Path> {
    let is_named = data_dir.is_some() || files::path_variable(DATA_VARIABLE).is_some();
    let default = Path::new(DEFAULT_FOLDER);
    (source != Source::Shapes && !is_named && is_absent(default)).then_some(default)
}

/// Returns true if nothing exists at this path. A dangling link and a folder without read permission do exist; a later
/// read of the path reports the cause.
fn is_absent(dir: &Path) -> bool {
    matches!(dir.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

/// Loads a dataset as [`load`] does. The arguments `variable` and `default` replace `$WGRAD_DATA` and
/// [`DEFAULT_FOLDER`], so tests can choose them.
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
