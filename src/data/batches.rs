//! The order of the images in an epoch, and batches in the packed form that a training step reads.
//!
//! ```
//! use wgrad::data::{batches::{self, Batch}, shapes};
//!
//! let split = shapes::draw_test(0, 100);
//! let mut batch = Batch::new(32, split.size);
//!
//! // An epoch of training: shuffled, whole batches only.
//! let order = batches::epoch_order(0, 1, split.len());
//! for indices in batches::whole_batches(&order, 32) {
//!     batch.fill(&split, indices);
//!     assert_eq!(batch.n_valid, 32);
//! }
//!
//! // Evaluation: every image, in order; the last batch is padded.
//! let order = batches::in_order(split.len());
//! let n_seen: usize = batches::all_batches(&order, 32)
//!     .map(|indices| {
//!         batch.fill(&split, indices);
//!         batch.n_valid
//!     })
//!     .sum();
//! assert_eq!(n_seen, 100);
//! ```

use std::slice::{Chunks, ChunksExact};

use super::random::{Draws, Purpose};
use super::{ImageSize, Split};
use crate::ops::cross_entropy::IGNORED;

/// The images of one step, packed for the device.
///
/// A batch always has `size` rows, and [`Batch::fill`] overwrites all of them. So a run fills the same batch for every
/// step, and a step allocates no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The pixels, `[size, C, H, W]` bytes, four to a word, without gaps between the images. Word `k` holds the bytes
    /// `4k` to `4k + 3`, the first byte in the lowest bits. WGSL has no byte buffers; its `unpack4xU8` reads the bytes
    /// in this order. If images have sizes of their own, each row has the bytes of the largest image, and zeros follow a
    /// smaller image.
    pub pixels: Vec<u32>,
    /// The rows and columns of each image, `[size, 2]`; 1 and 1 in padding rows.
    pub sizes: Vec<u32>,
    /// The classes, `[size]`; [`IGNORED`] in padding rows.
    pub labels: Vec<u32>,
    /// The index of each row's image in the split, `[size]`; 0 in padding rows. Augmentation is a function of this
    /// index, so an image's crop does not depend on its batch.
    pub indices: Vec<u32>,
    /// The number of rows with images. These rows come first; the other rows are padding.
    pub n_valid: usize,
}

/// A source of filled batches, one for each step or shard.
pub trait NextBatch {
    /// Returns the next batch.
    fn next_batch(&mut self) -> &Batch;
}

impl Batch {
    /// Returns a batch with room for `size` images of the size `image`. All its rows are padding.
    pub fn new(size: usize, image: ImageSize) -> Self {
        Self::with_room(size, image.n_bytes())
    }

    /// Returns a batch with room for `size` images of up to `n_bytes` bytes. All its rows are padding.
    pub fn with_room(size: usize, n_bytes: usize) -> Self {
        Self {
            pixels: vec![0; (size * n_bytes).div_ceil(4)],
            sizes: vec![1; 2 * size],
            labels: vec![IGNORED; size],
            indices: vec![0; size],
            n_valid: 0,
        }
    }

    /// Returns the bytes of a row: those of the largest image. The rows of images with sizes of their own have a number of
    /// bytes that is a multiple of 4.
    pub fn row_bytes(&self) -> usize {
        4 * self.pixels.len() / self.size().max(1)
    }

    /// Returns the number of rows, padding included.
    pub fn size(&self) -> usize {
        self.labels.len()
    }

    /// Overwrites the batch with the images `indices` of `split`, in that order. The remaining rows are padding: black
    /// pixels, the label [`IGNORED`], the index 0.
    ///
    /// # Panics
    ///
    /// If there are more indices than rows, an index is past the end of the split, or the largest image of the split has
    /// another number of bytes than the rows of the batch.
    pub fn fill(&mut self, split: &Split, indices: &[u32]) {
        let size = self.size();
        assert!(indices.len() <= size, "{} images for a batch of {size} rows", indices.len());

        let n_bytes = split.largest_image();
        let n_words = (size * n_bytes).div_ceil(4);
        assert_eq!(
            self.pixels.len(),
            n_words,
            "a batch for images of another size than {}",
            split.size
        );

        // wgpu runs on little-endian machines. There, the bytes of the words, in the order of memory, are the pixels in
        // order.
        let pixels: &mut [u8] = bytemuck::cast_slice_mut(&mut self.pixels);
        let (rows, padding) = pixels.split_at_mut(indices.len() * n_bytes);
        split.copy(indices, rows);
        padding.fill(0);
        for (row, &index) in indices.iter().enumerate() {
            let size = split.image_size(index as usize);
            self.sizes[2 * row..][..2].copy_from_slice(&[size.height as u32, size.width as u32]);
        }
        self.label(&split.labels, indices);
    }

