//! Fuses a `batch_norm`, the `relu` after it, and the `add` of a residual into one op.
//!
//! Without fusion, each of the three ops reads and writes whole activations, forward and backward. The fused op reads x
//! once and writes the input of the next layer. In the backward pass, it computes the ReLU's mask from x and does not
//! read the ReLU's output.

use std::sync::Arc;

use crate::ops::add::Add;
use crate::ops::batch_norm::forward::BatchNorm;
use crate::ops::batch_norm::relu::BatchNormRelu;
use crate::ops::relu::Relu;
use crate::tape::{Node, Rewriter, ValueId};

/// Fuses every batch norm with the ReLU that reads its output, if no other node reads the output and the number of
/// channels is a multiple of four. If `residual_add` is true and an addition is the only reader of the ReLU's output,
/// the addition is fused, too. Returns the number of rewrites.
pub(super) fn apply(tape: &mut Rewriter<'_>, residual_add: bool) -> usize {
    let mut n_rewritten = 0;
    for ix in 0..tape.n_nodes() {
        if let Some(place) = find(tape, ix, residual_add) {
            rewrite(tape, ix, &place);
            n_rewritten += 1;
        }
    }
    n_rewritten
}

/// The nodes that can be fused with a batch norm: a ReLU and possibly an addition.
struct Place {
    eps: f32,
    relu_ix: usize,
    /// Index of the addition's node, and the residual that the addition adds; None if no addition is fused.
    add: Option<(usize, ValueId)>,
}

fn find(tape: &Rewriter<'_>, norm_ix: usize, residual_add: bool) -> Option<Place> {
    // A batch norm that reads mean and M2 from the convolution has one more input, and is not rewritten.
    let &BatchNorm { eps, mean_m2: None } = tape.op(norm_ix)? else { return None };
    let y = tape.node(norm_ix)?.outputs[0];
    let by_fours = tape.value(y).shape.last()?.is_multiple_of(4);
    let relu_ix = tape.only_reader::<Relu>(y).filter(|_| by_fours)?;
    let activated = tape.node(relu_ix)?.outputs[0];
    let add = || {
        let add_ix = tape.only_reader::<Add>(activated)?;
        let other = tape.node(add_ix)?.inputs.iter().copied().find(|&id| id != activated)?;
        // The fused node takes the position of the batch norm on the tape. So the addition can be fused only if the
        // other added value is computed before the batch norm.
        tape.maker(other).is_none_or(|ix| ix < norm_ix).then_some((add_ix, other))
    };
    Some(Place { eps, relu_ix, add: residual_add.then(add).flatten() })
}

fn rewrite(tape: &mut Rewriter<'_>, norm_ix: usize, place: &Place) {
    let node = |ix| tape.node(ix).expect("found").clone();
    let Node { mut inputs, outputs, .. } = node(norm_ix);
    inputs.extend(place.add.map(|(_, residual)| residual));
    let has_residual = place.add.is_some();
    let fused = BatchNormRelu { eps: place.eps, has_residual, mean_m2: None };
    let mut nodes = vec![norm_ix, place.relu_ix];
    nodes.extend(place.add.map(|(add_ix, _)| add_ix));
    let y = node(*nodes.last().expect("two or three")).outputs[0];
    // `y` is the output of the last replaced node. The fused node computes `y` and the two statistics that the batch
    // norm computed, its outputs 1 and 2.
    let outputs = [Some(y), Some(outputs[1]), Some(outputs[2]), None];
    tape.replace(&nodes, Arc::new(fused), &inputs, &outputs);
}
