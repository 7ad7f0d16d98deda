//! Fuses a `conv2d` and the `max_pool2d` after it into one op.
//!
//! At width 64 and batch size 512, the tensor between the convolution and the pool of `layer1` (ResNet-9) takes 256
//! MiB, and its gradient takes another 256 MiB. The pooled tensor and the indices of the maxima take 64 MiB each. For
//! each pooling window, a fused kernel keeps the results of the convolution in registers and stores only their maximum.
//! In the backward pass, the kernels read the pooled gradient and place each element at the saved index.

use std::any::Any;
use std::sync::Arc;

use crate::ops::Pool;
use crate::ops::conv2d::Conv2dForward;
use crate::ops::max_pool2d::MaxPool2d;
use crate::tape::Tape;

/// Fuses every convolution without bias with the max pool that reads its output, if no other node reads the output and
/// the pool's windows have no overlap, no gaps and no padding, and lie inside the plane. Returns the number of rewrites.
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
    let Pool { window, ceil_mode } = pool.pool;
    let tiles = window.stride == window.size && window.padding == [0, 0] && !ceil_mode;
    tiles.then(|| (pool_ix, Conv2dForward { pool: Some(window.size), ..conv.clone() }))
}
