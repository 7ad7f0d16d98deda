//! Features: the outputs of the frozen layers in front of the first trained layer, kept in memory for every image.

use crate::data::Split;

/// The features of every image of a split, and the labels of the images.
#[derive(Clone, PartialEq, Debug)]
pub struct Features {
    /// For each value that a step reads, its rows, `[images, ...]`.
    values: Vec<Vec<f32>>,
    /// The class of each image.
    labels: Vec<u16>,
}

impl Features {
    /// Returns zeros for the images of a split. `lengths` has the number of elements of each value for one image.
    pub(super) fn new(split: &Split, lengths: &[usize]) -> Self {
        let values = lengths.iter().map(|length| vec![0.0; length * split.len()]).collect();
        Self { values, labels: split.labels.clone() }
    }

    /// Returns the class of each image.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// Returns the number of bytes of the features.
    pub fn n_bytes(&self) -> u64 {
        4 * self.values.iter().map(|values| values.len() as u64).sum::<u64>()
    }

    /// Returns the rows of the `value`-th value that belong to image `image`; a row has `length` elements.
    pub(super) fn row(&self, value: usize, length: usize, image: u32) -> &[f32] {
        &self.values[value][image as usize * length..][..length]
    }

    /// Overwrites the rows of the `value`-th value from image `first` on.
    pub(super) fn write(&mut self, value: usize, length: usize, first: u32, rows: &[f32]) {
        self.values[value][first as usize * length..][..rows.len()].copy_from_slice(rows);
    }
}

/// The images of a step.
#[derive(Clone, Copy)]
pub enum Images<'a> {
    /// Images, from which the step computes all layers.
    Pixels(&'a Split),
    /// Features, from which the step computes the layers behind its front.
    Features(&'a Features),
}

impl Images<'_> {
    /// Returns the number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::Pixels(split) => split.len(),
            Self::Features(features) => features.labels.len(),
        }
    }

    /// Returns true if there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> From<&'a Split> for Images<'a> {
    fn from(split: &'a Split) -> Self {
        Self::Pixels(split)
    }
}

impl<'a> From<&'a Features> for Images<'a> {
    fn from(features: &'a Features) -> Self {
        Self::Features(features)
    }
}
