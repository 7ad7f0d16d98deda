//! The trait that each kind of dataset implements.

use std::fmt;
use std::path::{Path, PathBuf};

use super::folder::{self, Files};
use super::{DataError, Dataset, HeldOut, ImageSpec};

/// A kind of dataset: the format of its images, the place of its files, and the defaults of a run on it.
///
/// Each kind has a file in this folder and a line in [`DATASETS`](super::DATASETS).
pub trait DatasetSource: Sync {
    /// Returns the dataset's name in settings, run folders and files of weights: lower case without spaces.
    fn name(&self) -> &'static str;

    /// Returns the dataset's name as messages write it, such as `CIFAR-10`.
    fn title(&self) -> &'static str;

    /// Returns the text that the help has beside the dataset's name: half a sentence.
    fn help(&self) -> &'static str;

    /// Returns the format of the images, with the published names of the classes.
    fn spec(&self, options: ReadOptions) -> ImageSpec;

    /// Returns the options of reading with which the dataset has this number of classes. Most datasets have only one
    /// number of classes.
    fn options(&self, _n_classes: usize) -> ReadOptions<'static> {
        ReadOptions::default()
    }

    /// Returns the default settings of a run on the dataset.
    fn defaults(&self) -> Defaults;

    /// Returns the names of the dataset's files on the disk; None for a dataset that the program draws.
    fn files(&self) -> Option<&'static Files>;

    /// Returns true for a folder of the user's pictures: its classes, mean and standard deviation are in the pictures.
    fn is_folder(&self) -> bool {
        false
    }

    /// Reads the dataset from a folder. A dataset that is drawn ignores the folder.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the folder holds another dataset.
    fn read(&self, dir: &Path, options: ReadOptions) -> Result<Dataset, DataError>;
}

impl fmt::Debug for dyn DatasetSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for dyn DatasetSource {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn DatasetSource {}

/// Returns the folder that is searched for a dataset if no folder is named: `./data/cifar-10-batches-bin`, or
/// `./data/cifar-10-batches-py` if only that one exists. Returns None for a dataset that is drawn.
pub fn default_folder(dataset: &dyn DatasetSource) -> Option<PathBuf> {
    dataset.files().map(folder::default_folder)
}

/// The options with which a dataset is read.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct ReadOptions<'a> {
    /// The seed with which a dataset is drawn. Datasets in files ignore this seed.
    pub seed: u64,
    /// True to read CIFAR-100 with its 20 coarse classes in place of its 100 fine classes.
    pub coarse: bool,
    /// The number of rows, and of columns, to which the images are resized; None for the size in the files.
    pub side: Option<usize>,
    /// Folders of pictures: the training images to hold out for validation. None holds out a tenth if there is neither
    /// a validation nor a test part. The part of a class is selected by the hash of its pictures' paths.
    pub held_out: Option<HeldOut>,
    /// Folders of pictures: true to leave out pictures that cannot be read; false to return them as one error.
    pub skip_bad: bool,
    /// Folders of pictures: the colour behind transparent pixels; none for white.
    pub background: Option<[u8; 3]>,
    /// Folders of pictures: true to keep whole training pictures, in sizes of their own, for the random resized crop.
    pub whole_pictures: bool,
    /// A function that is called now and then while pictures are decoded.
    pub progress: Option<Progress>,
    /// A function that ends the decoding of pictures early.
    pub stop: Option<Stop<'a>>,
}

impl ReadOptions<'_> {
    /// The default options.
    pub const DEFAULT: Self = Self {
        seed: 0,
        coarse: false,
        side: None,
        held_out: None,
        skip_bad: false,
        background: None,
        whole_pictures: false,
        progress: None,
        stop: None,
    };
}

/// A function that is called with the number of pictures that have been decoded and with the number of all.
#[derive(Clone, Copy, Debug)]
pub struct Progress(pub fn(usize, usize));

impl PartialEq for Progress {
    /// Returns true: the images do not depend on the display of the progress.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A function that returns true to end a long work early. It is called from several threads.
#[derive(Clone, Copy)]
pub struct Stop<'a>(pub &'a (dyn Fn() -> bool + Sync));

impl PartialEq for Stop<'_> {
    /// Returns true: images that are read to the end do not depend on the function.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Stop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}

/// The default settings of a run on a dataset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Defaults {
    /// The number of epochs.
    pub epochs: usize,
    /// The number of images in a step.
    pub batch_size: usize,
    /// The number of channels of the network's first layer.
    pub width: usize,
    /// The peak of the learning rate.
    pub max_lr: f64,
    /// True if training images are cropped at random.
    pub crop: bool,
    /// True if the crop is a random part of each image, resized, and not the image with a border.
    pub resized_crop: bool,
    /// True if half of the training images are mirrored left to right.
    pub flip: bool,
    /// True if a square is cut out of each training image.
    pub cutout: bool,
}
