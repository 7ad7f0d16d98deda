//! The fused max pool on the CPU, and its gradient. Both process whole images.

use std::array::from_fn;
use std::ops::Range;

use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::ops::conv2d::ConvGeometry;
use crate::ops::max_pool2d::greater_or_nan;

/// Computes the maximum of every window of some images `[images, OH, OW, Co]`, and its position in the window. The
/// maximum of equal values is the first. NaN counts as larger than any number.
pub(super) fn pool_images<T: Real>(g: &ConvGeometry, conv: &[T], y: &mut [T], index: &mut [u32]) {
    pool_channels::<T, LANES>(g, whole(g.co), conv, y, index);
    pool_channels::<T, 1>(g, rest(g.co), conv, y, index);
}

/// Computes [`pool_images`] for some channels, `L` channels at a time.
fn pool_channels<T: Real, const L: usize>(
    g: &ConvGeometry,
    channels: Range<usize>,
    conv: &[T],
    y: &mut [T],
    index: &mut [u32],
) {
    each_window(g, y.len() / g.co, |pixel, corner| {
        for c in channels.clone().step_by(L) {
            let (mut largest, mut at_largest): ([T; L], _) =
                (lanes(conv, corner * g.co + c), [0; L]);
            for at in 1..g.rows_per_pixel() {
                let values: [T; L] = lanes(conv, (corner + under(g, at)) * g.co + c);
                for lane in 0..L {
                    let greater = greater_or_nan(values[lane], largest[lane]);
                    largest[lane] = if greater { values[lane] } else { largest[lane] };
                    at_largest[lane] = if greater { at as u32 } else { at_largest[lane] };
                }
            }
            store(y, pixel * g.co + c, largest);
            store(index, pixel * g.co + c, at_largest);
        }
    });
}

/// Calls `visit` for the window of every pooled pixel. The arguments are the number of the pooled pixel, and the number
/// of the window's first pixel in `[images, OH, OW]`.
fn each_window(g: &ConvGeometry, n_pixels: usize, mut visit: impl FnMut(usize, usize)) {
    let [pooled_h, pooled_w] = g.pooled;
    for row in 0..n_pixels / pooled_w {
        let (n, py) = (row / pooled_h, row % pooled_h);
        let first = (n * g.out[0] + py * g.pool[0]) * g.out[1];
        for px in 0..pooled_w {
            visit(row * pooled_w + px, first + px * g.pool[1]);
        }
    }
}

/// Returns the distance in pixels from a window's first pixel to the pixel at its row-major position `at`.
fn under(g: &ConvGeometry, at: usize) -> usize {
    at / g.pool[1] * g.out[1] + at % g.pool[1]
}

/// Returns the number of elements of `buffer` that [`unpool`] needs for `n_images` images. `index` is true if there is
/// a pool.
pub(super) fn unpooled_elements(g: &ConvGeometry, index: bool, n_images: usize) -> usize {
    if index { n_images * g.out[0] * g.out[1] * g.co } else { 0 }
}

/// Returns the gradient of the convolution's output for some images, `[images, OH, OW, Co]`. Without a pool, the result
/// is a slice of `d_y`. With a pool, the result is `buffer`: each number of `d_y` is at the pixel of the maximum, and
/// the other pixels are 0.
pub(super) fn unpool<'a, T: Real>(
    g: &ConvGeometry,
    d_y: &'a [T],
    index: Option<&[u32]>,
    images: Range<usize>,
    buffer: &'a mut [T],
) -> &'a [T] {
    let pooled = g.pooled[0] * g.pooled[1] * g.co;
    let here = images.start * pooled..images.end * pooled;
    let d_y = &d_y[here.clone()];
    let Some(index) = index else { return d_y };
    let d_out = &mut buffer[..unpooled_elements(g, true, images.len())];
    if [0, 1].iter().any(|&axis| g.pooled[axis] * g.pool[axis] < g.out[axis]) {
        // Some pixels are not in a window, so the code below does not write them. Their gradient is 0.
        d_out.fill(T::ZERO);
    }
    let index = &index[here];
    unpool_channels::<T, LANES>(g, whole(g.co), d_y, index, d_out);
    unpool_channels::<T, 1>(g, rest(g.co), d_y, index, d_out);
    d_out
}

/// Computes [`unpool`] for some channels, `L` channels at a time.
fn unpool_channels<T: Real, const L: usize>(
    g: &ConvGeometry,
    channels: Range<usize>,
    d_y: &[T],
    index: &[u32],
    d_out: &mut [T],
) {
    each_window(g, d_y.len() / g.co, |pixel, corner| {
        for c in channels.clone().step_by(L) {
            let d_y: [T; L] = lanes(d_y, pixel * g.co + c);
            let index: [u32; L] = lanes(index, pixel * g.co + c);
            for at in 0..g.rows_per_pixel() {
                let chosen: [T; L] =
                    from_fn(|lane| if index[lane] == at as u32 { d_y[lane] } else { T::ZERO });
                store(d_out, (corner + under(g, at)) * g.co + c, chosen);
            }
        }
    });
}
