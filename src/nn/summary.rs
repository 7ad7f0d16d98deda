//! The table of a network's layers, in the format of torchsummary for PyTorch.

use std::fmt::Write;

use super::NetworkConfig;
use crate::base::units::thousands;
use crate::tape::{Node, StateBuffer, Storage, Tape, Value};

/// Returns the table of a network's layers, for one image, `[H, W, C]`.
///
/// # Panics
/// As for [`NetworkConfig::record`].
pub fn summary(network: impl Into<NetworkConfig>, image: [usize; 3]) -> String {
    // The tape is not fused, because every layer must have a row.
    table(&network.into().tape(image))
}

/// Returns the table of any network, from a tape that records it for one image, without fusion.
///
/// As in torchsummary, each module of PyTorch has a row; additions, concatenations and `flatten` have no row. Sizes are
/// in MiB of f32. The size of the backward pass is assumed to be the size of all outputs. These sizes are a convention
/// for comparisons of networks; the plan of a tape has the memory of a real step.
pub fn table(tape: &Tape) -> String {
    let rows: Vec<Layer> = tape.nodes().iter().filter_map(|node| Layer::of(tape, node)).collect();
    let mut out = String::new();
    let rule = |character: &str| character.repeat(64);
    let _ = writeln!(out, "{}", rule("-"));
    let _ = writeln!(out, "{:>20}  {:>25} {:>15}", "Layer (type)", "Output Shape", "Param #");
    let _ = writeln!(out, "{}", rule("="));
    for (ix, layer) in rows.iter().enumerate() {
        let name = format!("{}-{}", layer.module, ix + 1);
        let shape: Vec<_> = layer.shape.iter().map(usize::to_string).collect();
        let shape = format!("[-1, {}]", shape.join(", "));
        let n_parameters = thousands(layer.n_parameters);
        let _ = writeln!(out, "{name:>20}  {shape:>25} {n_parameters:>15}");
    }

    let inputs = tape.values().iter().filter(|value| value.storage == Storage::Input);
    let n_inputs: usize = inputs.map(Value::n_elements).sum();
    let n_outputs: usize = rows.iter().map(|layer| layer.shape.iter().product::<usize>()).sum();
    let n_parameters = rows.iter().map(|layer| layer.n_parameters).sum();
    let mib = |n: usize| 4.0 * n as f64 / f64::from(1 << 20);
    let _ = writeln!(out, "{}", rule("="));
    let _ = writeln!(out, "Total params: {}", thousands(n_parameters));
    let _ = writeln!(out, "Trainable params: {}", thousands(n_parameters));
    let _ = writeln!(out, "Non-trainable params: 0");
    let _ = writeln!(out, "{}", rule("-"));
    let _ = writeln!(out, "Input size (MB): {:.2}", mib(n_inputs));
    let _ = writeln!(out, "Forward/backward pass size (MB): {:.2}", mib(2 * n_outputs));
    let _ = writeln!(out, "Params size (MB): {:.2}", mib(n_parameters));
    let total = mib(n_inputs + 2 * n_outputs + n_parameters);
    let _ = writeln!(out, "Estimated Total Size (MB): {total:.2}");
    let _ = writeln!(out, "{}", rule("-"));
    out
}

/// A row of the table.
struct Layer {
    module: &'static str,
    /// Shape of the output for one image, in PyTorch's order.
    shape: Vec<usize>,
    /// Number of parameters. As in torchsummary, running statistics are not parameters.
    n_parameters: usize,
}

impl Layer {
    /// Returns the row of a node; None if PyTorch has no module for the node's op.
    fn of(tape: &Tape, node: &Node) -> Option<Self> {
        let module = match node.op.name().split('.').next()? {
            "conv2d" => "Conv2d",
            "batch_norm" => "BatchNorm2d",
            "relu" => "ReLU",
            "max_pool2d" => "MaxPool2d",
            "avg_pool2d" => "AvgPool2d",
            "resize" => "Upsample",
            "linear" => "Linear",
            _ => return None,
        };
        let shape = match tape.shape(node.outputs[0]) {
            &[_, rows, columns, channels] => vec![channels, rows, columns],
            other => other[1..].to_vec(),
        };
        let inputs = node.inputs.iter().map(|&id| tape.value(id));
        let of_parameters = |value: &&Value| {
            matches!(value.storage, Storage::State { buffer: StateBuffer::Parameters, .. })
        };
        let n_parameters = inputs.filter(of_parameters).map(Value::n_elements).sum();
        Some(Self { module, shape, n_parameters })
    }
}
