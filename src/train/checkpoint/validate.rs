//! Further checks of a checkpoint: a file with a right checksum may have contents that a run cannot continue from.

use super::Checkpoint;
use crate::data::batches::Batch;
use crate::ops::cross_entropy::IGNORED;
use crate::ops::random_resized_crop::MOST_SIDE;
use crate::train::step::StepConfig;

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

/// Returns whether a training step with these settings can read a batch. Its arrays must have a row for each image, each
/// label must be one of `n_classes` classes or ignored, and the pixels of an image must be in the image's row.
pub fn is_batch(batch: &Batch, config: &StepConfig, n_classes: usize) -> bool {
    let n = batch.labels.len();
    let n_bytes = config.largest_image.unwrap_or(config.size.n_bytes());
    let is_label = |&label: &u32| (label as usize) < n_classes || label == IGNORED;
    let is_size = |size: &[u32]| {
        let n_elements = size.iter().map(|&side| side as usize).product::<usize>();
        let is_side = |side| (1..=MOST_SIDE).contains(side);
        size.iter().all(is_side) && n_elements * config.size.channels <= n_bytes
    };
    // A step without a random resized crop does not read the sizes.
    let are_sizes = || batch.sizes.len() == 2 * n && batch.sizes.chunks(2).all(is_size);
    batch.indices.len() == n
        && batch.pixels.len() == (n * n_bytes).div_ceil(4)
        && batch.labels.iter().all(is_label)
        && (config.resized_crop.is_none() || are_sizes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSize;
    use crate::nn::ResNet9;
    use crate::ops::random_resized_crop::RANGE;

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
        let network = ResNet9 { width: 1, classes: 10 };
        let mut config = StepConfig { size, ..StepConfig::new(network, 3) };
        let is_batch = |batch: &Batch| is_batch(batch, &config, 10);
        assert!(is_batch(&batch));
        assert!(!is_batch(&Batch { labels: vec![0; 2], ..batch.clone() }));
        assert!(!is_batch(&Batch { labels: vec![10; 3], ..batch.clone() }));
        assert!(!is_batch(&Batch { indices: Vec::new(), ..batch.clone() }));
        assert!(!is_batch(&Batch { pixels: vec![0; 5], ..batch.clone() }));
        assert!(is_batch(&Batch { sizes: Vec::new(), ..batch.clone() }));
        config.resized_crop = Some(RANGE);
        let with_sizes = |sizes: [u32; 6]| Batch { sizes: sizes.into(), ..batch.clone() };
        let is_batch = |batch: &Batch| super::is_batch(batch, &config, 10);
        assert!(is_batch(&with_sizes([5, 7, 35, 1, 1, 1])));
        assert!(!is_batch(&with_sizes([5, 7, 36, 1, 1, 1])));
        assert!(!is_batch(&with_sizes([5, 7, 5, 7, 0, 7])));
        assert!(!is_batch(&Batch { sizes: Vec::new(), ..batch.clone() }));
    }
}
