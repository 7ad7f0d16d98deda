//! `wgrad devices`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use serde::Serialize;
use wgrad::data::cifar10::CLASSES;
use wgrad::device::gpu::GpuDevice;
use wgrad::device::gpu::info::{AdapterFeatures, AdapterLimits, AdapterReport};
use wgrad::device::gpu::tuning::Tuned;
use wgrad::device::{Device, DeviceError, OpenOptions};
use wgrad::kernel::{Kernels, Target};
use wgrad::measure::check::self_test;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks;
use wgrad::ops::{self, OpTests};
use wgrad::passes::{Plan, PlanOptions};
use wgrad::tape::Tape;
use wgrad::train::recipe::CIFAR10;
use wgrad::train::step::{self, StepConfig};

use super::{arguments, hints};

/// Flags of `wgrad devices`.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not test the ops; on a software adapter the first test takes one or two minutes
    #[arg(long)]
    no_self_test: bool,
    /// The kernels to list and test; without a value, the tuned kernels. For the tuned kernels, the command also lists
    /// the tile of every matrix product of the recipe's step, and measures each tile that was not measured before
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "tuned", value_parser = arguments::one_of::<Kernels>())]
    kernels: Option<Kernels>,
}

/// The JSON of a device, as `wgrad devices --json` prints it.
#[derive(Serialize)]
struct Report {
    /// Name of the device.
    device: String,
    /// Values of `--device` that open the device, besides its name.
    opened_by: Vec<&'static str>,
    /// Adapter of a GPU; None for the CPU.
    adapter: Option<Adapter>,
    /// Reason why the adapter cannot be opened; None for an open adapter.
    error: Option<String>,
    /// Shaders of a training step by kind of node; empty for the CPU.
    kernels: BTreeMap<String, Vec<String>>,
    /// Measured tile of each matrix product of the recipe's training step; None for a product that was not measured.
    tiles: BTreeMap<String, Option<Tuned>>,
    /// Results of the self-tests, by op.
    self_test: Vec<OpReport>,
}

