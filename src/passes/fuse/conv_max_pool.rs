//! `conv2d` followed by `max_pool2d` becomes one op.
//!
//! At width 64 and batch 512 the tensor between the first layer's convolution and its pool is 256
//! MiB, and so is its gradient; the pooled tensor and the index of each maximum are a quarter of that
//! each. Fused, a kernel keeps a window's results in registers and stores the largest; backward, the
//! kernels read the pooled gradient and let it through where the saved index points.

use std::any::Any;
use std::sync::Arc;

use crate::ops::conv2d::Conv2dForward;
use crate::ops::max_pool2d::MaxPool2d;
use crate::tape::Tape;

/// Rewrites every place where the output of a convolution without bias goes to a pool alone and the pool's windows
/// tile the plane (no overlap, no padding). Returns how many there were.
pub(super) fn apply(tape: &mut Tape) -> usize {
    let mut n_rewritten = 0;
    let mut ix = 0;
    while ix < tape.nodes().len() {
        if let Some((pool_ix, fused)) = find(tape, ix) {
            let inputs = tape.nodes()[ix].inputs.clone();
            let outputs: Vec<_> = tape.nodes()[pool_ix].outputs.iter().copied().map(Some).collect();
            tape.replace(&[ix, pool_ix], Arc::new(fused), &inputs, &outputs);
            n_rewritten += 1;
        }
        ix += 1;
    }
    n_rewritten
}

fn find(tape: &Tape, conv_ix: usize) -> Option<(usize, Conv2dForward)> {
    let conv_node = &tape.nodes()[conv_ix];
    let conv = (&*conv_node.op as &dyn Any).downcast_ref::<Conv2dForward>()?;
    let y = conv_node.outputs[0];
    if conv.pool.is_some() || conv.has_bias || tape.value(y).keep || tape.n_readers(y) != 1 {
        return None;
    }
    let pool_ix = tape.nodes().iter().position(|n| n.inputs.first() == Some(&y))?;
    let pool = (&*tape.nodes()[pool_ix].op as &dyn Any).downcast_ref::<MaxPool2d>()?;
    let window = pool.window;
    let tiles = window.stride == window.size && window.padding == [0, 0];
    tiles.then(|| (pool_ix, Conv2dForward { pool: Some(window.size), ..conv.clone() }))
}
