//! How kernels read the gradient of what a convolution made: as it is, or from behind a max pool.

use super::{Geometry, by_fours};
use crate::kernel::{Binding, Launch, Shader, grid};

/// Up to this size, a register tile has the pooled gradient put where the index points before it starts: it uses
/// every number that it reads a few times only, so reading through the index would cost more than the multiplications.
/// The binding that every WebGPU adapter has.
const MAX_UNPOOLED_BYTES: usize = 128 << 20;

/// Adds to a launch what puts the pooled gradient (input 1) where the index (input 2) points, into scratch memory;
/// `None` without a pool, and where that memory would be too large.
pub(super) fn unpool(
    g: &Geometry,
    pool: Option<[usize; 2]>,
    launch: &mut Launch,
) -> Option<Binding> {
    let size = pool?;
    let n_unpooled = g.n_pixels() * g.co;
    if 4 * n_unpooled > MAX_UNPOOLED_BYTES {
        return None;
    }
    let unpooled = Binding::Scratch(launch.scratch.len());
    let bindings = [Binding::Input(1), Binding::Input(2), unpooled];
    let n_windows = g.n * g.out[0].div_ceil(size[0]) * g.out[1].div_ceil(size[1]);
    let shader = g.shader("conv2d/unpool");
    let launched = std::mem::take(launch).with_scratch(n_unpooled);
    *launch = launched.then(shader, &bindings, grid(n_windows * g.co));
    Some(unpooled)
}

/// Chooses how a naive kernel reads the output's gradient.
pub(super) fn with_d_output(shader: Shader, pool: Option<[usize; 2]>) -> Shader {
    let file = match pool {
        None => "conv2d/d_output_plain",
        Some(_) => "conv2d/d_output_pooled",
    };
    shader.import("d_output", file)
}

/// Chooses how a tiled kernel reads the output's gradient, four channels at a time.
pub(super) fn with_d_output4(shader: Shader, pool: Option<[usize; 2]>, co: usize) -> Shader {
    let file = match pool {
        None => by_fours(co, "conv2d/d_output4_plain_vec4", "conv2d/d_output4_plain_scalar"),
        Some(_) => by_fours(co, "conv2d/d_output4_pooled_vec4", "conv2d/d_output4_pooled_scalar"),
    };
    shader.import("d_output4", file)
}
