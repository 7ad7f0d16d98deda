//! The launches of Winograd's algorithm on a GPU: transforms, 16 matrix products as one dispatch, inverse transform.
//!
//! The transformed tiles are four times as large as their tensors. So a launch computes some images at a time, a chunk,
//! and all chunks use the same scratch memory. The chunks change no bit. Shaders: `shaders/conv2d/winograd_*.wgsl`.

use std::ops::Range;

use super::d_output::{unpool_images, with_d_output};
use super::product::Product;
use super::winograd::{Parts, chunks, tiles_of};
use super::{ConvGeometry, by_fours};
use crate::kernel::{Binding, Launch, Shader, Span, Target, grid};

/// The scratch buffer of the transformed kernel, `[16, Ci, Co]`.
const KERNEL: Binding = Binding::Scratch(0);
/// The scratch buffer of the transformed tiles of the source, `[16, tiles, channels]`.
const SOURCE: Binding = Binding::Scratch(1);
/// The scratch buffer of the products, `[16, tiles, channels]`; for `d_weight`, of the transformed tiles of `d_y`.
const PRODUCTS: Binding = Binding::Scratch(2);
/// The scratch buffer of the gradient of the output before a fused pool.
const UNPOOLED: Binding = Binding::Scratch(3);
/// The scratch buffer of the sums of `d_weight`.
const SUMS: usize = 0;

/// Returns the geometry of some images.
fn of_images(g: &ConvGeometry, images: &Range<usize>) -> ConvGeometry {
    ConvGeometry { n: images.len(), ..*g }
}

/// Returns the elements of some images, with `each` elements an image.
fn span(images: &Range<usize>, each: usize) -> Span {
    Span { start: images.start * each, end: images.end * each }
}

/// Returns the number of channels in a scratch buffer.
fn padded(channels: usize) -> usize {
    channels.next_multiple_of(4)
}

/// The number of neighbouring invocations with the same channel in `shaders/conv2d/winograd_by_channels.wgsl`.
const NEIGHBOURS: usize = 16;

/// Adds the constants of `shaders/conv2d/winograd_tiles.wgsl` for tiles in one part.
fn with_tiles(shader: Shader, [tiles_h, tiles_w]: [usize; 2], n_images: usize) -> Shader {
    let n_tiles = n_images * tiles_h * tiles_w;
    shader.constants(&[
        ("N", n_images),
        ("TILES_H", tiles_h),
        ("TILES_W", tiles_w),
        ("PART_TILES", n_tiles),
        ("PART_ROWS", n_tiles),
    ])
}

/// Returns the kernel that transforms tiles of a source, without its import `layout` and the sizes of the tiles.
/// `plane` is `[H, W]` of the source.
fn transform_source(plane: [usize; 2], channels: usize, padding: [usize; 2]) -> Shader {
    Shader::new("conv2d/winograd_source").constants(&[
        ("H", plane[0]),
        ("W", plane[1]),
        ("CI", channels),
        ("PADDING_H", padding[0]),
        ("PADDING_W", padding[1]),
    ])
}

/// The tiles and channels of the forward pass or of the gradient of the input.
struct Correlation<'a> {
    g: &'a ConvGeometry,
    target: &'a Target,
    /// Rows and columns of tiles of the result.
    tiles: [usize; 2],
    /// Number of channels of the source and of the result.
    channels: [usize; 2],
}