    /// Overwrites the labels and the indices as [`Batch::fill`] does, and keeps the pixels. `labels` are those of all
    /// images of the split.
    ///
    /// # Panics
    ///
    /// If there are more indices than rows, or an index is past the end of the labels.
    pub fn label(&mut self, labels: &[u16], indices: &[u32]) {
        for (row, &index) in indices.iter().enumerate() {
            self.labels[row] = u32::from(labels[index as usize]);
        }
        self.n_valid = indices.len();
        self.indices[..self.n_valid].copy_from_slice(indices);

        self.sizes[2 * self.n_valid..].fill(1);
        self.labels[self.n_valid..].fill(IGNORED);
        self.indices[self.n_valid..].fill(0);
    }

    /// Returns `n` rows from the row `first` on, as a batch of its own.
    ///
    /// # Panics
    ///
    /// If the batch has fewer rows.
    pub fn rows(&self, first: usize, n: usize) -> Self {
        let (n_bytes, rows) = (self.row_bytes(), first..first + n);
        let mut part = Self::with_room(n, n_bytes);
        let pixels: &[u8] = bytemuck::cast_slice(&self.pixels);
        let bytes = &pixels[first * n_bytes..][..n * n_bytes];
        bytemuck::cast_slice_mut::<_, u8>(&mut part.pixels)[..bytes.len()].copy_from_slice(bytes);
        part.sizes.copy_from_slice(&self.sizes[2 * rows.start..2 * rows.end]);
        part.labels.copy_from_slice(&self.labels[rows.clone()]);
        part.indices.copy_from_slice(&self.indices[rows]);
        part.n_valid = self.n_valid.saturating_sub(first).min(n);
        part
    }

    /// Makes every row a padding row: black pixels, the label [`IGNORED`], the index 0.
    pub fn clear(&mut self) {
        self.pixels.fill(0);
        self.sizes.fill(1);
        self.labels.fill(IGNORED);
        self.indices.fill(0);
        self.n_valid = 0;
    }
}

/// Returns the order of `n` training images in an epoch: a uniformly random permutation of `0..n`. It is a
/// function of `(seed, epoch, n)` alone.
///
/// # Panics
///
/// If `n` does not fit in 32 bits.
pub fn epoch_order(seed: u64, epoch: u64, n: usize) -> Vec<u32> {
    let mut order = in_order(n);
    Draws::new(seed, Purpose::EpochOrder, epoch).shuffle(&mut order);
    order
}

/// Returns the order of evaluation, `0..n`.
///
/// # Panics
///
/// If `n` does not fit in 32 bits.
pub fn in_order(n: usize) -> Vec<u32> {
    let n = u32::try_from(n).expect("image indices are 32 bits");
    (0..n).collect()
}

/// Returns the image numbers of each training batch. The last `order.len() % batch_size` images are left out of this
/// epoch; another epoch leaves out other images. A smaller last batch would have noisier batch-norm statistics. It
/// would also need another tape, because a tape has a fixed batch size.
///
/// # Panics
///
/// If `batch_size` is 0.
pub fn whole_batches(order: &[u32], batch_size: usize) -> ChunksExact<'_, u32> {
    order.chunks_exact(batch_size)
}

