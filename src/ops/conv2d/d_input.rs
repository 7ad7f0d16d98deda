//! The gradient of a convolution's input.

use super::{Conv2d, Geometry, TILE_CHANNELS, TILE_PIXELS, by_fours};
use crate::ops::{Binding, Kernels, Launch, Op, OutputSpec, Shader, Target, grid};
use crate::tape::{NodeIo, Value};

/// `weight, d_y[, index] -> d_x`; with a pool, `d_y` is the gradient of the pooled output.
#[derive(Clone, Debug)]
pub struct Conv2dDInput {
    /// Kernel, stride, padding, groups.
    pub conv: Conv2d,
    /// The window of the fused max pool.
    pub pool: Option<[usize; 2]>,
    /// `[N, H, W, Ci]`.
    pub x_shape: [usize; 4],
}

impl Conv2dDInput {
    pub(super) fn geometry(&self, weight: &[usize], d_y: &[usize]) -> Geometry {
        let g = Geometry::new(&self.conv, self.pool, &self.x_shape, weight);
        let expected = [g.n, g.pooled[0], g.pooled[1], g.co];
        assert_eq!(d_y, expected, "conv2d: the gradient of y is {d_y:?}, and y {expected:?}");
        g
    }
}

impl Op for Conv2dDInput {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.d_input" } else { "conv2d.d_input" }
    }

    fn attributes(&self) -> String {
        Geometry::attributes(&self.conv, self.pool)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.geometry(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("conv.d_input", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.geometry(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        let mut bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        if self.pool.is_some() {
            bindings.push(Binding::Input(2));
        }
        if target.kernels == Kernels::Naive || g.groups != 1 {
            let shader = with_d_output(g.shader("conv2d/d_input_naive"), self.pool);
            return Launch::one(shader, &bindings, grid(io.output(0).n_elements()));
        }
        let load_weight_row =
            by_fours(g.co, "conv2d/load_weight_row_vec4", "conv2d/load_weight_row_scalar");
        let store_d_x = by_fours(g.ci, "conv2d/store_d_x_vec4", "conv2d/store_d_x_scalar");
        let shader = with_d_output4(g.shader("conv2d/d_input"), self.pool, g.co)
            .import("load_weight_row", load_weight_row)
            .import("store_d_x", store_d_x);
        let [x, y, _] = grid((g.n * g.plane[0] * g.plane[1]).div_ceil(TILE_PIXELS));
        Launch::one(shader, &bindings, [x, y, g.ci.div_ceil(TILE_CHANNELS) as u32])
    }
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
