//! Fuses a `conv2d` and the `max_pool2d` after it into one op.
//!
//! At width 64 and batch size 512, the tensor between the convolution and the pool of `layer1` (ResNet-9) takes 256
//! MiB, and its gradient takes another 256 MiB. The pooled tensor and the indices of the maxima take 64 MiB each. For
//! each pooling window, a fused kernel keeps the results of the convolution in registers and stores only their maximum.
//! In the backward pass, the kernels read the pooled gradient and place each element at the saved index.

use std::sync::Arc;

use crate::ops::Pool;
use crate::ops::conv2d::Conv2dForward;
use crate::ops::max_pool2d::MaxPool2d;
use crate::tape::Rewriter;

/// Fuses every convolution without bias with the max pool that reads its output, if no other node reads the output and
/// the pool's windows have no overlap, no gaps and no padding, and lie inside the plane. A window of one pixel stays a
/// node of its own: [`ConvGeometry`](crate::ops::conv2d) has a 1x1 pool in place of none. Returns the number of rewrites.
pub(super) fn apply(tape: &mut Rewriter<'_>) -> usize {
    let mut n_rewritten = 0;
    for ix in 0..tape.n_nodes() {
        if let Some((pool_ix, fused)) = find(tape, ix) {
            let [conv, pool] = [ix, pool_ix].map(|ix| tape.node(ix).expect("found").clone());
            let outputs: Vec<_> = pool.outputs.into_iter().map(Some).collect();
            tape.replace(&[ix, pool_ix], Arc::new(fused), &conv.inputs, &outputs);
            n_rewritten += 1;
        }
    }
    n_rewritten
}

fn find(tape: &Rewriter<'_>, conv_ix: usize) -> Option<(usize, Conv2dForward)> {
    let conv: &Conv2dForward = tape.op(conv_ix)?;
    if conv.pool.is_some() || conv.has_bias {
        return None;
    }
    let pool_ix = tape.only_reader::<MaxPool2d>(tape.node(conv_ix)?.outputs[0])?;
    let Pool { window, ceil_mode } = tape.op::<MaxPool2d>(pool_ix)?.pool;
    let tiles = window.stride == window.size && window.padding == [0, 0] && !ceil_mode;
    let fuses = tiles && window.area() > 1;
    fuses.then(|| (pool_ix, Conv2dForward { pool: Some(window.size), ..conv.clone() }))
}
