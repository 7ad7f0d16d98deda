//! Rewrites `conv2d` to compute the mean and M2 of its output, for the `batch_norm` after it.
//!
//! Batch norm in training reads x to compute mean and variance, and reads x again to normalise it. The convolution that
//! computes x has each element of x in registers. So the convolution can compute mean and M2 (the sum of squared
//! deviations from the mean) at almost no cost. It computes them for each partition, a group of neighbouring pixels
//! (for example 64). The rewritten convolution has the mean and M2 of each partition as another output. The rewritten
//! batch norm merges the mean and M2 of all partitions, and reads x only to normalise it.

use std::any::Any;
use std::sync::Arc;

use crate::ops::batch_norm::add_relu::BatchNormAddRelu;
use crate::ops::batch_norm::forward::BatchNorm;
use crate::ops::batch_norm::relu::BatchNormRelu;
use crate::ops::conv2d::Conv2dForward;
use crate::ops::partitions::Partitions;
use crate::tape::{Node, Op, Rewriter, ValueId};

/// Rewrites every batch norm, fused with a ReLU or not, that reads the output of a convolution, unless a pool other than 2x2 is
/// fused with the convolution.
/// Returns the number of rewrites.
pub(super) fn apply(tape: &mut Rewriter<'_>) -> usize {
    let mut n_rewritten = 0;
    for norm_ix in 0..tape.n_nodes() {
        if let Some((conv_ix, place)) = find(tape, norm_ix) {
            rewrite(tape, conv_ix, norm_ix, place);
            n_rewritten += 1;
        }
    }
    n_rewritten
}

/// The two ops with which the rewrite replaces the convolution and the batch norm.
struct Place {
    conv: Conv2dForward,
    norm: Arc<dyn Op>,
}

fn find(tape: &Rewriter<'_>, norm_ix: usize) -> Option<(usize, Place)> {
    let norm = tape.node(norm_ix)?;
    let x = *norm.inputs.first()?;
    let conv_ix = tape.maker(x)?;
    let (conv, conv_node) = (tape.op::<Conv2dForward>(conv_ix)?, tape.node(conv_ix)?);
    if conv.mean_m2 || !conv.has_rows_for_pool() || conv_node.outputs[0] != x {
        return None;
    }
    let mean_m2 = Some(conv.partitions(&tape.io(conv_node)));
    let norm = with_mean_m2(&*norm.op, mean_m2)?;
    Some((conv_ix, Place { conv: Conv2dForward { mean_m2: true, ..conv.clone() }, norm }))
}

/// Returns the op of a batch norm, fused or not, with mean and M2 as an input; None for another op.
fn with_mean_m2(op: &dyn Op, mean_m2: Option<Partitions>) -> Option<Arc<dyn Op>> {
    let op = op as &dyn Any;
    if let Some(op) = op.downcast_ref::<BatchNorm>() {
        return Some(Arc::new(BatchNorm { mean_m2, ..*op }));
    }
    if let Some(op) = op.downcast_ref::<BatchNormRelu>() {
        return Some(Arc::new(BatchNormRelu { mean_m2, ..*op }));
    }
    let op = op.downcast_ref::<BatchNormAddRelu>()?;
    Some(Arc::new(BatchNormAddRelu { mean_m2, ..*op }))
}

fn rewrite(tape: &mut Rewriter<'_>, conv_ix: usize, norm_ix: usize, place: Place) {
    let same = |outputs: &[ValueId]| outputs.iter().copied().map(Some).collect::<Vec<_>>();
    let node = |ix| tape.node(ix).expect("found").clone();
    let [conv, norm] = [conv_ix, norm_ix].map(node);
    // The convolution gets one more output, mean_m2, which becomes one more input of the batch norm.
    let made = tape.replace(&[conv_ix], Arc::new(place.conv), &conv.inputs, &same(&conv.outputs));
    let Node { mut inputs, outputs, .. } = norm;
    inputs.push(*made.last().expect("mean_m2"));
    tape.replace(&[norm_ix], place.norm, &inputs, &same(&outputs));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::batch_norm::batch_norm;
    use crate::ops::conv2d::{Conv2d, conv2d};
    use crate::ops::relu::relu;
    use crate::passes::fuse::Fusion;
    use crate::passes::{backward_from, fuse};
    use crate::tape::{ElementType, Mode, Tape};

    /// Returns a tape with a convolution to 8 channels in `groups` groups, a batch norm and a ReLU, and its output.
    fn block(groups: usize) -> (Tape, ValueId) {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 9, 9, 4]);
        let weight = tape.input_with_grad("weight", &[3, 3, 4 / groups, 8]);
        let [gamma, beta] = ["gamma", "beta"].map(|name| tape.input_with_grad(name, &[8]));
        let conv = Conv2d { groups, ..Conv2d::square(3, 1, 1) };
        let y = conv2d(&mut tape, x, weight, None, conv);
        let y = batch_norm(&mut tape, y, gamma, beta, 1e-5).y;
        let y = relu(&mut tape, y);
        tape.keep(y);
        (tape, y)
    }

    /// Returns the number of nodes that read mean_m2.
    fn n_readers(tape: &Tape) -> usize {
        tape.nodes().iter().filter(|node| node.op.attributes().ends_with("given mean_m2")).count()
    }

    #[test]
    fn mean_m2_becomes_an_output_of_the_conv_and_an_input_of_the_norm() {
        let only = Fusion { conv_batch_norm: true, ..Fusion::NONE };
        for (fusion, n_places) in [(only, 1), (Fusion::ALL, 2)] {
            let (mut tape, y) = block(1);
            assert_eq!(fuse(&mut tape, fusion), n_places);
            let [conv, norm] = [0, 1].map(|ix| tape.nodes()[ix].clone());
            // 162 pixels are two partitions of 64, and one of 34.
            assert_eq!(tape.shape(conv.outputs[1]), [3, 2, 8]);
            assert_eq!(norm.inputs.last(), conv.outputs.last());
            assert_eq!(n_readers(&tape), 1);
            let d_y = tape.input("d_y", ElementType::F32, &[2, 9, 9, 8]);
            let gradients = backward_from(&mut tape, &[(y, d_y)]);
            assert!(
                gradients.get(conv.inputs[0]).is_some() && gradients.get(conv.inputs[1]).is_some()
            );
        }
    }

    #[test]
    fn a_grouped_convolution_is_rewritten_and_the_rule_can_be_off() {
        let (mut tape, _) = block(2);
        assert_eq!(fuse(&mut tape, Fusion { conv_batch_norm: true, ..Fusion::NONE }), 1);
        let (mut tape, _) = block(1);
        assert_eq!(fuse(&mut tape, Fusion { conv_batch_norm: false, ..Fusion::ALL }), 1);
        assert_eq!(n_readers(&tape), 0);
    }

    #[test]
    fn one_of_two_norms_after_a_convolution_is_rewritten() {
        let (mut tape, _) = block(1);
        let conv = tape.nodes()[0].outputs[0];
        let (gamma, beta) = (tape.nodes()[1].inputs[1], tape.nodes()[1].inputs[2]);
        let other = batch_norm(&mut tape, conv, gamma, beta, 1e-5).y;
        tape.keep(other);
        assert_eq!(fuse(&mut tape, Fusion { conv_batch_norm: true, ..Fusion::NONE }), 1);
    }
}
