//! A dataset: training, validation and test images.

use std::path::PathBuf;

use super::random::{Draws, Purpose};
use super::{ImageSpec, Split, batches};
use crate::base::fingerprint::{Fingerprint, Hasher};

/// Training, validation and test images.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name of the dataset in settings and run folders, such as `"cifar10"`.
    pub name: &'static str,
    /// One line for the terminal: the source of the images and their number.
    pub description: String,
    /// The absolute path of the folder that the files were read from; None for drawn images.
    pub dir: Option<PathBuf>,
    /// The format of the images, and the names of the classes.
    pub spec: ImageSpec,
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
    /// The value of [`Dataset::fingerprint`], computed from the hashes of the pictures' files; None if it is computed from
    /// the images.
    pub known: Option<Fingerprint>,
}

impl Dataset {
    /// Returns the dataset with images of `side` rows and columns, resized as Pillow's bilinear filter with
    /// antialiasing does it. An image is resized each time that it is read, so the resized images take no memory.
    /// [`Dataset::whole_fingerprint`] stays that of the images in their own size. None keeps the size.
    pub fn resized(mut self, side: Option<usize>) -> Self {
        let spec = self.spec.clone().with_side(side);
        if spec.size == self.spec.size {
            return self;
        }
        self.whole = Some(self.whole_fingerprint());
        for split in [&mut self.train, &mut self.validation, &mut self.test] {
            *split = split.resized(spec.size);
        }
        self.spec = spec;
        self
    }

    /// Moves `n` training images to the validation split. The images are drawn at random with a fixed seed.
    ///
    /// # Panics
    ///
    /// If there are fewer than `n` training images.
    pub fn hold_out(&mut self, n: usize) {
        self.whole = Some(self.whole_fingerprint());
        self.known = None;
        let mut order = batches::in_order(self.train.len());
        // The seed is fixed, so all runs have the same validation images.
        Draws::new(0, Purpose::Validation, 0).shuffle(&mut order);
        let (held_out, rest) = order.split_at_mut(n);
        // The validation images and the remaining training images keep the dataset's order, in which the classes are
        // mixed.
        held_out.sort_unstable();
        rest.sort_unstable();
        self.validation = self.train.select(held_out);
        self.train = self.train.select(rest);
    }

    /// Gives the classes the labels that their names have in `names`, which also name classes without images. Returns
    /// false, and changes nothing, if a class has another name.
    pub fn relabel(&mut self, names: &[String]) -> bool {
        let place = |class: &String| names.iter().position(|name| name == class);
        let places: Option<Vec<_>> = self.spec.classes.iter().map(place).collect();
        let Some(places) = places else { return false };
        for split in [&mut self.train, &mut self.validation, &mut self.test] {
            for label in &mut split.labels {
                *label = places[usize::from(*label)] as u16;
            }
        }
        self.spec.classes = names.to_vec();
        true
    }

    /// Returns the images on which a trained network is measured, and their name: the test images; without any the
    /// validation images; in a folder that is not divided all images.
    pub fn measured(&self) -> (&Split, &'static str) {
        let splits =
            [(&self.test, "test"), (&self.validation, "validation"), (&self.train, "training")];
        splits.into_iter().find(|(split, _)| !split.is_empty()).unwrap_or((&self.test, "test"))
    }

    /// Returns the images on which each epoch is evaluated: the validation images, or the test images if there are no
    /// validation images.
    pub fn evaluated(&self) -> &Split {
        if self.validation.is_empty() { &self.test } else { &self.validation }
    }

    /// Returns the name of the images on which each epoch is evaluated: `validation` or `test`.
    pub fn evaluated_on(&self) -> &'static str {
        if self.validation.is_empty() { "test" } else { "validation" }
    }

    /// Returns the hash of all images and labels as they were read, before any were held out. For pictures in folders it
    /// depends on neither the held-out part nor the size of the images.
    pub fn whole_fingerprint(&self) -> Fingerprint {
        self.whole.unwrap_or_else(|| self.fingerprint())
    }

    /// Returns the hash of all images and labels. A resumed run compares this hash with the hash that was recorded when
    /// the run started.
    ///
    /// A label enters the hash as one byte if the dataset has at most 256 classes, otherwise as two bytes. Earlier
    /// versions of the program always used one byte, and their recorded hashes stay valid.
    ///
    /// For pictures in folders, the hash of a picture's file stands for the picture, so the pixels are not read.
    pub fn fingerprint(&self) -> Fingerprint {
        if let Some(known) = self.known {
            return known;
        }
        let splits = [&self.train, &self.validation, &self.test];
        let n_bytes = if self.spec.n_classes() <= 256 { 1 } else { 2 };
        let labels = splits.map(|split| {
            let bytes =
                split.labels.iter().flat_map(|label| label.to_le_bytes().into_iter().take(n_bytes));
            bytes.collect::<Vec<u8>>()
        });
        let mut hash = Hasher::default();
        for (split, labels) in splits.into_iter().zip(&labels) {
            hash.part(labels.len(), [labels]);
            hash.part(split.len() * split.size.n_bytes(), split.pieces());
        }
        hash.finish()
    }
}
