//! Every kernel by itself, naive beside default, at the network's shapes: a criterion group a kernel.
//!
//! `cargo bench --bench kernels -- conv2d.forward` runs one group. A measurement is one launch and the
//! wait for it, by the host's clock.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Size, criterion, open_gpu, size};
use criterion::{BenchmarkId, Criterion, Throughput};
use wgrad::device::{Device, LoadOptions, StepScalars};
use wgrad::ops::{self, Case, Kernels};
use wgrad::tape::{Mode, Node, Phase, Tape};

/// A kernel at one shape.
struct Kernel {
    tape: Arc<Tape>,
    shape: String,
    flops: u64,
    bytes: u64,
}

fn main() {
    let size = size();
    let devices = [Kernels::Naive, Kernels::Default].map(|kernels| (kernels, open_gpu(kernels)));
    eprintln!("{size:?} on {}", devices[0].1.name());
    let mut criterion = criterion();
    for (name, kernels) in kernels(size) {
        bench(&mut criterion, name, &kernels, &devices);
    }
    criterion.final_summary();
}

/// The kernels of every op, by name.
fn kernels(size: Size) -> BTreeMap<&'static str, Vec<Kernel>> {
    let mut kernels: BTreeMap<_, Vec<Kernel>> = BTreeMap::new();
    for op in ops::ALL {
        for case in (op.bench_cases)(size.width, size.batch) {
            let tape = record(&case);
            for node in tape.nodes() {
                let alone = tape.isolate(node).map_or_else(|| tape.clone(), |(alone, _)| alone);
                let kernel = Kernel {
                    tape: Arc::new(alone),
                    shape: shape(&tape, node),
                    flops: node.op.flops(&tape.io(node)),
                    bytes: tape.io(node).bytes(),
                };
                kernels.entry(node.op.name()).or_default().push(kernel);
            }
        }
    }
    kernels
}

/// A case, forward and backward.
fn record(case: &Case) -> Tape {
    let mut tape = Tape::new("bench", Mode::Train);
    let mut inputs = Vec::new();
    for input in &case.inputs {
        inputs.push(match input.differentiate {
            true => tape.input_with_grad(input.name, &input.shape),
            false => tape.input(input.name, input.element, &input.shape),
        });
    }
    let outputs = (case.build)(&mut tape, &inputs);
    let mut seeds = Vec::new();
    for y in outputs.into_iter().filter(|_| !case.inputs.iter().all(|i| !i.differentiate)) {
        let (element, shape) = (tape.value(y).element, tape.shape(y).to_vec());
        seeds.push((y, tape.input("d_y", element, &shape)));
    }
    tape.in_phase(Phase::Backward, |tape| tape.backward_from(&seeds));
    tape
}

/// `8x32x32x3, 3x3x3x8`: the shapes of what a node reads.
fn shape(tape: &Tape, node: &Node) -> String {
    let one = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    node.inputs.iter().map(|&id| one(tape.shape(id))).collect::<Vec<_>>().join(", ")
}

fn bench(
    criterion: &mut Criterion,
    name: &str,
    kernels: &[Kernel],
    devices: &[(Kernels, Device); 2],
) {
    let mut group = criterion.benchmark_group(name);
    for kernel in kernels {
        group.throughput(match kernel.flops {
            0 => Throughput::Bytes(kernel.bytes),
            flops => Throughput::Elements(flops),
        });
        for (kind, device) in devices {
            let mut session = device.session(kernel.tape.state()).expect("memory for the state");
            let program = session.load(&kernel.tape, LoadOptions::default()).expect("it loads");
            let id = BenchmarkId::new(format!("{kind:?}").to_lowercase(), &kernel.shape);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    session.run(program, &StepScalars::default()).expect("it runs");
                    session.wait().expect("it ends");
                });
            });
        }
    }
    group.finish();
}
