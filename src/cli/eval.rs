//! `wgrad eval`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use safetensors::SafeTensors;
use wgrad::data::{self, Source};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::Weights;
use wgrad::ops::Kernels;
use wgrad::train::evaluator::Evaluator;
use wgrad::train::recipe::{self, Recipe};
use wgrad::train::settings::{MemorySize, Settings};

/// Flags of `wgrad eval`.
#[derive(clap::Args)]
pub struct Args {
    /// The file of weights: safetensors with PyTorch's names, as a run leaves it
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Channels of the network's first layer [default: what the file says]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Images in a step
    #[arg(long, value_name = "N", default_value_t = 250)]
    batch_size: usize,
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
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<MemorySize>,
}
