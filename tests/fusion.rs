//! Fusion, on a few layers and on the network: one node replaces several.

use wgrad::data::shapes;
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::{NetworkConfig, ResNet9, layers, networks};
use wgrad::ops::Window;
use wgrad::ops::add::add;
use wgrad::ops::conv2d::{Conv2d, conv2d};
use wgrad::ops::max_pool2d::max_pool2d;
use wgrad::passes::{fuse, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, Tape};
use wgrad::train::Trainer;
use wgrad::train::step::{self, StepConfig};

fn names(tape: &Tape) -> Vec<&'static str> {
    tape.nodes().iter().map(|node| node.op.name()).collect()
}

/// Records batch norm, ReLU and the addition of the input. With `keep`, the ReLU's output can be read after the step,
/// so fusion may not remove it.
fn block(channels: usize, keep: bool) -> Tape {
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input_with_grad("x", &[2, 3, 3, channels]);
    let y = layers::batch_norm(&mut tape, "norm", x);
    let y = layers::relu(&mut tape, "relu", y);
    if keep {
        tape.keep(y);
    }
    let y = add(&mut tape, x, y);
    tape.keep(y);
    tape
}

#[test]
fn three_nodes_become_one_and_each_rule_can_be_switched_off() {
    let mut tape = block(8, false);
    assert_eq!(fuse(&mut tape, Fusion::ALL), 1);
    assert_eq!(names(&tape), ["batch_norm_relu_add.forward"]);
    let mut tape = block(8, false);
    assert_eq!(fuse(&mut tape, Fusion { residual_add: false, ..Fusion::ALL }), 1);
    assert_eq!(names(&tape), ["batch_norm_relu.forward", "add.forward"]);
    let mut tape = block(8, false);
    assert_eq!(fuse(&mut tape, Fusion { batch_norm_relu: false, ..Fusion::ALL }), 0);
}

#[test]
fn a_kept_value_is_not_fused_away() {
    let mut tape = block(8, true);
    assert_eq!(fuse(&mut tape, Fusion::ALL), 1);
    assert_eq!(names(&tape), ["batch_norm_relu.forward", "add.forward"]);
    assert_eq!(
        fuse(&mut block(6, false), Fusion::ALL),
        0,
        "the kernels need a multiple of four channels"
    );
}

/// Records the end of a residual block, `relu(norm(x) + shortcut)`, whose shortcut is a batch norm that is recorded
/// later. With `keep`, the sum can be read after the step, so fusion may not remove it.
fn post_activation(mode: Mode, channels: usize, keep: bool) -> Tape {
    let mut tape = Tape::new("test", mode);
    let x = tape.input_with_grad("x", &[2, 3, 3, channels]);
    let y = layers::batch_norm(&mut tape, "norm", x);
    let shortcut = layers::batch_norm(&mut tape, "shortcut", x);
    let y = add(&mut tape, y, shortcut);
    if keep {
        tape.keep(y);
    }
    let y = layers::relu(&mut tape, "relu", y);
    tape.keep(y);
    tape
}

#[test]
fn the_end_of_a_residual_block_becomes_one_node_in_training_and_in_evaluation() {
    for (mode, norm, fused) in [
        (Mode::Train, "batch_norm.forward", "batch_norm_add_relu.forward"),
        (Mode::Eval, "batch_norm.eval", "batch_norm_add_relu.eval"),
    ] {
        let mut tape = post_activation(mode, 8, false);
        assert_eq!(fuse(&mut tape, Fusion::ALL), 1);
        // The fused node comes after the shortcut, which it reads.
        assert_eq!(names(&tape), [norm, fused]);
        assert_eq!(tape.nodes()[1].scope, "norm");
        assert_eq!(fuse(&mut post_activation(mode, 8, true), Fusion::ALL), 0, "a kept sum");
        assert_eq!(fuse(&mut post_activation(mode, 6, false), Fusion::ALL), 0, "six channels");
        let off = Fusion { batch_norm_add_relu: false, ..Fusion::ALL };
        assert_eq!(fuse(&mut post_activation(mode, 8, false), off), 0, "the rule is off");
    }
}

