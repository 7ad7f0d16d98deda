//! Folds batch norms into the convolutions before them.

use std::any::Any;
use std::collections::BTreeMap;

use crate::ops::batch_norm::BatchNormEval;
use crate::ops::conv2d::Conv2dForward;
use crate::tape::{Node, Tape, ValueId};

/// Returns the convolution of each batch norm that can be folded: its only input is the output of the convolution, and
/// no other node reads this output. Nodes are given by their indices.
pub fn foldable(tape: &Tape, logits: ValueId) -> BTreeMap<usize, usize> {
    let makes = |node: &Node, id| node.outputs.contains(&id);
    let convolution = |norm: &Node| {
        let y = norm.inputs[0];
        let ix = tape.nodes().iter().position(|node| makes(node, y))?;
        let op: &dyn Any = &*tape.nodes()[ix].op;
        (op.is::<Conv2dForward>() && tape.n_readers(y) == 1 && y != logits).then_some(ix)
    };
    let norms = tape.nodes().iter().enumerate().filter(|(_, node)| {
        let op: &dyn Any = &*node.op;
        op.is::<BatchNormEval>()
    });
    norms.filter_map(|(ix, norm)| Some((ix, convolution(norm)?))).collect()
}

/// The parameters and running statistics of a batch norm, one number for each channel.
pub struct Norm<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    pub eps: f32,
}

impl Norm<'_> {
    /// Multiplies the weight of a convolution, in PyTorch's order, by `gamma / √(variance + eps)`, and returns the bias
    /// `(bias − mean) · gamma / √(variance + eps) + beta`. The function computes in f64 and rounds once.
    pub fn fold(&self, weight: &mut [f32], bias: Option<&[f32]>) -> Vec<f32> {
        let n_channels = self.gamma.len();
        let kernels = weight.chunks_mut(weight.len() / n_channels);
        let fold = |(channel, kernel): (usize, &mut [f32])| {
            let [gamma, beta, mean, variance] =
                [self.gamma, self.beta, self.mean, self.variance].map(|of| f64::from(of[channel]));
            let factor = gamma / (variance + f64::from(self.eps)).sqrt();
            for weight in kernel {
                *weight = (f64::from(*weight) * factor) as f32;
            }
            let bias = bias.map_or(0.0, |bias| f64::from(bias[channel]));
            ((bias - mean) * factor + beta) as f32
        };
        kernels.enumerate().map(fold).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_convolution_computes_both_layers() {
        let norm = Norm {
            gamma: &[2.0, 3.0],
            beta: &[0.5, -1.0],
            mean: &[1.0, 0.25],
            variance: &[3.75, 0.0],
            eps: 0.25,
        };
        // The factors are 2 / 2 and 3 / 0.5.
        let mut weight = [1.0, 4.0, 1.0, 0.5];
        assert_eq!(norm.fold(&mut weight, Some(&[2.0, 1.0])), [1.5, 3.5]);
        assert_eq!(weight, [1.0, 4.0, 6.0, 3.0]);
        assert_eq!(norm.fold(&mut weight, None), [-0.5, -2.5]);
    }
}
