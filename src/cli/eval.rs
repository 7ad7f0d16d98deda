//! `wgrad eval`

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::process::ExitCode;

use wgrad::data::{self, N_CLASSES, Source};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::{ResNet9, Weights};
use wgrad::ops::Kernels;
use wgrad::train::settings::{MemorySize, at_least_one};
use wgrad::train::step::StepConfig;
use wgrad::train::{Evaluator, console, recipe};

/// Flags of `wgrad eval`.
#[derive(clap::Args)]
pub struct Args {
    /// The file of weights: safetensors with PyTorch's names, as a run leaves it
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Channels of the network's first layer [default: what the file says]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    width: Option<NonZeroU16>,
    /// Images in a step
    #[arg(long, value_name = "N", default_value = "250", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_size: NonZeroU32,
    /// Which test images
    #[arg(long, value_name = "SET", default_value = "auto")]
    data: Source,
    /// The folder with CIFAR-10's binary files [default: $WGRAD_DATA, else ./data/cifar-10-batches-bin]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// Which kernels a GPU runs
    #[arg(long, value_name = "KIND", default_value = "default")]
    kernels: Kernels,
    /// Refuse a step that needs more memory than this, 512MiB or 2GiB for instance
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_limit: Option<MemorySize>,
}

/// Evaluates.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = data::load(args.data, args.data_dir.as_deref(), recipe::SHAPES_SEED)
        .map_err(wgrad::Error::from)?;
    let options = OpenOptions {
        kernels: args.kernels,
        memory_limit: args.memory_limit.map(|size| size.0),
        ..OpenOptions::default()
    };
    let device = Device::open(&args.device, options)?;

    super::print(&format!("{}\n", console::head(&loaded, &device.name())))?;

    let test = &loaded.dataset.test;
    let width = args.width.map(|n| n.get().into()).or_else(|| Weights::width_of(&args.weights));
    let width = width.unwrap_or(recipe::CIFAR10.width);
    let network = ResNet9 { width, classes: N_CLASSES };
    let config = StepConfig::new(network, (args.batch_size.get() as usize).min(test.len()));
    let mut evaluator = Evaluator::new(&device, &config)?;
    let weights = Weights::load(evaluator.layout(), &args.weights)?;
    evaluator.set_weights(&weights)?;
    super::print(&format!("network   resnet9, width {width}, from {}\n", args.weights.display()))?;
    let metrics = evaluator.evaluate(test, &|| false)?.expect("nothing stops it");

    super::print(&format!(
        "test loss {:.4}, test accuracy {:.2}% of {} images\n",
        metrics.loss(),
        100.0 * metrics.accuracy(),
        test.len(),
    ))?;
    Ok(ExitCode::SUCCESS)
}