/// Returns the image numbers of each evaluation batch: every image once. The last batch may be smaller than
/// `batch_size`; [`Batch::fill`] pads it.
///
/// # Panics
///
/// If `batch_size` is 0.
pub fn all_batches(order: &[u32], batch_size: usize) -> Chunks<'_, u32> {
    order.chunks(batch_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image size of 105 bytes. This is not a multiple of 4, so a word can have bytes of two images.
    const SIZE: ImageSize = ImageSize { height: 5, width: 7, channels: 3 };

    /// Returns `n` images. Every byte depends on its image and its position.
    fn split(n: usize) -> Split {
        let n_bytes = SIZE.n_bytes();
        let byte = |i: usize| ((i / n_bytes) * 89 + (i % n_bytes) * 7 + 13) as u8;
        let images: Vec<u8> = (0..n * n_bytes).map(byte).collect();
        Split::of(SIZE, images, (0..n).map(|i| (i * 3 % 10) as u16).collect())
    }

    #[test]
    fn an_epoch_visits_every_image_once() {
        for n in [0, 1, 2, 1000] {
            let mut order = epoch_order(1, 2, n);
            order.sort_unstable();
            assert_eq!(order, in_order(n));
        }
    }

    #[test]
    fn every_epoch_and_seed_has_its_own_order() {
        let base = epoch_order(1, 1, 1000);
        assert_eq!(base, epoch_order(1, 1, 1000));
        for (seed, epoch) in [(1, 2), (2, 1), (1, 0), (0, 1), (1 << 32 | 1, 1), (1, 1 << 32 | 1)] {
            let other = epoch_order(seed, epoch, 1000);
            let n_same = base.iter().zip(&other).filter(|(a, b)| a == b).count();
            // Two random orders agree in one position on average.
            assert!(n_same < 10, "seed {seed}, epoch {epoch}: {n_same} places in common");
        }
    }

    #[test]
    fn the_order_never_changes_between_versions() {
        // This order was recorded with an earlier version. Runs of that version must stay repeatable.
        assert_eq!(epoch_order(42, 3, 10), [7, 0, 4, 9, 8, 1, 6, 5, 3, 2]);
    }

    #[test]
    fn every_permutation_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::<Vec<u32>, i32>::new();
        for epoch in 0..24_000 {
            *counts.entry(epoch_order(7, epoch, 4)).or_default() += 1;
        }
        // Each of the 24 permutations is expected 1,000 times, with a standard deviation of 31.
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|c| (c - 1000).abs() < 160), "{counts:?}");
    }

    #[test]
    fn bytes_are_packed_little_endian_in_planar_order() {
        let split = split(5);
        let mut batch = Batch::new(2, SIZE);
        batch.fill(&split, &[4, 1]);
        assert_eq!(batch.pixels.len(), 53);
        for (row, image) in [(0, 4), (1, 1)] {
            for byte in 0..SIZE.n_bytes() {
                let at = row * SIZE.n_bytes() + byte;
                let got = (batch.pixels[at / 4] >> (8 * (at % 4))) as u8;
                assert_eq!(got, split.image(image)[byte], "row {row}, byte {byte}");
            }
        }
        assert_eq!(batch.labels, [2, 3]);
        assert_eq!(batch.indices, [4, 1]);
        assert_eq!(batch.sizes, [5, 7, 5, 7]);
        assert_eq!(batch.n_valid, 2);
    }

    #[test]
    fn a_short_fill_overwrites_the_earlier_batch() {
        let split = split(5);
        let mut batch = Batch::new(3, SIZE);
        batch.fill(&split, &[1, 2, 3]);
        batch.fill(&split, &[4]);
        let mut expected = Batch::new(3, SIZE);
        expected.pixels[..27].copy_from_slice(&{
            let mut alone = Batch::new(1, SIZE);
            alone.fill(&split, &[4]);
            alone.pixels
        });
        expected.sizes[..2].copy_from_slice(&[5, 7]);
        expected.labels[0] = 2;
        expected.indices[0] = 4;
        expected.n_valid = 1;
        assert_eq!(batch, expected);
        assert_eq!(batch.labels[1..], [IGNORED; 2]);

        batch.fill(&split, &[]);
        assert_eq!(batch, Batch::new(3, SIZE));
    }

    #[test]
    fn a_fill_allocates_nothing() {
        let split = split(5);
        let mut batch = Batch::new(3, SIZE);
        let addresses =
            |b: &Batch| [&b.pixels, &b.sizes, &b.labels, &b.indices].map(|v| v.as_ptr());
        let before = addresses(&batch);
        batch.fill(&split, &[1, 2]);
        batch.fill(&split, &[0, 3, 4]);
        assert_eq!(addresses(&batch), before);
    }

    #[test]
    #[should_panic(expected = "3 images for a batch of 2 rows")]
    fn too_many_images_for_a_batch_panic() {
        Batch::new(2, SIZE).fill(&split(5), &[0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn an_image_past_the_end_panics() {
        Batch::new(2, SIZE).fill(&split(5), &[5]);
    }

    #[test]
    fn training_drops_the_incomplete_batch_and_evaluation_keeps_it() {
        let order = in_order(10);
        let whole: Vec<&[u32]> = whole_batches(&order, 4).collect();
        assert_eq!(whole, [[0, 1, 2, 3], [4, 5, 6, 7]]);
        assert_eq!(whole_batches(&order, 5).count(), 2);
        assert_eq!(whole_batches(&order, 11).count(), 0);

        let all: Vec<&[u32]> = all_batches(&order, 4).collect();
        assert_eq!(all, [&[0, 1, 2, 3][..], &[4, 5, 6, 7], &[8, 9]]);
        assert_eq!(all_batches(&order, 5).map(<[u32]>::len).collect::<Vec<_>>(), [5, 5]);
    }
}
