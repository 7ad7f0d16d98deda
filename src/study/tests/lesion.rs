//! A block is deleted by editing weights. The result must be that of a network that was built without the block.

use wgrad::nn::networks::resnet::ResNet;
use wgrad::nn::networks::stages::{changes_shape, places};
use wgrad::nn::networks::{parts, resnet_cifar};
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::tape::{Mode, Tape};

use super::super::lesion;
use super::with_lab;
use crate::study::Page;
use crate::study::lab::{
    Custom, Lab, Probe, Record, Trained, blocks, branch_of, pairs_of_one_shape, value_of,
};

/// Returns a network for CIFAR without one of its blocks, which has weights that nothing reads.
fn without(net: ResNet, block: usize) -> Custom {
    Custom::new("without", move |tape, x, sizes| {
        let mut x = net.stem.record(tape, &net.names, x, sizes.width, net.init);
        for (ix, at) in places(&net.depths, sizes.width).enumerate() {
            let y = (net.block)(&net, tape, &(net.names.block)(at.stage, at.ix), x, at);
            x = match ix == block {
                true if changes_shape(tape, x, at.planes, at.stride) => {
                    parts::padded_shortcut(tape, "shortcut", x, at.planes, at.stride)
                }
                true => x,
                false => y,
            };
        }
        parts::head(tape, net.names.head, x, sizes.classes, net.head)
    })
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
                let without = lab.config(without(net, block), 4);
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

/// Branches end in a batch norm, in a ReLU behind one, in a convolution, and in a factor for each channel.
#[test]
fn the_branch_of_a_deleted_block_is_zero() {
    with_lab(&lesion::STUDY, |lab| {
        for (name, n_blocks) in [("resnet20", 9), ("resnet9", 2), ("preact8", 3), ("tresnet_m", 21)]
        {
            let mut network = Trained::empty(lab, lab.named(name, 4)).expect("a network");
            network.weights = Weights::initial(&network.layout, 5);
            let all = blocks(&network);
            assert_eq!(all.len(), n_blocks, "{name}");
            all.iter().for_each(|block| network.delete(block));
            let (x, labels) = lab.images.arrays(lab.images.test(), &[0]);
            let mut n_branches = 0;
            let mut probe = Probe::new(lab.device, Mode::Eval, &[1, 32, 32, 3], |tape, x, _| {
                network.network.record(tape, x);
                let nodes = tape.nodes().iter();
                let additions = nodes.filter(|node| node.op.name() == "add.forward");
                let branches: Vec<_> = additions.map(|node| branch_of(tape, node)).collect();
                n_branches = branches.len();
                branches
            })
            .expect("a probe");
            probe.set_weights(&network.weights).expect("weights");
            assert_eq!(n_branches, n_blocks, "{name}");
            for branch in probe.run(&x, &labels).expect("values") {
                assert!(branch.iter().all(|value| *value == 0.0), "{name}");
            }
        }
    });
}

/// In `resnet9` both sides of an addition end in a ReLU behind a batch norm.
#[test]
fn a_deleted_block_of_resnet9_passes_on_its_input() {
    with_lab(&lesion::STUDY, |lab| {
        let mut network = Trained::empty(lab, lab.named("resnet9", 4)).expect("a network");
        network.weights = Weights::initial(&network.layout, 5);
        blocks(&network).iter().for_each(|block| network.delete(block));
        let (x, labels) = lab.images.arrays(lab.images.test(), &[0]);
        let mut probe = Probe::new(lab.device, Mode::Eval, &[1, 32, 32, 3], |tape, x, _| {
            network.network.record(tape, x);
            ["layer1.3", "res1", "layer3.3", "res2"].map(|layer| value_of(tape, layer)).to_vec()
        })
        .expect("a probe");
        probe.set_weights(&network.weights).expect("weights");
        let values = probe.run(&x, &labels).expect("values");
        assert!(values[0] == values[1] && values[2] == values[3]);
        assert!(values.iter().all(|value| value.iter().any(|number| *number != 0.0)));
    });
}

#[test]
fn exchanges_are_of_different_pairs_and_a_network_without_pairs_has_none() {
    with_lab(&lesion::STUDY, |lab| {
        let network = Trained::empty(lab, lab.named("resnet8", 4)).expect("a network");
        assert!(pairs_of_one_shape(&network, &blocks(&network)).is_empty());
        (lesion::STUDY.measure)(lab).expect("measured");
        assert!(lab.record.by_seed("residual exchanged", "counts").is_empty());
        // Two blocks of one shape are one pair.
        assert_eq!(lab.record.of_seeds("plain exchanged", "counts"), [[1.0]]);
        assert_eq!(lab.record.of_seeds("plain deleted", "counts"), [[1.0, 2.0, 4.0]]);
    });
}

#[test]
fn the_damage_of_one_network_has_the_interval_of_its_images() {
    let mut record = Record::default();
    for (name, numbers) in [
        ("counts", vec![1.0, 2.0]),
        ("errors", vec![0.5, 0.5]),
        ("base", vec![0.1]),
        ("chance", vec![0.9]),
        ("images", vec![100.0]),
    ] {
        record.insert(format!("residual one/seed 0/{name}"), numbers);
    }
    let mut page = Page::default();
    (lesion::STUDY.show)(&record, &mut page);
    // 1.645 · √(0.5² / 100 + 11 / 102 · 91 / 102 / 100) / 0.8 = 0.121
    let text = "a lost block takes the error 50.0% (37.9% to 62.1%) of the way to that of a guess. This is one network: the \
                interval is that of its 100 test images.";
    assert!(page.findings()[0].text.contains(text), "{}", page.findings()[0].text);
}
