//! `wgrad bench`

use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use wgrad::Error;
use wgrad::base::files;
use wgrad::base::shown::Shown;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::measure::Effort;
use wgrad::measure::bench::{self, Bench, EFFORT, compare, svg, table};
use wgrad::nn::networks::{self, NetworkRef};
use wgrad::train::RunFolder;
use wgrad::train::recipe::{CIFAR10, SHAPES};
use wgrad::train::settings::at_least_one;
use wgrad::train::step::StepConfig;

use super::arguments;
use super::fusion::FusionArgs;
use super::sizes::{MemoryArgs, SizeArgs};

mod scaling;

/// The default batch size on the CPU and on software adapters. With the default width there, that of the dataset
/// `shapes`, a step of this size takes about one second.
const SMALL_BATCH: usize = 32;

/// Flags of `wgrad bench`.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The folder holds every figure (bench.json) and the roofline (roofline.svg). Times are medians over several \
training steps on built-in images. docs/benchmarks.md explains each column."
)]
pub struct Args {
    #[command(subcommand)]
    subcommand: Option<Subcommand>,
    /// The network; `wgrad networks` lists them [default: resnet9, or that of --compare]
    #[arg(long, value_name = "NAME", value_parser = arguments::network)]
    network: Option<NetworkRef>,
    #[command(flatten)]
    sizes: SizeArgs,
    /// Images in a step [default: 512; on a CPU: 32]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_size: Option<NonZeroU32>,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    on: On,
    #[command(flatten)]
    fusion: FusionArgs,
    /// Steps to time [default: as many as take 25 seconds, at least 5]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    steps: Option<NonZeroU32>,
    /// The folder or bench.json of an earlier benchmark: print how much each kernel's time has changed
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    compare: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Measure images per second over a grid of widths and batch sizes
    Scaling(scaling::Args),
}

/// Flags that `wgrad bench` and `wgrad bench scaling` have in common: the device, the kernels, and the output.
#[derive(clap::Args)]
struct On {
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,
    /// The kernels that a GPU runs
    #[arg(long, value_name = "KIND", default_value = "tuned", value_parser = arguments::one_of::<Kernels>())]
    kernels: Kernels,
    /// The folder for the files with the results [default: runs/DATE-TIME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write all numbers as JSON into this file, too; without a file, print one line of JSON in place of the table
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl On {
    fn options(&self) -> OpenOptions {
        crate::cli::opened(OpenOptions { kernels: self.kernels, ..OpenOptions::default() })
    }
}

/// Measures the kernels, prints and draws the results, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(Subcommand::Scaling(args)) = &args.subcommand {
        return scaling::run(args);
    }
    let before = args.compare.as_deref().map(Bench::read).transpose()?;
    let mut folder = RunFolder::choose(args.on.out.as_deref())?;
    let stop = super::signals::listen()?.stop;
    let device = Device::open(&args.on.device, args.on.options())?;
    let config = config(args, before.as_ref(), &device)?;
    folder.create_empty()?;
    let measured = measure(args, &config, &device, &stop).inspect_err(|_| folder.remove())?;
    let Some(measured) = measured else {
        folder.remove();
        return Ok(ExitCode::from(super::INTERRUPTED));
    };
    write(folder.path(), bench::JSON, &measured.to_json())?;
    write(folder.path(), bench::SVG, &svg::draw(&measured))?;
    if super::outputs::json(args.on.json.as_deref(), &measured.document())? {
        return Ok(ExitCode::SUCCESS);
    }
    super::print(&table::table(&measured))?;
    if let Some(before) = &before {
        super::print(&format!("\n{}", compare::compare(before, &measured)))?;
    }
    let folder = folder.path().shown();
    super::print(&format!("\nwritten to {folder}/{} and {folder}/{}\n", bench::JSON, bench::SVG))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the step to measure. Network, width and batch size come from the flags, else from the earlier benchmark
/// `before` (`--compare`), else from the defaults for the device.
fn config(args: &Args, before: Option<&Bench>, device: &Device) -> anyhow::Result<StepConfig> {
    let settings = before.map(|bench| &bench.settings);
    let of_before = settings.and_then(|settings| networks::by_name(&settings.network).ok());
    let network = args.network.or(of_before).unwrap_or(networks::DEFAULT);
    let [width, batch_size] = match (settings, device.runs_on_cpu()) {
        (Some(settings), _) => [settings.width, settings.batch_size],
        (None, true) => [SHAPES.width_of(network), SMALL_BATCH],
        (None, false) => [CIFAR10.width_of(network), CIFAR10.batch_size],
    };
    let batch_size = args.batch_size.map_or(batch_size, |n| n.get() as usize);
    let mut config = args.sizes.step(network, width, batch_size)?;
    config.update.n_shards = settings.map_or(1, |settings| settings.shards);
    args.memory.set(&mut config)?;
    if let Some(before) = before {
        compare::check(before, &config)?;
    }
    config.update.fusion = args.fusion.fusion();
    Ok(config)
}

fn measure(
    args: &Args,
    config: &StepConfig,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<Bench>, Error> {
    let effort = Effort { n: args.steps.map(|n| n.get() as usize), ..EFFORT };
    let stop = || stop.load(Ordering::Relaxed);
    bench::measure(device, config, args.on.kernels, effort, &command(), &show_progress, &stop)
}

/// Returns the command line of this process.
fn command() -> String {
    let arguments = std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned());
    std::iter::once("wgrad".to_string()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Prints a line of progress, on a terminal only.
fn show_progress(line: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{line}");
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    Ok(files::write_whole(&folder.join(name), text.as_bytes())?)
}
