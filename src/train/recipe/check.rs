//! The checks of a recipe: the range of each setting.

use super::{ConfigError, Recipe};
use crate::data::pictures;
use crate::distributed::tree;
use crate::train::step::StepConfig;
use crate::train::units::PerChannel;

impl Recipe {
    /// Checks the range of each setting, and that `n_images` training images fill a batch.
    pub(super) fn check(&self, n_images: usize) -> Result<(), ConfigError> {
        let batch_size = self.batch_size;
        if self.steps_per_epoch(n_images) == 0 {
            return Err(ConfigError::FewerThanABatch { n_images, batch_size });
        }
        if let Err(must) = tree::check(batch_size, self.shards) {
            let (setting, value) = ("shards", self.shards.to_string());
            return Err(ConfigError::Value { setting, value, must });
        }
        let refuse = |setting, value: f64, must| {
            Err(ConfigError::Value { setting, value: format!("{value:?}"), must })
        };
        // Devices compute in f32, so a value that f32 rounds to infinity or to 1 is refused.
        let is_part = |value: f64| (0.0..1.0).contains(&(value as f32));
        if !is_part(self.label_smoothing) {
            let must = "be at least 0 and below 1".to_string();
            return refuse("label-smoothing", self.label_smoothing, must);
        }
        if let Some(weights) = &self.class_weights
            && let Err(must) = weights.check(self.n_known_classes())
        {
            let (setting, value) = ("class-weights", weights.to_string());
            return Err(ConfigError::Value { setting, value, must });
        }
        if !(self.weight_decay >= 0.0 && (self.weight_decay as f32).is_finite()) {
            let must = format!("be a number from 0 to {:e}", f32::MAX);
            return refuse("weight-decay", self.weight_decay, must);
        }
        if let Some(value) = self.momentum
            && !is_part(value)
        {
            return refuse("momentum", value, "be at least 0 and below 1".to_string());
        }
        if self.nesterov == Some(true) && self.momentum == Some(0.0) {
            let (setting, value) = ("nesterov", "true".to_string());
            let must = "come with a momentum above 0; 0.9 is usual".to_string();
            return Err(ConfigError::Value { setting, value, must });
        }
        if let Some(value) = self.clip_grad_norm
            && !(value as f32 > 0.0 && (value as f32).is_finite())
        {
            let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
            let must = format!("be a number from {least:e} to {most:e}");
            return refuse("clip-grad-norm", value, must);
        }
        if let Some(value) = self.ema
            && !is_part(value)
        {
            let most = 1.0 - f32::EPSILON / 2.0;
            return refuse("ema", value, format!("be from 0 to {most}"));
        }
        self.check_augmentation()?;
        let size = self.spec().size;
        if let Err(problem) = self.network.check_input(size.channels_last()) {
            return Err(ConfigError::Value {
                setting: "network",
                value: self.network.name().to_string(),
                must: format!(
                    "be a network for the {size} images of {} ({problem})",
                    self.data.name()
                ),
            });
        }
        let mut step = StepConfig::new(self.network(), self.batch_size).for_images(&self.spec());
        normalise(&mut step, self.mean.as_ref(), self.std.as_ref())?;
        self.schedule(n_images).check()
    }
}

/// Sets the mean and the standard deviation of a step to the values of the settings `mean` and `std`, if these are
/// given.
///
/// # Errors
/// [`ConfigError::Value`] if a setting does not have one number for each channel, or a number is out of its range.
pub fn normalise(
    step: &mut StepConfig,
    mean: Option<&PerChannel>,
    std: Option<&PerChannel>,
) -> Result<(), ConfigError> {
    let is_mean = |mean: f64| (0.0..=1.0).contains(&mean);
    // Normalisation computes in f32, so the deviation must be above 0 as f32.
    let is_deviation =
        |deviation: f64| deviation > 0.0 && deviation <= 1.0 && (deviation as f32).is_normal();
    let of_imagenet = pictures::IMAGENET_MEAN;
    set(&mut step.mean, ("mean", of_imagenet), mean, is_mean, "from 0 to 1")?;
    let of_imagenet = pictures::IMAGENET_STANDARD_DEVIATION;
    let range = "above 0 and up to 1";
    set(&mut step.standard_deviation, ("std", of_imagenet), std, is_deviation, range)
}

/// Sets `channels` to the numbers of a setting, one for each channel, if the setting is given. The setting has a name and
/// the numbers of ImageNet.
fn set(
    channels: &mut Vec<f64>,
    (setting, of_imagenet): (&'static str, [f64; 3]),
    given: Option<&PerChannel>,
    is_good: impl Fn(f64) -> bool,
    range: &str,
) -> Result<(), ConfigError> {
    let numbers = match given {
        None | Some(PerChannel::Auto) => return Ok(()),
        Some(PerChannel::ImageNet) => &of_imagenet[..],
        Some(PerChannel::Numbers(numbers)) => numbers,
    };
    if numbers.len() == channels.len() && numbers.iter().copied().all(is_good) {
        *channels = numbers.to_vec();
        return Ok(());
    }
    let given = given.expect("not none");
    let n = channels.len();
    let must = format!(
        "be {n} numbers {range}, with commas between them; pixels are from 0 to 1, so divide a number for pixels from 0 \
         to 255 by 255"
    );
    Err(ConfigError::Value { setting, value: given.to_string(), must })
}
