//! Translates the nodes of an evaluation tape into operators of ONNX.
//!
//! Activations are `[N, H, W, C]` on the tape and `[N, C, H, W]` in ONNX; parameters have PyTorch's shapes. So the
//! channels, the last axis of a value on the tape, are axis 1 in ONNX.

use std::any::Any;
use std::collections::HashMap;

use super::error::OnnxError;
use super::fold::{Norm, foldable};
use super::graph::{Builder, of_ints, of_text};
use super::plain::{convolution, plain};
use super::proto::Attribute;
use crate::nn::{Weights, tensor_file};
use crate::ops::batch_norm::BatchNormEval;
use crate::ops::blur_pool::BlurPool;
use crate::ops::channel_slice::{ChannelPad, ChannelSlice};
use crate::ops::conv2d::Conv2dForward;
use crate::ops::resize::{Interpolation, Resize};
use crate::ops::{Window, n_channels};
use crate::tape::{Node, StateBuffer, Storage, Tape, ValueId};

/// The factors of the filter of a blur pool along one axis.
const BLUR: [f32; 3] = [0.25, 0.5, 0.25];

/// An operator of ONNX: its name, the names of its inputs, and its attributes.
struct Operator(&'static str, Vec<String>, Vec<Attribute>);

/// A translation that is under way.
pub struct Translator<'a> {
    pub tape: &'a Tape,
    pub weights: &'a Weights,
    pub builder: Builder,
    /// The names of the values that were translated so far.
    pub names: HashMap<ValueId, String>,
}

