//! Datasets of images.
//!
//! Reading order:
//!
//! * [`load`] finds a dataset of one of the kinds in [`DATASETS`], by the name in the setting `data`;
//! * each kind has a file, which implements [`DatasetSource`]: [`cifar10`], [`cifar100`], [`idx`] for MNIST and
//!   Fashion-MNIST, and [`shapes`], ten kinds of drawn figures that need no download;
//! * [`records`] and [`pickled`] read the files of CIFAR's binary and Python versions;
//! * [`mod@fetch`] downloads the archive of a dataset;
//! * [`batches`] shuffles a split and packs images into the 32-bit words that the device reads;
//! * [`image_file`] converts any picture to an input for a trained network;
//! * [`DataError`] is the type of errors in dataset files.
//!
//! In this module, an image is an array of bytes. Cropping, flipping, cutout and normalisation are the first nodes of
//! the training tape, so they run on the device.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::base::files;
use crate::base::shown::Shown;

pub mod batches;
pub mod cifar10;
pub mod cifar100;
mod dataset;
mod datasets;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
mod folder;
mod form;
mod held_out;
#[cfg(feature = "runs")]
pub mod idx;
#[cfg(feature = "runs")]
pub mod image_file;
mod load_error;
pub mod pickled;
#[cfg(feature = "runs")]
pub mod pictures;
mod pixels;
mod random;
pub mod records;
mod resize;
pub mod shapes;
mod source;
mod spec;
mod split;
#[cfg(test)]
mod tests;

pub use dataset::Dataset;
pub use datasets::{DATASETS, Source};
pub use error::{DataError, Origin, Version};
pub use folder::{Files, PublishedArchive};
pub use held_out::HeldOut;
pub use load_error::LoadError;
pub use pixels::Pixels;
pub use source::{DatasetSource, Defaults, Progress, ReadOptions, Stop, default_folder};
pub use spec::{ImageSize, ImageSpec};
pub use split::{Split, Stored, View};

/// The environment variable that names the folder of a dataset. A folder that the caller names takes precedence.
pub const DATA_VARIABLE: &str = "WGRAD_DATA";

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

/// Returns the folders that are searched for a dataset if the caller names no folder: the folder of `$WGRAD_DATA`, if
/// the variable is set, and the default folder of the dataset.
pub fn usual_folders(dataset: &dyn DatasetSource) -> Vec<PathBuf> {
    files::path_variable(DATA_VARIABLE).into_iter().chain(default_folder(dataset)).collect()
}

/// Loads a dataset.
///
/// The files are read from one folder: from `data_dir`, otherwise from the folder of `$WGRAD_DATA`, otherwise from the
/// [default folder](default_folder). For a folder of pictures, `data_dir` is its present path if it has moved. With [`Source::Auto`], the shapes replace CIFAR-10 only if neither `data_dir` nor
/// `$WGRAD_DATA` names a folder and the default folder does not exist; the result then has a notice. A named folder
/// that does not exist is an error, and so are damaged files. The shapes depend on the seed in `options`; datasets in
/// files do not.
///
/// # Errors
///
/// If the dataset cannot be read completely. With [`Source::Auto`], this is an error only if a folder is named or the
/// default folder exists.
pub fn load(
    source: Source,
    data_dir: Option<&Path>,
    options: ReadOptions,
) -> Result<Loaded, LoadError> {
    let variable = files::path_variable(DATA_VARIABLE);
    let default = default_folder(source.dataset()).unwrap_or_default();
    let loaded = load_from(source, data_dir, variable.as_deref(), &default, options)
        .map_err(|cause| LoadError { dataset: source.dataset(), cause })?;
    Ok(Loaded { dataset: loaded.dataset.resized(options.side), ..loaded })
}

/// Returns the default folder of the dataset if [`load`] would read this folder and the folder does not exist.
pub fn missing_by_default(source: Source, data_dir: Option<&Path>) -> Option<PathBuf> {
    let is_named = data_dir.is_some() || files::path_variable(DATA_VARIABLE).is_some();
    default_folder(source.dataset()).filter(|default| !is_named && is_absent(default))
}

/// Returns true if nothing exists at this path. A dangling link and a folder without read permission do exist; a later
/// read of the path reports the cause.
fn is_absent(dir: &Path) -> bool {
    matches!(dir.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

/// Loads a dataset as [`load`] does. The arguments `variable` and `default` replace `$WGRAD_DATA` and the default
/// folder, so tests can choose them.
fn load_from(
    source: Source,
    data_dir: Option<&Path>,
    variable: Option<&Path>,
    default: &Path,
    options: ReadOptions,
) -> Result<Loaded, DataError> {
    let kind = source.dataset();
    let Some(files) = kind.files() else {
        #[cfg(feature = "runs")]
        if let (true, Some(dir)) = (kind.is_folder(), data_dir) {
            // The pictures of a run may have moved.
            let moved = pictures::PictureFolder::at(dir)
                .map_err(|_| DataError::NotAFolder { path: dir.to_path_buf() })?;
            return Ok(Loaded { dataset: moved.read(dir, options)?, notice: None });
        }
        let mut dataset = kind.read(Path::new(""), options)?;
        if let Some(dir) = data_dir {
            let (dir, title) = (dir.shown(), kind.title());
            dataset.warnings.push(format!("{dir} is not read: {title} are selected"));
        }
        return Ok(Loaded { dataset, notice: None });
    };

    let named =
        data_dir.map(|dir| (dir, Origin::Caller)).or(variable.map(|dir| (dir, Origin::Variable)));
    let (dir, origin) = named.unwrap_or((default, Origin::Default));
    if !is_absent(dir) {
        let dataset = kind.read(dir, options)?;
        return Ok(Loaded { dataset, notice: None });
    }

    // A packed archive or another version of the dataset is often in the default folder's parent, `./data`. The folders
    // of other datasets are there too. The error or the notice names the first that is found.
    let nearby = match named {
        None => default.parent().and_then(|parent| folder::other_form(parent, files)),
        Some(_) => None,
    };
    if source == Source::Auto && named.is_none() {
        let dataset = shapes::generate(options.seed);
        let notice = Notice { folder: default.to_path_buf(), nearby, advice: Vec::new() };
        return Ok(Loaded { dataset, notice: Some(notice) });
    }
    Err(nearby.unwrap_or_else(|| DataError::MissingFolder { dir: dir.to_path_buf(), origin }))
}
