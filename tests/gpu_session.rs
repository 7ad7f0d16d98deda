//! The session on a GPU: state, programs that share it, readbacks. These tests need an adapter.

use wgrad::check::CaseTape;
use wgrad::device::{Device, OpenOptions};
use wgrad::ops::Kernels;

#[test]
fn tmp_every_case() {
    let cpu = Device::cpu(OpenOptions::default());
    let mut bad = 0;
    for kernels in [Kernels::Naive, Kernels::Default] {
        let gpu = Device::open("gpu", OpenOptions { kernels, ..OpenOptions::default() }).unwrap();
        for check in CaseTape::all() {
            let data = check.fill(5);
            let a = check.run_on(&mut *cpu.session(check.tape.state()).unwrap(), &data).unwrap();
            let b = check.run_on(&mut *gpu.session(check.tape.state()).unwrap(), &data);
            match b {
                Ok(b) => match check.compare(&a, &b) {
                    Ok(worst) => println!("{} {} {worst:.3}", check.op, check.case),
                    Err(e) => {
                        bad += 1;
                        println!("BAD {kernels:?} {e}")
                    }
                },
                Err(e) => {
                    bad += 1;
                    println!("BAD {kernels:?} {} {} {e}", check.op, check.case)
                }
            }
        }
    }
    assert_eq!(bad, 0);
}
