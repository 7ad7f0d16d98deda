//! The settings of a run, as flags.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use wgrad::data::Source;
use wgrad::kernel::Kernels;
use wgrad::ops::finite_check::OnNonFinite;
use wgrad::train::Settings;
use wgrad::train::schedule::Anneal;
use wgrad::train::settings::{at_least_one, at_least_zero};
use wgrad::train::units::{Every, MaxLr, MemorySize};

use super::arguments;

/// Flags for all [`Settings`]. Each flag has the name of its key in a file of settings.
#[derive(Clone, clap::Args)]
pub struct SettingsArgs {
    /// Passes over the training images [default: 24; shapes: 10]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    epochs: Option<NonZeroU32>,
    /// Images in a step; an incomplete batch at the end of an epoch is dropped [default: 512; shapes: 64]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_size: Option<NonZeroU32>,
    /// Channels of the network's first layer [default: 64; shapes: 16]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    width: Option<NonZeroU16>,
    /// The peak learning rate; "find" sweeps first and takes the suggested rate [default: 0.01; shapes: 0.01]
    #[arg(long, value_name = "RATE", help_heading = "Recipe", allow_negative_numbers = true)]
    max_lr: Option<MaxLr>,
    /// Start from the weights in this file or run folder, not from random weights
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    weights: Option<PathBuf>,
    /// The SHA-256 that the file of --weights must have
    #[arg(long, value_name = "HEX", help_heading = "Recipe", requires = "weights")]
    weights_sha256: Option<String>,
    /// The seed of initialisation, shuffling and augmentation [default: 0]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_zero)]
    seed: Option<u64>,
    /// End the run when the accuracy has not improved for N epochs [default: never]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    patience: Option<NonZeroU32>,
    /// The dataset to train on [default: auto]
    #[arg(long, value_name = "SET", help_heading = "Data", value_parser = arguments::SOURCE)]
    data: Option<Source>,
    /// The folder with CIFAR-10's binary files [default: $WGRAD_DATA, else ./data/cifar-10-batches-bin]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,
    /// Hold out N training images and evaluate on them; the test images are evaluated once, at the end
    /// [default: 0]
    #[arg(long, value_name = "N", help_heading = "Data", allow_negative_numbers = true,
          value_parser = at_least_zero)]
    validation: Option<u64>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Device")]
    device: Option<String>,
    /// The kernels that a GPU runs [default: tuned]
    #[arg(long, value_name = "KIND", help_heading = "Device", value_parser = arguments::KERNELS)]
    kernels: Option<Kernels>,
    /// Refuse a step that needs more memory than this, for example 512MiB or 2GiB
    #[arg(long, value_name = "SIZE", help_heading = "Device", allow_negative_numbers = true)]
    memory_limit: Option<MemorySize>,
    /// The folder to write; it must not contain a run yet [default: runs/DATE-TIME]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Write a checkpoint every 100 steps (100) or every 10 minutes (10m), and after every epoch
    /// [default: epoch]
    #[arg(long, value_name = "EVERY", help_heading = "Output", allow_negative_numbers = true)]
    checkpoint_every: Option<Every>,
    /// The part of all steps in which the learning rate rises [default: 5/24 = 0.2083]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    pct_start: Option<f64>,
    /// The peak learning rate divided by the first one [default: 10]
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    div_factor: Option<f64>,
    /// The first learning rate divided by the last one [default: 1]
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    final_div_factor: Option<f64>,
    /// The curve of the learning rate's rise and fall [default: linear]
    #[arg(long, value_name = "SHAPE", help_heading = "Learning rate (one cycle)", value_parser = arguments::ANNEAL)]
    anneal: Option<Anneal>,
    /// Do not crop the training images at random
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    no_crop: Option<bool>,
    /// Do not flip the training images at random
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    no_flip: Option<bool>,
    /// Do not cut squares out of the training images
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    no_cutout: Option<bool>,
    /// Change the brightness of the training images at random, by a factor from 1 - PART to 1 + PART [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    jitter_brightness: Option<f64>,
    /// Change the contrast of the training images in the same way [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    jitter_contrast: Option<f64>,
    /// Change the saturation of the training images in the same way [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    jitter_saturation: Option<f64>,
    /// The part of each label that is spread over all classes [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    label_smoothing: Option<f64>,
    /// Scale all gradients down together if their L2 norm is larger than this [default: off]
    #[arg(
        long,
        value_name = "NORM",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    clip_grad_norm: Option<f64>,
    /// Keep a moving average of the parameters with this decay (for example 0.9), and evaluate and save the
    /// average [default: off]
    #[arg(
        long,
        value_name = "DECAY",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    ema: Option<f64>,
    /// Stop the run at a gradient that is not finite, or skip and count the step [default: stop]
    #[arg(long, value_name = "ACTION", help_heading = "Augmentation and regularisation", value_parser = arguments::ON_NAN)]
    on_nan: Option<OnNonFinite>,
    /// Adam's L2 penalty [default: 0]
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    weight_decay: Option<f64>,
}

