//! The number types of the ops' CPU references: f32 for training, f64 for gradient checks.

use std::array::from_fn;
use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use gemm_common::Parallelism;
use pulp::Simd;

use super::cpu::lanes::LANES;
use super::cpu::shuffle::shuffle_xor;

/// A matrix product on raw pointers, `dst = alpha dst + beta lhs rhs`.
///
/// The parameters are: m, n, k; `dst` with its column stride and its row stride; whether the product reads `dst`; `lhs`
/// and `rhs`, each with its column stride and its row stride; alpha; beta; whether to conjugate `dst`, `lhs` and `rhs`;
/// the parallelism.
pub(crate) type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// A number type of the ops' CPU references: f32 or f64.
pub trait Real:
    bytemuck::Pod
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + 'static
{
    /// The number 0.
    const ZERO: Self;
    /// The number 1.
    const ONE: Self;
    /// Converts to the nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// Converts to f64 without rounding.
    fn to_f64(self) -> f64;
    /// Converts to the nearest number of this type.
    fn from_f32(value: f32) -> Self;
    /// Converts to the nearest f32.
    fn to_f32(self) -> f32;
    /// Returns the square root.
    fn sqrt(self) -> Self;
    /// Returns e to the power of this number.
    fn exp(self) -> Self;
    /// Returns the natural logarithm.
    fn ln(self) -> Self;
    /// Returns the larger of two numbers; if one number is NaN, the other one.
    fn max(self, other: Self) -> Self;
    /// Returns true for numbers that are neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Returns true for NaN.
    fn is_nan(self) -> bool;
    /// Returns the fastest matrix product that this processor supports.
    fn gemm() -> Gemm<Self>;

    /// A vector register of the instruction set `S`.
    type Vector<S: Simd>: Copy;
    /// Returns the elements as vectors. The elements after the last whole vector are left out.
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    /// Returns the elements as vectors to write. The elements after the last whole vector are left out.
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
    /// Returns a vector whose lanes are all `value`.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// Returns `a · b + c`, with one rounding if the processor has such an instruction.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// Returns `a + b`.
    fn add_vectors<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Returns a vector whose lane l has the number of lane `l ^ MASK` of `v`. `MASK` is a power of two, and less than the
    /// number of lanes.
    #[inline(always)]
    fn shuffle_xor<S: Simd, const MASK: usize>(_simd: S, v: Self::Vector<S>) -> Self::Vector<S> {
        shuffle_array::<Self, S, MASK>(v)
    }

    /// Converts a count.
    fn from_count(count: usize) -> Self {
        Self::from_f64(count as f64)
    }
}

/// Shuffles the lanes of a vector through an array.
#[inline(always)]
fn shuffle_array<T: Real, S: Simd, const MASK: usize>(v: T::Vector<S>) -> T::Vector<S> {
    let mut numbers = [T::ZERO; LANES];
    T::vectors_mut::<S>(&mut numbers)[0] = v;
    let shuffled: [T; LANES] = from_fn(|lane| numbers[(lane ^ MASK) % LANES]);
    T::vectors::<S>(&shuffled)[0]
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f32(value: f32) -> Self {
        value
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn max(self, other: Self) -> Self {
        self.max(other)
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn is_nan(self) -> bool {
        self.is_nan()
    }
    fn gemm() -> Gemm<Self> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }

    type Vector<S: Simd> = S::f32s;
    #[inline(always)]
    fn vectors<S: Simd>(values: &[Self]) -> &[S::f32s] {
        S::as_simd_f32s(values).0
    }
    #[inline(always)]
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(values).0
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f32s {
        simd.splat_f32s(value)
    }
    #[inline(always)]
    fn mul_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(a, b, c)
    }
    #[inline(always)]
    fn add_vectors<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.add_f32s(a, b)
    }
    #[inline(always)]
    fn shuffle_xor<S: Simd, const MASK: usize>(simd: S, v: S::f32s) -> S::f32s {
        shuffle_xor::<S, MASK>(simd, v).unwrap_or_else(|| shuffle_array::<f32, S, MASK>(v))
    }
}

#[cfg(feature = "f64")]
impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    fn from_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn max(self, other: Self) -> Self {
        self.max(other)
    }
    fn is_finite(self) -> bool {
        self.is_finite()
    }
    fn is_nan(self) -> bool {
        self.is_nan()
    }
    fn gemm() -> Gemm<Self> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }

    type Vector<S: Simd> = S::f64s;
    #[inline(always)]
    fn vectors<S: Simd>(values: &[Self]) -> &[S::f64s] {
        S::as_simd_f64s(values).0
    }
    #[inline(always)]
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::f64s] {
        S::as_mut_simd_f64s(values).0
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, value: Self) -> S::f64s {
        simd.splat_f64s(value)
    }
    #[inline(always)]
    fn mul_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_e_f64s(a, b, c)
    }
    #[inline(always)]
    fn add_vectors<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.add_f64s(a, b)
    }
}
