//! Images and their labels.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use super::resize::resize;
use super::{ImageSize, Pixels};
use crate::kernel::cpu::parallel::for_each_chunk;

/// The number of images that [`Split::pieces`] has in memory at once.
const PIECE: usize = 64;

/// Images of the same size, as bytes in the order channel, row, column, and their labels.
#[derive(Clone)]
pub struct Split {
    /// The size of an image.
    pub size: ImageSize,
    /// The pixels as they were read: `[C, H, W]` for each image, row-major; 0 is black, 255 is full intensity.
    pub images: Pixels,
    /// The class of each image, `[len]`, counted from 0.
    pub labels: Vec<u16>,
    /// The whole pictures, in sizes of their own, which training crops at random; None to train on `images`.
    pub stored: Option<Stored>,
    /// The path of each picture: in folders relative to the dataset's folder, in lists as the list has it. Empty if
    /// the images have no files of their own.
    pub files: Vec<PathBuf>,
    /// The SHA-256 of each picture's file; empty if the images have no files of their own.
    pub hashes: Vec<[u8; 32]>,
    /// The places of the images in `images`, and their change when they are read.
    pub view: View,
}

/// The places of images in bytes, and the change of an image when it is read.
#[derive(Clone, Debug)]
pub struct View {
    /// The first byte of each image; None if the images follow one another.
    starts: Option<Vec<usize>>,
    /// The size of an image in the bytes. An image is resized from this size to that of its split.
    size: ImageSize,
    /// True if an image is mirrored left to right.
    is_mirrored: bool,
}

impl View {
    /// Returns the first byte of image `i`.
    fn start(&self, i: usize) -> usize {
        self.starts.as_ref().map_or(i * self.size.n_bytes(), |starts| starts[i])
    }
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
        Self {
            size,
            images: images.into(),
            labels,
            stored: None,
            files: Vec::new(),
            hashes: Vec::new(),
            view: View { starts: None, size, is_mirrored: false },
        }
    }

    /// Returns images of this size, with their labels, that begin at `starts` in `images`.
    pub fn at(size: ImageSize, images: Pixels, starts: Vec<usize>, labels: Vec<u16>) -> Self {
        let view = View { starts: Some(starts), size, is_mirrored: false };
        Self { view, ..Self::of(size, images, labels) }
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
    pub fn image(&self, i: usize) -> Cow<'_, [u8]> {
        if let Some(stored) = &self.stored {
            return Cow::Borrowed(stored.image(i));
        }
        let image = self.read(i);
        if self.is_as_read() {
            return Cow::Borrowed(image);
        }
        let [from, to] = [self.view.size, self.size].map(|size| [size.height, size.width]);
        let mut image = match from == to {
            true => image.to_vec(),
            false => {
                let planes = image.chunks_exact(from[0] * from[1]);
                planes.flat_map(|plane| resize(plane, 1, from, to)).collect()
            }
        };
        if self.view.is_mirrored {
            image.chunks_exact_mut(to[1]).for_each(<[u8]>::reverse);
        }
        Cow::Owned(image)
    }

    /// Returns the bytes of image `i` as they were read.
    fn read(&self, i: usize) -> &[u8] {
        &self.images[self.view.start(i)..][..self.view.size.n_bytes()]
    }

    /// Returns true if the images are neither resized nor mirrored.
    fn is_as_read(&self) -> bool {
        self.size == self.view.size && !self.view.is_mirrored
    }

    /// Writes the images with these indices into `rows`. A row has the bytes of the largest image, and zeros follow a
    /// smaller image. Images that are resized or mirrored are computed on all cores.
    ///
    /// # Panics
    /// If an index is not below the number of images, or `rows` has another number of rows.
    pub fn copy(&self, indices: &[u32], rows: &mut [u8]) {
        let n_bytes = self.largest_image();
        let write = |row: usize, bytes: &mut [u8]| {
            let image = self.image(indices[row] as usize);
            let (start, end) = bytes.split_at_mut(image.len());
            start.copy_from_slice(&image);
            end.fill(0);
        };
        match self.is_as_read() || self.stored.is_some() {
            true => rows.chunks_exact_mut(n_bytes).enumerate().for_each(|(row, at)| write(row, at)),
            false => for_each_chunk(rows, n_bytes, &write),
        }
    }

    /// Returns the bytes of all images, one after another, some images at a time. Whole pictures are left out.
    pub fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        let images = Self { stored: None, ..self.clone() };
        (0..self.len()).step_by(PIECE).map(move |first| {
            let last = images.len().min(first + PIECE);
            let indices: Vec<u32> = (first as u32..last as u32).collect();
            let mut piece = vec![0; indices.len() * images.size.n_bytes()];
            images.copy(&indices, &mut piece);
            piece
        })
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

    /// Returns the images mirrored left to right, with their labels. Whole pictures are left out. An image is mirrored when
    /// it is read, so the pixels are shared.
    pub fn mirrored(&self) -> Self {
        let view = View { is_mirrored: !self.view.is_mirrored, ..self.view.clone() };
        Self { stored: None, view, ..self.clone() }
    }

    /// Returns the images scaled to the rows and columns of `size`, with their labels. Whole pictures keep their sizes. An
    /// image is scaled when it is read, from the size in which it is stored, so the pixels are shared.
    pub fn resized(&self, size: ImageSize) -> Self {
        Self { size, ..self.clone() }
    }

    /// Returns the images with these indices, and their labels, in this order. The pixels are shared.
    ///
    /// # Panics
    ///
    /// If an index is not below the number of images.
    pub fn select(&self, indices: &[u32]) -> Self {
        let indices = || indices.iter().map(|&ix| ix as usize);
        let starts = indices().map(|ix| self.view.start(ix)).collect();
        let stored = |stored: &Stored| {
            Stored::new(stored.pixels.clone(), indices().map(|ix| stored.places[ix]).collect())
        };
        Self {
            size: self.size,
            images: self.images.clone(),
            labels: indices().map(|ix| self.labels[ix]).collect(),
            stored: self.stored.as_ref().map(stored),
            files: indices().filter_map(|ix| self.files.get(ix).cloned()).collect(),
            hashes: indices().filter_map(|ix| self.hashes.get(ix).copied()).collect(),
            view: View { starts: Some(starts), ..self.view.clone() },
        }
    }
}

