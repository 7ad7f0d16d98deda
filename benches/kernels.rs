//! Times every kernel alone at the network's shapes: the naive version and the fast versions, in one criterion group
//! per kernel. The group `data` times the loading of images on the host, the group `ladder` the tiles of
//! `docs/ladder.md`, and the group `family` every kind of convolution that occurs in a network of `docs/networks.md`,
//! also on the CPU device. `wgrad bench` times whole steps.
//!
//! `cargo bench --bench kernels -- conv2d.forward` runs one group. Times come from the device's own clock if
//! it has one. Throughput is in operations (`elem/s`), or in bytes for kernels that only move numbers.
//!
//! A group of `family` ends with a table of the fastest runs: GFLOP/s, and the share of the smaller roof, which is the peak
//! rate of arithmetic, or that of memory times the FLOP a byte. `Device::peaks` measures the peaks, as in `wgrad bench`,
//! but before each kernel, and the highest ones count: by the host's clock a peak was once half of the next.
//! `cargo bench --bench kernels -- 'family conv2d.d_weight/default'` runs one group on the GPU.
//!
//! On a software adapter under Linux, a time is the processor time of the process, divided by the number of cores: the
//! kernel, its submission and the wait. By the host's clock, similar kernels in one run on a machine with two cores
//! differed by a factor of two, because other programs had a core. A kernel that leaves a core idle seems faster than it
//! is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use wgrad::base::choice::Choice;
use wgrad::device::gpu::info;
use wgrad::device::{Device, LoadOptions, OpenOptions, Peaks, synthetic_inputs};
use wgrad::kernel::{Kernels, StepScalars, Tile};
use wgrad::nn::ResNet9;
use wgrad::ops::Window;
use wgrad::ops::augment::ColorJitter;
use wgrad::ops::conv2d::{self, Conv2d};
use wgrad::passes::{self, Work, fuse::Fusion, print};
use wgrad::tape::{ElementType, Mode, Node, Tape};
use wgrad::train::step::{self, StepConfig};

#[path = "kernels/data.rs"]
mod data;

/// Largest number of runs of a kernel per sample. Criterion chooses a number of runs from the kernel's time on the
/// device. For a short kernel, a launch takes the host much longer than that. So at most this number of runs is made,
/// and the time of all runs is extrapolated.
const MOST_RUNS: u64 = 20;

/// A kernel at one shape: a node of a step, on a tape that has only this node.
struct Kernel {
    tape: Arc<Tape>,
    shape: String,
    work: Work,
}

fn main() {
    let mut criterion = criterion();
    data::bench(&mut criterion);
    let size = size();
    let devices: Vec<_> =
        kinds().into_iter().map(|kind| (kind.name().to_string(), open_gpu(kind))).collect();
    eprintln!("{size:?} on {}", devices[0].1.name());
    for (kernel_name, kernels) in kernels(size) {
        bench(&mut criterion, kernel_name, &kernels, &devices);
    }
    bench(&mut criterion, "ladder", &[ladder()], &rungs());
    let cpu = ("cpu".to_string(), Device::cpu(OpenOptions::default()));
    // The naive kernels would take minutes on a software adapter.
    let fast = devices.into_iter().filter(|(kind, _)| *kind != Kernels::Naive.name());
    let devices: Vec<_> = fast.chain([cpu]).collect();
    for (kernel_name, kernels) in family() {
        bench_rates(&mut criterion, &format!("family {kernel_name}"), &kernels, &devices);
    }
    criterion.final_summary();
}

/// Returns the kinds of kernels to compare: all of them. On a software adapter, tuned kernels are left out, because
/// they are the default kernels.
fn kinds() -> Vec<Kernels> {
    let kinds = Kernels::values();
    kinds.filter(|kernels| has_hardware() || *kernels != Kernels::Tuned).collect()
}

/// The network's width and batch size in a bench.
#[derive(Clone, Copy, Debug)]
struct Size {
    width: usize,
    batch: usize,
}

/// Returns the default width and batch size on hardware. On a software adapter, returns smaller sizes, with which a
/// bench ends in minutes.
fn size() -> Size {
    match has_hardware() {
        true => Size { width: 64, batch: 512 },
        false => Size { width: 8, batch: 8 },
    }
}

fn has_hardware() -> bool {
    info::adapters().iter().any(|report| report.kind != "software")
}

