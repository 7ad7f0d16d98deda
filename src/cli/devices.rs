//! `wgrad devices`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use serde::Serialize;
use wgrad::check::{CaseTape, self_test};
use wgrad::device::gpu::GpuDevice;
use wgrad::device::gpu::info::{AdapterFeatures, AdapterLimits, AdapterReport};
use wgrad::device::{Device, OpenOptions};
use wgrad::error::Error;
use wgrad::ops::{self, Kernels, OpEntry, Target};
use wgrad::tape::{Plan, PlanOptions};

/// Flags of `wgrad devices`.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only list: run no op. (On a software adapter the self-test takes a minute or two, the first time)
    #[arg(long)]
    no_self_test: bool,
    /// Which kernels to list and to test
    #[arg(long, value_name = "KIND", default_value = "default")]
    kernels: Kernels,
}

/// A device, as `--json` prints it.
#[derive(Serialize)]
struct Report {
    /// What the device is called.
    device: String,
    /// The adapter, for a GPU.
    adapter: Option<AdapterReport>,
    /// Why the adapter gave no device.
    error: Option<String>,
    /// The shaders that each node launches; none for the CPU.
    kernels: BTreeMap<String, Vec<String>>,
    /// What the self-test of each op has found.
    self_test: Vec<OpReport>,
}

/// What the self-test of an op has found.
#[derive(Serialize)]
struct OpReport {
    op: &'static str,
    ok: bool,
    n_cases: usize,
    largest_error: Option<f64>,
    failure: Option<String>,
}

/// Lists the devices, and tests each.
///
/// # Errors
/// When the standard output can't be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut reports = Vec::new();
    let cpu = Device::cpu(OpenOptions::default()).name();
    say(
        args,
        &format!("{cpu}\n  the references in plain Rust, which the GPUs are tested against\n"),
    )?;
    reports.push(Report {
        device: cpu,
        adapter: None,
        error: None,
        kernels: BTreeMap::new(),
        self_test: Vec::new(),
    });
    let options = OpenOptions { kernels: args.kernels, ..OpenOptions::default() };
    for (adapter, device) in GpuDevice::open_each(&options) {
        reports.push(report(args, adapter, device)?);
    }
    if reports.len() == 1 {
        let hint = Error::NoAdapter.hint().unwrap_or_default();
        say(args, &format!("\n{}: {hint}\n", Error::NoAdapter))?;
    }
    if args.json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&reports)?))?;
    }
    let well = |report: &Report| report.error.is_none() && report.self_test.iter().all(|op| op.ok);
    Ok(if reports.iter().all(well) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints, unless everything is to be one piece of JSON.
fn say(args: &Args, text: &str) -> anyhow::Result<()> {
    if args.json { Ok(()) } else { super::print(text) }
}

/// Describes an adapter and tests it, saying each thing as soon as it is known.
fn report(
    args: &Args,
    adapter: AdapterReport,
    device: Result<GpuDevice, Error>,
) -> anyhow::Result<Report> {
    say(args, &describe(&adapter))?;
    let mut report = Report {
        device: adapter.name.clone(),
        adapter: Some(adapter),
        error: None,
        kernels: kernels(args.kernels),
        self_test: Vec::new(),
    };
    let device = match device {
        Ok(device) => Device::Gpu(device),
        Err(error) => {
            say(args, &format!("  FAILED: {error}\n"))?;
            report.error = Some(error.to_string());
            return Ok(report);
        }
    };
    report.device = device.name();
    say(args, &format!("  kernels\n{}", list(&report.kernels)))?;
    if args.no_self_test {
        return Ok(report);
    }
    say(args, "  self-test, the largest error relative to the CPU\n")?;
    for op in ops::ALL {
        let tested = test(op, &device);
        say(args, &line(&tested))?;
        report.self_test.push(tested);
    }
    Ok(report)
}

fn test(op: &OpEntry, device: &Device) -> OpReport {
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
            format!("    {op:<20} FAILED  {}\n", failure.as_deref().unwrap_or("without a reason"))
        }
    }
}

/// The shaders that each node of the ops' cases launches.
fn kernels(kernels: Kernels) -> BTreeMap<String, Vec<String>> {
    let mut shaders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in CaseTape::all() {
        let target = Some(Target { kernels });
        let plan = Plan::new(&case.tape, PlanOptions { target, keep_all: false });
        for (node, launch) in case.tape.nodes().iter().zip(plan.launches) {
            let of_node = shaders.entry(node.op.name().to_string()).or_default();
            for dispatch in launch.dispatches {
                let path = dispatch.shader.path.to_string();
                if !of_node.contains(&path) {
                    of_node.push(path);
                }
            }
        }
    }
    shaders
}

fn list(kernels: &BTreeMap<String, Vec<String>>) -> String {
    let line = |(node, shaders): (&String, &Vec<String>)| {
        format!("    {node:<26} {}\n", shaders.join(", "))
    };
    kernels.iter().map(line).collect()
}

fn describe(adapter: &AdapterReport) -> String {
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
