//! The counted costs, against the formulas of the blocks and a published network.

use wgrad::nn::NetworkConfig;

use super::{named, with_lab};
use crate::study::bottleneck::network;

fn n_parameters(network: NetworkConfig, side: usize) -> usize {
    network.tape([side, side, 3]).state().parameters.iter().map(|entry| entry.n_elements()).sum()
}

#[test]
fn bottlenecks_of_four_times_the_channels_make_the_published_resnet50() {
    with_lab(named("bottleneck"), |lab| {
        let network = NetworkConfig { classes: 1000, ..network(lab, 2, 50, 64) };
        assert_eq!(n_parameters(network, 224), 25_557_032);
    });
}

#[test]
fn the_parameters_of_further_blocks_are_those_of_their_formulas() {
    with_lab(named("bottleneck"), |lab| {
        let further = |ix| {
            let [shallow, deep] =
                [20, 38].map(|depth| n_parameters(network(lab, ix, depth, 8), 32));
            deep - shallow
        };
        let sum = |block: fn(usize) -> usize, width: usize| -> usize {
            [1, 2, 4].into_iter().map(|factor| block(factor * width)).sum()
        };
        // Two 3x3 convolutions of p channels, each with a batch norm.
        let basic = |p| 18 * p * p + 4 * p;
        // A 1x1 convolution from 4p to p channels, a 3x3 one, and a 1x1 one to 4p.
        let bottleneck = |p| 17 * p * p + 12 * p;
        assert_eq!(further(0), 3 * sum(basic, 8));
        assert_eq!(further(1), 2 * sum(bottleneck, 2));
        assert_eq!(further(2), 2 * sum(bottleneck, 8));
    });
}