impl Correlation<'_> {
    /// Returns the launch. `weight` is the binding of the weight, and `rotated` is true for the gradient of the input.
    /// `source` appends the kernel that transforms the tiles of some images of the source; `result` returns the kernel of
    /// the inverse transform, without the sizes of the tiles, and its bindings after the products. `n_scratch` is the
    /// number of elements for each image of an additional scratch buffer.
    fn launch(
        &self,
        (weight, rotated): (Binding, bool),
        n_scratch: usize,
        source: impl Fn(Launch, &Range<usize>, TransformSource<'_>) -> Launch,
        result: impl Fn(&Range<usize>) -> (Shader, Vec<Binding>),
    ) -> Launch {
        let [from, to] = self.channels.map(padded);
        let [tiles_h, tiles_w] = self.tiles;
        let chunks: Vec<_> = chunks(self.g, self.target).collect();
        let n_images = chunks.iter().map(Range::len).max().expect("a chunk");
        let most = n_images * tiles_h * tiles_w;
        let of_weight = Shader::new("conv2d/winograd_weight")
            .constant("ROTATED", rotated)
            .constants(&[("CI", self.g.ci), ("CO", self.g.co), ("ROWS", from), ("COLUMNS", to)]);
        let mut launch = Launch::default()
            .with_scratch(16 * from * to)
            .with_scratch(16 * most * from)
            .with_scratch(16 * most * to);
        if n_scratch > 0 {
            launch = launch.with_scratch(n_images * n_scratch);
        }
        launch = launch.then(of_weight, &[weight, KERNEL], grid(from * to));
        for images in chunks {
            let n_tiles = images.len() * tiles_h * tiles_w;
            let transform = |launch: Launch, shader, from_buffer| {
                let shader = with_tiles(shader, self.tiles, images.len())
                    .import("layout", "conv2d/winograd_by_tiles")
                    .constant("CHANNELS", from);
                launch.then(shader, &[from_buffer, SOURCE], grid(n_tiles * from))
            };
            launch = source(launch, &images, &transform);
            let product = Product::winograd([n_tiles, to, from]);
            let (shader, workgroups) = product.winograd_shader(self.target, 1);
            launch = launch.then(shader, &[SOURCE, KERNEL, PRODUCTS], workgroups);
            let (shader, bindings) = result(&images);
            let bindings: Vec<_> = [PRODUCTS].into_iter().chain(bindings).collect();
            let store = by_fours(self.channels[1], "conv2d/store_vec4", "conv2d/store_scalar");
            let shader = with_tiles(shader, self.tiles, images.len())
                .import("store_result", store)
                .constants(&[("OUT_CHANNELS", self.channels[1]), ("RESULT_BINDING", 1)]);
            launch = launch.then(shader, &bindings, grid(n_tiles * to / 4));
        }
        launch
    }
}

/// Appends the kernel that [`transform_source`] returns, which reads a buffer.
type TransformSource<'a> = &'a dyn Fn(Launch, Shader, Binding) -> Launch;

/// Returns the inverse transform that stores the pixels of a result `[N, H, W, channels]` without a bias.
fn store_pixels([h, w]: [usize; 2]) -> Shader {
    Shader::new("conv2d/winograd_result")
        .import("rows", "conv2d/rows_tiles")
        .import("epilogue", "conv2d/epilogue_store")
        .constants(&[("OUT_H", h), ("OUT_W", w)])
}

/// Returns the launch of the forward pass, with the bindings of a forward node, without mean and M2.
pub fn forward(g: &ConvGeometry, has_bias: bool, target: &Target) -> Launch {
    let correlation = Correlation { g, target, tiles: tiles_of(g), channels: [g.ci, g.co] };
    let x_image = g.plane[0] * g.plane[1] * g.ci;
    let y_image = g.pooled[0] * g.pooled[1] * g.co;
    let source = |launch, images: &Range<usize>, transform: TransformSource<'_>| {
        let shader = transform_source(g.plane, g.ci, g.window.padding);
        transform(launch, shader, Binding::InputPart(0, span(images, x_image)))
    };
    let result = |images: &Range<usize>| {
        let y = Binding::OutputPart(0, span(images, y_image));
        if g.rows_per_pixel() > 1 {
            let shader = Shader::new("conv2d/winograd_result")
                .import("rows", "conv2d/rows_pooled")
                .import("epilogue", "conv2d/epilogue_pool")
                .constants(&[("POOLED_H", g.pooled[0]), ("POOLED_W", g.pooled[1])])
                .constant("INDEX_BINDING", 2);
            (shader, vec![y, Binding::OutputPart(1, span(images, y_image))])
        } else if has_bias {
            let shader = store_pixels(g.out).import("bias", "conv2d/bias_some");
            let shader = shader.constants(&[("CO", g.co), ("BIAS_BINDING", 2)]);
            (shader, vec![y, Binding::Input(2)])
        } else {
            (store_pixels(g.out).import("bias", "conv2d/bias_none"), vec![y])
        }
    };
    correlation.launch((Binding::Input(1), false), 0, source, result)
}

