//! Images and their labels.

use std::fmt;

/// Number of rows, and number of columns, of an image.
pub const IMAGE_SIZE: usize = 32;
/// Number of colour channels: red, green and blue.
pub const N_CHANNELS: usize = 3;
/// Number of bytes of an image: 3 planes of 32 rows of 32 columns.
pub const IMAGE_BYTES: usize = N_CHANNELS * IMAGE_SIZE * IMAGE_SIZE;
/// The number of classes of every dataset.
pub const N_CLASSES: usize = 10;

/// Images of 3x32x32 bytes, planar (channel, row, column), and their labels.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// The pixels, `[len, 3, 32, 32]`, row-major; 0 is black, 255 is full intensity.
    pub images: Vec<u8>,
    /// The classes, `[len]`, 0 to 9.
    pub labels: Vec<u8>,
}

impl Split {
    /// Returns the number of images.
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

    /// Returns the images with these indices, and their labels, in this order.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of images.
    pub fn select(&self, indices: &[u32]) -> Self {
        let images = indices.iter().flat_map(|&ix| self.image(ix as usize)).copied().collect();
        let labels = indices.iter().map(|&ix| self.labels[ix as usize]).collect();
        Self { images, labels }
    }
}

impl fmt::Debug for Split {
    /// Prints the number of images only, because the bytes of a split would fill a terminal for minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}
