//! The settings of a run. Each is declared once, in this file: the declaration makes the flag, the key of settings
//! files, the default, the help text and the entry of `config.toml`.

mod declare;
mod file;
mod kind;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::Error as _;
use toml::Spanned;
use toml::de::DeTable;

use declare::settings;
pub use kind::{Kind, Quotes, at_least_one};

use super::units::{
    Bounds, ClassWeights, Classes, Every, MaxLr, MemorySize, Milestones, PerChannel,
};
use crate::Error;
use crate::base::choice::Choice;
use crate::base::files::FileError;
use crate::data::image_file::Background;
use crate::data::{Defaults, HeldOut, ReadOptions, Source, cifar10, cifar100};
use crate::kernel::Kernels;
use crate::nn::networks::{self, NetworkRef};
use crate::ops::augment::CropPadding;
use crate::ops::finite_check::OnNonFinite;
use crate::ops::lr_scale::LrScale;
use crate::ops::optimizers::OptimizerKind;
use crate::ops::random_resized_crop;
use crate::tape::Prefixes;
use crate::train::ConfigError;
use crate::train::schedule::{Anneal, PCT_START, ScheduleKind};

/// The value of the setting `data` with which the setting `coarse` is allowed.
const CIFAR100: Source = Source::Of(&cifar100::Cifar100);