/// Opens the GPU with these kernels: a hardware adapter, otherwise a software adapter. Panics if there is no
/// adapter.
fn open_gpu(kernels: Kernels) -> Device {
    open_with(OpenOptions { kernels, ..OpenOptions::default() })
}

/// Opens the GPU that [`open_gpu`] opens, with these options. Panics if there is no adapter.
fn open_with(options: OpenOptions) -> Device {
    Device::open("gpu", options).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns a criterion configuration with few samples, because a launch takes long and there are many kernels.
fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args()
}

/// Returns the kernel of `docs/ladder.md`: a 3x3 convolution of 16 images of 16x16 pixels, from 64 to 128 channels.
fn ladder() -> Kernel {
    let mut tape = Tape::new("ladder", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[16, 16, 16, 64]);
    let weight = tape.input("weight", ElementType::F32, &[3, 3, 64, 128]);
    let y = conv2d::conv2d(&mut tape, x, weight, None, Conv2d::square(3, 1, 1));
    tape.keep(y);
    Kernel::new(&tape, &tape.nodes()[0])
}

/// Returns every kind of convolution that occurs in a network, with its two gradients, and a 3x3 convolution in one
/// group with about as much arithmetic as each: the yardstick of its rate.
fn family() -> BTreeMap<&'static str, Vec<Kernel>> {
    let conv = |size, stride, padding, groups| Conv2d {
        window: Window { size, stride: [stride; 2], padding },
        groups,
    };
    // The square plane of x, the channels of x and of y, the convolution.
    let kinds = [
        (56, 64, 256, conv([1, 1], 1, [0, 0], 1)),
        (14, 1024, 256, conv([1, 1], 1, [0, 0], 1)),
        (56, 256, 512, conv([1, 1], 2, [0, 0], 1)),
        (56, 128, 128, conv([3, 3], 2, [1, 1], 1)),
        (14, 512, 512, conv([3, 3], 2, [1, 1], 1)),
        (224, 3, 64, conv([7, 7], 2, [3, 3], 1)),
        (32, 16, 16, conv([3, 3], 1, [1, 1], 1)),
        (17, 128, 128, conv([1, 7], 1, [0, 3], 1)),
        (17, 128, 128, conv([7, 1], 1, [3, 0], 1)),
    ];
    // 3x3 convolutions with groups: the square plane of x, the channels, the stride, the number of groups.
    let grouped = [
        (56, 128, 1, 128),
        (56, 128, 2, 128),
        (56, 128, 1, 32),
        (28, 256, 1, 32),
        (56, 256, 2, 32),
        (14, 512, 1, 32),
        (28, 512, 2, 32),
        (32, 144, 1, 6),
        (32, 200, 1, 8),
        (7, 1024, 1, 32),
        (14, 1024, 2, 32),
        (16, 288, 1, 6),
        (32, 288, 2, 6),
        (16, 400, 1, 8),
        (32, 400, 2, 8),
        (7, 2048, 1, 32),
        (14, 2048, 2, 32),
        (32, 512, 1, 8),
        (16, 576, 2, 6),
        (16, 800, 2, 8),
        (16, 1024, 1, 8),
        (16, 2048, 2, 8),
    ];
    let grouped = grouped.map(|(plane, channels, stride, groups)| {
        (plane, channels, channels, conv([3, 3], stride, [1, 1], groups))
    });
    let n = if has_hardware() { 64 } else { 4 };
    let mut kernels: BTreeMap<_, Vec<Kernel>> = BTreeMap::new();
    for (plane, ci, co, conv) in kinds.into_iter().chain(grouped) {
        let [h, w] = conv.window.output([plane; 2]);
        let flops = h * w * conv.window.area() * ci / conv.groups * co;
        // Sixteen channels at a time, in a plane of 28 x 28 pixels.
        let channels =
            ((flops as f64 / (9 * 28 * 28) as f64).sqrt() / 16.0).round().max(1.0) as usize * 16;
        let dense = convolution([n, 28, 28, channels], channels, Conv2d::square(3, 1, 1));
        for kernel in convolution([n, plane, plane, ci], co, conv).into_iter().chain(dense) {
            let of_op = kernels.entry(kernel.tape.nodes()[0].op.name()).or_default();
            if of_op.iter().all(|other| other.shape != kernel.shape) {
                of_op.push(kernel);
            }
        }
    }
    kernels
}

