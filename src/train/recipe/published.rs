//! Published recipes for CIFAR: the optimizer, learning rates, batch size and augmentation of a paper, by name.

use std::num::NonZeroU32;

use crate::base::choice::Choice;
use crate::ops::optimizers::OptimizerKind;
use crate::train::schedule::ScheduleKind;
use crate::train::settings::Settings;
use crate::train::units::Milestones;

/// A recipe of a paper. Settings that the paper does not name, such as the network, have their defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Published {
    /// He et al. (2015), "Deep residual learning for image recognition", section 4.2. The rate falls after 32,000 and
    /// 48,000 of 64,000 steps; 164 epochs of 50,000 images have 64,124 steps. The paper trains 110 layers at a rate of
    /// 0.01 until the training error is below 80%; this recipe does not.
    He2015,
    /// Zagoruyko and Komodakis (2016), "Wide residual networks", section 3.
    Wrn,
    /// Xie et al. (2017), "Aggregated residual transformations for deep neural networks", section 5.3.
    Resnext,
    /// Han et al. (2017), "Deep pyramidal residual networks", section 4.1.
    Pyramid,
}

impl Choice for Published {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::He2015, "he2015", "ResNet: 164 epochs, rate 0.1, a tenth after 1/2 and 3/4 of them"),
        (
            Self::Wrn,
            "wrn",
            "Wide ResNet: 200 epochs, rate 0.1, a fifth after 60, 120 and 160, border by reflection",
        ),
        (Self::Resnext, "resnext", "ResNeXt: 300 epochs, rate 0.1, a tenth after 150 and 225"),
        (Self::Pyramid, "pyramid", "PyramidNet: 300 epochs, rate 0.1, a tenth after 150 and 225"),
    ];
}

/// The settings that all recipes share: SGD with momentum on padded, cropped and flipped images in batches of 128.
const COMMON: &str = "
optimizer = 'sgd'
momentum = 0.9
max-lr = 0.1
batch-size = 128
schedule = 'step'
no-crop = false
no-flip = false
no-cutout = true
";

impl Published {
    /// Returns `settings`, completed with the recipe. Each given setting replaces the recipe's. The milestones are the
    /// same parts of the run whatever its number of epochs. With another optimizer or schedule, the recipe's settings of
    /// its own optimizer or schedule are left out.
    pub fn complete(self, settings: Settings) -> Settings {
        let (text, milestones): (&str, &[f64]) = match self {
            Self::He2015 => ("epochs = 164\nweight-decay = 1e-4", &[0.5, 0.75]),
            Self::Wrn => (
                "epochs = 200\nweight-decay = 5e-4\nnesterov = true\ngamma = 0.2\ncrop-padding = 'reflect'",
                &[0.3, 0.6, 0.8],
            ),
            Self::Resnext => ("epochs = 300\nweight-decay = 5e-4", &[0.5, 0.75]),
            Self::Pyramid => ("epochs = 300\nweight-decay = 1e-4\nnesterov = true", &[0.5, 0.75]),
        };
        let mut recipe =
            Settings::parse(&format!("{COMMON}{text}")).expect("the settings of a recipe");
        if settings.optimizer.is_some_and(|optimizer| optimizer != OptimizerKind::Sgd) {
            (recipe.momentum, recipe.nesterov, recipe.weight_decay) = (None, None, None);
        }
        let is_other = |schedule| schedule != ScheduleKind::Step;
        match settings.schedule.is_some_and(is_other) {
            true => recipe.gamma = None,
            false => {
                let n_epochs = settings.epochs.or(recipe.epochs).map_or(0, NonZeroU32::get);
                let epochs = milestones.iter().map(|part| part * f64::from(n_epochs));
                recipe.milestones = Some(Milestones(epochs.collect()));
            }
        }
        settings.or(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::augment::CropPadding;

    #[test]
    fn milestones_are_parts_of_the_run() {
        for (recipe, epochs, milestones) in [
            (Published::He2015, None, [82.0, 123.0].as_slice()),
            (Published::He2015, NonZeroU32::new(12), &[6.0, 9.0]),
            (Published::Wrn, None, &[60.0, 120.0, 160.0]),
            (Published::Resnext, None, &[150.0, 225.0]),
            (Published::Pyramid, None, &[150.0, 225.0]),
        ] {
            let settings = recipe.complete(Settings { epochs, ..Settings::default() });
            assert_eq!(settings.milestones, Some(Milestones(milestones.to_vec())), "{recipe:?}");
        }
    }

    #[test]
    fn given_settings_replace_those_of_a_recipe() {
        let wrn = Published::Wrn.complete(Settings::default());
        assert_eq!((wrn.weight_decay, wrn.nesterov), (Some(5e-4), Some(true)));
        assert_eq!(wrn.crop_padding, Some(CropPadding::Reflect));
        let given = Settings {
            weight_decay: Some(0.0),
            optimizer: Some(OptimizerKind::Adam),
            schedule: Some(ScheduleKind::Cosine),
            ..Settings::default()
        };
        let adam = Published::Wrn.complete(given);
        assert_eq!((adam.weight_decay, adam.momentum, adam.nesterov), (Some(0.0), None, None));
        assert_eq!((adam.gamma, adam.milestones), (None, None));
        assert_eq!(adam.batch_size, NonZeroU32::new(128));
    }
}
