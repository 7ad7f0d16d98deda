//! Prefetches: the processor starts to load memory into its caches before a kernel needs it.
//!
//! A processor loads ahead on its own if a loop reads memory from one end to the other. A kernel that computes for long
//! between two reads, or that reads some channels of each pixel, waits for memory.

use std::ops::Range;

use super::aligned::CACHE_LINE;

/// Some channels of some pixels that a kernel needs soon. They are prefetched in parts of equal size, between the
/// computations of the kernel: a processor has room for a few dozen loads at a time.
#[derive(Clone, Copy, Default)]
pub struct Ahead<'a, T> {
    /// The elements from the first channel of the first pixel on.
    values: &'a [T],
    /// The number of elements of a part, with those between the pieces.
    part: usize,
    /// The distance between neighbouring pieces. A piece has the channels of one pixel, or a whole part if it has all
    /// channels, because these are contiguous.
    step: usize,
    /// The number of elements of a piece.
    piece: usize,
}

impl<'a, T> Ahead<'a, T> {
    /// Elements of a cache line.
    const LINE: usize = CACHE_LINE / size_of::<T>();

    /// Returns some channels of `pixels`, `[pixels, n_channels]`, in at most `n_parts` parts.
    pub fn new(pixels: &'a [T], n_channels: usize, channels: Range<usize>, n_parts: usize) -> Self {
        let values = pixels.get(channels.start..).unwrap_or(&[]);
        let part = pixels.len().div_ceil(n_parts);
        if channels.len() == n_channels {
            let part = part.next_multiple_of(Self::LINE);
            return Self { values, part, step: part, piece: part };
        }
        let part = part.next_multiple_of(n_channels);
        Self { values, part, step: n_channels, piece: channels.len() }
    }

    /// Prefetches part number `part`, if there is such a part. A processor other than x86-64 prefetches nothing.
    #[inline(always)]
    pub fn prefetch(&self, part: usize) {
        self.lines(part, prefetch_line);
    }

    /// Calls `load` with elements of each cache line of a part.
    #[inline(always)]
    fn lines(&self, part: usize, load: impl Fn(&'a [T])) {
        let start = part * self.part;
        if start >= self.values.len() {
            return;
        }
        let part = &self.values[start..self.values.len().min(start + self.part)];
        // A piece that is a whole part leaves its last line to the next part.
        let is_part = self.piece == self.part;
        for piece in part.chunks(self.step) {
            let mut piece = &piece[..self.piece.min(piece.len())];
            let mut n = if is_part { Self::LINE } else { piece.as_ptr().align_offset(CACHE_LINE) };
            while !piece.is_empty() {
                let line;
                (line, piece) = piece.split_at(n.min(piece.len()));
                if !line.is_empty() {
                    load(line);
                }
                n = Self::LINE;
            }
        }
    }
}

/// Prefetches the cache line of the first element.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // Rust has the instruction as an unsafe function.
fn prefetch_line<T>(line: &[T]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction returns no value, and it ignores addresses without memory.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch_line<T>(_: &[T]) {}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_parts_together_have_every_channel_once() {
        for (n_pixels, n_channels, channels, n_parts) in [
            (7, 48, 0..48, 4),
            (7, 48, 16..32, 4),
            (5, 40, 8..40, 3),
            (5, 40, 8..40, 5),
            (3, 20, 0..20, 9),
            (0, 8, 2..8, 2),
        ] {
            let pixels: Vec<f32> = (0..n_pixels * n_channels).map(|ix| ix as f32).collect();
            let loaded = RefCell::new(Vec::new());
            let ahead = Ahead::new(&pixels, n_channels, channels.clone(), n_parts);
            let load = |line: &[f32]| {
                let line_of = |number: &f32| std::ptr::from_ref(number).addr() / CACHE_LINE;
                let n_lines = line_of(&line[line.len() - 1]) - line_of(&line[0]) + 1;
                let most = if channels.len() == n_channels { 2 } else { 1 };
                assert!(n_lines <= most, "{n_lines} lines");
                loaded.borrow_mut().extend_from_slice(line);
            };
            (0..n_parts).for_each(|part| ahead.lines(part, load));
            let is_needed = |&at: &f32| channels.contains(&(at as usize % n_channels));
            let needed: Vec<f32> = pixels.iter().copied().filter(is_needed).collect();
            assert_eq!(loaded.into_inner(), needed, "{n_pixels} pixels, channels {channels:?}");
            ahead.lines(n_parts, |_| unreachable!("no such part"));
            ahead.prefetch(0);
        }
    }
}
