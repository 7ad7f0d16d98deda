//! Reads trained weights for a command, and makes an evaluator with them.

use std::num::NonZeroU16;
use std::path::Path;

use wgrad::base::shown::Shown;
use wgrad::data::{ImageSpec, Source, cifar10};
use wgrad::device::Device;
use wgrad::nn::{NetworkConfig, NetworkRef, Weights, WeightsError, WeightsFile};
use wgrad::tape::StateLayout;
use wgrad::train::settings::at_least_one;
use wgrad::train::step::StepConfig;
use wgrad::train::units::PerChannel;
use wgrad::train::{Evaluator, folder, recipe};

use super::arguments;

/// The smallest number of rows of the images for which networks for ImageNet were published.
const IMAGENET_SIDE: usize = 224;

/// Flags for the network and the normalisation. Files of weights from wgrad record these; files from PyTorch do not.
#[derive(clap::Args)]
pub struct Recorded {
    /// The network; `wgrad networks` lists them [default: the one that the weights record, else resnet9]
    #[arg(long, value_name = "NAME", value_parser = arguments::network)]
    network: Option<NetworkRef>,
    /// Channels of the network's first layer [default: as many as the weights have]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    width: Option<NonZeroU16>,
    /// Rows and columns of the images [default: those that the weights record, else those for which the network was
    /// published]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    image_size: Option<NonZeroU16>,
    /// The mean of each channel, which is subtracted from the images; pixels are from 0 to 1 [default: the one that the
    /// weights record, else CIFAR-10's]
    #[arg(long, value_name = "R,G,B", allow_negative_numbers = true)]
    mean: Option<PerChannel>,
    /// The standard deviation of each channel, by which the images are divided [default: as for --mean]
    #[arg(long, value_name = "R,G,B", allow_negative_numbers = true)]
    std: Option<PerChannel>,
}

impl Recorded {
    /// Returns the network of a file of weights.
    ///
    /// # Errors
    /// As for [`WeightsFile::network`].
    pub fn network(&self, file: &WeightsFile) -> Result<NetworkConfig, WeightsError> {
        file.network(self.network, self.width.map(|width| width.get().into()))
    }

    /// Returns the network and the number of channels of its first layer that flags name.
    pub fn named(&self) -> (Option<NetworkRef>, Option<usize>) {
        (self.network, self.width.map(|width| width.get().into()))
    }

    /// Returns the flags that are given, with their values.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let size = |size: NonZeroU16| size.to_string();
        let flags = [
            ("--network", self.network.map(|network| network.name().to_string())),
            ("--width", self.width.map(size)),
            ("--image-size", self.image_size.map(size)),
            ("--mean", self.mean.as_ref().map(PerChannel::to_string)),
            ("--std", self.std.as_ref().map(PerChannel::to_string)),
        ];
        flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))).collect()
    }

    /// Writes the mean and the standard deviation that flags name into the settings of a step.
    ///
    /// # Errors
    /// If they are out of their range.
    pub fn normalise(&self, config: &mut StepConfig) -> Result<(), wgrad::Error> {
        Ok(recipe::normalise(config, self.mean.as_ref(), self.std.as_ref())?)
    }

    /// Returns the number of rows, and of columns, of the images; None for the size that the file or the data have.
    pub fn side(&self) -> Option<usize> {
        self.image_size.map(|side| side.get().into())
    }
}

/// Reads a file of weights. `path` is the file or a run's folder; [`folder::weights_file`] selects the file in the
/// folder.
///
/// # Errors
/// As for [`WeightsFile::read`].
pub fn read(path: &Path) -> Result<WeightsFile, WeightsError> {
    WeightsFile::read(&folder::weights_file(path))
}

