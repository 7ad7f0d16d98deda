//! The launches of Winograd's algorithm on a GPU: transforms, 16 matrix products as one dispatch, inverse transform.
//!
//! The transformed tiles are four times as large as their tensors. So a launch computes some images at a time, a chunk,
//! and all chunks use the same scratch memory. The chunks change no bit. Shaders: `shaders/conv2d/winograd_*.wgsl`.

use std::ops::Range;

use super::{Parts, chunks, tiles_of};
use crate::kernel::{Binding, Launch, Shader, Span, Target, grid};
use crate::ops::conv2d::d_output::with_d_output4;
use crate::ops::conv2d::product::Product;
use crate::ops::conv2d::{ConvGeometry, by_fours};

/// The scratch buffer of the transformed kernel, `[16, Ci, Co]`.
const KERNEL: Binding = Binding::Scratch(0);
/// The scratch buffer of the transformed tiles of the source, `[16, tiles, channels]`.
const SOURCE: Binding = Binding::Scratch(1);
/// The scratch buffer of the products, `[16, tiles, channels]`; for `d_weight`, of the transformed tiles of `d_y`.
const PRODUCTS: Binding = Binding::Scratch(2);
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

/// Adds the constants of `shaders/conv2d/winograd_tiles.wgsl` for tiles in one part.
fn with_tiles(shader: Shader, [tiles_h, tiles_w]: [usize; 2], n_images: usize) -> Shader {
    let n_tiles = n_images * tiles_h * tiles_w;
    shader.constants(&[
        ("TILES_H", tiles_h),
        ("TILES_W", tiles_w),
        ("PART_TILES", n_tiles),
        ("PART_ROWS", n_tiles),
    ])
}

/// Returns the kernel that transforms tiles of x, without its import `layout`.
fn source_of_x(g: &ConvGeometry) -> Shader {
    let load_x = by_fours(g.ci, "conv2d/load_x_vec4", "conv2d/load_x_scalar");
    g.shader("conv2d/winograd_source")
        .import("operands", "conv2d/operands_forward")
        .import("load_x", load_x)
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
    /// `source` returns the kernel that transforms the tiles of some images of the source, without its layout and tiles,
    /// and its bindings, where the transformed tiles have the number `transformed`. `result` returns the kernel of the
    /// inverse transform, and its bindings after the products.
    fn launch(
        &self,
        (weight, rotated): (Binding, bool),
        transformed: usize,
        source: impl Fn(&ConvGeometry, &Range<usize>) -> (Shader, Vec<Binding>),
        result: impl Fn(&ConvGeometry, &Range<usize>) -> (Shader, Vec<Binding>),
    ) -> Launch {
        let [from, to] = self.channels.map(padded);
        let [tiles_h, tiles_w] = self.tiles;
        let chunks: Vec<_> = chunks(self.g).collect();
        let most = chunks.iter().map(Range::len).max().expect("a chunk") * tiles_h * tiles_w;
        let transform = self.g.shader("conv2d/winograd_weight").constant("ROTATED", rotated);
        let transform = transform.constants(&[("ROWS", from), ("COLUMNS", to)]);
        let mut launch = Launch::default()
            .with_scratch(16 * from * to)
            .with_scratch(16 * most * from)
            .with_scratch(16 * most * to)
            .then(transform, &[weight, KERNEL], grid(from * to));
        for images in chunks {
            let g = of_images(self.g, &images);
            let n_tiles = g.n * tiles_h * tiles_w;
            let (shader, bindings) = source(&g, &images);
            let shader = with_tiles(shader, self.tiles, g.n)
                .import("layout", "conv2d/winograd_by_tiles")
                .constants(&[("CHANNELS", from), ("TRANSFORMED_BINDING", transformed)]);
            launch = launch.then(shader, &bindings, grid(n_tiles * from / 4));
            let product = Product::winograd([n_tiles, to, from]);
            let (shader, workgroups) = product.winograd_shader(self.target, 1);
            launch = launch.then(shader, &[SOURCE, KERNEL, PRODUCTS], workgroups);
            let (shader, bindings) = result(&g, &images);
            let bindings: Vec<_> = [PRODUCTS].into_iter().chain(bindings).collect();
            let store = by_fours(self.channels[1], "conv2d/store_vec4", "conv2d/store_scalar");
            let shader = with_tiles(shader, self.tiles, g.n)
                .import("store_result", store)
                .constants(&[("OUT_CHANNELS", self.channels[1]), ("RESULT_BINDING", 1)]);
            launch = launch.then(shader, &bindings, grid(n_tiles * to / 4));
        }
        launch
    }
}

