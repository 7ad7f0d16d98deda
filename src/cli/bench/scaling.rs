//! `wgrad bench scaling`

use std::num::{NonZeroU16, NonZeroU32};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use wgrad::base::shown::Shown;
use wgrad::device::{Device, OpenOptions};
use wgrad::measure::bench::scaling::{self, CSV, Grid, JSON, SVG, Scaling, svg, table};
use wgrad::nn::NetworkRef;
use wgrad::train::RunFolder;
use wgrad::train::settings::at_least_one;
use wgrad::train::units::MemorySize;

use super::{On, command, show_progress, write};
use crate::cli::arguments;

/// The largest default width and batch size on the CPU and on software adapters. The whole grid would take most of an
/// hour there.
const LARGEST_ON_A_PROCESSOR: [usize; 2] = [32, 256];

/// Flags of `wgrad bench scaling`.
#[derive(clap::Args)]
#[command(after_help = "\
A cell without a figure shows the reason: `limit` (a tensor is larger than the device binds, or the step
needs more than --memory-limit), `memory` (the device has too little memory), `>60 s` (a step would take
longer, by an estimate from a smaller cell; it is not run). The folder holds scaling.json, scaling.csv and
scaling.svg, which are written after each cell.")]
pub struct Args {
    /// The network; `wgrad networks` lists them
    #[arg(long, value_name = "NAME", default_value = "resnet9", value_parser = arguments::network)]
    network: NetworkRef,
    /// Widths, with commas between them [default: 8,16,32,64,128; on a CPU: up to 32]
    #[arg(long, value_name = "N,N", value_delimiter = ',', allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    widths: Vec<NonZeroU16>,
    /// Batch sizes, with commas between them [default: 32,64,128,256,512,1024; on a CPU: up to 256]
    #[arg(long, value_name = "N,N", value_delimiter = ',', allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_sizes: Vec<NonZeroU32>,
    /// The time for the steps of each pair of width and batch size, after the warm-up; at least one step is timed
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, allow_negative_numbers = true)]
    seconds: f64,
    /// Skip steps that need more memory than this, for example 512MiB or 2GiB
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<MemorySize>,
    #[command(flatten)]
    on: On,
}

/// Measures each pair of width and batch size, prints and draws the results, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !(args.seconds.is_finite() && args.seconds > 0.0) {
        let message = format!("--seconds {}: not a time; give a number above 0", args.seconds);
        return Err(crate::cli::WrongUse(message).into());
    }
    let mut folder = RunFolder::choose(args.on.out.as_deref())?;
    let stop = crate::cli::signals::listen()?.stop;
    let stop = || stop.load(Ordering::Relaxed);
    let memory_limit = args.memory_limit.map(|size| size.0);
    let open = || {
        let options = OpenOptions { memory_limit, ..args.on.options() };
        Ok(Device::open(&args.on.device, options)?)
    };
    let grid = grid(args, &open()?);
    folder.create_empty()?;
    let mut write = |scaling: &Scaling| {
        write(folder.path(), JSON, &scaling.to_json())?;
        write(folder.path(), CSV, &scaling.to_csv())?;
        write(folder.path(), SVG, &svg::draw(scaling))
    };
    let measured = scaling::measure(&open, &grid, &command(), &show_progress, &mut write, &stop);
    let measured = measured.inspect_err(|_| folder.remove())?;
    if measured.cells.is_empty() {
        folder.remove();
        return Ok(ExitCode::from(crate::cli::INTERRUPTED));
    }
    if !crate::cli::outputs::json(args.on.json.as_deref(), &measured)? {
        let folder = folder.path().shown();
        let files = format!("{folder}/{JSON}, {folder}/{CSV} and {folder}/{SVG}");
        crate::cli::print(&format!("{}\nwritten to {files}\n", table::table(&measured)))?;
    }
    let is_whole = measured.cells.len() == measured.widths.len() * measured.batch_sizes.len();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(crate::cli::INTERRUPTED) })
}

fn grid(args: &Args, device: &Device) -> Grid {
    let [largest_width, largest_batch] = match device.runs_on_cpu() {
        true => LARGEST_ON_A_PROCESSOR,
        false => [usize::MAX; 2],
    };
    let up_to = |sizes: &[usize], largest: usize| {
        sizes.iter().copied().filter(|&size| size <= largest).collect::<Vec<_>>()
    };
    let mut widths: Vec<usize> = args.widths.iter().map(|n| n.get().into()).collect();
    if widths.is_empty() {
        widths = up_to(&[8, 16, 32, 64, 128], largest_width);
    }
    let mut batch_sizes: Vec<usize> = args.batch_sizes.iter().map(|n| n.get() as usize).collect();
    if batch_sizes.is_empty() {
        batch_sizes = up_to(&[32, 64, 128, 256, 512, 1024], largest_batch);
    }
    let (network, kernels) = (args.network, args.on.kernels);
    Grid { network, widths, batch_sizes, kernels, seconds_per_cell: args.seconds }
}
