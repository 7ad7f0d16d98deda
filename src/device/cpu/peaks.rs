//! The CPU's peak rates on all threads: memory bandwidth by a copy, arithmetic by matrix products.

use crate::base::clock::Instant;
use crate::device::timing::{Peaks, fastest};
use crate::device::{DeviceError, memory};
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};

/// The number of copied bytes. It is more than most caches hold.
const COPIED_BYTES: usize = 256 << 20;

/// The number of f32 elements that a thread copies at a time.
const CHUNK: usize = 1 << 18;

/// The number of rows and of columns of the square matrices. The three matrices fit the cache of one core.
const SIDE: usize = 384;

/// Measures the rate of arithmetic and the memory bandwidth.
///
/// # Errors
/// If there is not enough memory for the copied array.
pub(super) fn measure() -> Result<Peaks, DeviceError> {
    memory::check(2 * COPIED_BYTES as u64)?;
    let from = vec![1.0_f32; COPIED_BYTES / 4];
    let mut to = vec![0.0_f32; COPIED_BYTES / 4];
    let copy = |n: usize| {
        let begun = Instant::now();
        for _ in 0..n {
            for_each_chunk(&mut to, CHUNK, &|ix, to| to.copy_from_slice(chunk(&from, ix, CHUNK)));
        }
        Ok(begun.elapsed().as_secs_f64())
    };
    let bytes_per_s = 2.0 * COPIED_BYTES as f64 / fastest(copy)?;

    let multiply = |n: usize| {
        let begun = Instant::now();
        rayon::broadcast(|_| {
            let (left, right) = (vec![1.0_f32; SIDE * SIDE], vec![0.5_f32; SIDE * SIDE]);
            let mut out = vec![0.0_f32; SIDE * SIDE];
            for _ in 0..n {
                let (left, right) = (Matrix::rows(&left, SIDE), Matrix::rows(&right, SIDE));
                product([SIDE; 3], &mut out, SIDE, left, right, false);
            }
        });
        Ok(begun.elapsed().as_secs_f64())
    };
    let flops = 2 * SIDE.pow(3) * rayon::current_num_threads();
    Ok(Peaks { flops_per_s: flops as f64 / fastest(multiply)?, bytes_per_s })
}
