//! `batch_norm` followed by `relu`, and by the `add` of a residual, becomes one op.
//!
//! Each of the three reads and writes a whole activation, and backward each does so again. Fused, one pass
//! forward reads x and writes what the next layer sees, and the backward pass computes the ReLU's mask from x
//! instead of reading it.

use std::any::Any;
use std::sync::Arc;

use crate::ops::add::Add;
use crate::ops::batch_norm::forward::BatchNorm;
use crate::ops::batch_norm::relu::BatchNormRelu;
use crate::ops::relu::Relu;
use crate::tape::{Node, Tape, ValueId};

/// Rewrites every place where the output of a batch norm over a multiple of four channels goes to a ReLU alone;
/// with `residual_add`, also what that is alone added to. Returns how many there were.
pub(super) fn apply(tape: &mut Tape, residual_add: bool) -> usize {
    let mut n_rewritten = 0;
    let mut ix = 0;
    while ix < tape.nodes().len() {
        if let Some(place) = find(tape, ix, residual_add) {
            rewrite(tape, ix, &place);
            n_rewritten += 1;
        }
        ix += 1;
    }
    n_rewritten
}

/// What stands behind a batch norm.
struct Place {
    eps: f32,
    relu_ix: usize,
    /// The addition, and what is added.
    add: Option<(usize, ValueId)>,
}

fn find(tape: &Tape, norm_ix: usize, residual_add: bool) -> Option<Place> {
    let node = &tape.nodes()[norm_ix];
    // A batch norm that reads mean_m2 has one more input, and stays as it is.
    let op = (&*node.op as &dyn Any).downcast_ref::<BatchNorm>()?;
    let &BatchNorm { eps, mean_m2: None } = op else { return None };
    let by_fours = tape.shape(node.outputs[0]).last()?.is_multiple_of(4);
    let relu_ix = only_reader::<Relu>(tape, node.outputs[0]).filter(|_| by_fours)?;
    let activated = tape.nodes()[relu_ix].outputs[0];
    let add = || {
        let add_ix = only_reader::<Add>(tape, activated)?;
        let other = tape.nodes()[add_ix].inputs.iter().copied().find(|&id| id != activated)?;
        // The fused op stands where the batch norm does, so what is added must be there by then.
        let made_by = tape.nodes().iter().position(|node| node.outputs.contains(&other));
        made_by.is_none_or(|ix| ix < norm_ix).then_some((add_ix, other))
    };
    Some(Place { eps, relu_ix, add: residual_add.then(add).flatten() })
}

/// The node that alone reads a value that nobody keeps, if its op is an `O`.
fn only_reader<O: Any>(tape: &Tape, id: ValueId) -> Option<usize> {
    if tape.value(id).keep || tape.n_readers(id) != 1 {
        return None;
    }
    let ix = tape.nodes().iter().position(|node| node.inputs.contains(&id))?;
    (&*tape.nodes()[ix].op as &dyn Any).is::<O>().then_some(ix)
}

fn rewrite(tape: &mut Tape, norm_ix: usize, place: &Place) {
    let Node { mut inputs, outputs, .. } = tape.nodes()[norm_ix].clone();
    inputs.extend(place.add.map(|(_, residual)| residual));
    let has_residual = place.add.is_some();
    let fused = BatchNormRelu { eps: place.eps, has_residual, mean_m2: None };
    let mut nodes = vec![norm_ix, place.relu_ix];
    nodes.extend(place.add.map(|(add_ix, _)| add_ix));
    let y = tape.nodes()[*nodes.last().expect("two or three")].outputs[0];
    // The last of the nodes makes y; the batch norm makes the statistics.
    let outputs = [Some(y), Some(outputs[1]), Some(outputs[2]), None];
    tape.replace(&nodes, Arc::new(fused), &inputs, &outputs);
}
