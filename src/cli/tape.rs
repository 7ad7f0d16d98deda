//! `wgrad tape`

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;
use wgrad::base::files::FileError;
use wgrad::base::shown::Shown;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::{Kernels, Target};
use wgrad::passes::{self, Plan, PlanOptions};
use wgrad::tape::Tape;
use wgrad::train::replay::{self, Replay};
use wgrad::train::settings::at_least_one;
use wgrad::train::step::{self, RecordingTimes, StepConfig};

use super::arguments;
use super::fusion::FusionArgs;
use super::sizes::{MemoryArgs, NetworkArgs};

/// Flags of `wgrad tape`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    /// Images in a step
    #[arg(long, value_name = "N", default_value = "512", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    batch_size: NonZeroU32,
    #[command(flatten)]
    memory: MemoryArgs,
    /// Print the evaluation step, not the training step
    #[arg(long)]
    eval: bool,
    #[command(flatten)]
    fusion: FusionArgs,
    /// The kernels to plan for
    #[arg(long, value_name = "KIND", default_value = "tuned", value_parser = arguments::one_of::<Kernels>())]
    kernels: Kernels,
    /// Run the step in this file again, and print the outputs of each node; a run writes not-finite.safetensors when
    /// a step's result is not finite
    #[arg(long, value_name = "FILE", conflicts_with_all = ["svg", "eval", "no_fuse", "no_winograd"])]
    replay: Option<PathBuf>,
    /// The device of --replay: auto, gpu, cpu, or a part of an adapter's name
    #[arg(long, value_name = "DEVICE", default_value = "auto", requires = "replay")]
    device: String,
    /// Draw the network into this SVG file instead of printing the step
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the number of nodes and pipelines of the training step, and the seconds to record, fuse, differentiate,
    /// recompute and plan it, as JSON
    #[arg(long, conflicts_with_all = ["svg", "eval", "replay"])]
    json: bool,
}

/// Prints the listing or draws the network, and returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.replay {
        return replay(path, args);
    }
    let NetworkArgs { network, sizes } = &args.network;
    let mut config =
        sizes.step(*network, network.default_width(), args.batch_size.get() as usize)?;
    args.memory.set(&mut config)?;
    config.update.fusion = args.fusion.fusion();
    if args.json {
        super::print(&format!("{}\n", timed(&config, args.kernels)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let step = if args.eval { step::evaluation(&config) } else { step::training(&config) };
    match &args.svg {
        Some(path) => {
            super::outputs::refuse_inputs(path, &[], "svg")?;
            std::fs::write(path, passes::draw(&step.tape)).map_err(FileError::at(path))?;
            super::print(&format!("{}\n", path.shown()))?;
        }
        None => {
            let n_images = config.shard_size();
            let listing = |tape| passes::listing(tape, &planned(tape, args.kernels), n_images);
            let mut text = listing(&step.tape);
            if let Some(update) = &step.update {
                let n_shards = config.update.n_shards;
                text = format!(
                    "Program 1 of 2, once for each of {n_shards} shards of {n_images} images\n\n{text}\n\
                     Program 2 of 2, once for all shards\n\n{}",
                    listing(update)
                );
            }
            super::print(&text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Records and plans the training step, and returns its size and the time of each part as JSON.
fn timed(config: &StepConfig, kernels: Kernels) -> serde_json::Value {
    let (step, RecordingTimes { record, passes }) = step::training_timed(config);
    let start = Instant::now();
    let update = step.update.as_ref();
    let n_pipelines = planned(&step.tape, kernels).n_pipelines()
        + update.map_or(0, |update| planned(update, kernels).n_pipelines());
    let plan_time = start.elapsed().as_secs_f64();
    json!({
        "network": step.tape.name(),
        "width": config.network.width,
        "batch_size": config.batch_size,
        "shards": config.update.n_shards,
        "nodes": step.whole().nodes().len(),
        "pipelines": n_pipelines,
        "seconds": {
            "record": record,
            "fuse": passes.fuse,
            "differentiate": passes.differentiate,
            "recompute": passes.recompute,
            "plan": plan_time,
        },
    })
}

/// Returns the plan of a tape for a GPU with these kernels.
fn planned(tape: &Tape, kernels: Kernels) -> Plan {
    let plan = |target| Plan::new(tape, PlanOptions { target, ..PlanOptions::default() });
    let without_launches = plan(None);
    // No kernel can read a tensor above 4 GiB: kernels have 32-bit indices, and no adapter binds such a tensor. The
    // plan of a step with such a tensor has no launches.
    match without_launches.largest_binding() <= u64::from(u32::MAX) {
        true => plan(Some(Target::new(kernels))),
        false => without_launches,
    }
}

/// Repeats the step that the file `path` contains, and prints the output of each node of the step's tape.
fn replay(path: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let options = OpenOptions { kernels: args.kernels, ..OpenOptions::default() };
    let replay = Replay::read(path)?;
    let device = Device::open(&args.device, super::opened(options))?;
    let head = replay.head(&device.name());
    let nodes = replay.run(&device)?;
    let first = replay::first_not_finite(&nodes);
    let first = first.unwrap_or_else(|| "every value is finite".to_string());
    super::print(&format!("{head}\n\n{}\n{first}\n", replay::listing(&nodes)))?;
    Ok(ExitCode::SUCCESS)
}
