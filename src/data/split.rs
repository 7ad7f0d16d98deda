//! Images and their labels.

use std::fmt;

use super::ImageSize;
use super::resize::resize;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};

/// Images of the same size, as bytes in the order channel, row, column, and their labels.
#[derive(Clone, PartialEq, Eq)]
pub struct Split {
    /// The size of an image.
    pub size: ImageSize,
    /// The pixels, `[len, C, H, W]`, row-major; 0 is black, 255 is full intensity.
    pub images: Vec<u8>,
    /// The class of each image, `[len]`, counted from 0.
    pub labels: Vec<u16>,
}

impl Split {
    /// Returns an empty split for images of this size.
    pub fn new(size: ImageSize) -> Self {
        Self { size, images: Vec::new(), labels: Vec::new() }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns true for a split without images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the bytes of image `i`, `[C, H, W]`.
    ///
    /// # Panics
    ///
    /// If there is no image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        let n_bytes = self.size.n_bytes();
        &self.images[i * n_bytes..(i + 1) * n_bytes]
    }

    /// Returns the size of image `i`.
    pub fn image_size(&self, _i: usize) -> ImageSize {
        self.size
    }

    /// Returns the bytes of the largest image.
    pub fn largest_image(&self) -> usize {
        self.size.n_bytes()
    }

    /// Returns the images mirrored left to right, with their labels.
    pub fn mirrored(&self) -> Self {
        let mut mirrored = self.clone();
        mirrored.images.chunks_exact_mut(self.size.width).for_each(<[u8]>::reverse);
        mirrored
    }

    /// Returns the images scaled to the rows and columns of `size`, with their labels.
    pub fn resized(&self, size: ImageSize) -> Self {
        let from = [self.size.height, self.size.width];
        let to = [size.height, size.width];
        let n_planes = self.images.len() / (from[0] * from[1]);
        let mut images = vec![0; n_planes * to[0] * to[1]];
        for_each_chunk(&mut images, to[0] * to[1], &|ix, plane| {
            plane.copy_from_slice(&resize(chunk(&self.images, ix, from[0] * from[1]), 1, from, to));
        });
        Self { size, images, labels: self.labels.clone() }
    }

    /// Returns the images with these indices, and their labels, in this order.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of images.
    pub fn select(&self, indices: &[u32]) -> Self {
        let images = indices.iter().flat_map(|&ix| self.image(ix as usize)).copied().collect();
        let labels = indices.iter().map(|&ix| self.labels[ix as usize]).collect();
        Self { size: self.size, images, labels }
    }
}

impl fmt::Debug for Split {
    /// Prints the number of images only, because the bytes of a split would fill a terminal for minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}
