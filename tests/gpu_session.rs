//! The session on a GPU: state, programs that share it, readbacks. These tests need an adapter.

use std::sync::Arc;

use wgrad::check::CaseTape;
use wgrad::device::{Device, LoadOptions, OpenOptions, StepScalars};
use wgrad::ops::{Kernels, add, relu, scale};
use wgrad::tape::{ElementType, Group, Mode, Tape};

fn open() -> Device {
    Device::open("gpu", OpenOptions::default()).expect("these tests need a GPU adapter")
}

#[test]
fn tmp_every_case() {
    let cpu = Device::cpu(OpenOptions::default());
    for kernels in [Kernels::Naive, Kernels::Default] {
        let gpu = Device::open("gpu", OpenOptions { kernels, ..OpenOptions::default() }).unwrap();
        for check in CaseTape::all() {
            let data = check.fill(5);
            let a = check.run_on(&mut *cpu.session(check.tape.state()).unwrap(), &data).unwrap();
            let b = check.run_on(&mut *gpu.session(check.tape.state()).unwrap(), &data).unwrap();
            let worst = check.compare(&a, &b).unwrap();
            println!("{} {} {worst}", check.op, check.case);
        }
    }
}
