//! Ops without parameters whose inputs and outputs are activations: elementwise ops, and copies of channels and pixels.

use wgrad::device::Device;
use wgrad::ops;
use wgrad::tape::{Mode, Tape, ValueId};

use crate::OP_TOLERANCE;
use crate::bench::Bench;
use crate::case_file::CaseFile;
use crate::compare::Order;

/// Runs the op that `record` records on the inputs `keys`. Compares `y` and the gradient `d` + key of each input.
pub fn run(
    file: &CaseFile,
    device: &Device,
    keys: &[&str],
    record: impl FnOnce(&mut Tape, &[ValueId]) -> ValueId,
) {
    let gradients: Vec<String> = keys.iter().map(|key| format!("d{key}")).collect();
    let mut bench = Bench::new(file, Mode::Train, OP_TOLERANCE);
    let inputs: Vec<_> = keys.iter().map(|key| bench.input(key, Order::Activation)).collect();
    let y = record(&mut bench.tape, &inputs);
    bench.expect("y", y, Order::Activation);
    let gradients = inputs.iter().zip(&gradients);
    let gradients: Vec<_> =
        gradients.map(|(&input, key)| (input, key.as_str(), Order::Activation)).collect();
    bench.backward(y, Order::Activation, &gradients);
    bench.finish(device);
}

pub fn relu(file: &CaseFile, device: &Device) {
    run(file, device, &["x"], |tape, x| ops::relu::relu(tape, x[0]));
}

pub fn leaky_relu(file: &CaseFile, device: &Device) {
    let slope = file.attribute("slope");
    run(file, device, &["x"], |tape, x| ops::leaky_relu::leaky_relu(tape, x[0], slope));
}

pub fn sigmoid(file: &CaseFile, device: &Device) {
    run(file, device, &["x"], |tape, x| ops::sigmoid::sigmoid(tape, x[0]));
}

pub fn add(file: &CaseFile, device: &Device) {
    run(file, device, &["a", "b"], |tape, x| ops::add::add(tape, x[0], x[1]));
}

pub fn mul(file: &CaseFile, device: &Device) {
    run(file, device, &["a", "b"], |tape, x| ops::mul::mul(tape, x[0], x[1]));
}

/// The case is `y = a * detach(a) + b`.
pub fn detach(file: &CaseFile, device: &Device) {
    run(file, device, &["a", "b"], |tape, x| {
        let detached = ops::detach::detach(tape, x[0]);
        let product = ops::mul::mul(tape, x[0], detached);
        ops::add::add(tape, product, x[1])
    });
}

pub fn channel_pad(file: &CaseFile, device: &Device) {
    let [before, after] = ["before", "after"].map(|key| file.attribute(key));
    run(file, device, &["x"], |tape, x| ops::channel_pad::channel_pad(tape, x[0], before, after));
}

pub fn channel_slice(file: &CaseFile, device: &Device) {
    let [first, channels] = ["first", "channels"].map(|key| file.attribute(key));
    run(file, device, &["x"], |tape, x| {
        ops::channel_slice::channel_slice(tape, x[0], first, channels)
    });
}

pub fn concat(file: &CaseFile, device: &Device) {
    let axis: usize = file.attribute("axis");
    assert_eq!(axis, 1, "{}: channels are concatenated here", file.name);
    run(file, device, &["a", "b"], ops::concat::concat);
}

pub fn concat_many(file: &CaseFile, device: &Device) {
    run(file, device, &["a", "b", "c", "d"], ops::concat::concat);
}

pub fn space_to_depth(file: &CaseFile, device: &Device) {
    let block = file.attribute("block");
    run(file, device, &["x"], |tape, x| ops::space_to_depth::space_to_depth(tape, x[0], block));
}
