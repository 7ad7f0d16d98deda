//! Compares every shader with its CPU reference, on awkward shapes: several images, unequal numbers of channels and
//! unequal sides, sizes that are not a multiple of any tile, ties, windows of negative numbers only.

mod common;
#[path = "common/variations.rs"]
mod variations;

use std::collections::BTreeSet;

use common::open_gpu;
use variations::variations;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, DeviceError, OpenOptions};
use wgrad::kernel::{Kernels, Target, Tile};
use wgrad::measure::check::{CaseData, CaseResult, CaseTape};
use wgrad::ops::case::{Case, Fill};
use wgrad::ops::conv2d::{Conv2d, conv2d};
use wgrad::passes::{Plan, PlanOptions};
use wgrad::tape::Node;

#[test]
fn naive_kernels_agree_with_the_cpu() {
    compare(OpenOptions { kernels: Kernels::Naive, ..OpenOptions::default() });
}

#[test]
fn default_kernels_agree_with_the_cpu() {
    compare(OpenOptions::default());
}

fn compare(options: OpenOptions) {
    let kernels = options.kernels;
    let gpu = common::open(options);
    let cpu = Device::cpu(OpenOptions::default());
    println!("{kernels:?} kernels on {}", gpu.name());
    let mut failures = Vec::new();
    for check in CaseTape::all() {
        for data in variations(&check) {
            let name = format!("{}, {}", check.op, check.case);
            let expected = run(&cpu, &check, &data).unwrap_or_else(|e| panic!("{name}, cpu: {e}"));
            let got = run(&gpu, &check, &data).unwrap_or_else(|e| panic!("{name}, gpu: {e}"));
            if let Err(mismatch) = check.compare(&expected, &got) {
                failures.push(mismatch.to_string());
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn run(device: &Device, check: &CaseTape, data: &CaseData) -> Result<CaseResult, DeviceError> {
    check.run_on(&mut *device.session(check.tape.state())?, data)
}

/// The choice of a kernel changes only the speed: every tiling of a product gives the same bits.
#[test]
fn every_tile_gives_the_same_bits() {
    let Device::Gpu(gpu) = open_gpu(Kernels::Default, ShaderLibrary::default()) else {
        unreachable!("a GPU was opened");
    };
    let tiles = Tile::ALL.iter().copied().filter(|&tile| gpu.target().has(tile));
    let tiles: Vec<_> = tiles.collect();
    let as_is = tiles.iter().map(|&tile| (tile, None));
    // These two entries simulate adapters with smaller subgroups.
    let sharing = [2, 4].map(|most| (Tile::Subgroup, Some(most)));
    let tiles: Vec<_> =
        as_is.chain(sharing.into_iter().filter(|t| gpu.target().has(t.0))).collect();
    let open = |&(tile, max_sharing): &(Tile, Option<usize>)| {
        common::open(OpenOptions { tile: Some(tile), max_sharing, ..OpenOptions::default() })
    };
    let devices: Vec<_> = tiles.iter().map(open).collect();
    let mut n_cut = 0;
    for check in CaseTape::for_shaders() {
        let is_cut = |node: &Node| !node.op.tiles(&check.tape.io(node)).is_empty();
        if !check.tape.nodes().iter().any(is_cut) {
            continue;
        }
        n_cut += 1;
        let data = check.fill(1);
        let results = devices.iter().map(|device| run(device, &check, &data).expect("it runs"));
        let results: Vec<_> = results.collect();
        for (result, tile) in results.iter().zip(&tiles) {
            let same = *result == results[0];
            assert!(same, "{}, {}: {tile:?} gives other bits", check.op, check.case);
        }
    }
    assert!(n_cut > 10, "{n_cut}");
}

/// If an adapter cannot bind a whole flat buffer, a kernel runs once for each segment of the buffer. The results have
/// the same bits as without segments, even if each member of the buffer has a segment of its own. The limit also divides
/// the images of a convolution by Winograd's algorithm into chunks.
#[test]
fn segments_of_flat_buffers_give_the_same_bits() {
    let open = |max_segment| common::open(OpenOptions { max_segment, ..OpenOptions::default() });
    let (whole, cut) = (open(None), open(Some(256)));
    let n_dispatches = |device: &Device, check: &CaseTape| {
        let Device::Gpu(gpu) = device else { unreachable!("a GPU was opened") };
        let target = Some(*gpu.target());
        let plan = Plan::new(&check.tape, PlanOptions { target, ..PlanOptions::default() });
        plan.launches.iter().map(|launch| launch.dispatches.len()).sum::<usize>()
    };
    let mut ops = BTreeSet::new();
    for check in CaseTape::all() {
        if n_dispatches(&cut, &check) == n_dispatches(&whole, &check) {
            continue;
        }
        ops.insert(check.op);
        let data = check.fill(1);
        let [whole, cut] =
            [&whole, &cut].map(|device| run(device, &check, &data).expect("it runs"));
        assert!(whole == cut, "{}, {}: segments give other bits", check.op, check.case);
    }
    let expected = [
        "adam",
        "clip_grad_norm",
        "conv2d",
        "ema",
        "finite_check",
        "partial_sum",
        "running_statistics",
        "sgd",
    ];
    assert!(ops.into_iter().eq(expected), "these ops have segments or chunks");
}

/// The padded copies of x and of y would have 183 MiB, above the 128 MiB that every adapter can bind. So each launch
/// computes two chunks of images, the second of which is smaller.
#[test]
fn chunks_of_uneven_groups_agree_with_the_cpu() {
    let conv = Conv2d { groups: 2, ..Conv2d::square(1, 1, 0) };
    let x = [5, 600, 1000, 10];
    let case = Case::new("chunks of uneven groups", x[0] * x[1] * x[2], move |tape, inputs| {
        vec![conv2d(tape, inputs[0], inputs[1], Some(inputs[2]), conv)]
    });
    let case = case.real("x", &x, Fill::Normal).real("weight", &[1, 1, 5, 10], Fill::Normal);
    let check = CaseTape::record("conv2d", &case.real("bias", &[10], Fill::Normal));
    let target = Some(Target::default());
    let plan = Plan::new(&check.tape, PlanOptions { target, ..PlanOptions::default() });
    let dispatches = plan.launches.iter().flat_map(|launch| &launch.dispatches);
    let n_results = dispatches.filter(|it| it.shader.path == "conv2d/unpad_groups").count();
    assert_eq!(n_results, 3 * 2, "two chunks of y, d_x and d_weight");
    assert!(plan.largest_binding() <= 128 << 20);
    let data = check.fill(1);
    let [cpu, gpu] = [Device::cpu(OpenOptions::default()), common::open(OpenOptions::default())];
    let [expected, got] = [&cpu, &gpu].map(|device| run(device, &check, &data).expect("it runs"));
    check.compare(&expected, &got).expect("the chunks agree with the CPU");
}

/// A step's results depend on its inputs and state alone, not on earlier runs.
#[test]
fn the_same_case_gives_the_same_bits_again() {
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    for check in CaseTape::all().filter(|check| ["conv2d", "batch_norm"].contains(&check.op)) {
        let mut session = gpu.session(check.tape.state()).expect("a session");
        let mut run = |seed| check.run_on(&mut *session, &check.fill(seed)).expect("the case runs");
        let first = run(1);
        run(2);
        assert!(run(1) == first, "{}, {}: other bits the second time", check.op, check.case);
    }
}
