//! The number types of the ops' CPU references: f32 for training, f64 for gradient checks.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use gemm_common::Parallelism;

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

    /// Converts a count.
    fn from_count(count: usize) -> Self {
        Self::from_f64(count as f64)
    }
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
}
