//! Datasets of the user's own pictures, in folders or in lists.
//!
//! ```text
//! listing, lists --> held_out, division --> decoding <--> cache --> reading: the Dataset
//! ```
//!
//! * `listing` finds the pictures of the folder, their classes and parts; `lists` reads `train.csv`;
//! * `held_out` chooses the pictures for validation by the hashes of their paths, and `division` divides the pictures;
//! * `decoding` decodes pictures on all cores, unless the mapped file of `cache` has them;
//! * `reading` makes the dataset: splits, mean and standard deviation, fingerprints;
//! * `survey` reads all pictures for a report on the folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{
    DataError, Dataset, DatasetSource, Defaults, Files, ImageSize, ImageSpec, ReadOptions,
};
use crate::base::files;

mod cache;
mod decoding;
mod division;
mod error;
mod held_out;
mod items;
mod listing;
mod lists;
mod reading;
mod survey;
#[cfg(test)]
mod tests;

pub use error::{PicturesError, Unreadable, count, first_few};
pub use survey::{Survey, Surveyed, crosses_classes, crosses_parts, upright};

/// The mean of each channel of ImageNet's training images, for pixels in 0..=1.
pub const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];

/// The standard deviation of each channel of ImageNet's training images, for pixels in 0..=1.
pub const IMAGENET_STANDARD_DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// The number of rows and columns of the images if neither a setting nor the network determines it.
pub const SIDE: usize = 64;

/// The folder of decoded pictures in the cache folder.
const CACHE: &str = "pictures";

/// The default settings of a run on pictures.
pub const DEFAULTS: Defaults = Defaults {
    epochs: 30,
    batch_size: 64,
    width: 64,
    max_lr: 0.005,
    crop: true,
    resized_crop: false,
    flip: true,
    cutout: true,
};

/// A folder of the user's pictures.
#[derive(Debug)]
pub struct PictureFolder {
    /// The absolute path, which is the name of the dataset in settings, run folders and files of weights.
    name: &'static str,
}

/// The folders that were named in this process. Each is leaked once, so that a dataset is a `Copy` reference as the
/// built-in ones are.
static FOLDERS: Mutex<BTreeMap<String, &'static PictureFolder>> = Mutex::new(BTreeMap::new());

impl PictureFolder {
    /// Returns the folder of a path, which need not exist. A relative path begins in the current folder.
    ///
    /// # Errors
    /// If the path is no UTF-8 and so cannot be a value in a settings file. The error is a message.
    pub fn at(path: &Path) -> Result<&'static Self, String> {
        let absolute = path.canonicalize().or_else(|_| std::path::absolute(path));
        let absolute = absolute.map_err(|error| format!("{}: {error}", path.display()))?;
        let Some(text) = absolute.to_str() else {
            return Err(format!("{}: the path is no UTF-8; rename the folder", path.display()));
        };
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folders.entry(text.to_string()).or_insert_with(|| {
            let name: &'static str = text.to_string().leak();
            Box::leak(Box::new(Self { name }))
        });
        Ok(folder)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.name)
    }
}

impl DatasetSource for PictureFolder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        "a folder of pictures"
    }

    /// Returns the format of the images before the pictures are read: one class, and ImageNet's mean and standard
    /// deviation. [`Dataset::spec`] has those of the pictures.
    fn spec(&self, options: ReadOptions) -> ImageSpec {
        let side = options.side.unwrap_or(SIDE);
        ImageSpec {
            size: ImageSize { height: side, width: side, channels: 3 },
            classes: vec!["0".to_string()],
            mean: IMAGENET_MEAN.to_vec(),
            standard_deviation: IMAGENET_STANDARD_DEVIATION.to_vec(),
        }
    }

    fn defaults(&self) -> Defaults {
        DEFAULTS
    }

    fn files(&self) -> Option<&'static Files> {
        None
    }

    fn is_folder(&self) -> bool {
        true
    }

    fn read(&self, _: &Path, options: ReadOptions) -> Result<Dataset, DataError> {
        let cache = files::cache_folder().map(|folder| folder.join(CACHE));
        reading::read(self, options, cache.as_deref())
    }
}
