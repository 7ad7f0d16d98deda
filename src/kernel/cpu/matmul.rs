//! Matrix products for the CPU device: a checked, safe wrapper of the crates `gemm-f32` and `gemm-f64`.

#![allow(unsafe_code)] // The crates take raw pointers; `product` checks their requirements.

use gemm_common::Parallelism;

use crate::kernel::Real;

/// A matrix in a slice: element `(i, j)` is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Returns a row-major matrix: contiguous rows of `columns` elements.
    pub fn rows(data: &'a [T], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// Returns the transpose of a row-major matrix that has contiguous rows of `columns` elements.
    pub fn transposed(data: &'a [T], columns: usize) -> Self {
        Self { data, row_stride: 1, column_stride: columns }
    }

    /// Returns a row-major matrix. The starts of neighbouring rows are `row_stride` elements apart.
    pub fn strided(data: &'a [T], row_stride: usize) -> Self {
        Self { data, row_stride, column_stride: 1 }
    }

    /// Returns the transpose.
    pub fn t(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    fn check(&self, rows: usize, columns: usize) {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
            assert!(last < self.data.len(), "a {rows} x {columns} matrix exceeds its slice");
        }
    }
}

/// Computes `out = left · right`, or, if `accumulate` is true, `out += left · right`, on the calling thread.
///
/// `left` is m x k, `right` is k x n, and `out` is m x n. The starts of neighbouring rows of `out` are `out_stride`
/// elements apart.
///
/// # Panics
/// If a matrix exceeds its slice, or if rows of `out` overlap.
pub fn product<T: Real>(
    [m, n, k]: [usize; 3],
    out: &mut [T],
    out_stride: usize,
    left: Matrix<'_, T>,
    right: Matrix<'_, T>,
    accumulate: bool,
) {
    left.check(m, k);
    right.check(k, n);
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= out_stride || m == 1, "rows of {n} overlap at a stride of {out_stride}");
    assert!((m - 1) * out_stride + n <= out.len(), "a {m} x {n} result exceeds its slice");
    // The inner loops of the `gemm` crates run along columns, so a row-major result is computed as its transpose.
    let stride = out_stride as isize;
    let ([m, n], [out_cs, out_rs], left, right) = match out_stride > 1 {
        true => ([n, m], [stride, 1], right.t(), left.t()),
        false => ([m, n], [1, stride], left, right),
    };
    // In every call, the `gemm` crates allocate memory for packed matrices.
    // SAFETY: The asserts above ensure that every element that is read or written is inside its slice, and that the
    // rows of `out` do not overlap. `out` is borrowed mutably, so it does not overlap an operand.
    unsafe {
        T::gemm()(
            m,
            n,
            k,
            out.as_mut_ptr(),
            out_cs,
            out_rs,
            accumulate,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_can_accumulate_and_read_transposes() {
        let left = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]; // 2 x 3
        let right = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0]; // 3 x 2
        let mut out = [1.0_f32; 4];
        let (l, r) = (Matrix::rows(&left, 3), Matrix::rows(&right, 2));
        product([2, 2, 3], &mut out, 2, l, r, true);
        assert_eq!(out, [5.0, 6.0, 11.0, 12.0]);
        // right^T left^T is the transpose of the product.
        let mut out = [0.0_f32; 4];
        product([2, 2, 3], &mut out, 2, r.t(), l.t(), false);
        assert_eq!(out, [4.0, 10.0, 5.0, 11.0]);
    }

    #[test]
    #[should_panic(expected = "exceeds its slice")]
    fn a_matrix_that_is_too_short_is_rejected() {
        let mut out = [0.0_f32; 4];
        let short = Matrix::rows(&[1.0_f32; 5], 3);
        product([2, 2, 3], &mut out, 2, short, Matrix::rows(&[0.0; 6], 2), false);
    }
}
