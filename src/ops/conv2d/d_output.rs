//! The bindings of the backward kernels, and the shader imports with which they read the gradient of the output:
//! directly, or through the index of a fused max pool.

use super::{ConvGeometry, by_fours};
use crate::kernel::{Binding, Launch, Shader, grid};

/// For a register tile, a separate dispatch unpools the gradient: it writes the gradient to the pixels before the pool.
/// The constant limits the size of the result, in bytes: every WebGPU adapter guarantees buffer bindings of this size.
/// A register tile uses each number only a few times, so reads through the index would cost more than the
/// multiplications.
const MAX_UNPOOLED_BYTES: usize = 128 << 20;

/// Returns the buffers that every kernel of a gradient binds, in the order of the bindings.
pub(super) fn bindings(pool: Option<[usize; 2]>) -> Vec<Binding> {
    let mut bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
    bindings.extend(pool.map(|_| Binding::Input(2)));
    bindings
}

/// Appends the dispatch that unpools the gradient: it writes each number of the pooled gradient (input 1) to the pixel
/// of the maximum (index, input 2) in a scratch buffer, and zeros to the other pixels. Returns the scratch buffer;
/// `None` without a pool, or if the buffer would be larger than [`MAX_UNPOOLED_BYTES`].
pub(super) fn unpool(
    g: &ConvGeometry,
    pool: Option<[usize; 2]>,
    launch: &mut Launch,
) -> Option<Binding> {
    pool?;
    let n_unpooled = g.n_pixels() * g.co;
    if 4 * n_unpooled > MAX_UNPOOLED_BYTES {
        return None;
    }
    let unpooled = Binding::Scratch(launch.scratch.len());
    let bindings = [Binding::Input(1), Binding::Input(2), unpooled];
    let launched = std::mem::take(launch).with_scratch(n_unpooled);
    *launch = unpool_images(g, launched, bindings);
    Some(unpooled)
}

/// Appends the dispatch of [`unpool`], with the bindings of the pooled gradient, of the index and of the result.
pub(super) fn unpool_images(g: &ConvGeometry, launch: Launch, bindings: [Binding; 3]) -> Launch {
    let [window_h, window_w] = g.pool;
    let n_windows = g.n * g.out[0].div_ceil(window_h) * g.out[1].div_ceil(window_w);
    launch.then(g.shader("conv2d/unpool"), &bindings, grid(n_windows * g.co))
}

/// Adds to the shader the import with which a naive kernel reads the gradient of the output.
pub(super) fn with_d_output(shader: Shader, pool: Option<[usize; 2]>) -> Shader {
    let file = match pool {
        None => "conv2d/d_output_plain",
        Some(_) => "conv2d/d_output_pooled",
    };
    shader.import("d_output", file)
}

/// Adds to the shader the import with which a tiled kernel reads the gradient of the output, four channels at a time.
pub(super) fn with_d_output4(shader: Shader, pool: Option<[usize; 2]>, co: usize) -> Shader {
    let file = match pool {
        None => by_fours(co, "conv2d/d_output4_plain_vec4", "conv2d/d_output4_plain_scalar"),
        Some(_) => by_fours(co, "conv2d/d_output4_pooled_vec4", "conv2d/d_output4_pooled_scalar"),
    };
    shader.import("d_output4", file)
}
