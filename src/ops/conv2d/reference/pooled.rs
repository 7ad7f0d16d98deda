//! The fused max pool of whole images, and its gradient.

use std::ops::Range;

use crate::device::cpu::vectorised;
use crate::ops::Real;
use crate::ops::conv2d::Geometry;
use crate::ops::max_pool2d::wins;

/// The maximum of every window of some images `[images, OH, OW, Co]`, and where it was; the first among
/// equals, and a NaN before any number.
pub(super) fn pool_images<T: Real>(g: &Geometry, conv: &[T], y: &mut [T], index: &mut [u32]) {
    let mut pixels = y.chunks_mut(g.co).zip(index.chunks_mut(g.co));
    let n_images = conv.len() / (g.out[0] * g.out[1] * g.co);
    let pool = || {
        each_window(g, n_images, |corner| {
            let (y, index) = pixels.next().expect("a pixel for every window");
            for at in 0..g.pool[0] * g.pool[1] {
                let conv = &conv[(corner + under(g, at)) * g.co..][..g.co];
                if at == 0 {
                    y.copy_from_slice(conv);
                    index.fill(0);
                    continue;
                }
                // Chosen without a branch, so that several channels go at a time.
                for ((y, index), &value) in y.iter_mut().zip(&mut *index).zip(conv) {
                    let wins = wins(value, *y);
                    *y = if wins { value } else { *y };
                    *index = if wins { at as u32 } else { *index };
                }
            }
        })
    };
    vectorised(pool);
}

/// Calls `visit` for every window of `n_images` images, with the pixel of `[images, OH, OW]` in its corner.
fn each_window(g: &Geometry, n_images: usize, mut visit: impl FnMut(usize)) {
    for n in 0..n_images {
        for py in 0..g.pooled[0] {
            let row = (n * g.out[0] + py * g.pool[0]) * g.out[1];
            (0..g.pooled[1]).for_each(|px| visit(row + px * g.pool[1]));
        }
    }
}

/// How far position `at` of a window is from its corner, in pixels.
fn under(g: &Geometry, at: usize) -> usize {
    at / g.pool[1] * g.out[1] + at % g.pool[1]
}

/// Elements that [`unpool`] may need for so many images.
pub(super) fn unpooled_elements(g: &Geometry, index: bool, n_images: usize) -> usize {
    if index { n_images * g.out[0] * g.out[1] * g.co } else { 0 }
}

/// The gradient of the convolution's output for some images, `[images, OH, OW, Co]`: as it lies in
/// memory, or, in `buffer`, the pooled gradient put where the index points.
pub(super) fn unpool<'a, T: Real>(
    g: &Geometry,
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
        // Some pixels are in no window.
        d_out.fill(T::ZERO);
    }
    let mut pixels = d_y.chunks(g.co).zip(index[here].chunks(g.co));
    let scatter = || {
        each_window(g, images.len(), |corner| {
            let (d_y, index) = pixels.next().expect("a pixel for every window");
            for at in 0..g.pool[0] * g.pool[1] {
                let d_out = &mut d_out[(corner + under(g, at)) * g.co..][..g.co];
                for ((d_out, &d_y), &index) in d_out.iter_mut().zip(d_y).zip(index) {
                    *d_out = if index == at as u32 { d_y } else { T::ZERO };
                }
            }
        })
    };
    vectorised(scatter);
    d_out
}