settings! {
    "Recipe" {
        /// Passes over the training images
        epochs: NonZeroU32 ["N"] = |of| of.epochs;
        /// Images in a step; an incomplete batch at the end of an epoch is dropped
        batch_size: NonZeroU32 ["N"] = |of| of.batch_size;
        /// Divide each step into N shards of equal size, which are computed one after another: less memory, with the batch
        /// norms of a smaller batch
        shards: NonZeroU16 ["N"] = |_| 1;
        /// The network to train; `wgrad networks` lists their sizes
        network: NetworkRef ["NAME"] = |_| networks::DEFAULT;
        /// Channels of the network's first layer [default: resnet9 64, on the shapes 16; others as in `wgrad networks`]
        width: NonZeroU16 ["N"] = |of| of.width;
        /// The largest learning rate of the schedule; "find" sweeps first and takes the suggested rate
        max_lr: MaxLr ["RATE"] = |of| of.max_lr;
        /// Start from the weights in this file or run folder, not from random weights
        weights: PathBuf ["FILE"];
        /// Start the last layer from random weights, whatever its size in the file of --weights
        new_head: bool ["BOOL"] = |_| false;
        /// The SHA-256 that the file of --weights must have
        weights_sha256: String ["HEX"];
        /// The seed of initialisation, shuffling and augmentation
        seed: u64 ["N"] = |_| 0;
        /// End the run when the accuracy has not improved for N epochs [default: never]
        patience: NonZeroU32 ["N"];
    }
    "Fine-tuning" {
        /// Do not train the parameters whose names begin with one of these, up to a dot: conv1,bn1,layer1. Their batch
        /// norms keep their running statistics
        freeze: Prefixes ["NAMES"];
        /// Train all parameters from this epoch on [default: never]
        unfreeze_at: NonZeroU32 ["EPOCH"];
        /// Multiply the learning rates of the parameters whose names begin like this: layer4=0.1,fc=2
        lr_scale: LrScale ["NAME=FACTOR"];
        /// Compute the outputs in front of the first trained layer once for each image, without augmentation, and keep
        /// them in memory
        cache_features: bool ["BOOL"] = |_| false;
    }
    "Data" {
        /// The dataset to train on, or a folder of pictures: a path such as ./photos
        data: Source ["SET"] = |_| Source::Auto;
        /// The folder with the files of the dataset [default: $WGRAD_DATA, else the dataset's own folder, for CIFAR-10
        /// ./data/cifar-10-batches-bin]
        data_dir: PathBuf ["DIR"];
        /// The mean of each channel, which is subtracted from the images, with pixels from 0 to 1; imagenet; or auto: that of
        /// the dataset [default: that of --weights, else auto]
        mean: PerChannel ["R,G,B"];
        /// The standard deviation of each channel, by which the images are divided; imagenet; or auto [default: as for
        /// --mean]
        std: PerChannel ["R,G,B"];
        /// cifar100: learn the 20 coarse classes, not the 100 fine ones
        coarse: bool ["BOOL"] = |_| false, only data = CIFAR100;
        /// Resize the images to N rows and columns [default: that of --weights, else the dataset's; for a folder of pictures
        /// the network's, at least 64]
        image_size: NonZeroU16 ["N"];
        /// The classes: their number, a name for each with commas between them, or a dataset [default: the dataset's]
        classes: Classes ["CLASSES"];
        /// Hold out N training images, or a part of them such as 0.1, and evaluate on them; the test images are evaluated
        /// once, at the end [default: none; of a folder without validation and test pictures a tenth]
        validation: HeldOut ["N"];
        /// Folders of pictures: the colour behind transparent pixels, red, green and blue from 0 to 255 [default: white]
        background: Background ["R,G,B"];
        /// Folders of pictures: leave out the pictures that cannot be read
        skip_bad: bool ["BOOL"];
    }
    "Device" {
        /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
        device: String ["DEVICE"] = |_| "auto".to_string();
        /// The kernels that a GPU runs
        kernels: Kernels ["KIND"] = |_| Kernels::default();
        /// Refuse a step that needs more memory than this, for example 512MiB or 2GiB
        memory_limit: MemorySize ["SIZE"];
        /// Compute values of the forward pass again in the backward pass, in place of keeping them: less memory, up to a
        /// third more time, the same results
        recompute: bool ["BOOL"] = |_| false;
    }
    "Output" {
        /// The folder to write; it must not contain a run yet [default: runs/DATE-TIME]
        out: PathBuf ["DIR"];
        /// Write a checkpoint every 100 steps (100) or every 10 minutes (10m), and after every epoch
        checkpoint_every: Every ["EVERY"] = |_| Every::default();
    }
    "Learning rate" {
        /// The schedule of the learning rate
        schedule: ScheduleKind ["KIND"] = |_| ScheduleKind::default();
        /// one-cycle: the part of all steps in which the learning rate rises [default: 5/24 = 0.2083]
        pct_start: f64 ["PART"] = |_| PCT_START, only schedule = ScheduleKind::OneCycle;
        /// one-cycle: the peak learning rate divided by the first one
        div_factor: f64 ["FACTOR"] = |_| 10.0, only schedule = ScheduleKind::OneCycle;
        /// one-cycle: the first learning rate divided by the last one
        final_div_factor: f64 ["FACTOR"] = |_| 1.0, only schedule = ScheduleKind::OneCycle;
        /// one-cycle: the curve of the learning rate's rise and fall
        anneal: Anneal ["SHAPE"] = |_| Anneal::default(), only schedule = ScheduleKind::OneCycle;
        /// step: the epochs before which the learning rate falls, for example 100,150 [default: none]
        milestones: Milestones ["EPOCHS"] = |_| Milestones::default(), only schedule = ScheduleKind::Step;
        /// step: the factor of the learning rate at each milestone
        gamma: f64 ["FACTOR"] = |_| 0.1, only schedule = ScheduleKind::Step;
        /// cosine: the learning rate after the last step
        min_lr: f64 ["RATE"] = |_| 0.0, only schedule = ScheduleKind::Cosine;
        /// cosine: the epochs in which the learning rate rises from a third of --max-lr
        warmup_epochs: f64 ["N"] = |_| 0.0, only schedule = ScheduleKind::Cosine;
    }
    "Optimizer" {
        /// The optimizer
        optimizer: OptimizerKind ["KIND"] = |_| OptimizerKind::default();
        /// sgd: the factor of earlier gradients, which the steps sum up
        momentum: f64 ["FACTOR"] = |_| 0.0, only optimizer = OptimizerKind::Sgd;
        /// sgd: use Nesterov's form of --momentum
        nesterov: bool ["BOOL"] = |_| false, only optimizer = OptimizerKind::Sgd;
        /// The weight decay: an L2 penalty of adam and sgd; adamw shrinks the parameters in each step
        /// [default: 0; adamw: 0.01]
        weight_decay: f64 ["RATE"] = |_| 0.0;
        /// Leave out biases and batch norm from the weight decay
        no_decay_norm: bool ["BOOL"] = |_| false;
    }
    "Augmentation and regularisation" {
        /// Do not crop the training images at random
        no_crop: bool ["BOOL"] = |of| !of.crop;
        /// The border of an image that a random crop may include
        crop_padding: CropPadding ["KIND"] = |_| CropPadding::default();
        /// Resize a random box of each training image, in place of the random crop
        random_resized_crop: bool ["BOOL"] = |of| of.resized_crop;
        /// random-resized-crop: the least and the largest part of the image's area in the box
        crop_scale: Bounds ["PART,PART"] = |_| Bounds(random_resized_crop::RANGE.scale), only random_resized_crop = true;
        /// random-resized-crop: the least and the largest ratio of the box's width to its height
        crop_ratio: Bounds ["RATIO,RATIO"] = |_| Bounds(random_resized_crop::RANGE.ratio), only random_resized_crop = true;
        /// Do not flip the training images at random
        no_flip: bool ["BOOL"] = |of| !of.flip;
        /// Do not cut squares out of the training images
        no_cutout: bool ["BOOL"] = |of| !of.cutout;
        /// Change the brightness of the training images at random, by a factor from 1 - PART to 1 + PART
        jitter_brightness: f64 ["PART"] = |_| 0.0;
        /// Change the contrast of the training images in the same way
        jitter_contrast: f64 ["PART"] = |_| 0.0;
        /// Change the saturation of the training images in the same way
        jitter_saturation: f64 ["PART"] = |_| 0.0;
        /// The probability with which a random box of a training image is set to the mean colour
        random_erasing: f64 ["P"] = |_| 0.0;
        /// The part of each label that is spread over all classes
        label_smoothing: f64 ["PART"] = |_| 0.0;
        /// The weights of the classes in the training loss: balanced (the inverse of each class's share of the training
        /// images), or a number for each class with commas between them [default: equal weights]
        class_weights: ClassWeights ["WEIGHTS"];
        /// Scale all gradients down together if their L2 norm is larger than this [default: off]
        clip_grad_norm: f64 ["NORM"];
        /// Keep a moving average of the parameters with this decay (for example 0.9), and evaluate and save the average
        /// [default: off]
        ema: f64 ["DECAY"];
        /// Stop the run at a gradient that is not finite, or skip and count the step
        on_nan: OnNonFinite ["ACTION"] = |_| OnNonFinite::default();
    }
}

