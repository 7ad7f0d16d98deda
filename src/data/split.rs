//! Images and their labels.

use std::fmt;
use std::path::PathBuf;

use super::resize::resize;
use super::{ImageSize, Pixels};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};

/// Images of the same size, as bytes in the order channel, row, column, and their labels.
#[derive(Clone, PartialEq, Eq)]
pub struct Split {
    /// The size of an image.
    pub size: ImageSize,
    /// The pixels, `[len, C, H, W]`, row-major; 0 is black, 255 is full intensity.
    pub images: Pixels,
    /// The class of each image, `[len]`, counted from 0.
    pub labels: Vec<u16>,
    /// The whole pictures, in sizes of their own, which training crops at random; None to train on `images`.
    pub stored: Option<Stored>,
    /// The path of each picture: in folders relative to the dataset's folder, in lists as the list has it. Empty if
    /// the images have no files of their own.
    pub files: Vec<PathBuf>,
}

/// Pictures in sizes of their own.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The bytes of all pictures.
    pixels: Pixels,
    /// The first byte and the size of each picture.
    places: Vec<(usize, ImageSize)>,
    /// The number of bytes of the largest picture.
    largest: usize,
}

impl Stored {
    /// Returns pictures with the first byte in `pixels` and the size of each. A picture is `[C, H, W]`, row-major.
    pub fn new(pixels: Pixels, places: Vec<(usize, ImageSize)>) -> Self {
        let largest = places.iter().map(|(_, size)| size.n_bytes()).max().unwrap_or_default();
        Self { pixels, places, largest }
    }

    /// Returns the bytes of picture `i`, `[C, H, W]`.
    ///
    /// # Panics
    /// If there is no picture `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        let (start, size) = self.places[i];
        &self.pixels[start..][..size.n_bytes()]
    }
}

impl PartialEq for Stored {
    /// Returns true if sizes and bytes of all pictures are equal. The places of the bytes may differ.
    fn eq(&self, other: &Self) -> bool {
        let n = self.places.len();
        let is_same =
            |i: usize| self.places[i].1 == other.places[i].1 && self.image(i) == other.image(i);
        n == other.places.len() && (0..n).all(is_same)
    }
}

impl Eq for Stored {}

impl Split {
    /// Returns an empty split for images of this size.
    pub fn new(size: ImageSize) -> Self {
        Self::of(size, Vec::new(), Vec::new())
    }

    /// Returns images of this size with their labels. The images have no files of their own.
    pub fn of(size: ImageSize, images: impl Into<Pixels>, labels: Vec<u16>) -> Self {
        Self { size, images: images.into(), labels, stored: None, files: Vec::new() }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns true for a split without images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the bytes of image `i`, `[C, H, W]`: those of the whole picture if it is stored.
    ///
    /// # Panics
    ///
    /// If there is no image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        if let Some(stored) = &self.stored {
            return stored.image(i);
        }
        let n_bytes = self.size.n_bytes();
        &self.images[i * n_bytes..(i + 1) * n_bytes]
    }

    /// Returns the size of image `i`: that of the whole picture if it is stored.
    pub fn image_size(&self, i: usize) -> ImageSize {
        self.stored.as_ref().map_or(self.size, |stored| stored.places[i].1)
    }

    /// Returns the bytes of the largest image. Of whole pictures, the number is rounded up to a multiple of 4.
    pub fn largest_image(&self) -> usize {
        let of_stored = |stored: &Stored| stored.largest.next_multiple_of(4);
        self.stored.as_ref().map_or(self.size.n_bytes(), of_stored)
    }

    /// Returns the images mirrored left to right, with their labels. Whole pictures are left out.
    pub fn mirrored(&self) -> Self {
        let mut mirrored = Self { stored: None, ..self.clone() };
        mirrored.images.to_mut().chunks_exact_mut(self.size.width).for_each(<[u8]>::reverse);
        mirrored
    }

    /// Returns the images scaled to the rows and columns of `size`, with their labels. Whole pictures keep their sizes.
    pub fn resized(&self, size: ImageSize) -> Self {
        let from = [self.size.height, self.size.width];
        let to = [size.height, size.width];
        let n_planes = self.images.len() / (from[0] * from[1]);
        let mut images = vec![0; n_planes * to[0] * to[1]];
        for_each_chunk(&mut images, to[0] * to[1], &|ix, plane| {
            plane.copy_from_slice(&resize(chunk(&self.images, ix, from[0] * from[1]), 1, from, to));
        });
        let (labels, stored) = (self.labels.clone(), self.stored.clone());
        Self { size, images: images.into(), labels, stored, files: self.files.clone() }
    }

    /// Returns the images with these indices, and their labels, in this order.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of images.
    pub fn select(&self, indices: &[u32]) -> Self {
        let indices = || indices.iter().map(|&ix| ix as usize);
        let images = indices()
            .flat_map(|ix| &self.images[ix * self.size.n_bytes()..][..self.size.n_bytes()]);
        let places = |stored: &Stored| indices().map(|ix| stored.places[ix]).collect();
        let stored = |stored: &Stored| Stored::new(stored.pixels.clone(), places(stored));
        Self {
            size: self.size,
            images: images.copied().collect::<Vec<u8>>().into(),
            labels: indices().map(|ix| self.labels[ix]).collect(),
            stored: self.stored.as_ref().map(stored),
            files: match self.files.is_empty() {
                true => Vec::new(),
                false => indices().map(|ix| self.files[ix].clone()).collect(),
            },
        }
    }
}

impl fmt::Debug for Split {
    /// Prints the number of images only, because the bytes of a split would fill a terminal for minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}