/// Returns the launch of the gradient of the input, with the bindings of its node.
pub fn d_input(g: &ConvGeometry, target: &Target) -> Launch {
    let tiles = g.plane.map(|extent| extent.div_ceil(2));
    let correlation = Correlation { g, target, tiles, channels: [g.co, g.ci] };
    let x_image = g.plane[0] * g.plane[1] * g.ci;
    let y_image = g.pooled[0] * g.pooled[1] * g.co;
    let has_pool = g.rows_per_pixel() > 1;
    let source = |launch, images: &Range<usize>, transform: TransformSource<'_>| {
        let shader = transform_source(g.out, g.co, g.window.padding.map(|padding| 2 - padding));
        let [d_y, index] = [1, 2].map(|ix| Binding::InputPart(ix, span(images, y_image)));
        if !has_pool {
            return transform(launch, shader, d_y);
        }
        let launch = unpool_images(&of_images(g, images), launch, [d_y, index, UNPOOLED]);
        transform(launch, shader, UNPOOLED)
    };
    let result = |images: &Range<usize>| {
        let shader = store_pixels(g.plane).import("bias", "conv2d/bias_none");
        (shader, vec![Binding::OutputPart(0, span(images, x_image))])
    };
    let n_unpooled = if has_pool { g.out[0] * g.out[1] * g.co } else { 0 };
    correlation.launch((Binding::Input(0), true), n_unpooled, source, result)
}

/// Returns the launch of the gradient of the weight, with the bindings of its node.
pub fn d_weight(g: &ConvGeometry, pool: Option<[usize; 2]>, target: &Target) -> Launch {
    let parts = Parts::of(g);
    let co = padded(g.co);
    let [tiles_h, tiles_w] = tiles_of(g);
    let x_image = g.plane[0] * g.plane[1] * g.ci;
    let y_image = g.pooled[0] * g.pooled[1] * g.co;
    let n_sums = 16 * g.ci * co;
    let in_chunk = parts.in_chunk(g, target);
    let most = in_chunk * parts.n_rows();
    let mut launch = Launch::default()
        .with_scratch(parts.count() * n_sums)
        .with_scratch(16 * most * g.ci)
        .with_scratch(16 * most * co);
    for first in (0..parts.count()).step_by(in_chunk) {
        let end = (first + in_chunk).min(parts.count());
        let n_parts = end - first;
        let images = first * parts.images..(end * parts.images).min(g.n);
        let g = of_images(g, &images);
        let n_rows = n_parts * parts.n_rows();
        let tiles = [
            ("TILES_H", tiles_h),
            ("TILES_W", tiles_w),
            ("PARTS", n_parts),
            ("PART_TILES", parts.images * tiles_h * tiles_w),
            ("PART_ROWS", parts.n_rows()),
        ];
        let shader = transform_source(g.plane, g.ci, g.window.padding)
            .import("layout", "conv2d/winograd_by_channels")
            .constants(&tiles)
            .constants(&[("N", g.n), ("CHANNELS", g.ci)]);
        let bindings = [Binding::InputPart(0, span(&images, x_image)), SOURCE];
        let n_invocations = n_rows.next_multiple_of(NEIGHBOURS) * g.ci;
        launch = launch.then(shader, &bindings, grid(n_invocations));
        let shader = with_d_output(g.shader("conv2d/winograd_d_output"), pool)
            .import("layout", "conv2d/winograd_by_tiles")
            .constants(&tiles);
        let shader = shader.constants(&[("CHANNELS", co), ("TRANSFORMED_BINDING", 0)]);
        let [d_y, index] = [1, 2].map(|ix| Binding::InputPart(ix, span(&images, y_image)));
        launch = match pool {
            None => launch.then(shader, &[PRODUCTS, d_y], grid(n_rows * co)),
            Some(_) => {
                let shader = shader.constant("INDEX_BINDING", 2);
                launch.then(shader, &[PRODUCTS, d_y, index], grid(n_rows * co))
            }
        };
        let product = Product::winograd([g.ci, co, parts.n_rows()]);
        let (shader, workgroups) = product.winograd_shader(target, n_parts);
        let sums = Binding::ScratchPart(SUMS, span(&(first..end), n_sums));
        launch = launch.then(shader, &[SOURCE, PRODUCTS, sums], workgroups);
    }
    let shader = Shader::new("conv2d/winograd_d_weight").constant("N_SPLITS", parts.count());
    let shader = shader.import("trip_count", target.trip_count());
    let shader = shader.constants(&[("CI", g.ci), ("CO", g.co)]);
    launch.then(shader, &[Binding::Scratch(SUMS), Binding::Output(0)], grid(g.ci * g.co))
}
