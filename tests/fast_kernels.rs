//! Every convolution of every network has a fast kernel on a GPU, forward and backward, and the tuner measures only tiles
//! with launches of their own. This needs no adapter.

use std::collections::BTreeSet;

use wgrad::data::{cifar10, pictures};
use wgrad::kernel::{Kernels, Launch, Target, Tile};
use wgrad::measure::check::CaseTape;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::{NETWORKS, NetworkRef};
use wgrad::passes::fuse::Fusion;
use wgrad::passes::{Plan, PlanOptions};
use wgrad::train::step::{self, StepConfig};

/// Returns the default batch size of a run on images of this size: that of CIFAR-10, or of a folder of pictures.
fn default_batch_size([h, w, _]: [usize; 3]) -> usize {
    let is_small = [h, w] == [cifar10::SIZE.height, cifar10::SIZE.width];
    if is_small { cifar10::DEFAULTS.batch_size } else { pictures::DEFAULTS.batch_size }
}

/// Returns the default kernels on a hardware adapter, and on a software adapter with and without subgroups.
fn targets() -> [Target; 3] {
    let hardware = Target::new(Kernels::Default);
    let software = Target { is_software: true, ..hardware };
    [hardware, software, Target { min_subgroup_size: 8, ..software }]
}

/// Returns the convolutions of a network's training step that run in a naive kernel.
fn naive(network: NetworkRef, batch_size: usize, fusion: Fusion) -> BTreeSet<String> {
    let [h, w, channels] = network.default_image();
    let sizes = NetworkConfig::new(network, network.default_width(), network.default_classes());
    let mut config = StepConfig::new(sizes.with_auxiliary([h, w, channels]), batch_size);
    config.size = [h, w, channels].into();
    config.update.fusion = fusion;
    let tape = step::training(&config).tape;
    let mut naive = BTreeSet::new();
    for target in targets() {
        let options = PlanOptions { target: Some(target), ..PlanOptions::default() };
        let plan = Plan::new(&tape, options);
        for (node, launch) in tape.nodes().iter().zip(&plan.launches) {
            let paths = launch.dispatches.iter().map(|dispatch| dispatch.shader.path);
            if node.op.name().starts_with("conv2d") {
                let slow = paths.filter(|path| path.ends_with("naive"));
                naive.extend(
                    slow.map(|path| {
                        format!("{}, {path}: {}", network.name(), tape.signature(node))
                    }),
                );
            }
        }
    }
    naive
}

#[test]
fn no_convolution_of_a_network_has_a_naive_kernel() {
    let mut all = BTreeSet::new();
    for &network in NETWORKS.iter() {
        for batch_size in [2, default_batch_size(network.default_image())] {
            for fusion in [Fusion::ALL, Fusion::NONE] {
                all.extend(naive(network, batch_size, fusion));
            }
        }
    }
    assert!(all.is_empty(), "{} convolutions: {all:#?}", all.len());
}

/// An op reports the tiles among which its launch makes a difference. A measurement of two equal launches would be noise.
#[test]
fn the_tuner_measures_exactly_the_tiles_with_launches_of_their_own() {
    let mut problems = Vec::new();
    for check in CaseTape::all() {
        for node in check.tape.nodes() {
            let io = check.tape.io(node);
            for is_software in [false, true] {
                let launch = |&tile: &Tile| -> Launch {
                    let target = Target { is_software, min_subgroup_size: 8, ..Target::default() };
                    node.op.launch(&io, &Target { tile: Some(tile), ..target })
                };
                let distinct = |tiles: &[Tile]| {
                    let mut launches: Vec<Launch> = Vec::new();
                    for launch in tiles.iter().map(launch) {
                        if !launches.contains(&launch) {
                            launches.push(launch);
                        }
                    }
                    launches.len()
                };
                let tiles = node.op.tiles(&io);
                let (n_all, n_reported) = (distinct(Tile::ALL), distinct(tiles));
                if n_reported != tiles.len() || n_all != n_reported.max(1) {
                    problems.push(format!(
                        "{}, {}: {tiles:?} have {n_reported} launches, and all tiles {n_all}",
                        check.case,
                        node.op.name()
                    ));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} nodes: {problems:#?}", problems.len());
}
