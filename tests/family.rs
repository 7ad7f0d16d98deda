//! Compares the networks with PyTorch's: names, logits, losses and gradients.
//!
//! `tests/golden/family.py` generates the references, a file for each family in `tests/golden/family/`. Weights, images and
//! upstream gradients are not in the files: both sides compute them by a formula. The variable `FAMILY` selects the families
//! whose names contain its value.

#[path = "family/compare.rs"]
mod compare;
#[path = "family/formula.rs"]
mod formula;
#[path = "family/order.rs"]
mod order;
#[path = "family/reduced.rs"]
mod reduced;
#[path = "family/reference.rs"]
mod reference;
#[path = "family/run.rs"]
mod run;
#[path = "family/slice.rs"]
mod slice;

use std::any::Any;
use std::panic::AssertUnwindSafe;

use reference::{BlockCase, Family, families};
use wgrad::device::{Device, OpenOptions};

fn cpu() -> Device {
    Device::cpu(OpenOptions::default())
}

/// Opens any adapter, hardware or software. The test fails without one, because a skipped test would look like a passed one.
fn gpu() -> Device {
    Device::open("gpu", OpenOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs each case, and fails with the texts of the cases that do not agree. A panic in one case does not stop the others.
fn run_all<T>(
    cases: impl IntoIterator<Item = T>,
    name: fn(&T) -> String,
    run: impl Fn(&T) -> Option<String>,
) {
    let (mut n_cases, mut failed) = (0, Vec::new());
    for case in cases {
        n_cases += 1;
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| run(&case)));
        let panicked = |payload: Box<dyn Any + Send>| {
            let text =
                payload.downcast_ref::<String>().map_or("a panic without a text", |text| text);
            Some(format!("{}: panicked: {text}", name(&case)))
        };
        failed.extend(result.unwrap_or_else(panicked));
    }
    assert!(failed.is_empty(), "{} of {n_cases} cases fail\n{}", failed.len(), failed.join("\n"));
}

fn all<T>(of: fn(Family) -> Vec<T>) -> impl Iterator<Item = T> {
    families().into_iter().flat_map(of)
}

fn networks(device: &Device) {
    let cases = all(|family| family.networks);
    run_all(cases, |case| case.name.clone(), |case| run::network(case, device));
}

fn blocks(device: &Device) {
    let name = |case: &BlockCase| format!("{} {}", case.network, case.part);
    run_all(all(|family| family.blocks), name, |case| run::block(case, device));
}

/// Compares the reduced networks, at most `limit` of each family.
fn reduced_networks(device: &Device, limit: usize) {
    let cases = families().into_iter().flat_map(|family| family.reduced.into_iter().take(limit));
    run_all(cases, |case| case.name.clone(), |case| run::reduced_network(case, device));
}

#[test]
fn names_and_shapes_are_pytorchs() {
    run_all(all(|family| family.names), |names| names.name.clone(), run::names);
}

#[test]
fn the_cpu_has_pytorchs_logits_and_losses() {
    networks(&cpu());
}

#[test]
fn the_cpu_has_pytorchs_gradients_of_blocks() {
    blocks(&cpu());
}

#[test]
fn the_cpu_has_pytorchs_gradients_of_reduced_networks() {
    reduced_networks(&cpu(), usize::MAX);
}

#[test]
#[ignore = "takes minutes on a software adapter, which compiles a shader for each shape"]
fn the_gpu_has_pytorchs_gradients_of_blocks() {
    blocks(&gpu());
}

/// A software adapter runs one reduced network of each family and no whole network.
#[test]
#[ignore = "takes minutes on a software adapter, which compiles a shader for each shape"]
fn the_gpu_has_pytorchs_logits_and_gradients_of_networks() {
    let gpu = gpu();
    let is_hardware = !gpu.runs_on_cpu();
    reduced_networks(&gpu, if is_hardware { usize::MAX } else { 1 });
    if is_hardware {
        networks(&gpu);
    }
}