/// Returns a convolution without bias and its two gradients.
fn convolution(x_shape: [usize; 4], co: usize, conv: Conv2d) -> Vec<Kernel> {
    let [kernel_h, kernel_w] = conv.window.size;
    let mut tape = Tape::new("convolution", Mode::Train);
    let x = tape.input_with_grad("x", &x_shape);
    let weight =
        tape.input_with_grad("weight", &[kernel_h, kernel_w, x_shape[3] / conv.groups, co]);
    let y = conv2d::conv2d(&mut tape, x, weight, None, conv);
    let y_shape = tape.shape(y).to_vec();
    let d_y = tape.input("d_y", ElementType::F32, &y_shape);
    passes::backward_from(&mut tape, &[(y, d_y)]);
    tape.nodes().iter().map(|node| Kernel::new(&tape, node)).collect()
}

/// Returns the GPU with the naive kernels, and the GPU with each tile, by name.
fn rungs() -> Vec<(String, Device)> {
    let open = |kernels, tile| open_with(OpenOptions { kernels, tile, ..OpenOptions::default() });
    let tiles =
        Tile::ALL.iter().map(|&tile| (tile.name().to_string(), open(Kernels::Default, Some(tile))));
    [(Kernels::Naive.name().to_string(), open(Kernels::Naive, None))]
        .into_iter()
        .chain(tiles)
        .collect()
}

/// Returns the kernels by name, at each of their shapes in a training step of the network, fused and unfused. Colour
/// jitter, gradient clipping and the moving average of the parameters are on. The product of two matrices is added to
/// the convolutions.
fn kernels(size: Size) -> BTreeMap<&'static str, Vec<Kernel>> {
    let mut kernels: BTreeMap<_, Vec<Kernel>> = BTreeMap::new();
    let mut add = |tape: &Tape| {
        for node in tape.nodes() {
            let of_op = kernels.entry(node.op.name()).or_default();
            let kernel = Kernel::new(tape, node);
            if of_op.iter().all(|other| other.shape != kernel.shape) {
                of_op.push(kernel);
            }
        }
    };
    for fusion in [Fusion::ALL, Fusion::NONE] {
        let mut config = StepConfig::new(ResNet9 { width: size.width, classes: 10 }, size.batch);
        config.jitter = ColorJitter { brightness: 0.2, contrast: 0.2, saturation: 0.2 };
        config.update.clip_grad_norm = Some(1.0);
        config.update.ema = Some(0.999);
        config.update.fusion = fusion;
        add(&step::training(&config).tape);
    }
    add(&bare_product());
    kernels
}

/// Records the product of two 512 x 512 matrices, as a 1x1 convolution. The other kernels are compared with it.
fn bare_product() -> Tape {
    let mut tape = Tape::new("product", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[8, 8, 8, 512]);
    let weight = tape.input("weight", ElementType::F32, &[1, 1, 512, 512]);
    let y = conv2d::conv2d(&mut tape, x, weight, None, Conv2d::square(1, 1, 0));
    tape.keep(y);
    tape
}

impl Kernel {
    fn new(tape: &Tape, node: &Node) -> Self {
        let shapes: Vec<_> = node.inputs.iter().map(|&id| print::shape(tape.value(id))).collect();
        let attributes = node.op.attributes();
        let attributes =
            if attributes.is_empty() { attributes } else { format!(" ({attributes})") };
        let shape = shapes.join(", ") + &attributes;
        Self { tape: Arc::new(tape.isolate(node)), shape, work: Work::of(tape, node) }
    }
}

/// Returns the seconds of a run, which `run` returns by the device's or the host's clock. On a software adapter under
/// Linux, returns the processor time of the process, divided by the number of cores.
fn seconds(device: &Device, run: impl FnOnce() -> f64) -> f64 {
    let is_software = matches!(device, Device::Gpu(_)) && device.runs_on_cpu();
    let before = is_software.then(processor_seconds).flatten();
    let seconds = run();
    let processor = before.and_then(|before| Some(processor_seconds()? - before));
    let n_cores = thread::available_parallelism().map_or(1, usize::from) as f64;
    processor.map_or(seconds, |processor| processor / n_cores)
}

