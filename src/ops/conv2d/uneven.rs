//! Convolutions with uneven groups, whose numbers of channels are not multiples of 4, such as 8 groups of 25 channels.
//!
//! A vector of four neighbouring channels would have channels of two groups. So each group is padded with channels of
//! zeros, to a multiple of 4. The fast kernels compute the padded convolution; it has the same sums, and terms of zero.
//! `shaders/conv2d/regroup.wgsl` copies the operands to padded scratch buffers, and the result back.

use super::ConvGeometry;
use crate::kernel::{Binding, Launch, Shader, grid};

/// Largest padded copy, in bytes: every WebGPU adapter guarantees buffer bindings of this size.
pub(super) const MAX_PADDED_BYTES: usize = 128 << 20;

/// A tensor `[outer, rows, groups, columns]`, whose rows and columns are padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Regrouped {
    outer: usize,
    groups: usize,
    /// Rows and columns without padding.
    exact: [usize; 2],
    /// Rows and columns with padding.
    padded: [usize; 2],
}

impl Regrouped {
    /// Returns `n` pixels, or a vector of one number a channel, with `channels` channels in each group.
    pub fn pixels(g: &ConvGeometry, n: usize, channels: usize) -> Self {
        let padded = channels.next_multiple_of(4);
        Self { outer: n, groups: g.groups, exact: [1, channels], padded: [1, padded] }
    }

    /// Returns the weight, `[KH · KW, Ci/groups, groups, Co/groups]`.
    pub fn weight(g: &ConvGeometry) -> Self {
        let exact = [g.ci_per_group(), g.co_per_group()];
        let padded = exact.map(|channels| channels.next_multiple_of(4));
        Self { outer: g.window.area(), groups: g.groups, exact, padded }
    }

    fn n_elements(&self, [rows, columns]: [usize; 2]) -> usize {
        self.outer * rows * self.groups * columns
    }

    /// Appends the dispatch that copies the tensor from sizes to other sizes.
    fn copy(&self, launch: Launch, buffers: [Binding; 2], sizes: [[usize; 2]; 2]) -> Launch {
        let [[rows, columns], [to_rows, to_columns]] = sizes;
        let numbers = [self.groups, rows, columns, to_rows, to_columns].map(Binding::size);
        let bindings: Vec<_> = buffers.into_iter().chain(numbers).collect();
        let shader = Shader::new("conv2d/regroup");
        launch.then(shader, &bindings, grid(self.n_elements(sizes[1])))
    }
}

impl ConvGeometry {
    /// Returns the convolution with padded groups; `None` if the groups need no padding.
    pub fn with_padded_groups(&self) -> Option<Self> {
        let sizes = [self.ci_per_group(), self.co_per_group()];
        let fit = sizes.iter().all(|size| size.is_multiple_of(4));
        if self.groups == 1 || self.is_narrow() || fit {
            return None;
        }
        let [ci, co] = sizes.map(|size| self.groups * size.next_multiple_of(4));
        Some(Self { ci, co, ..*self })
    }
}

/// Returns the launch that computes a node from padded copies of its inputs. `padded` is the launch with padded groups,
/// `inputs` the inputs' tensors in their order, and `output` the tensor of the first output.
pub(super) fn launch(padded: Launch, inputs: &[Regrouped], output: Regrouped) -> Launch {
    let n_scratch = padded.scratch.len();
    let mut launch = Launch { scratch: padded.scratch, dispatches: Vec::new() };
    for (ix, input) in inputs.iter().enumerate() {
        let buffers = [Binding::Input(ix), Binding::Scratch(n_scratch + ix)];
        launch = launch.with_scratch(input.n_elements(input.padded));
        launch = input.copy(launch, buffers, [input.exact, input.padded]);
    }
    let result = Binding::Scratch(n_scratch + inputs.len());
    launch = launch.with_scratch(output.n_elements(output.padded));
    for mut dispatch in padded.dispatches {
        for binding in &mut dispatch.bindings {
            match *binding {
                Binding::Input(ix) => *binding = Binding::Scratch(n_scratch + ix),
                Binding::Output(0) => *binding = result,
                _ => {}
            }
        }
        launch.dispatches.push(dispatch);
    }
    output.copy(launch, [result, Binding::Output(0)], [output.padded, output.exact])
}
