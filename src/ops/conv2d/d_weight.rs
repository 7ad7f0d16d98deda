//! The gradient of a convolution's weight.

use super::d_input::{with_d_output, with_d_output4};
use super::{Conv2d, Geometry, TILE_CHANNELS, by_fours};
use crate::ops::launch::WORKGROUP_SIZE;
use crate::ops::{Binding, Kernels, Launch, Op, OutputSpec, Shader, Target, grid};
use crate::tape::{NodeIo, Value};

/// `x, d_y[, index] -> d_weight`; with a pool, `d_y` is the gradient of the pooled output.
#[derive(Clone, Debug)]
pub struct Conv2dDWeight {
    /// Kernel, stride, padding, groups.
    pub conv: Conv2d,
    /// The window of the fused max pool.
    pub pool: Option<[usize; 2]>,
    /// `[KH, KW, Ci/groups, Co]`.
    pub weight_shape: [usize; 4],
}

/// Pixels that a slab has at least; fewer would make the second half of the sum the longer one.
const MIN_PIXELS_PER_SLAB: usize = 512;
/// Elements that the slabs' partial sums have at most: 16 MiB.
const MAX_PARTIALS: usize = 1 << 22;

/// How many slabs the pixels are cut into: a function of the shape alone, so that the order of the sum
/// is the same on every adapter.
fn n_slabs(n_pixels: usize, n_weights: usize) -> usize {
    let by_memory = (MAX_PARTIALS / n_weights).max(1);
    n_pixels.div_ceil(MIN_PIXELS_PER_SLAB).min(by_memory)
}

impl Conv2dDWeight {
    pub(super) fn geometry(&self, x: &[usize], d_y: &[usize]) -> Geometry {
        let g = Geometry::new(&self.conv, self.pool, x, &self.weight_shape);
        let expected = [g.n, g.pooled[0], g.pooled[1], g.co];
        assert_eq!(d_y, expected, "conv2d: the gradient of y is {d_y:?}, and y {expected:?}");
        g
    }
}

impl Op for Conv2dDWeight {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.d_weight" } else { "conv2d.d_weight" }
    }

    fn attributes(&self) -> String {
        Geometry::attributes(&self.conv, self.pool)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.geometry(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("conv.d_weight", &self.weight_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.geometry(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        let n_weights = io.output(0).n_elements();
        let bind = |output| {
            let mut bindings = vec![Binding::Input(0), Binding::Input(1), output];
            if self.pool.is_some() {
                bindings.push(Binding::Input(2));
            }
            bindings
        };
        if target.kernels == Kernels::Naive || g.groups != 1 {
            let shader = with_d_output(g.shader("conv2d/d_weight_naive"), self.pool);
            return Launch::one(shader, &bind(Binding::Output(0)), grid(n_weights));
        }
        let n_slabs = n_slabs(g.n_pixels(), n_weights);
        let shader = with_d_output4(g.shader("conv2d/d_weight"), self.pool, g.co)
            .import("load_x", by_fours(g.ci, "conv2d/load_x_vec4", "conv2d/load_x_scalar"))
            .constant("PIXELS_PER_SLAB", g.n_pixels().div_ceil(n_slabs));
        let n_blocks = g.window.area() * g.ci.div_ceil(4);
        let workgroups = [
            n_blocks.div_ceil(WORKGROUP_SIZE) as u32,
            n_slabs as u32,
            g.co.div_ceil(TILE_CHANNELS) as u32,
        ];
        if n_slabs == 1 {
            return Launch::one(shader, &bind(Binding::Output(0)), workgroups);
        }
        let sum = Shader::new("shared/sum_slabs").constant("N_SLABS", n_slabs);
        Launch::default()
            .with_scratch(n_slabs * n_weights)
            .then(shader, &bind(Binding::Scratch(0)), workgroups)
            .then(sum, &[Binding::Scratch(0), Binding::Output(0)], grid(n_weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_are_few_for_large_weights_and_many_for_small_ones() {
        assert_eq!(n_slabs(8192, 9 * 512 * 512), 1);
        assert_eq!(n_slabs(524_288, 9 * 64 * 128), 56);
        assert_eq!(n_slabs(524_288, 9 * 3 * 64), 1024);
        assert_eq!(n_slabs(100, 10), 1);
    }
}