fn resnet20(width: usize) -> StepConfig {
    let network = networks::by_name("resnet20").expect("a network");
    StepConfig::new(NetworkConfig::new(network, width, 10), 4)
}

#[test]
fn every_block_of_resnet20_is_fused_and_no_block_of_resnet9() {
    let count = |tape: &Tape, name| names(tape).iter().filter(|&&other| other == name).count();
    let (config, resnet9) = (resnet20(8), StepConfig::new(ResNet9 { width: 8, classes: 10 }, 4));
    let training = step::training(&config).tape;
    assert_eq!(count(&training, "batch_norm_add_relu.forward"), 9);
    assert_eq!(count(&training, "batch_norm_add_relu.d_parameters"), 9);
    assert_eq!(count(&training, "relu.backward"), 0);
    assert_eq!(n_given(&training), 19, "every batch norm reads mean and M2");
    assert_eq!(count(&step::evaluation(&config).tape, "batch_norm_add_relu.eval"), 9);
    for step in [step::training(&resnet9), step::evaluation(&resnet9)] {
        assert!(names(&step.tape).iter().all(|name| !name.starts_with("batch_norm_add_relu")));
    }
}

/// The fused op does the same arithmetic in the same order as the three ops.
#[test]
fn the_end_of_a_residual_block_has_the_same_bits_with_and_without_fusion() {
    let device = Device::cpu(OpenOptions::default());
    let split = shapes::draw_train(0, 12);
    let run = |batch_norm_add_relu| {
        let mut config = resnet20(4);
        config.update.fusion.batch_norm_add_relu = batch_norm_add_relu;
        let mut trainer = Trainer::new(&device, &config, 1).expect("a small network");
        for images in [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]] {
            trainer.step(&split, &images, 0, 0.01).expect("a step");
        }
        let logits = trainer.logits(&split, &|| false).expect("logits").expect("no stop");
        (trainer.state.snapshot().expect("the state"), logits)
    };
    assert!(run(true) == run(false), "fusion changes bits");
}

/// Returns the number of batch norms that read mean and M2 (the sum of squared deviations) from the convolution before
/// them.
fn n_given(tape: &Tape) -> usize {
    tape.nodes().iter().filter(|node| node.op.attributes().ends_with("given mean_m2")).count()
}

#[test]
fn in_training_every_batch_norm_of_the_network_reads_mean_m2() {
    let config = StepConfig::new(ResNet9 { width: 8, classes: 10 }, 4);
    assert_eq!(n_given(&step::training(&config).tape), 8);
    assert_eq!(n_given(&step::evaluation(&config).tape), 0);
}

#[test]
fn a_convolution_with_a_bias_is_not_fused() {
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[2, 8, 8, 4]);
    let weight = tape.input("weight", ElementType::F32, &[3, 3, 4, 8]);
    let bias = tape.input("bias", ElementType::F32, &[8]);
    let y = conv2d(&mut tape, x, weight, Some(bias), Conv2d::square(3, 1, 1));
    max_pool2d(&mut tape, y, Window::square(2, 2, 0));
    assert_eq!(fuse(&mut tape, Fusion::ALL), 0);
}

#[test]
fn only_a_pool_of_several_pixels_is_fused() {
    let n_fused = |size| {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 8, 8, 15]);
        let weight = tape.input("weight", ElementType::F32, &[3, 3, 5, 15]);
        let conv = Conv2d { groups: 3, ..Conv2d::square(3, 1, 1) };
        let y = conv2d(&mut tape, x, weight, None, conv);
        max_pool2d(&mut tape, y, Window::square(size, size, 0));
        fuse(&mut tape, Fusion::ALL)
    };
    assert_eq!([1, 2].map(n_fused), [0, 1]);
}
