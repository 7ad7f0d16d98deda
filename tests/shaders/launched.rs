//! The launches of the ops and of the network's steps, and their shader texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use wgrad::device::gpu::ShaderLibrary;
use wgrad::kernel::{Kernels, Launch, Shader, Target, Tile};
use wgrad::measure::check::CaseTape;
use wgrad::nn::ResNet9;
use wgrad::passes::fuse::Fusion;
use wgrad::passes::{Plan, PlanOptions};
use wgrad::tape::Tape;
use wgrad::train::step::{self, StepConfig};

/// Shaders that measure the adapter and belong to no op.
pub const PEAKS: [&str; 2] = ["peak/copy", "peak/multiply_add"];

/// Returns every shader text that a device compiles, each with the name of a node that launches it, for messages.
pub fn texts() -> BTreeMap<String, String> {
    let library = ShaderLibrary::default();
    let mut texts = BTreeMap::new();
    let mut add = |shader: &Shader, by: &str| {
        let by = format!("{by}, shaders/{}.wgsl", shader.path);
        let text = library.load(shader).unwrap_or_else(|error| panic!("{by}: {error}"));
        texts.entry(text).or_insert(by);
    };
    for Launched { launch, by, .. } in launched() {
        launch.dispatches.iter().for_each(|dispatch| add(&dispatch.shader, &by));
    }
    PEAKS.iter().for_each(|path| add(&Shader::new(path), "the adapter's peaks"));
    texts
}

/// A node's launch, and the node's name for messages.
pub struct Launched {
    pub launch: Launch,
    pub n_outputs: usize,
    pub by: String,
}

/// Returns the launches of every case of every op and of the network's steps, with both sets of kernels.
pub fn launched() -> Vec<Launched> {
    let cases = CaseTape::all().map(|case| {
        let by = format!("{}, case {}", case.op, case.case);
        (case.tape, by)
    });
    cases.chain(network()).flat_map(|(tape, by)| launches(&tape, &by)).collect()
}

/// Returns the network's steps, fused and unfused, at the default width and batch size, and at a width that is not a
/// multiple of 4, the length of a vector.
fn network() -> Vec<(Arc<Tape>, String)> {
    let mut tapes = Vec::new();
    for (width, batch_size) in [(64, 512), (6, 5)] {
        for fusion in [Fusion::ALL, Fusion::NONE] {
            let network = ResNet9 { width, classes: 10 };
            let mut config = StepConfig::new(network, batch_size);
            config.update.fusion = fusion;
            for step in [step::training(&config), step::evaluation(&config)] {
                let by = format!("resnet9 of width {width}, {:?}, {fusion:?}", step.tape.mode());
                tapes.push((step.tape, by));
            }
        }
    }
    tapes
}

fn launches(tape: &Tape, by: &str) -> Vec<Launched> {
    let mut launched = Vec::new();
    let subgroups = Target { min_subgroup_size: 8, ..Target::default() };
    let tiles = Tile::ALL.iter().map(|&tile| Target { tile: Some(tile), ..subgroups });
    let software = Target { is_software: true, ..subgroups };
    // Adapters whose smallest subgroup has more invocations than share their reads.
    let wide = [16, 32, 64].map(|min_subgroup_size| Target {
        min_subgroup_size,
        tile: Some(Tile::Subgroup),
        ..Target::default()
    });
    let segments = Target { max_segment: Some(256), ..Target::default() };
    let kinds = [Target::new(Kernels::Naive), software, segments];
    for target in kinds.into_iter().chain(tiles).chain(wide) {
        let target = Some(target);
        let plan = Plan::new(tape, PlanOptions { target, ..PlanOptions::default() });
        for (launch, node) in plan.launches.into_iter().zip(tape.nodes()) {
            let by = format!("{by}, {target:?}, {}", node.op.name());
            launched.push(Launched { launch, n_outputs: node.outputs.len(), by });
        }
    }
    launched
}
