//! Every shader against its reference in plain Rust, on shapes that are awkward on purpose: several
//! images, unequal channels and sides, sizes that are no multiple of any tile, ties, all-negative windows.

mod common;
#[path = "common/variations.rs"]
mod variations;

use common::open_gpu;
use variations::variations;
use wgrad::check::CaseTape;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::ops::Kernels;

#[test]
fn naive_kernels_agree_with_the_cpu() {
    compare(Kernels::Naive);
}

#[test]
fn default_kernels_agree_with_the_cpu() {
    compare(Kernels::Default);
}

fn compare(kernels: Kernels) {
    let gpu = open_gpu(kernels, ShaderLibrary::default());
    let cpu = Device::cpu(OpenOptions::default());
    println!("{kernels:?} kernels on {}", gpu.name());
    let mut failures = Vec::new();
    for check in CaseTape::all() {
        for data in variations(&check) {
            let run = |device: &Device| {
                let mut session = device.session(check.tape.state())?;
                check.run_on(&mut *session, &data)
            };
            let name = format!("{}, {}", check.op, check.case);
            let expected = run(&cpu).unwrap_or_else(|e| panic!("{name}, cpu: {e}"));
            let got = run(&gpu).unwrap_or_else(|e| panic!("{name}, gpu: {e}"));
            if let Err(mismatch) = check.compare(&expected, &got) {
                failures.push(mismatch.to_string());
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// What ran before leaves no trace: a step's results depend on its inputs and state alone.
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
