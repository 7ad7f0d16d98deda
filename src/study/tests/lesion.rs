//! A block is deleted by editing weights. The result must be that of a network that was built without the block.

use wgrad::nn::networks::resnet::ResNet;
use wgrad::nn::networks::stages::{changes_shape, places};
use wgrad::nn::networks::{Heads, Network, Sizes, parts, resnet_cifar};
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::tape::{Mode, Tape, ValueId};

use super::super::lesion;
use super::with_lab;
use crate::study::lab::{Lab, Probe, Trained, blocks};

/// A network for CIFAR without one of its blocks, which has weights that nothing reads.
#[derive(Debug)]
struct Without {
    network: ResNet,
    block: usize,
}

impl Network for Without {
    fn name(&self) -> &str {
        "without"
    }
    fn description(&self) -> &str {
        ""
    }
    fn default_width(&self) -> usize {
        4
    }
    fn default_image(&self) -> [usize; 3] {
        [32, 32, 3]
    }
    fn stem(&self) -> String {
        self.network.stem()
    }
    fn head(&self) -> String {
        self.network.head()
    }
    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        let net = &self.network;
        let mut x = net.stem.record(tape, &net.names, x, sizes.width, net.init);
        for (ix, at) in places(&net.depths, sizes.width).enumerate() {
            let y = (net.block)(net, tape, &(net.names.block)(at.stage, at.ix), x, at);
            x = match ix == self.block {
                true if changes_shape(tape, x, at.planes, at.stride) => {
                    parts::padded_shortcut(tape, "shortcut", x, at.planes, at.stride)
                }
                true => x,
                false => y,
            };
        }
        parts::head(tape, net.names.head, x, sizes.classes, net.head).into()
    }
}

/// Returns the logits of a network for the first test images.
fn logits(lab: &Lab<'_>, network: NetworkConfig, weights: &Weights) -> Vec<f32> {
    let (x, labels) = lab.images.arrays(lab.images.test(), &[0, 1, 2]);
    let shape = [3, 32, 32, 3];
    let record = |tape: &mut Tape, x, _| vec![network.record(tape, x)];
    let mut probe = Probe::new(lab.device, Mode::Eval, &shape, record).expect("a probe");
    probe.set_weights(weights).expect("weights");
    probe.run(&x, &labels).expect("logits").remove(0)
}

#[test]
fn a_deleted_block_is_that_of_a_network_built_without_it() {
    with_lab(&lesion::STUDY, |lab| {
        for name in ["resnet8", "plain8"] {
            let mut network = Trained::empty(lab, lab.named(name, 4)).expect("a network");
            network.weights = Weights::initial(&network.layout, 5);
            // Running statistics that are not 0 and 1.
            let statistics = network.weights.running_statistics.iter_mut().enumerate();
            statistics.for_each(|(ix, value)| *value += 0.1 * (ix % 7) as f32);
            let all = blocks(&network);
            assert_eq!(all.len(), 3, "{name}");
            for (block, deleted) in all.iter().enumerate() {
                let mut edited = network.clone();
                edited.delete(deleted);
                let net = resnet_cifar::named(name).expect("a network");
                let without = lab.config(Without { network: net, block }, 4);
                let expected = logits(lab, without, &network.weights);
                let found = logits(lab, network.network, &edited.weights);
                let scale = expected.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
                let is_near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * scale;
                assert!(found.iter().zip(&expected).all(is_near), "{name}, block {block}");
                assert_ne!(found, logits(lab, network.network, &network.weights), "{name}");
            }
        }
    });
}