/// The part of the JSON about an adapter. Its keys are the field names of [`AdapterReport`].
#[derive(Serialize)]
struct Adapter(#[serde(with = "AdapterFields")] AdapterReport);

#[derive(Serialize)]
#[serde(remote = "AdapterReport")]
struct AdapterFields {
    name: String,
    kind: &'static str,
    backend: &'static str,
    driver: String,
    driver_info: String,
    #[serde(with = "LimitFields")]
    limits: AdapterLimits,
    #[serde(with = "FeatureFields")]
    features: AdapterFeatures,
}

#[derive(Serialize)]
#[serde(remote = "AdapterLimits")]
struct LimitFields {
    max_binding_bytes: u64,
    max_buffer_bytes: u64,
    workgroup_memory_bytes: u32,
    workgroup_invocations: u32,
    storage_buffers: u32,
}

#[derive(Serialize)]
#[serde(remote = "AdapterFeatures")]
struct FeatureFields {
    subgroup_sizes: Option<[u32; 2]>,
    timestamp_queries: bool,
    f16: bool,
    cooperative_matrices: Vec<String>,
}

/// The result of the self-test of an op.
#[derive(Serialize)]
struct OpReport {
    op: &'static str,
    ok: bool,
    n_cases: usize,
    largest_error: Option<f64>,
    failure: Option<String>,
}

/// Lists the devices, tests the adapters, and returns the exit code.
///
/// # Errors
/// If the standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut reports = Vec::new();
    let kernels = args.kernels.unwrap_or_default();
    let options = super::opened(OpenOptions { kernels, ..OpenOptions::default() });
    let adapters = GpuDevice::open_each(&options);
    // The choices of `Device::open`: `gpu` is the first adapter, and `auto` is the first hardware adapter.
    let hardware = adapters.iter().position(|(adapter, _)| adapter.kind != "software");
    let opened_by = |ix: usize| {
        let choices = [("auto", hardware == Some(ix)), ("gpu", ix == 0)];
        choices.iter().filter(|(_, is_it)| *is_it).map(|(choice, _)| *choice).collect()
    };

    let cpu = Device::cpu(OpenOptions::default()).name();
    let cpu_opened_by = if hardware.is_none() { vec!["cpu", "auto"] } else { vec!["cpu"] };
    say(
        args,
        &format!(
            "{cpu}\n  {}\n  kernels in plain Rust, the reference for the tests of the GPUs\n",
            choices(&cpu_opened_by)
        ),
    )?;
    reports.push(Report {
        device: cpu,
        opened_by: cpu_opened_by,
        adapter: None,
        error: None,
        kernels: BTreeMap::new(),
        tiles: BTreeMap::new(),
        self_test: Vec::new(),
    });
    for (ix, (adapter, device)) in adapters.into_iter().enumerate() {
        reports.push(report(args, adapter, device, opened_by(ix))?);
    }
    if reports.len() == 1 {
        let hint = hints::hint(&DeviceError::NoAdapter.into(), &|_| false).unwrap_or_default();
        say(args, &format!("\n{}: {hint}\n", DeviceError::NoAdapter))?;
    }
    if args.json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&reports)?))?;
    }
    let well = |report: &Report| report.error.is_none() && report.self_test.iter().all(|op| op.ok);
    Ok(if reports.iter().all(well) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a text, unless the command prints JSON.
fn say(args: &Args, text: &str) -> anyhow::Result<()> {
    if args.json { Ok(()) } else { super::print(text) }
}

/// Describes and tests an adapter, and returns its report. Prints each result as soon as it is available.
fn report(
    args: &Args,
    adapter: AdapterReport,
    device: Result<GpuDevice, DeviceError>,
    opened_by: Vec<&'static str>,
) -> anyhow::Result<Report> {
    say(args, &describe(&adapter, &opened_by))?;
    let tape = recipe_step();
    let mut report = Report {
        device: adapter.name.clone(),
        opened_by,
        adapter: Some(Adapter(adapter)),
        error: None,
        kernels: BTreeMap::new(),
        tiles: BTreeMap::new(),
        self_test: Vec::new(),
    };
    let device = match device {
        Ok(device) => device,
        Err(error) => {
            say(args, &format!("  FAILED: {error}\n"))?;
            report.error = Some(error.to_string());
            return Ok(report);
        }
    };
    report.device = device.name();
    report.kernels = kernels(&tape, device.target());
    say(args, &format!("  kernels of a training step\n{}", list(&report.kernels)))?;
    if args.kernels != Some(Kernels::Naive) {
        say(
            args,
            "    (fused pools other than 2x2, and fused pools after narrow or uneven groups, run the naive kernels)\n",
        )?;
    }
    if args.kernels == Some(Kernels::Tuned) {
        report.tiles = device.tune(&tape)?;
        let head = "  tile of each matrix product, and the milliseconds of each candidate\n";
        say(args, &format!("{head}{}", list_tiles(&report.tiles, device.target())))?;
    }
    if args.no_self_test {
        return Ok(report);
    }
    let device = Device::Gpu(device);
    say(args, "  self-test: the largest error relative to the CPU\n")?;
    for op in ops::ALL {
        let tested = test(op, &device);
        say(args, &line(&tested))?;
        report.self_test.push(tested);
    }
    Ok(report)
}

fn test(op: &OpTests, device: &Device) -> OpReport {
    let n_cases = (op.cases)().len();
    let (largest_error, failure) = match self_test(op, device, 0) {
        Ok(result) => (Some(result.largest_error), None),
        Err(failure) => (None, Some(failure.to_string())),
    };
    OpReport { op: op.stem, ok: failure.is_none(), n_cases, largest_error, failure }
}

fn line(OpReport { op, n_cases, largest_error, failure, .. }: &OpReport) -> String {
    let plural = if *n_cases == 1 { "" } else { "s" };
    match (largest_error, failure) {
        (Some(error), _) => format!("    {op:<20} ok      {error:<8.1e} {n_cases} case{plural}\n"),
        (_, failure) => {
            format!("    {op:<20} FAILED  {}\n", failure.as_deref().unwrap_or("no reason given"))
        }
    }
}

/// Returns the tape of the recipe's training step.
fn recipe_step() -> Tape {
    let network = networks::DEFAULT;
    let network = NetworkConfig::new(network, CIFAR10.width, CLASSES.len());
    Tape::clone(&step::training(&StepConfig::new(network, CIFAR10.batch_size)).tape)
}

/// Returns a line for each matrix product of a step, with its tile and the measured times.
fn list_tiles(tiles: &BTreeMap<String, Option<Tuned>>, target: &Target) -> String {
    if target.is_software {
        let tile = target.tile(1, 1).name();
        return format!(
            "    {tile} for every product, without a measurement: the adapter is software\n"
        );
    }
    let milliseconds = |tuned: &Tuned| {
        let each = tuned.seconds.iter().map(|(tile, s)| format!("{} {:.3}", tile.name(), s * 1e3));
        each.collect::<Vec<_>>().join(", ")
    };
    let line = |(product, tuned): (&String, &Option<Tuned>)| match tuned {
        Some(tuned) => {
            format!(
                "    {:<10} {product}\n               {}\n",
                tuned.tile.name(),
                milliseconds(tuned)
            )
        }
        None => format!("    {:<10} {product}\n", "by rule"),
    };
    tiles.iter().map(line).collect()
}

/// Returns the shaders that each kind of node of a step launches.
fn kernels(tape: &Tape, target: &Target) -> BTreeMap<String, Vec<String>> {
    let target = Some(*target);
    let plan = Plan::new(tape, PlanOptions { target, ..PlanOptions::default() });
    let mut shaders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, launch) in tape.nodes().iter().zip(plan.launches) {
        let of_kind = shaders.entry(node.op.name().to_string()).or_default();
        for dispatch in launch.dispatches {
            let path = dispatch.shader.path.to_string();
            if !of_kind.contains(&path) {
                of_kind.push(path);
            }
        }
    }
    shaders
}