/// Returns the launch of the forward pass, with the bindings of a forward node, without mean and M2.
pub fn forward(g: &ConvGeometry, has_bias: bool, target: &Target) -> Launch {
    let has_pool = g.rows_per_pixel() > 1;
    let correlation = Correlation { g, target, tiles: tiles_of(g), channels: [g.ci, g.co] };
    let x_image = g.plane[0] * g.plane[1] * g.ci;
    let y_image = g.pooled[0] * g.pooled[1] * g.co;
    let source = |g: &ConvGeometry, images: &Range<usize>| {
        (source_of_x(g), vec![Binding::InputPart(0, span(images, x_image)), SOURCE])
    };
    let result = |g: &ConvGeometry, images: &Range<usize>| {
        let shader = g.shader("conv2d/winograd_result");
        let mut bindings = vec![Binding::OutputPart(0, span(images, y_image))];
        if has_pool {
            bindings.push(Binding::OutputPart(1, span(images, y_image)));
            let shader = shader
                .import("rows", "conv2d/rows_pooled")
                .import("epilogue", "conv2d/epilogue_pool")
                .constant("INDEX_BINDING", 2);
            return (shader, bindings);
        }
        let shader = shader
            .import("rows", "conv2d/rows_tiles")
            .import("epilogue", "conv2d/epilogue_store")
            .constants(&[("OUT_H", g.out[0]), ("OUT_W", g.out[1])]);
        if has_bias {
            bindings.push(Binding::Input(2));
            (shader.import("bias", "conv2d/bias_some").constant("BIAS_BINDING", 2), bindings)
        } else {
            (shader.import("bias", "conv2d/bias_none"), bindings)
        }
    };
    correlation.launch((Binding::Input(1), false), 1, source, result)
}

/// Returns the launch of the gradient of the input, with the bindings of its node.
pub fn d_input(g: &ConvGeometry, pool: Option<[usize; 2]>, target: &Target) -> Launch {
    let tiles = g.plane.map(|extent| extent.div_ceil(2));
    let correlation = Correlation { g, target, tiles, channels: [g.co, g.ci] };
    let x_image = g.plane[0] * g.plane[1] * g.ci;
    let y_image = g.pooled[0] * g.pooled[1] * g.co;
    let source = |g: &ConvGeometry, images: &Range<usize>| {
        let shader = g.shader("conv2d/winograd_source");
        let shader = shader.import("operands", "conv2d/operands_d_input");
        d_output(shader, g, pool, SOURCE, span(images, y_image))
    };
    let result = |g: &ConvGeometry, images: &Range<usize>| {
        let shader = g
            .shader("conv2d/winograd_result")
            .import("rows", "conv2d/rows_tiles")
            .import("epilogue", "conv2d/epilogue_store")
            .import("bias", "conv2d/bias_none")
            .constants(&[("OUT_H", g.plane[0]), ("OUT_W", g.plane[1])]);
        (shader, vec![Binding::OutputPart(0, span(images, x_image))])
    };
    correlation.launch((Binding::Input(0), true), 0, source, result)
}

/// Adds to a kernel the import with which it reads the gradient of the output, and returns its bindings: the transformed
/// tiles, the gradient, and with a pool the index.
fn d_output(
    shader: Shader,
    g: &ConvGeometry,
    pool: Option<[usize; 2]>,
    transformed: Binding,
    span: Span,
) -> (Shader, Vec<Binding>) {
    let shader = with_d_output4(shader, pool, g.co);
    let bindings = vec![transformed, Binding::InputPart(1, span)];
    match pool {
        None => (shader, bindings),
        Some(_) => {
            let index = [Binding::InputPart(2, span)];
            (shader.constant("INDEX_BINDING", 2), bindings.into_iter().chain(index).collect())
        }
    }
}

/// Returns the launch of the gradient of the weight, with the bindings of its node.
pub fn d_weight(g: &ConvGeometry, pool: Option<[usize; 2]>, target: &Target) -> Launch {
    let parts = Parts::of(g);
    let co = padded(g.co);
    let [tiles_h, tiles_w] = tiles_of(g);
    let x_image = g.plane[0] * g.plane[1] * g.ci;
    let y_image = g.pooled[0] * g.pooled[1] * g.co;
    let n_sums = 16 * g.ci * co;
    let most = parts.in_chunk * parts.n_rows();
    let mut launch = Launch::default()
        .with_scratch(parts.count() * n_sums)
        .with_scratch(16 * most * g.ci)
        .with_scratch(16 * most * co);
    for first in (0..parts.count()).step_by(parts.in_chunk) {
        let end = (first + parts.in_chunk).min(parts.count());
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
        let shader = source_of_x(&g)
            .import("layout", "conv2d/winograd_by_channels")
            .constants(&tiles)
            .constant("CHANNELS", g.ci);
        let bindings = [Binding::InputPart(0, span(&images, x_image)), SOURCE];
        // Sixteen neighbouring invocations have the same channels.
        let n_invocations = n_rows.next_multiple_of(16) * g.ci.div_ceil(4);
        launch = launch.then(shader, &bindings, grid(n_invocations));
        let shader = g.shader("conv2d/winograd_d_output").constants(&tiles);
        let shader = shader.constants(&[("CHANNELS", co), ("TRANSFORMED_BINDING", 0)]);
        let (shader, bindings) = d_output(shader, &g, pool, PRODUCTS, span(&images, y_image));
        launch = launch.then(shader, &bindings, grid(n_rows * co / 4));
        let product = Product::winograd([g.ci, co, parts.n_rows()]);
        let (shader, workgroups) = product.winograd_shader(target, n_parts);
        let sums = Binding::ScratchPart(SUMS, span(&(first..end), n_sums));
        launch = launch.then(shader, &[SOURCE, PRODUCTS, sums], workgroups);
    }
    let shader = g.shader("conv2d/winograd_d_weight").constant("N_SPLITS", parts.count());
    launch.then(shader, &[Binding::Scratch(SUMS), Binding::Output(0)], grid(g.ci * g.co))
}
