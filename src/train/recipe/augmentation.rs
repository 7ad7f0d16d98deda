//! The settings of the augmentation, as a step reads them.

use super::Recipe;
use crate::ops::augment::{AugmentFlags, ColorJitter};
use crate::ops::random_box::{self, BoxRange};
use crate::ops::random_resized_crop::OUTPUT_SIDES;
use crate::train::ConfigError;
use crate::train::step::StepConfig;

impl Recipe {
    /// Sets the augmentation of a step.
    pub(super) fn set_augmentation(&self, step: &mut StepConfig) {
        step.resized_crop = self
            .random_resized_crop
            .then_some(BoxRange { scale: self.crop_scale.0, ratio: self.crop_ratio.0 });
        step.augmentation = AugmentFlags {
            crop: !self.no_crop && !self.random_resized_crop,
            crop_padding: self.crop_padding,
            flip: !self.no_flip,
            cutout: !self.no_cutout,
        };
        step.jitter = ColorJitter {
            brightness: self.jitter_brightness,
            contrast: self.jitter_contrast,
            saturation: self.jitter_saturation,
        };
        step.random_erasing = self.random_erasing;
    }

    /// Checks the range of each setting of the augmentation.
    pub(super) fn check_augmentation(&self) -> Result<(), ConfigError> {
        let refuse = |setting, value, must| Err(ConfigError::Value { setting, value, must });
        let (size, data) = (self.spec().size, self.data.name());
        for (setting, value) in [
            ("jitter-brightness", self.jitter_brightness),
            ("jitter-contrast", self.jitter_contrast),
            ("jitter-saturation", self.jitter_saturation),
        ] {
            let text = format!("{value:?}");
            if !(0.0..=ColorJitter::MOST).contains(&value) {
                let must = format!("be from 0 to {}; 0.2 is usual", ColorJitter::MOST);
                return refuse(setting, text, must);
            }
            if value != 0.0 && (size.channels != 3 || !(size.height * size.width).is_multiple_of(4))
            {
                return refuse(setting, text, format!("be 0 for the {size} images of {data}"));
            }
        }
        let [least, most] = self.crop_scale.0;
        if !(0.0 < least && least <= most && most <= 1.0) {
            let must = "be two parts, above 0 and up to 1, the smaller one first".to_string();
            return refuse("crop-scale", self.crop_scale.to_string(), must);
        }
        let [least, most] = self.crop_ratio.0;
        let ends = [random_box::LEAST_RATIO, random_box::MOST_RATIO];
        if !(ends[0] <= least && least <= most && most <= ends[1]) {
            let must =
                format!("be two numbers from {} to {}, the smaller one first", ends[0], ends[1]);
            return refuse("crop-ratio", self.crop_ratio.to_string(), must);
        }
        let is_side = |side| OUTPUT_SIDES.contains(side);
        if self.random_resized_crop && ![size.height, size.width].iter().all(is_side) {
            let must =
                format!("be false for the {size} images of {data}: sides must be from 5 to 1024");
            return refuse("random-resized-crop", "true".to_string(), must);
        }
        if !(0.0..=1.0).contains(&self.random_erasing) {
            let must = "be from 0 to 1; 0.25 is usual".to_string();
            return refuse("random-erasing", format!("{:?}", self.random_erasing), must);
        }
        Ok(())
    }
}
