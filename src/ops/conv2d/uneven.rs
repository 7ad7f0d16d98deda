//! Convolutions with uneven groups, whose numbers of channels are not multiples of 4, such as 8 groups of 25 channels.
//!
//! A vector of four neighbouring channels would have channels of two groups. So each group is padded with channels of
//! zeros, to a multiple of 4. The fast kernels compute the padded convolution; it has the same sums, and terms of zero.
//! `shaders/conv2d/pad_groups.wgsl` copies the operands to padded scratch buffers, and `unpad_groups.wgsl` the result
//! back.

use super::ConvGeometry;
use crate::kernel::{Binding, Launch, Shader, grid};

/// Largest padded copy, in bytes: every WebGPU adapter guarantees buffer bindings of this size.
const MAX_PADDED_BYTES: usize = 128 << 20;

/// Returns the numbers of input and output channels of a padded group. Groups of at most 4 channels are padded to 4, and
/// the kernels for narrow groups compute them.
fn padded(channels: [usize; 2]) -> [usize; 2] {
    channels.map(|n| n.next_multiple_of(4))
}

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
    /// Returns x, or its gradient.
    pub fn x(g: &ConvGeometry) -> Self {
        Self::pixels(g, g.n * g.plane[0] * g.plane[1], 0)
    }

    /// Returns y, or its gradient.
    pub fn y(g: &ConvGeometry) -> Self {
        Self::pixels(g, g.n_pixels(), 1)
    }

    /// Returns the bias, a number for each channel of y.
    pub fn bias(g: &ConvGeometry) -> Self {
        Self::pixels(g, 1, 1)
    }

    /// Returns `n` pixels of x, for `side` 0, or of y.
    fn pixels(g: &ConvGeometry, n: usize, side: usize) -> Self {
        let exact = [g.ci_per_group(), g.co_per_group()];
        let [exact, padded] = [exact, padded(exact)].map(|channels| [1, channels[side]]);
        Self { outer: n, groups: g.groups, exact, padded }
    }

    /// Returns the weight, `[KH · KW, Ci/groups, groups, Co/groups]`.
    pub fn weight(g: &ConvGeometry) -> Self {
        let exact = [g.ci_per_group(), g.co_per_group()];
        Self { outer: g.window.area(), groups: g.groups, exact, padded: padded(exact) }
    }

    /// Returns the number of elements of the padded tensor.
    fn n_padded(&self) -> usize {
        let [rows, columns] = self.padded;
        self.outer * rows * self.groups * columns
    }

    /// Appends the dispatch of a shader that copies the tensor between the two sizes.
    fn copy(&self, launch: Launch, path: &'static str, buffers: [Binding; 2]) -> Launch {
        let [[rows, columns], [padded_rows, padded_columns]] = [self.exact, self.padded];
        let shader = Shader::new(path).constants(&[
            ("GROUPS", self.groups),
            ("ROWS", rows),
            ("COLUMNS", columns),
            ("PADDED_ROWS", padded_rows),
            ("PADDED_COLUMNS", padded_columns),
        ]);
        launch.then(shader, &buffers, grid(self.n_padded() / 4))
    }
}

impl ConvGeometry {
    /// Returns true if the fast kernels need padded groups.
    pub fn is_uneven(&self) -> bool {
        let sizes = [self.ci_per_group(), self.co_per_group()];
        self.groups > 1 && !self.is_narrow() && sizes.iter().any(|size| !size.is_multiple_of(4))
    }

    /// Returns the convolution with padded groups. Returns `None` if the groups are not uneven, or if they have a fused
    /// pool, or if a copy would exceed [`MAX_PADDED_BYTES`].
    pub(super) fn with_padded_groups(&self) -> Option<Self> {
        let [ci, co] = padded([self.ci_per_group(), self.co_per_group()]);
        let padded = Self { ci: self.groups * ci, co: self.groups * co, ..*self };
        let copies = [Regrouped::x, Regrouped::y, Regrouped::weight].map(|copy| copy(self));
        let fits = |copy: &Regrouped| copy.n_padded() * size_of::<f32>() <= MAX_PADDED_BYTES;
        let is_padded = self.is_uneven() && self.rows_per_pixel() == 1;
        (is_padded && copies.iter().all(fits)).then_some(padded)
    }
}

/// Returns the launch that computes a node from padded copies of its inputs. `padded` is the launch with padded groups,
/// `inputs` the inputs' tensors in their order, and `output` the tensor of the first output.
pub(super) fn launch(padded: Launch, inputs: &[Regrouped], output: Regrouped) -> Launch {
    let n_scratch = padded.scratch.len();
    let mut launch = Launch { scratch: padded.scratch, dispatches: Vec::new() };
    for (ix, input) in inputs.iter().enumerate() {
        let buffers = [Binding::Input(ix), Binding::Scratch(n_scratch + ix)];
        launch = launch.with_scratch(input.n_padded());
        launch = input.copy(launch, "conv2d/pad_groups", buffers);
    }
    let result = Binding::Scratch(n_scratch + inputs.len());
    launch = launch.with_scratch(output.n_padded());
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
    output.copy(launch, "conv2d/unpad_groups", [result, Binding::Output(0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernels, Target};
    use crate::ops::conv2d::Conv2d;

    /// The largest copies that fit have 33,554,432 elements.
    #[test]
    fn naive_kernels_compute_groups_whose_padded_copies_are_too_large_to_bind() {
        let target = Target::new(Kernels::Default);
        let is_naive = |side: usize, ci_per_group: usize, co_per_group: usize| {
            let conv = Conv2d { groups: 2, ..Conv2d::square(3, 1, 1) };
            let x = [1, side, side, 2 * ci_per_group];
            let weight = [3, 3, ci_per_group, 2 * co_per_group];
            ConvGeometry::new(&conv, None, &x, &weight).is_naive(&target)
        };
        // x and y: 1448 · 1448 · 2 · 8 elements, and 1449 · 1449 · 2 · 8.
        assert_eq!([is_naive(1448, 7, 5), is_naive(1449, 7, 5)], [false, true]);
        // x alone: 512 · 512 · 2 · 64, and 512 · 512 · 2 · 68. The same for y.
        assert_eq!([is_naive(512, 57, 5), is_naive(512, 65, 5)], [false, true]);
        assert_eq!([is_naive(512, 5, 57), is_naive(512, 5, 65)], [false, true]);
        // The weight: 9 · 1360 · 2 · 1360, and 9 · 1368 · 2 · 1368.
        assert_eq!([is_naive(3, 1357, 1357), is_naive(3, 1365, 1365)], [false, true]);
    }
}
