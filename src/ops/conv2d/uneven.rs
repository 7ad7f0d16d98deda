//! Convolutions with uneven groups, whose numbers of channels are not multiples of 4, such as 8 groups of 25 channels.
//!
//! A vector of four neighbouring channels would have channels of two groups. So each group is padded with channels of
//! zeros, to a multiple of 4. The fast kernels compute the padded convolution; it has the same sums, and terms of zero.
//! `shaders/conv2d/pad_groups.wgsl` copies the operands to padded scratch buffers, and `unpad_groups.wgsl` the result
//! back. With many images, a launch computes some of them at a time, a chunk, and all chunks use the same scratch memory.

use std::ops::Range;

use super::ConvGeometry;
use crate::kernel::{Binding, Launch, Shader, Span, grid};

/// Largest padded copy of a chunk, in bytes: every WebGPU adapter guarantees buffer bindings of this size.
const MAX_PADDED_BYTES: usize = 128 << 20;

/// Returns the numbers of input and output channels of a padded group. Groups of at most 4 channels are padded to 4, and
/// the kernels for narrow groups compute them.
fn padded(channels: [usize; 2]) -> [usize; 2] {
    channels.map(|n| n.next_multiple_of(4))
}

/// A tensor of a convolution, or the gradient of the tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tensor {
    X,
    Weight,
    Bias,
    Y,
}

impl Tensor {
    /// Returns true if the tensor has numbers for each image.
    fn has_images(self) -> bool {
        matches!(self, Self::X | Self::Y)
    }

    /// Returns the index of the first element of images from `first_image` on; 0 for a tensor without images. `g` may
    /// have any number of images.
    fn first_of(self, g: &ConvGeometry, first_image: usize) -> usize {
        let image = ConvGeometry { n: 1, ..*g };
        if self.has_images() { first_image * self.regrouped(&image).n_exact() } else { 0 }
    }

    /// Returns the tensor with its two sizes of groups.
    fn regrouped(self, g: &ConvGeometry) -> Regrouped {
        let exact @ [ci, co] = [g.ci_per_group(), g.co_per_group()];
        let padded @ [padded_ci, padded_co] = padded(exact);
        let groups = g.groups;
        let channels = |outer, exact, padded| {
            let [exact, padded] = [[1, exact], [1, padded]];
            Regrouped { outer, groups, exact, padded }
        };
        match self {
            Self::X => channels(g.n * g.plane[0] * g.plane[1], ci, padded_ci),
            // [KH · KW, Ci/groups, groups, Co/groups]
            Self::Weight => Regrouped { outer: g.window.area(), groups, exact, padded },
            Self::Bias => channels(1, co, padded_co),
            Self::Y => channels(g.n_pixels(), co, padded_co),
        }
    }
}

/// A tensor `[outer, rows, groups, columns]`, whose rows and columns are padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Regrouped {
    outer: usize,
    groups: usize,
    /// Rows and columns without padding.
    exact: [usize; 2],
    /// Rows and columns with padding.
    padded: [usize; 2],
}

impl Regrouped {
    /// Returns the number of elements without padding.
    fn n_exact(&self) -> usize {
        let [rows, columns] = self.exact;
        self.outer * rows * self.groups * columns
    }

    /// Returns the number of elements of the padded tensor.
    fn n_padded(&self) -> usize {
        let [rows, columns] = self.padded;
        self.outer * rows * self.groups * columns
    }

    /// Returns true if the padded tensor has at most [`MAX_PADDED_BYTES`].
    fn fits(&self) -> bool {
        self.n_padded() * size_of::<f32>() <= MAX_PADDED_BYTES
    }

    /// Returns the binding of the padded tensor at the start of a scratch buffer.
    fn in_scratch(&self, ix: usize) -> Binding {
        Binding::ScratchPart(ix, Span { start: 0, end: self.n_padded() })
    }

    /// Appends the dispatch of a shader that copies the tensor between the two sizes. Without padding, the tensor begins
    /// at the element `first` of its buffer.
    fn copy(
        &self,
        launch: Launch,
        path: &'static str,
        buffers: [Binding; 2],
        first: usize,
    ) -> Launch {
        let [[rows, columns], [padded_rows, padded_columns]] = [self.exact, self.padded];
        let shader = Shader::new(path).constants(&[
            ("GROUPS", self.groups),
            ("ROWS", rows),
            ("COLUMNS", columns),
            ("PADDED_ROWS", padded_rows),
            ("PADDED_COLUMNS", padded_columns),
        ]);
        let [from, to] = buffers;
        launch.then(shader, &[from, to, Binding::size(first)], grid(self.n_padded() / 4))
    }
}

impl ConvGeometry {
    /// Returns true if the fast kernels need padded groups.
    pub fn is_uneven(&self) -> bool {
        let sizes = [self.ci_per_group(), self.co_per_group()];
        self.groups > 1 && !self.is_narrow() && sizes.iter().any(|size| !size.is_multiple_of(4))
    }

