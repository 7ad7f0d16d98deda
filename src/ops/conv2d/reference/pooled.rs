//! The fused max pool of whole images, and its gradient.

use std::ops::Range;

use crate::ops::Real;
use crate::ops::conv2d::Geometry;
use crate::ops::max_pool2d::wins;

/// The maximum of every window of some images `[images, OH, OW, Co]`, and where it was; the first among
/// equals, and a NaN before any number.
pub(super) fn pool_images<T: Real>(g: &Geometry, conv: &[T], y: &mut [T], index: &mut [u32]) {
    let pixels = y.chunks_mut(g.co).zip(index.chunks_mut(g.co));
    for (pixel, (y, index)) in pixels.enumerate() {
        for at in 0..g.pool[0] * g.pool[1] {
            let conv = &conv[under(g, pixel, at) * g.co..][..g.co];
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
    }
}

/// The pixel of `[images, OH, OW]` that is under position `at` of the window of a pooled pixel, over all
/// images.
fn under(g: &Geometry, pixel: usize, at: usize) -> usize {
    let [pooled_h, pooled_w] = g.pooled;
    let (row, px) = (pixel / pooled_w, pixel % pooled_w);
    let (n, py) = (row / pooled_h, row % pooled_h);
    let (oy, ox) = (py * g.pool[0] + at / g.pool[1], px * g.pool[1] + at % g.pool[1]);
    (n * g.out[0] + oy) * g.out[1] + ox
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
    let pixels = d_y.chunks(g.co).zip(index[here].chunks(g.co));
    for (pixel, (d_y, index)) in pixels.enumerate() {
        for at in 0..g.pool[0] * g.pool[1] {
            let d_out = &mut d_out[under(g, pixel, at) * g.co..][..g.co];
            for ((d_out, &d_y), &index) in d_out.iter_mut().zip(d_y).zip(index) {
                *d_out = if index == at as u32 { d_y } else { T::ZERO };
            }
        }
    }
    d_out
}
