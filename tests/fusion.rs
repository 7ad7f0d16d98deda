//! Fusion, on a few layers and on the network: one node replaces several.

use wgrad::nn::{ResNet9, layers};
use wgrad::ops::Window;
use wgrad::ops::add::add;
use wgrad::ops::conv2d::{Conv2d, conv2d};
use wgrad::ops::max_pool2d::max_pool2d;
use wgrad::passes::{fuse, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, Tape};
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