    /// Returns the convolution with padded groups. Returns `None` if the groups are not uneven, or if they have a fused
    /// pool, or if a buffer would have more than [`MAX_PADDED_BYTES`]: the padded weight, the padded x or y of one image, or
    /// the partial sums of the weight's gradient.
    pub(super) fn with_padded_groups(&self) -> Option<Self> {
        let [ci, co] = padded([self.ci_per_group(), self.co_per_group()]);
        let padded = Self { ci: self.groups * ci, co: self.groups * co, ..*self };
        let image = Self { n: 1, ..*self };
        let copies = [Tensor::X, Tensor::Weight, Tensor::Y].map(|it| it.regrouped(&image));
        let is_padded = self.is_uneven() && self.rows_per_pixel() == 1;
        let fit = is_padded && copies.iter().all(Regrouped::fits) && {
            let n_sums = chunks(self).count() * Tensor::Weight.regrouped(self).n_exact();
            n_sums * size_of::<f32>() <= MAX_PADDED_BYTES
        };
        fit.then_some(padded)
    }
}

/// Returns the chunks of images of a convolution with uneven groups, whose padded x and y of one image fit. They depend on
/// the shape alone, so every adapter adds in the same order. All have the same number of images if at most twice as many
/// chunks as necessary allow it, because each size needs its own pipelines. Otherwise the last chunk has fewer.
fn chunks(g: &ConvGeometry) -> impl Iterator<Item = Range<usize>> {
    let image = ConvGeometry { n: 1, ..*g };
    let [x, y] = [Tensor::X, Tensor::Y].map(|it| it.regrouped(&image).n_padded());
    let most = MAX_PADDED_BYTES / (size_of::<f32>() * x.max(y));
    let (n, least) = (g.n, g.n.div_ceil(most));
    let count = (least..=2 * least).find(|count| n.is_multiple_of(*count)).unwrap_or(least);
    let each = n.div_ceil(count);
    (0..n).step_by(each).map(move |first| first..(first + each).min(n))
}

/// Returns the launch that computes a node from padded copies of its inputs, one chunk of images after another. `inputs`
/// are the inputs' tensors in their order, and `output` is that of the first output. `fast` returns the launch of the fast
/// kernels for a geometry with padded groups.
///
/// # Panics
/// If `fast` binds an input that is not in `inputs`.
pub(super) fn launch(
    g: &ConvGeometry,
    inputs: &[Tensor],
    output: Tensor,
    fast: impl Fn(&ConvGeometry) -> Launch,
) -> Launch {
    let chunks: Vec<_> = chunks(g).collect();
    let of_images = |images: &Range<usize>| ConvGeometry { n: images.len(), ..*g };
    // The first chunk has the most images. The copies of later chunks lie in the same buffers.
    let largest = of_images(&chunks[0]);
    let mut launch = Launch::default();
    for tensor in inputs.iter().chain([&output]) {
        launch = launch.with_scratch(tensor.regrouped(&largest).n_padded());
    }
    // The gradient of the weight is a sum over all images, so each of several chunks has a partial sum.
    let is_sum = !output.has_images() && chunks.len() > 1;
    let n_made = output.regrouped(g).n_exact();
    let total = if is_sum { Binding::Scratch(launch.scratch.len()) } else { Binding::Output(0) };
    if is_sum {
        launch = launch.with_scratch(chunks.len() * n_made);
    }
    let n_own = launch.scratch.len();
    for (chunk_ix, images) in chunks.iter().enumerate() {
        let g = of_images(images);
        let first = |tensor: Tensor| tensor.first_of(&g, images.start);
        let mut padded_inputs = Vec::new();
        for (ix, &tensor) in inputs.iter().enumerate() {
            let copy = tensor.regrouped(&g);
            padded_inputs.push(copy.in_scratch(ix));
            if chunk_ix == 0 || tensor.has_images() {
                let buffers = [Binding::Input(ix), copy.in_scratch(ix)];
                launch = copy.copy(launch, "conv2d/pad_groups", buffers, first(tensor));
            }
        }
        let copy = output.regrouped(&g);
        let result = copy.in_scratch(inputs.len());
        let padded = fast(&g.with_padded_groups().expect("groups to pad"));
        append(&mut launch, n_own, padded, &padded_inputs, result);
        let first = if is_sum { chunk_ix * n_made } else { first(output) };
        launch = copy.copy(launch, "conv2d/unpad_groups", [result, total], first);
    }
    if is_sum {
        let bindings = [total, Binding::Output(0), Binding::size(chunks.len())];
        launch = launch.then(Shader::new("shared/sum_partials"), &bindings, grid(n_made));
    }
    launch
}

