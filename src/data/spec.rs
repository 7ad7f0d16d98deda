//! The format of a dataset's images and labels.

use std::fmt;

/// The size of an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ImageSize {
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of channels: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
}

impl ImageSize {
    /// Returns the number of bytes of an image, one byte for each channel of each pixel.
    pub const fn n_bytes(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Returns the shape of `n` images that are stored as bytes, `[N, C, H, W]`.
    pub fn planar(self, n: usize) -> [usize; 4] {
        [n, self.channels, self.height, self.width]
    }

    /// Returns the shape of one input of a network, `[H, W, C]`.
    pub fn channels_last(self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }
}

impl From<[usize; 3]> for ImageSize {
    /// Returns the size of images of shape `[H, W, C]`.
    fn from([height, width, channels]: [usize; 3]) -> Self {
        Self { height, width, channels }
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// The format of a dataset: the size of its images, its classes, and the numbers that normalise its pixels.
#[derive(Clone, PartialEq, Debug)]
pub struct ImageSpec {
    /// The size of an image.
    pub size: ImageSize,
    /// The names of the classes, in the order of the labels; at most 65,535.
    pub classes: Vec<String>,
    /// The mean of each channel of the training images, for pixels in 0..=1.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel of the training images, for pixels in 0..=1.
    pub standard_deviation: Vec<f64>,
}

impl ImageSpec {
    /// Returns this format with images of `side` rows and columns.
    pub fn with_side(self, side: Option<usize>) -> Self {
        let Some(side) = side else { return self };
        Self { size: ImageSize { height: side, width: side, ..self.size }, ..self }
    }

    /// Returns the number of classes.
    pub fn n_classes(&self) -> usize {
        self.classes.len()
    }
}
