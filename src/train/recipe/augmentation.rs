//! The settings of the augmentation, as a step reads them.

use super::Recipe;
use crate::ops::augment::{AugmentFlags, ColorJitter};
use crate::ops::random_box::{self, BoxRange};
use crate::ops::random_resized_crop::{OUTPUT_SIDES, RANGE};
use crate::train::ConfigError;
use crate::train::step::StepConfig;
use crate::train::units::Bounds;

impl Recipe {
    /// Sets the augmentation of a step.
    pub(super) fn set_augmentation(&self, step: &mut StepConfig) {
        step.resized_crop = self.random_resized_crop.then(|| self.boxes());
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

    /// Returns the boxes of the random resized crop.
    fn boxes(&self) -> BoxRange {
        BoxRange {
            scale: self.crop_scale.map_or(RANGE.scale, |bounds| bounds.0),
            ratio: self.crop_ratio.map_or(RANGE.ratio, |bounds| bounds.0),
        }
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
            // Above 1, factors from 1 - PART would be below 0.
            if !(0.0..=1.0).contains(&value) {
                return refuse(setting, text, "be from 0 to 1; 0.2 is usual".to_string());
            }
            if value != 0.0 && (size.channels != 3 || !(size.height * size.width).is_multiple_of(4))
            {
                return refuse(setting, text, format!("be 0 for the {size} images of {data}"));
            }
        }
        let BoxRange { scale, ratio } = self.boxes();
        let [least, most] = scale;
        if !(0.0 < least && least <= most && most <= 1.0) {
            let must = "be two parts, above 0 and up to 1, the smaller one first".to_string();
            return refuse("crop-scale", Bounds(scale).to_string(), must);
        }
        let [least, most] = ratio;
        let ends = [random_box::LEAST_RATIO, random_box::MOST_RATIO];
        if !(ends[0] <= least && least <= most && most <= ends[1]) {
            let must =
                format!("be two numbers from {} to {}, the smaller one first", ends[0], ends[1]);
            return refuse("crop-ratio", Bounds(ratio).to_string(), must);
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