/// Appends the dispatches of `padded` with `inputs` and `result` in place of the node's inputs and first output. Its
/// scratch buffers begin at the number `n_own`; the launches of all chunks use the same ones.
fn append(launch: &mut Launch, n_own: usize, padded: Launch, inputs: &[Binding], result: Binding) {
    for (ix, bytes) in padded.scratch.into_iter().enumerate() {
        match launch.scratch.get_mut(n_own + ix) {
            Some(shared) => *shared = bytes.max(*shared),
            None => launch.scratch.push(bytes),
        }
    }
    for mut dispatch in padded.dispatches {
        for binding in &mut dispatch.bindings {
            *binding = match *binding {
                Binding::Input(ix) => *inputs
                    .get(ix)
                    .unwrap_or_else(|| panic!("conv2d: input {ix} has no copy with padded groups")),
                Binding::Output(0) => result,
                Binding::Scratch(ix) => Binding::Scratch(n_own + ix),
                Binding::ScratchPart(ix, span) => Binding::ScratchPart(n_own + ix, span),
                other => other,
            }
        }
        launch.dispatches.push(dispatch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernels, Target};
    use crate::ops::conv2d::Conv2d;

    fn geometry(n: usize, side: usize, ci_per_group: usize, co_per_group: usize) -> ConvGeometry {
        let conv = Conv2d { groups: 2, ..Conv2d::square(3, 1, 1) };
        let weight = [3, 3, ci_per_group, 2 * co_per_group];
        ConvGeometry::new(&conv, None, &[n, side, side, 2 * ci_per_group], &weight)
    }

    /// The largest copies that fit have 33,554,432 elements.
    #[test]
    fn naive_kernels_compute_groups_whose_padded_copies_are_too_large_to_bind() {
        let target = Target::new(Kernels::Default);
        let is_naive = |side: usize, ci_per_group: usize, co_per_group: usize| {
            geometry(2, side, ci_per_group, co_per_group).is_naive(&target)
        };
        // x and y of an image: 1448 · 1448 · 2 · 8 elements, and 1449 · 1449 · 2 · 8.
        assert_eq!([is_naive(1448, 7, 5), is_naive(1449, 7, 5)], [false, true]);
        // x alone: 512 · 512 · 2 · 64, and 512 · 512 · 2 · 68. The same for y.
        assert_eq!([is_naive(512, 57, 5), is_naive(512, 65, 5)], [false, true]);
        assert_eq!([is_naive(512, 5, 57), is_naive(512, 5, 65)], [false, true]);
        // The weight: 9 · 1360 · 2 · 1360, and 9 · 1368 · 2 · 1368.
        assert_eq!([is_naive(3, 1357, 1357), is_naive(3, 1365, 1365)], [false, true]);
        // The partial sums of two chunks of four images: 2 · 9 · 997 · 2 · 933, and 2 · 9 · 997 · 2 · 935.
        let with_sums = |co_per_group: usize| geometry(8, 64, 997, co_per_group).is_naive(&target);
        assert_eq!([with_sums(933), with_sums(935)], [false, true]);
    }

    #[test]
    fn padded_copies_of_a_chunk_fit_a_binding() {
        let sizes = |n, side, ci_per_group, co_per_group| -> Vec<usize> {
            let g = geometry(n, side, ci_per_group, co_per_group);
            chunks(&g).map(|images| images.len()).collect()
        };
        // 8 · 512 · 512 · 2 · 8 elements are the largest copy that fits.
        assert_eq!(sizes(8, 512, 5, 7), [8]);
        assert_eq!(sizes(9, 512, 5, 7), [3; 3], "chunks of equal size");
        assert_eq!(sizes(11, 512, 5, 7), [6, 5], "no number of chunks up to 4 divides 11");
        assert_eq!(sizes(9, 512, 5, 57), [1; 9]);
        assert_eq!(sizes(9, 512, 57, 5), [1; 9]);
        // 585 · 32 · 32 · 2 · 28 elements fit.
        assert_eq!(sizes(585, 32, 25, 25), [585]);
        assert_eq!(sizes(586, 32, 25, 25), [293, 293]);
    }

    #[test]
    fn chunks_begin_where_their_images_begin() {
        let g = geometry(9, 512, 5, 7);
        assert_eq!(Tensor::X.first_of(&g, 5), 5 * 512 * 512 * 10);
        assert_eq!(Tensor::Y.first_of(&g, 5), 5 * 512 * 512 * 14);
        assert_eq!(Tensor::Weight.first_of(&g, 5), 0);
    }

    #[test]
    #[should_panic(expected = "input 2 has no copy")]
    fn a_kernel_binds_only_inputs_with_copies() {
        let fast = |_: &ConvGeometry| {
            Launch::one(Shader::new("conv2d/forward"), &[Binding::Input(2)], [1; 3])
        };
        launch(&geometry(1, 4, 5, 5), &[Tensor::X, Tensor::Weight], Tensor::Y, fast);
    }
}
