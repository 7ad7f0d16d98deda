//! Fuses a `batch_norm`, the `add` of a residual after it, and the `relu` after the addition into one op, in training
//! and in evaluation.
//!
//! Without fusion, the three forward nodes move seven activations: they read four and write three. The fused node reads
//! x and the residual, and writes y. In the backward pass, the node of the sums over the rows also computes the gradient
//! of the ReLU.

use std::any::Any;
use std::sync::Arc;

use crate::ops::add::Add;
use crate::ops::batch_norm::add_relu::{BatchNormAddRelu, BatchNormAddReluEval};
use crate::ops::batch_norm::eval::BatchNormEval;
use crate::ops::batch_norm::forward::BatchNorm;
use crate::ops::relu::Relu;
use crate::tape::{Node, Op, Rewriter, ValueId};

/// Fuses every batch norm whose output only an addition reads, if only a ReLU reads the sum and the number of channels
/// is a multiple of four. If both terms of the sum are outputs of batch norms, the one that is recorded first is fused.
/// Returns the number of rewrites.
pub(super) fn apply(tape: &mut Rewriter<'_>) -> usize {
    let mut n_rewritten = 0;
    for ix in 0..tape.n_nodes() {
        if let Some(place) = find(tape, ix) {
            rewrite(tape, ix, place);
            n_rewritten += 1;
        }
    }
    n_rewritten
}

/// The op that replaces a batch norm, the addition, and the ReLU.
struct Place {
    fused: Arc<dyn Op>,
    add_ix: usize,
    residual: ValueId,
    relu_ix: usize,
}

fn find(tape: &Rewriter<'_>, norm_ix: usize) -> Option<Place> {
    let node = tape.node(norm_ix)?;
    let fused = fused(&*node.op)?;
    let normed = node.outputs[0];
    let by_fours = tape.value(normed).shape.last()?.is_multiple_of(4);
    let add_ix = tape.only_reader::<Add>(normed).filter(|_| by_fours)?;
    let add = tape.node(add_ix)?;
    let residual = add.inputs.iter().copied().find(|&id| id != normed)?;
    let relu_ix = tape.only_reader::<Relu>(add.outputs[0])?;
    Some(Place { fused, add_ix, residual, relu_ix })
}

/// Returns the fused op of a batch norm; None for another op.
fn fused(op: &dyn Op) -> Option<Arc<dyn Op>> {
    let op = op as &dyn Any;
    if let Some(&BatchNorm { eps, mean_m2: None }) = op.downcast_ref() {
        return Some(Arc::new(BatchNormAddRelu { eps, mean_m2: None }));
    }
    let &BatchNormEval { eps } = op.downcast_ref()?;
    Some(Arc::new(BatchNormAddReluEval { eps }))
}

fn rewrite(
    tape: &mut Rewriter<'_>,
    norm_ix: usize,
    Place { fused, add_ix, residual, relu_ix }: Place,
) {
    let node = |ix| tape.node(ix).expect("found").clone();
    let Node { mut inputs, outputs, .. } = node(norm_ix);
    inputs.push(residual);
    // The fused node computes the output of the ReLU in place of that of the batch norm, and the same statistics.
    let y = node(relu_ix).outputs[0];
    let outputs: Vec<_> = [y].iter().chain(&outputs[1..]).copied().map(Some).collect();
    tape.replace(&[norm_ix, add_ix, relu_ix], fused, &inputs, &outputs);
}
