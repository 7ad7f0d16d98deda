//! The images of a study, and their normalisation.

use wgrad::data::{ImageSize, Loaded, Split, batches};
use wgrad::nn::NetworkConfig;
use wgrad::train::step::StepConfig;

/// The images of a study, and their normalisation.
pub struct Images {
    /// The dataset.
    pub loaded: Loaded,
    /// The mean of each channel, which is subtracted from pixels in 0..=1.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel, by which the differences are divided.
    pub standard_deviation: Vec<f64>,
}

impl Images {
    /// Returns the training images.
    pub fn train(&self) -> &Split {
        &self.loaded.dataset.train
    }

    /// Returns the test images; the held-out images of a dataset without test images.
    pub fn test(&self) -> &Split {
        self.loaded.dataset.measured().0
    }

    /// Returns the size of the images.
    pub fn size(&self) -> ImageSize {
        self.loaded.dataset.spec.size
    }

    /// Returns the number of classes.
    pub fn n_classes(&self) -> usize {
        self.loaded.dataset.spec.n_classes()
    }

    /// Returns the settings of steps of `batch_size` of these images.
    pub fn step(&self, network: NetworkConfig, batch_size: usize) -> StepConfig {
        StepConfig {
            mean: self.mean.clone(),
            standard_deviation: self.standard_deviation.clone(),
            ..StepConfig::new(network, batch_size).for_images(&self.loaded.dataset.spec)
        }
    }

    /// Returns the images of `split` with these numbers as arrays for a [`Probe`](super::Probe): normalised pixels,
    /// `[n, H, W, C]`, and classes, `[n]`.
    pub fn arrays(&self, split: &Split, numbers: &[u32]) -> (Vec<f32>, Vec<u32>) {
        let ImageSize { height, width, channels } = split.size;
        let mut x = Vec::with_capacity(numbers.len() * split.size.n_bytes());
        for &number in numbers {
            let planes = split.image(number as usize);
            for pixel in 0..height * width {
                x.extend((0..channels).map(|c| {
                    let value = f64::from(planes[c * height * width + pixel]) / 255.0;
                    ((value - self.mean[c]) / self.standard_deviation[c]) as f32
                }));
            }
        }
        let labels = numbers.iter().map(|&number| u32::from(split.labels[number as usize]));
        (x, labels.collect())
    }

    /// Returns the first `n` training images, at most all of them, as [`Images::arrays`] does.
    pub fn first(&self, n: usize) -> (Vec<f32>, Vec<u32>) {
        self.arrays(self.train(), &batches::in_order(n.min(self.train().len())))
    }

    /// Returns the numbers of all images of `split` in batches of `n`, at most their number, and how many images of each
    /// batch count: the last batch is filled with the first images.
    pub fn batches(split: &Split, n: usize) -> impl Iterator<Item = (Vec<u32>, usize)> + use<> {
        let n_images = split.len();
        (0..n_images).step_by(n).map(move |start| {
            let numbers = (start..start + n).map(|ix| (ix % n_images) as u32);
            (numbers.collect(), n.min(n_images - start))
        })
    }

    /// Returns the bytes of normalised pixels, `[..., C]`, as red, green and blue, `[..., 3]`. Pixels of one channel are grey.
    pub fn bytes(&self, x: &[f32]) -> Vec<u8> {
        let channels = self.size().channels;
        let byte = |pixel: &[f32], c: usize| {
            let value = f64::from(pixel[c]) * self.standard_deviation[c] + self.mean[c];
            // The cast saturates.
            (255.0 * value).round() as u8
        };
        let rgb = |pixel: &[f32]| [0, 1, 2].map(|c| byte(pixel, c.min(channels - 1)));
        x.chunks_exact(channels).flat_map(rgb).collect()
    }
}
