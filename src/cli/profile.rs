//! `wgrad profile`

use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use wgrad::base::files::FileError;
use wgrad::data::{Dataset, Source};
use wgrad::device::{Device, OpenOptions};
use wgrad::distributed::World;
use wgrad::kernel::Kernels;
use wgrad::measure::profile::{self, svg, table};
use wgrad::train::recipe::{CIFAR10, SHAPES};
use wgrad::train::settings::at_least_one;
use wgrad::train::step::StepConfig;
use wgrad::train::{Settings, resume, screen};

use super::fusion::FusionArgs;
use super::ranks::RankArgs;
use super::sizes::{MemoryArgs, NetworkArgs};
use super::{arguments, ranks};

/// Flags of `wgrad profile`.
#[derive(clap::Args)]
#[command(after_help = "\
Times are medians over several training steps on built-in images, or on those of --data or --data-dir. The \
device's peaks, copied bytes and multiply-adds per second, are measured before and after them. docs/profiling.md \
explains each column.")]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    /// Time steps on the training images of this dataset, not on built-in ones
    #[arg(long, value_name = "SET", value_parser = arguments::Sources)]
    data: Option<Source>,
    /// The folder with the files of the dataset
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Images in a step [default: 512; on a CPU: 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_size: Option<NonZeroU32>,
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// The kernels that a GPU runs
    #[arg(long, value_name = "KIND", default_value = "tuned", value_parser = arguments::one_of::<Kernels>())]
    kernels: Kernels,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    ranks: RankArgs,
    #[command(flatten)]
    fusion: FusionArgs,
    /// Steps to time [default: as many as take eight seconds, at least 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    steps: Option<NonZeroU32>,
    /// The order of the table's rows
    #[arg(long, value_name = "ORDER", default_value = "tape", value_parser = arguments::one_of::<table::Sort>())]
    sort: table::Sort,
    /// Write all numbers as JSON into this file, too; without a file, print one line of JSON in place of the table
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Draw the times of the step into this SVG file, too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Args {
    /// Returns the time after which a rank that does not answer ends all.
    pub fn rank_timeout(&self) -> Duration {
        self.ranks.timeout()
    }
}

/// Times a training step, prints and draws the times, and returns the exit code. If several ranks share the step, the
/// first one prints and draws the times of its part.
pub fn run(args: &Args, world: &Rc<World>) -> anyhow::Result<ExitCode> {
    let mut outputs = args.json.iter().chain(&args.svg);
    let are_free = outputs.try_for_each(|file| super::outputs::refuse_inputs(file, &[], ""));
    ranks::agreed(world, are_free)?;
    let nth_adapter = world.local_rank();
    let options = OpenOptions { kernels: args.kernels, nth_adapter, ..OpenOptions::default() };
    let device = ranks::agreed(world, Device::open(&args.device, super::opened(options)))?;
    let step = ranks::in_turns(world, || step(args, &device));
    let (config, dataset) = ranks::agreed(world, step)?;
    let is_silent = !io::stderr().is_terminal() || screen::is_mute();
    let show_progress = |what: &str| {
        if !is_silent {
            eprintln!("{what}");
        }
    };
    let devices = (world.size() > 1).then(|| {
        ranks::check_shards(world, config.update.n_shards, config.batch_size);
        let images = dataset.as_ref().map(|dataset| dataset.fingerprint().to_string());
        let items = [
            ("batch-size", config.batch_size.to_string()),
            ("width", config.network.width.to_string()),
            ("the images", images.unwrap_or_default()),
        ];
        ranks::check_items(world, &items);
        ranks::devices(world, &device)
    });
    let n_steps = args.steps.map(|n| n.get() as usize);
    let shared = ranks::shared(world);
    let profile = profile::measure(
        &device,
        &config,
        dataset.as_ref(),
        shared.as_ref(),
        n_steps,
        &show_progress,
    )?;
    if !world.is_first() {
        return Ok(ExitCode::SUCCESS);
    }

    let in_place = super::outputs::json(args.json.as_deref(), &profile)?;
    if let Some(path) = &args.svg {
        std::fs::write(path, svg::draw(&profile)).map_err(FileError::at(path))?;
    }
    if let Some(devices) = devices.filter(|_| !in_place) {
        super::print(&format!("{devices}\n"))?;
    }
    if !in_place {
        super::print(&table::table(&profile, args.sort))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the settings of the step, and the dataset that the flags name.
fn step(args: &Args, device: &Device) -> anyhow::Result<(StepConfig, Option<Dataset>)> {
    let defaults = if device.runs_on_cpu() { SHAPES } else { CIFAR10 };
    let NetworkArgs { network, sizes } = &args.network;
    let batch_size = args.batch_size.map_or(defaults.batch_size, |n| n.get() as usize);
    let dataset = match (args.data, &args.data_dir) {
        (None, None) => None,
        (data, dir) => {
            let (network, image_size) = (Some(*network), sizes.image_size);
            let data_dir = dir.clone();
            let settings = Settings { data, data_dir, network, image_size, ..Settings::default() };
            let loaded = resume::load(&settings, None)
                .map_err(|error| super::of_file(error, dir.as_deref()))?;
            Some(super::hints::advised(loaded).dataset)
        }
    };
    let width = defaults.width_of(*network);
    let mut config = match &dataset {
        None => sizes.step(*network, width, batch_size)?,
        Some(dataset) => sizes.step_on(*network, width, batch_size, dataset)?,
    };
    args.memory.set(&mut config)?;
    config.update.fusion = args.fusion.fusion();
    Ok((config, dataset))
}
