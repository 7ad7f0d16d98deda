//! Further checks of a checkpoint: a file with a right checksum may have contents that a run cannot continue from.

use super::Checkpoint;
use crate::data::ImageSize;
use crate::data::batches::Batch;
use crate::ops::cross_entropy::IGNORED;

impl Checkpoint {
    /// Checks that a run can continue from the checkpoint. The run trains on `n_images` images in batches of
    /// `batch_size`, for `n_epochs` epochs.
    ///
    /// # Errors
    /// If the run cannot continue. The error is the reason, in words.
    pub fn check_run(
        &self,
        n_images: usize,
        batch_size: usize,
        n_epochs: usize,
    ) -> Result<(), String> {
        let header = &self.header;
        let n_batches = n_images / batch_size;
        let n_steps = (n_epochs * n_batches) as u64;
        let is_time = |seconds: f64| (0.0..1e12).contains(&seconds);
        let wrong = if !is_permutation(&self.order, n_images) {
            format!("its order of the images does not have each of {n_images} images once")
        } else if header.epoch > n_epochs || header.epochs.len() != header.epoch {
            let (epoch, n) = (header.epoch, header.epochs.len());
            format!("it is in epoch {epoch} of {n_epochs}, but has the metrics of {n} epochs")
        } else if header.n_batches > n_batches {
            format!("it is at batch {} of {n_batches}", header.n_batches)
        } else if header.step > n_steps {
            format!("it is at step {} of {n_steps}", header.step)
        } else if !is_time(header.epoch_seconds) || !is_time(header.run_seconds) {
            "its times are not between 0 and 1e12 seconds".to_string()
        } else {
            return Ok(());
        };
        Err(wrong)
    }
}

/// Returns whether `order` has every number below `n` once.
fn is_permutation(order: &[u32], n: usize) -> bool {
    let mut is_seen = vec![false; n];
    let mut see = |&image: &u32| match is_seen.get_mut(image as usize) {
        Some(seen) => !std::mem::replace(seen, true),
        None => false,
    };
    order.len() == n && order.iter().all(&mut see)
}

/// Returns whether the arrays of a batch have a row for each image of the size `size`, and each label is one of
/// `n_classes` classes or ignored.
pub fn is_batch(batch: &Batch, size: ImageSize, n_classes: usize) -> bool {
    let n = batch.labels.len();
    let is_label = |&label: &u32| (label as usize) < n_classes || label == IGNORED;
    batch.indices.len() == n
        && batch.pixels.len() == (n * size.n_bytes()).div_ceil(4)
        && batch.labels.iter().all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_without_every_image_once_is_damaged() {
        assert!(is_permutation(&[2, 0, 1], 3));
        assert!(is_permutation(&[], 0));
        for wrong in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, 2, 2], &[0, 1, u32::MAX]] {
            assert!(!is_permutation(wrong, 3), "{wrong:?}");
        }
    }

    #[test]
    fn a_batch_has_a_row_for_each_image() {
        let size = ImageSize { height: 5, width: 7, channels: 3 };
        let batch = Batch::new(3, size);
        let is_batch = |batch: &Batch| is_batch(batch, size, 10);
        assert!(is_batch(&batch));
        assert!(!is_batch(&Batch { labels: vec![0; 2], ..batch.clone() }));
        assert!(!is_batch(&Batch { labels: vec![10; 3], ..batch.clone() }));
        assert!(!is_batch(&Batch { indices: Vec::new(), ..batch.clone() }));
        assert!(!is_batch(&Batch { pixels: vec![0; 5], ..batch }));
    }
}