/// Returns the format of the images that the network of a file reads: the one that the file records, otherwise that of
/// the dataset `source`. If the file has no record and the images are in colour, mean and standard deviation are those
/// of CIFAR-10, which earlier versions used for all images. `n_classes` is the number of classes of the network.
pub fn spec(file: &WeightsFile, source: Source, n_classes: usize) -> ImageSpec {
    let dataset = source.dataset();
    let spec = dataset.spec(dataset.options(n_classes));
    match file.info() {
        Some(info) => ImageSpec {
            size: info.image.into(),
            classes: info.classes.clone(),
            mean: info.mean.clone(),
            standard_deviation: info.standard_deviation.clone(),
        },
        None if spec.size.channels == cifar10::MEAN.len() => ImageSpec {
            mean: cifar10::MEAN.to_vec(),
            standard_deviation: cifar10::STANDARD_DEVIATION.to_vec(),
            ..spec
        },
        None => spec,
    }
}

/// Returns the settings of an evaluation step of `batch_size` images with the format `spec`. Prints a note on the standard
/// error if neither the file nor flags determine the normalisation.
///
/// # Errors
/// If the network does not take images of this size, or mean or standard deviation are out of their range.
pub fn step(
    file: &WeightsFile,
    network: NetworkConfig,
    spec: &ImageSpec,
    flags: &Recorded,
    batch_size: usize,
) -> anyhow::Result<StepConfig> {
    network.network.check_input(spec.size.channels_last()).map_err(super::WrongUse)?;
    let mut config = StepConfig::new(network, batch_size).for_images(spec);
    flags.normalise(&mut config)?;
    if file.info().is_none() && (flags.mean.is_none() || flags.std.is_none()) {
        note_normalisation(file, &config);
    }
    Ok(config)
}

/// Prints a note with the mean and the standard deviation of a step whose weights do not record them.
fn note_normalisation(file: &WeightsFile, config: &StepConfig) {
    let StepConfig { network, mean, standard_deviation, .. } = config;
    let network = network.network;
    let of_imagenet = match network.default_image()[0] >= IMAGENET_SIDE {
        true => {
            format!("; {} was published for ImageNet, so use those of its training", network.name())
        }
        false => String::new(),
    };
    super::note(&format!(
        "{} does not record mean and standard deviation of its images; --mean {} --std {} are used{of_imagenet}",
        file.path().shown(),
        PerChannel::Numbers(mean.clone()),
        PerChannel::Numbers(standard_deviation.clone()),
    ));
}

/// Returns an evaluator with the weights of a file for steps of `batch_size` images. `network` is the network of the
/// file, and `spec` the format of the images; see [`spec`]. Prints a note on the standard error for each tensor that is
/// renamed or converted, and the note of [`step`].
///
/// # Errors
/// As for [`step`], and if the weights do not fit the network, the step exceeds a limit of the device, or the device
/// fails.
pub fn evaluator(
    device: &Device,
    file: &WeightsFile,
    network: NetworkConfig,
    spec: &ImageSpec,
    flags: &Recorded,
    batch_size: usize,
) -> anyhow::Result<Evaluator> {
    let config = step(file, network, spec, flags, batch_size)?;
    let mut evaluator = Evaluator::new(device, &config)?;
    load(&mut evaluator, file, network)?;
    Ok(evaluator)
}

/// Writes the weights of a file for this network to the device of an evaluator. Prints a note on the standard error for
/// each tensor that is renamed or converted.
///
/// # Errors
/// If the weights do not fit the network, or the device fails.
pub fn load(
    evaluator: &mut Evaluator,
    file: &WeightsFile,
    network: NetworkConfig,
) -> anyhow::Result<()> {
    let weights = fitted(file, network, evaluator.layout())?;
    Ok(evaluator.set_weights(&weights)?)
}

/// Returns the weights of a file for a network with this layout. Prints a note on the standard error for each tensor that
/// is renamed or converted.
///
/// # Errors
/// If the weights do not fit the network.
pub fn fitted(
    file: &WeightsFile,
    network: NetworkConfig,
    layout: &StateLayout,
) -> Result<Weights, WeightsError> {
    let (weights, notes) = file.weights_of(&network, layout, false, 0)?;
    notes.iter().for_each(|note| super::note(&format!("{}: {note}", file.path().shown())));
    Ok(weights)
}
