//! The flags of commands that record a network without a dataset: its name, width, image size and number of classes.

use std::num::NonZeroU16;

use wgrad::data::{Dataset, ImageSize};
use wgrad::distributed::tree;
use wgrad::nn::{NetworkConfig, NetworkRef};
use wgrad::ops::random_resized_crop;
use wgrad::train::ConfigError;
use wgrad::train::settings::at_least_one;
use wgrad::train::step::StepConfig;
use wgrad::train::units::Classes;

use super::arguments;

/// Flags for the sizes of a network.
#[derive(clap::Args)]
pub struct SizeArgs {
    /// Channels of the network's first layer [default: as `wgrad networks` lists; resnet9 is timed on a CPU with 16]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    pub width: Option<NonZeroU16>,
    /// Rows and columns of the images [default: those for which the network was published]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    pub image_size: Option<NonZeroU16>,
    /// Number of classes, a name for each class with commas between them, or a dataset [default: the number for which
    /// the network was published]
    #[arg(long, value_name = "CLASSES")]
    pub classes: Option<Classes>,
}

/// Flags for a network and its sizes.
#[derive(clap::Args)]
pub struct NetworkArgs {
    /// The network; `wgrad networks` lists them
    #[arg(long, value_name = "NAME", default_value = "resnet9", value_parser = arguments::network)]
    pub network: NetworkRef,
    #[command(flatten)]
    pub sizes: SizeArgs,
}

/// Flags for the memory of a training step.
#[derive(clap::Args)]
pub struct MemoryArgs {
    /// Divide the step into N shards, which are computed one after another
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    pub shards: Option<NonZeroU16>,
    /// Compute values of the forward pass again in the backward pass, in place of keeping them
    #[arg(long)]
    pub recompute: bool,
}

impl MemoryArgs {
    /// Writes the flags into the settings of a step.
    ///
    /// # Errors
    /// If the number of shards does not divide the batch size.
    pub fn set(&self, config: &mut StepConfig) -> Result<(), super::WrongUse> {
        config.update.recompute = self.recompute;
        let Some(shards) = self.shards else { return Ok(()) };
        config.update.n_shards = shards.get().into();
        let wrong = |must| super::WrongUse(format!("--shards {shards}: the value must {must}"));
        tree::check(config.batch_size, config.update.n_shards).map_err(wrong)
    }
}

impl SizeArgs {
    /// Returns the network with these sizes, and the shape of its images, `[H, W, C]`.
    ///
    /// # Errors
    /// If the network does not take images of this size. The error names the smallest that it takes.
    pub fn of(&self, network: NetworkRef) -> Result<(NetworkConfig, [usize; 3]), super::WrongUse> {
        self.of_width(network, network.default_width())
    }

    /// Returns the network and the shape of its images, as [`SizeArgs::of`] does, with another default width.
    ///
    /// # Errors
    /// As for [`SizeArgs::of`].
    pub fn of_width(
        &self,
        network: NetworkRef,
        default_width: usize,
    ) -> Result<(NetworkConfig, [usize; 3]), super::WrongUse> {
        let width = self.width.map_or(default_width, |n| n.get().into());
        let classes = self.classes.as_ref().map(Classes::number);
        let classes = classes.unwrap_or(network.default_classes());
        let [h, w, channels] = network.default_image();
        let side = self.image_size.map(|side| usize::from(side.get()));
        let image = [side.unwrap_or(h), side.unwrap_or(w), channels];
        network.check_input(image).map_err(super::WrongUse)?;
        Ok((NetworkConfig::new(network, width, classes), image))
    }

    /// Returns the settings of a training step of the network with `batch_size` images.
    ///
    /// # Errors
    /// As for [`SizeArgs::of`].
    pub fn step(
        &self,
        network: NetworkRef,
        default_width: usize,
        batch_size: usize,
    ) -> Result<StepConfig, super::WrongUse> {
        let (network, image) = self.of_width(network, default_width)?;
        let config = StepConfig::new(network.with_auxiliary(image), batch_size);
        Ok(StepConfig { size: ImageSize::from(image), ..config })
    }

    /// Returns the settings of a training step of the network on the images of a dataset, which decides their size and
    /// the number of classes.
    ///
    /// # Errors
    /// If a number of classes is given, the network does not take the images, or there are too few for a batch.
    pub fn step_on(
        &self,
        network: NetworkRef,
        default_width: usize,
        batch_size: usize,
        dataset: &Dataset,
    ) -> anyhow::Result<StepConfig> {
        if self.classes.is_some() {
            let message = "--classes: the dataset has its own classes; leave it out".to_string();
            return Err(super::WrongUse(message).into());
        }
        let n_images = dataset.train.len();
        if n_images < batch_size {
            return Err(ConfigError::FewerThanABatch { n_images, batch_size }.into());
        }
        let image = dataset.spec.size.channels_last();
        network.check_input(image).map_err(super::WrongUse)?;
        let width = self.width.map_or(default_width, |n| n.get().into());
        let network = NetworkConfig::new(network, width, dataset.spec.n_classes());
        let config = StepConfig::new(network.with_auxiliary(image), batch_size);
        let config = config.for_images(&dataset.spec).for_sizes(&dataset.train);
        // Images with sizes of their own need this crop, which a run on photographs has by default.
        let resized_crop = config.largest_image.map(|_| random_resized_crop::RANGE);
        Ok(StepConfig { resized_crop, ..config })
    }
}