impl PartialEq for Split {
    /// Returns true if all images, labels and files are equal. The places of the bytes may differ.
    fn eq(&self, other: &Self) -> bool {
        let images = |split: &Self| Self { stored: None, ..split.clone() };
        let (a, b) = (images(self), images(other));
        self.size == other.size
            && self.labels == other.labels
            && self.stored == other.stored
            && self.files == other.files
            && self.hashes == other.hashes
            && (0..self.len()).all(|i| a.image(i) == b.image(i))
    }
}

impl Eq for Split {}

impl fmt::Debug for Split {
    /// Prints the number of images only, because the bytes of a split would fill a terminal for minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} images)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fingerprint::Fingerprint;
    use crate::data::batches::Batch;
    use crate::data::shapes;

    const SMALL: ImageSize = ImageSize { height: 20, width: 28, channels: 3 };

    /// Returns the bytes of image `i`, resized to `SMALL`.
    fn small(split: &Split, i: usize) -> Vec<u8> {
        let image = split.image(i);
        let planes = image.chunks(32 * 32);
        planes.flat_map(|plane| resize(plane, 1, [32, 32], [20, 28])).collect()
    }

    #[test]
    fn images_are_changed_when_they_are_read() {
        let split = shapes::draw_train(0, 70);
        let resized = split.resized(SMALL);
        let mirrored = resized.mirrored();
        for i in [0, 69] {
            let mut expected = small(&split, i);
            assert_eq!(*resized.image(i), expected);
            expected.chunks_mut(28).for_each(<[u8]>::reverse);
            assert_eq!(*mirrored.image(i), expected);
        }
        assert_ne!(resized, mirrored);
        assert_eq!(mirrored.mirrored(), resized);
        // No image has a copy.
        assert!(std::ptr::eq(&*split.images, &*mirrored.images));
        let mut batch = Batch::new(3, SMALL);
        batch.fill(&mirrored, &[69, 1]);
        let rows: &[u8] = bytemuck::cast_slice(&batch.pixels);
        let (first, rest) = rows.split_at(SMALL.n_bytes());
        let (second, padding) = rest.split_at(SMALL.n_bytes());
        assert_eq!((first, second), (&*mirrored.image(69), &*mirrored.image(1)));
        assert!(padding.iter().all(|&byte| byte == 0));
        assert_eq!(batch.sizes, [20, 28, 20, 28, 1, 1]);
    }

    #[test]
    fn zeros_follow_a_picture_that_is_smaller_than_the_largest() {
        let sizes = [[2, 3, 1], [1, 2, 1]].map(ImageSize::from);
        let stored =
            Stored::new((1..9).collect::<Vec<u8>>().into(), vec![(0, sizes[0]), (6, sizes[1])]);
        let split = Split { stored: Some(stored), ..Split::of(sizes[0], Vec::new(), vec![0; 2]) };
        let mut rows = [99; 16];
        split.copy(&[1, 0], &mut rows);
        assert_eq!(rows, [7, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0]);
    }

    #[test]
    fn selected_images_share_the_pixels_and_keep_their_change() {
        let split = shapes::draw_train(0, 5).resized(SMALL);
        let selected = split.select(&[4, 0, 4]).select(&[2, 1]);
        assert_eq!(
            (selected.len(), selected.image(0), selected.image(1)),
            (2, split.image(4), split.image(0))
        );
        assert_eq!(selected.labels, [split.labels[4], split.labels[0]]);
        assert!(std::ptr::eq(&*split.images, &*selected.images));
    }

    /// The hash is that of earlier versions, which had the resized images in memory.
    #[test]
    fn the_hash_of_resized_images_is_that_of_their_bytes() {
        let dataset = shapes::generate(0);
        let parts = [&dataset.train, &dataset.test].map(|split| split.select(&[3, 1, 2]));
        let bytes = |split: &Split| (0..3).flat_map(|i| small(split, i)).collect::<Vec<u8>>();
        let labels = |split: &Split| split.labels.iter().map(|&l| l as u8).collect::<Vec<u8>>();
        let hashed = parts.each_ref().map(|split| (labels(split), bytes(split)));
        let [(l, train), (m, test)] = &hashed;
        let expected = Fingerprint::of([&l[..], train, &[], &[], m, test]);
        let [train, test] = parts;
        let mut small = super::super::Dataset { train, test, ..dataset };
        for split in [&mut small.train, &mut small.validation, &mut small.test] {
            *split = split.resized(SMALL);
        }
        assert_eq!(small.fingerprint(), expected);
    }
}