impl Translator<'_> {
    /// Translates all nodes of the tape. The last value, `logits`, gets the name `output`. With `fold`, the batch norms
    /// that follow a convolution become a part of it.
    ///
    /// # Errors
    /// [`OnnxError::Op`] for an op without a translation.
    pub fn run(&mut self, logits: ValueId, output: &str, fold: bool) -> Result<(), OnnxError> {
        let tape = self.tape;
        let folded = if fold { foldable(tape, logits) } else { Default::default() };
        for (ix, node) in tape.nodes().iter().enumerate() {
            if folded.values().any(|&convolution| convolution == ix) {
                continue;
            }
            let Operator(kind, inputs, attributes) = match folded.get(&ix) {
                Some(&convolution) => self.folded(&tape.nodes()[convolution], node),
                None => self.operator(node)?,
            };
            let y = node.outputs[0];
            let name = match y == logits {
                true => output.to_string(),
                false => self.builder.name(&tape.value(y).name),
            };
            self.builder.node(&name, kind, inputs, attributes);
            self.names.insert(y, name);
        }
        Ok(())
    }

    /// Returns the operator that computes the first output of a node. The other outputs of such nodes serve the backward
    /// pass alone.
    fn operator(&mut self, node: &Node) -> Result<Operator, OnnxError> {
        let (op, x_shape): (&dyn Any, _) = (&*node.op, self.tape.shape(node.inputs[0]));
        let translated = if let Some((kind, attributes)) = plain(op, x_shape) {
            Some(Operator(kind, self.inputs(node), attributes))
        } else if let Some(slice) = op.downcast_ref::<ChannelSlice>() {
            Some(self.slice(node, slice))
        } else if let Some(pad) = op.downcast_ref::<ChannelPad>() {
            let mut pads = vec![0; 2 * x_shape.len()];
            (pads[1], pads[x_shape.len() + 1]) = (pad.before, pad.after);
            Some(self.pad(node, &pads, "constant"))
        } else if let Some(resize) = op.downcast_ref::<Resize>() {
            self.resize(node, resize)
        } else if op.is::<BlurPool>() {
            Some(self.blur_pool(node, n_channels(x_shape)))
        } else {
            None
        };
        translated.ok_or_else(|| {
            let attributes = Some(node.op.attributes()).filter(|text| !text.is_empty());
            let attributes = attributes.map_or(String::new(), |text| format!(" ({text})"));
            OnnxError::Op { op: format!("{}{attributes}", node.label()) }
        })
    }

    fn slice(&mut self, node: &Node, slice: &ChannelSlice) -> Operator {
        let mut inputs = self.inputs(node);
        let end = slice.first + slice.channels;
        for (which, value) in [("starts", slice.first), ("ends", end), ("axes", 1)] {
            inputs.push(self.builder.i64(&part(node, which), &[value]));
        }
        Operator("Slice", inputs, vec![])
    }

    /// Returns the padding of a node's input. `pads` has the number of elements before each axis, and then those behind
    /// each axis.
    fn pad(&mut self, node: &Node, pads: &[usize], mode: &str) -> Operator {
        let mut inputs = self.inputs(node);
        inputs.push(self.builder.i64(&part(node, "pads"), pads));
        Operator("Pad", inputs, vec![of_text("mode", mode)])
    }

    fn resize(&mut self, node: &Node, resize: &Resize) -> Option<Operator> {
        let corners = match resize.to.interpolation {
            Interpolation::Nearest => return None,
            Interpolation::Bilinear { align_corners: true } => "align_corners",
            Interpolation::Bilinear { align_corners: false } => "half_pixel",
        };
        let sizes = self.builder.i64(&part(node, "sizes"), &resize.to.out);
        // The inputs between x and the sizes are a region and scales.
        let inputs = [self.inputs(node), vec![String::new(), String::new(), sizes]].concat();
        let mode = of_text("mode", "linear");
        let corners = of_text("coordinate_transformation_mode", corners);
        Some(Operator("Resize", inputs, vec![mode, corners, of_ints("axes", &[2, 3])]))
    }

    /// Adds the mirrored border, and returns the convolution of each channel with the filter.
    fn blur_pool(&mut self, node: &Node, n_channels: usize) -> Operator {
        let Operator(kind, inputs, attributes) =
            self.pad(node, &[0, 0, 1, 1, 0, 0, 1, 1], "reflect");
        let padded = self.builder.name(&part(node, "padded"));
        self.builder.node(&padded, kind, inputs, attributes);
        let filter = BLUR.map(|row| BLUR.map(|column| row * column)).concat().repeat(n_channels);
        let filter = self.builder.f32(&part(node, "filter"), &[n_channels, 1, 3, 3], &filter);
        let window = Window::square(3, 2, 0);
        Operator("Conv", vec![padded, filter], convolution(&window, n_channels))
    }

    /// Returns the convolution that computes a convolution and the batch norm behind it.
    fn folded(&mut self, node: &Node, norm: &Node) -> Operator {
        let (conv, norm_op): (&dyn Any, &dyn Any) = (&*node.op, &*norm.op);
        let conv = conv.downcast_ref::<Conv2dForward>().expect("a convolution").conv;
        let eps = norm_op.downcast_ref::<BatchNormEval>().expect("a batch norm").eps;
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|ix| self.member(norm.inputs[ix]).2);
        let (name, shape, mut weight) = self.member(node.inputs[1]);
        let bias = node.inputs.get(2).map(|&bias| self.member(bias).2);
        let norm = Norm { gamma: &gamma, beta: &beta, mean: &mean, variance: &variance, eps };
        let bias = norm.fold(&mut weight, bias.as_deref());
        let x = self.value(node.inputs[0]);
        let weight = self.builder.f32(&name, &shape, &weight);
        let bias = self.builder.f32(&format!("{}.bias", node.scope), &[bias.len()], &bias);
        Operator("Conv", vec![x, weight, bias], convolution(&conv.window, conv.groups))
    }

    fn inputs(&mut self, node: &Node) -> Vec<String> {
        node.inputs.iter().map(|&id| self.value(id)).collect()
    }

    /// Returns the name of a value. The first call with a parameter or running statistic adds it to the file.
    fn value(&mut self, id: ValueId) -> String {
        if let Some(name) = self.names.get(&id) {
            return name.clone();
        }
        let (name, shape, values) = self.member(id);
        let name = self.builder.f32(&name, &shape, &values);
        self.names.insert(id, name.clone());
        name
    }

    /// Returns the name of a parameter or running statistic, and its shape and elements in PyTorch's order.
    fn member(&self, id: ValueId) -> (String, Vec<usize>, Vec<f32>) {
        let buffer = match self.tape.value(id).storage {
            Storage::State { buffer: StateBuffer::Parameters, .. } => &self.weights.parameters,
            Storage::State { buffer: StateBuffer::RunningStatistics, .. } => {
                &self.weights.running_statistics
            }
            _ => panic!("{}: neither computed nor a weight", self.tape.value(id).name),
        };
        let member = self.tape.member_of(id).expect("a view of a member");
        let (shape, values) = tensor_file::in_torch(member, buffer);
        (member.name.clone(), shape, values)
    }
}

/// Returns the name of a constant or an intermediate value of a node.
fn part(node: &Node, which: &str) -> String {
    format!("{}.{which}", node.label())
}