impl SettingsArgs {
    /// Returns the settings that the flags give.
    pub fn settings(&self) -> Settings {
        let Self {
            epochs,
            batch_size,
            width,
            max_lr,
            weights,
            weights_sha256,
            seed,
            patience,
            data,
            data_dir,
            validation,
            device,
            kernels,
            memory_limit,
            out,
            checkpoint_every,
            pct_start,
            div_factor,
            final_div_factor,
            anneal,
            no_crop,
            no_flip,
            no_cutout,
            jitter_brightness,
            jitter_contrast,
            jitter_saturation,
            label_smoothing,
            clip_grad_norm,
            ema,
            on_nan,
            weight_decay,
        } = self.clone();
        Settings {
            epochs,
            batch_size,
            width,
            max_lr,
            weights,
            weights_sha256,
            seed,
            patience,
            data,
            data_dir,
            validation,
            device,
            kernels,
            memory_limit,
            out,
            checkpoint_every,
            pct_start,
            div_factor,
            final_div_factor,
            anneal,
            no_crop,
            no_flip,
            no_cutout,
            jitter_brightness,
            jitter_contrast,
            jitter_saturation,
            label_smoothing,
            clip_grad_norm,
            ema,
            on_nan,
            weight_decay,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Args;
    use wgrad::train::recipe::{CIFAR10, SHAPES};

    use super::*;

    fn command() -> clap::Command {
        SettingsArgs::augment_args(clap::Command::new("test"))
    }

    #[test]
    fn the_keys_of_a_file_of_settings_are_the_flags() {
        let error = Settings::parse("no-such-key = 1").expect_err("no such key").to_string();
        let expected = error.split_once("expected one of ").expect("a list of the keys").1;
        let mut keys: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        let command = command();
        let mut flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        keys.sort_unstable();
        flags.sort_unstable();
        assert_eq!(flags, keys);
    }

    #[test]
    fn the_help_names_the_defaults() {
        let command = command();
        let help = |id: &str| {
            let argument = command.get_arguments().find(|a| a.get_id() == id).expect("a flag");
            argument.get_help().expect("every flag has a help text").to_string()
        };
        for (id, cifar10, shapes) in [
            ("epochs", CIFAR10.epochs as f64, SHAPES.epochs as f64),
            ("batch_size", CIFAR10.batch_size as f64, SHAPES.batch_size as f64),
            ("width", CIFAR10.width as f64, SHAPES.width as f64),
            ("max_lr", CIFAR10.max_lr, SHAPES.max_lr),
        ] {
            let expected = format!("[default: {cifar10}; shapes: {shapes}]");
            assert!(help(id).ends_with(&expected), "{} / {expected}", help(id));
        }
        assert!(command.get_arguments().all(|a| a.get_help_heading().is_some()));
    }
}