fn list(kernels: &BTreeMap<String, Vec<String>>) -> String {
    let line = |(node, shaders): (&String, &Vec<String>)| {
        format!("    {node:<29} {}\n", shaders.join(", "))
    };
    kernels.iter().map(line).collect()
}

/// Returns a line such as `opened by --device auto, --device gpu`.
fn choices(opened_by: &[&str]) -> String {
    let flags: Vec<_> = opened_by.iter().map(|choice| format!("--device {choice}")).collect();
    format!("opened by {}", flags.join(", "))
}

fn describe(adapter: &AdapterReport, opened_by: &[&str]) -> String {
    let AdapterReport { name, kind, backend, driver, driver_info, limits, features } = adapter;
    let AdapterLimits {
        max_binding_bytes,
        max_buffer_bytes,
        workgroup_memory_bytes,
        workgroup_invocations,
        storage_buffers,
    } = limits;
    let (binding, buffer) = (max_binding_bytes >> 20, max_buffer_bytes >> 20);
    let workgroup_memory = workgroup_memory_bytes >> 10;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{name}\n  {kind}, {backend}, driver {driver} {driver_info}");
    if !opened_by.is_empty() {
        let _ = writeln!(text, "  {}", choices(opened_by));
    }
    let _ = writeln!(text, "  largest tensor {binding} MiB, largest buffer {buffer} MiB");
    let _ = writeln!(
        text,
        "  workgroups of {workgroup_invocations} invocations with {workgroup_memory} KiB of memory, \
         {storage_buffers} storage buffers"
    );
    let _ = writeln!(text, "  {}", abilities(features));
    text
}

fn abilities(features: &AdapterFeatures) -> String {
    let subgroups = match features.subgroup_sizes {
        Some([min, max]) if min == max => format!("subgroups of {min}"),
        Some([min, max]) => format!("subgroups of {min} to {max}"),
        None => "no subgroups".to_string(),
    };
    let timestamps = if features.timestamp_queries { "timestamps" } else { "no timestamps" };
    let f16 = if features.f16 { "16-bit floats" } else { "no 16-bit floats" };
    let matrices = match &features.cooperative_matrices[..] {
        [] => "no matrix units".to_string(),
        shapes => format!("matrix units ({})", shapes.join(", ")),
    };
    [subgroups, timestamps.to_string(), f16.to_string(), matrices].join(", ")
}