/// Returns the processor time of all threads of this process, in seconds; None where Linux's files do not exist. Linux
/// counts the time of a thread up to the moment at which the thread last began to wait.
fn processor_seconds() -> Option<f64> {
    let of_thread = |thread: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    Some(fs::read_dir("/proc/self/task").ok()?.filter_map(of_thread).sum::<f64>() / 1e9)
}

/// Times the kernels on each device, and prints the rates of those that criterion's filter lets through.
fn bench_rates(
    criterion: &mut Criterion,
    kernel_name: &str,
    kernels: &[Kernel],
    devices: &[(String, Device)],
) {
    let peaks = vec![Cell::new(None); devices.len()];
    let before = |ix: usize| {
        let now = devices[ix].1.peaks().unwrap_or_else(|error| panic!("{error}"));
        peaks[ix].set(Some(peaks[ix].get().map_or(now, |so_far: Peaks| so_far.max(now))));
    };
    let fastest = bench_with(criterion, kernel_name, kernels, devices, &before);
    for (ix, (kind, _)) in devices.iter().enumerate() {
        let Some(Peaks { flops_per_s, bytes_per_s }) = peaks[ix].get() else { continue };
        let [flops, bytes] = [flops_per_s, bytes_per_s].map(|rate| rate / 1e9);
        println!("{kernel_name} on {kind}, with peaks of {flops:.1} GFLOP/s and {bytes:.1} GB/s:");
        for (kernel, fastest) in kernels.iter().zip(&fastest) {
            if let Some(seconds) = fastest[ix] {
                let rate = kernel.work.flops as f64 / seconds;
                let roof = flops_per_s.min(bytes_per_s * kernel.work.intensity());
                let [rate, share] = [rate / 1e9, 100.0 * rate / roof];
                println!("{rate:8.1} GFLOP/s {share:4.0}%  {}", kernel.shape);
            }
        }
    }
}

/// Times the kernels on each device.
fn bench(
    criterion: &mut Criterion,
    kernel_name: &str,
    kernels: &[Kernel],
    devices: &[(String, Device)],
) {
    bench_with(criterion, kernel_name, kernels, devices, &|_| ());
}

/// Times the kernels on each device, and returns the seconds of the fastest run of each kernel on each device; None if
/// criterion's filter skips it. Before a kernel is loaded, `before` is called with the number of its device.
fn bench_with(
    criterion: &mut Criterion,
    kernel_name: &str,
    kernels: &[Kernel],
    devices: &[(String, Device)],
    before: &dyn Fn(usize),
) -> Vec<Vec<Option<f64>>> {
    let mut fastest = vec![vec![None; devices.len()]; kernels.len()];
    let mut group = criterion.benchmark_group(kernel_name);
    for (kernel, fastest) in kernels.iter().zip(&mut fastest) {
        group.throughput(match kernel.work.flops {
            0 => Throughput::Bytes(kernel.work.bytes),
            flops => Throughput::Elements(flops),
        });
        for (ix, (kind, device)) in devices.iter().enumerate() {
            let id = BenchmarkId::new(kind, &kernel.shape);
            // The kernel is loaded at its first run, because criterion may skip it by its name.
            let mut loaded = None;
            group.bench_function(id, |bencher| {
                let (session, program) = loaded.get_or_insert_with(|| {
                    before(ix);
                    let mut session = device.session(kernel.tape.state()).expect("memory");
                    let program = session.load(&kernel.tape, LoadOptions::default());
                    let program = program.expect("it loads");
                    synthetic_inputs::fill(&mut *session, program, &kernel.tape).expect("written");
                    (session, program)
                });
                bencher.iter_custom(|n| {
                    // Criterion doubles `n` until the warm-up is over. With a fast kernel it overflows to 0.
                    let runs = n.clamp(1, MOST_RUNS);
                    let mut sum = 0.0;
                    for _ in 0..runs {
                        let run = seconds(device, || {
                            let times = session.run_timed(*program, &StepScalars::default());
                            times.expect("it runs").seconds[0]
                        });
                        fastest[ix] = Some(fastest[ix].map_or(run, |other: f64| other.min(run)));
                        sum += run;
                    }
                    Duration::from_secs_f64(sum * n as f64 / runs as f64)
                });
            });
        }
    }
    group.finish();
    fastest
}
