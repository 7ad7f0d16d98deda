//! Loops over chunks of slices, on all threads.
//!
//! The loops are compiled once for all ops: a task is a trait object, and rayon divides the elements as bytes, whatever
//! their type. If the loops were generic, each loop of each op would have its own copies of rayon's functions, and the
//! program would be larger by a twentieth. A task is called once a chunk, which costs nothing next to the work on the
//! chunk.

use bytemuck::{Pod, cast_slice_mut};
use rayon::prelude::*;

/// A task: the number of a chunk, and the chunk.
pub type Task<'a, A> = dyn Fn(usize, &mut [A]) + Sync + 'a;

/// A task for two slices: the number of a chunk, and this chunk of each slice.
pub type TaskOfTwo<'a, A, B> = dyn Fn(usize, &mut [A], &mut [B]) + Sync + 'a;

/// A task for three slices: the number of a chunk, and this chunk of each slice.
pub type TaskOfThree<'a, A, B, C> = dyn Fn(usize, &mut [A], &mut [B], &mut [C]) + Sync + 'a;

/// Calls `task` with the number and the elements of each chunk of `values`. A chunk has `size` elements; the last one
/// may have fewer.
pub fn for_each_chunk<T: Pod>(values: &mut [T], size: usize, task: &Task<'_, T>) {
    each(bytes(values, size), &|ix, chunk| task(ix, cast_slice_mut(chunk)));
}

/// Calls `task` with the number of each chunk of `a` and with the elements of this chunk of `a` and of `b`. Each slice
/// has its own chunk size.
///
/// # Panics
/// If the two slices differ in the number of their chunks.
pub fn for_each_chunk_of_two<A: Pod, B: Pod>(
    a: (&mut [A], usize),
    b: (&mut [B], usize),
    task: &TaskOfTwo<'_, A, B>,
) {
    each_of_two(bytes(a.0, a.1), bytes(b.0, b.1), &|ix, a, b| {
        task(ix, cast_slice_mut(a), cast_slice_mut(b));
    });
}

/// Does the same as [`for_each_chunk_of_two`] with three slices.
///
/// # Panics
/// If the slices differ in the number of their chunks.
pub fn for_each_chunk_of_three<A: Pod, B: Pod, C: Pod>(
    a: (&mut [A], usize),
    b: (&mut [B], usize),
    c: (&mut [C], usize),
    task: &TaskOfThree<'_, A, B, C>,
) {
    each_of_three(bytes(a.0, a.1), bytes(b.0, b.1), bytes(c.0, c.1), &|ix, a, b, c| {
        task(ix, cast_slice_mut(a), cast_slice_mut(b), cast_slice_mut(c));
    });
}

/// The bytes of a slice, and the number of bytes of a chunk.
type Bytes<'a> = (&'a mut [u8], usize);

fn bytes<T: Pod>(values: &mut [T], size: usize) -> Bytes<'_> {
    (cast_slice_mut(values), size * size_of::<T>())
}

fn each(a: Bytes<'_>, task: &Task<'_, u8>) {
    a.0.par_chunks_mut(a.1).enumerate().for_each(|(ix, a)| task(ix, a));
}

fn each_of_two(a: Bytes<'_>, b: Bytes<'_>, task: &TaskOfTwo<'_, u8, u8>) {
    let chunks = a.0.par_chunks_mut(a.1).zip_eq(b.0.par_chunks_mut(b.1));
    chunks.enumerate().for_each(|(ix, (a, b))| task(ix, a, b));
}

fn each_of_three(a: Bytes<'_>, b: Bytes<'_>, c: Bytes<'_>, task: &TaskOfThree<'_, u8, u8, u8>) {
    let others = b.0.par_chunks_mut(b.1).zip_eq(c.0.par_chunks_mut(c.1));
    let chunks = a.0.par_chunks_mut(a.1).zip_eq(others);
    chunks.enumerate().for_each(|(ix, (a, (b, c)))| task(ix, a, b, c));
}

/// Returns chunk number `ix` of `values`. A chunk has `size` elements; the last one may have fewer.
pub fn chunk<T>(values: &[T], ix: usize, size: usize) -> &[T] {
    let start = ix * size;
    &values[start..values.len().min(start + size)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_has_its_number_and_the_last_one_may_be_short() {
        let source: Vec<u32> = (0..23).collect();
        let mut copy = vec![0; 23];
        for_each_chunk(&mut copy, 5, &|ix, copy| copy.copy_from_slice(chunk(&source, ix, 5)));
        assert_eq!(copy, source);
    }

    #[test]
    fn several_slices_have_chunks_of_different_sizes() {
        let (mut a, mut b, mut c) = (vec![0; 8], vec![0; 12], vec![0; 3]);
        for_each_chunk_of_two((&mut a, 3), (&mut b, 4), &|ix, a, b| {
            a.fill(ix);
            b.fill(10 * ix);
        });
        assert_eq!((&a[..], b[7], b[8]), (&[0, 0, 0, 1, 1, 1, 2, 2][..], 10, 20));
        for_each_chunk_of_three((&mut a, 3), (&mut b, 4), (&mut c, 1), &|ix, a, b, c| {
            c[0] = ix + a.len() + b[0];
        });
        assert_eq!(c, [3, 14, 24]);
    }
}