impl Defaults {
    /// Returns the default width of a network on the dataset of these defaults.
    pub fn width_of(&self, network: NetworkRef) -> usize {
        if network == networks::DEFAULT { self.width } else { network.default_width() }
    }
}

/// The declaration of a setting, for programs that list all settings.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Name of the setting's field.
    pub field: &'static str,
    /// Key in settings files, which is also the name of the flag: the field's name in kebab case.
    pub key: &'static str,
    /// Title of the group of settings.
    pub heading: &'static str,
    /// Help text without the default.
    pub help: &'static str,
    /// Word for the value in help texts.
    pub value_name: &'static str,
    /// Quotation marks around the value in a settings file.
    pub quotes: Quotes,
    /// The names of all values with their help texts; empty if the values have no names.
    pub names: fn() -> Vec<(&'static str, &'static str)>,
    /// Reads the value of a flag into settings. The error is the rule that the value breaks.
    pub read_flag: fn(&mut Settings, &OsStr) -> Result<(), String>,
    /// Reads the value of a settings file into settings. The error is the rule that the value breaks.
    pub read_value: fn(&mut Settings, &toml::Value) -> Result<(), String>,
    /// Returns true if the settings have a value for the setting.
    pub is_given: fn(&Settings) -> bool,
    /// The default as text; none if a run can do without the setting.
    pub default: Option<fn(&Defaults) -> String>,
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown key or a value of a wrong kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path))?;
        Self::parse(&text).map_err(|error| {
            let reason = error.to_string().trim_end().to_string();
            ConfigError::File { path: path.to_path_buf(), reason }.into()
        })
    }

    /// Reads the settings of a run from its `config.toml`, and completes them as [`Settings::completed`] does.
    ///
    /// # Errors
    /// As for [`Settings::read`].
    pub fn of_run(config: &Path) -> Result<Self, Error> {
        Ok(Self::read(config)?.completed())
    }

    /// Returns the settings of a run, completed with the mean and the standard deviation if they are missing. Earlier
    /// versions of the program did not record them: every run had those of CIFAR-10.
    pub fn completed(self) -> Self {
        let dataset = self.data.unwrap_or_default().dataset();
        if dataset.is_folder()
            || dataset.spec(ReadOptions::default()).size.channels != cifar10::MEAN.len()
        {
            return self;
        }
        Self {
            mean: self.mean.or(Some(PerChannel::Numbers(cifar10::MEAN.to_vec()))),
            std: self.std.or(Some(PerChannel::Numbers(cifar10::STANDARD_DEVIATION.to_vec()))),
            ..self
        }
    }

    /// Reads settings from TOML. Keys may have `_` in place of `-`: `batch-size = 128` and `batch_size = 128` are the
    /// same.
    ///
    /// # Errors
    /// If the text is not TOML, or has an unknown key or a value of a wrong kind.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut table = DeTable::parse(text)?;
        for (key, value) in std::mem::take(table.get_mut()) {
            let span = key.span();
            let key = Cow::Owned(key.into_inner().replace('_', "-"));
            if table.get_ref().contains_key(&*key) {
                let message =
                    format!("duplicate key: {key} is written twice, once with _ in place of -");
                return Err(toml::de::Error::custom(message));
            }
            table.get_mut().insert(Spanned::new(span, key), value);
        }
        Self::deserialize(toml::Deserializer::from(table)).map_err(|mut error| {
            error.set_input(Some(text));
            error
        })
    }

    /// Returns these settings without any augmentation.
    pub fn without_augmentation(self) -> Self {
        let off = Some(true);
        let none = Some(0.0);
        Self {
            no_crop: off,
            random_resized_crop: Some(false),
            no_flip: off,
            no_cutout: off,
            jitter_brightness: none,
            jitter_contrast: none,
            jitter_saturation: none,
            random_erasing: none,
            ..self
        }
    }

    /// Returns these settings. A setting that is none is taken from `other`.
    pub fn or(self, mut other: Self) -> Self {
        if self.weights.is_some() {
            // A hash belongs to the weights file of the same settings.
            other.weights_sha256 = None;
        }
        let is_other = |data| data != Source::Auto && other.data.is_some_and(|other| other != data);
        if self.data.is_some_and(is_other) {
            // The mean, the standard deviation, the classes and their weights in `other` belong to another dataset.
            (other.mean, other.std, other.classes) = (None, None, None);
            other.class_weights = other.class_weights.filter(ClassWeights::is_balanced);
        }
        self.or_each(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_file_are_the_flags() {
        let text = "batch-size = 64\nmax_lr = 0.02\nno-crop = true\nmemory-limit = '1GiB'\ndata = 'shapes'";
        let settings = Settings::parse(text).expect("good settings");
        assert_eq!(settings.batch_size, NonZeroU32::new(64));
        assert_eq!(settings.max_lr, Some(MaxLr::Rate(0.02)));
        assert_eq!(settings.no_crop, Some(true));
        assert_eq!(settings.memory_limit, Some(MemorySize(1 << 30)));
        assert_eq!(settings.data, Some(Source::SHAPES));
        let error = Settings::parse("epoch = 3").expect_err("no such key");
        assert!(error.to_string().contains("unknown field `epoch`"), "{error}");
        let error = Settings::parse("batch-size = 64\nbatch_size = 32").expect_err("twice");
        assert!(error.to_string().contains("batch-size is written twice"), "{error}");
    }

    #[test]
    fn counts_in_a_file_are_at_least_one() {
        for text in ["width = 0", "epochs = -1", "batch-size = 'many'", "epochs = 1.5"] {
            let error = Settings::parse(text).expect_err(text).to_string();
            assert!(error.contains("must be a whole number of at least 1"), "{error}");
            assert!(error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn quoted_numbers_are_errors() {
        for (text, words) in [
            (
                "batch-size = \"20\"",
                "\"20\" is a string, but must be a whole number of at least 1, without",
            ),
            ("seed = \"0\"", "a whole number of at least 0, without"),
            ("weight-decay = '0.1'", "is a string, but must be a number, without quotation marks"),
            ("no-flip = 'true'", "is a string, but must be true or false, without"),
            ("seed = -1", "must be a whole number of at least 0"),
            ("ema = true", "must be a number"),
            ("no-crop = 1", "must be true or false"),
        ] {
            let error = Settings::parse(text).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains("line 1"), "{error}");
        }
        let plain = Settings::parse("seed = 7\nema = 0\nno-crop = false").expect("good settings");
        assert_eq!((plain.seed, plain.ema, plain.no_crop), (Some(7), Some(0.0), Some(false)));
    }

    #[test]
    fn a_tilde_in_a_file_is_the_home_folder() {
        let settings = Settings::parse("out = '~/x'\ndata-dir = '~'").expect("good settings");
        let home = dirs::home_dir().expect("a home folder");
        assert_eq!((settings.out, settings.data_dir), (Some(home.join("x")), Some(home)));
    }

    #[test]
    fn flags_replace_the_settings_of_a_file() {
        let flags = Settings { epochs: NonZeroU32::new(3), ..Settings::default() };
        let file = Settings {
            epochs: NonZeroU32::new(5),
            width: NonZeroU16::new(8),
            ..Settings::default()
        };
        let both = flags.or(file);
        assert_eq!((both.epochs, both.width), (NonZeroU32::new(3), NonZeroU16::new(8)));
        assert_eq!(both.seed, None);
    }
}
