//! The CPU side of an op: its reference in plain Rust, the arguments of the reference, and the call in f32 and in f64.

use std::sync::{Mutex, PoisonError};

use super::Op;
use crate::kernel::cpu::aligned::AlignedVec;
use crate::kernel::{Real, StepScalars};
use crate::tape::NodeIo;

/// The contents of an input.
#[derive(Clone, Copy, Debug)]
pub enum Slice<'a, T> {
    /// Floating-point numbers.
    Real(&'a [T]),
    /// Labels, indices or packed pixels.
    Words(&'a [u32]),
    /// An input that an output updates in place. The reference reads the contents of this input from the output.
    Aliased,
}

/// The contents of an output.
#[derive(Debug)]
pub enum SliceMut<'a, T> {
    /// Floating-point numbers.
    Real(&'a mut [T]),
    /// Labels or indices.
    Words(&'a mut [u32]),
}

impl<'a, T> Slice<'a, T> {
    /// Returns the floating-point numbers.
    ///
    /// # Panics
    /// If the input has another type.
    pub fn real(&self) -> &'a [T] {
        match self {
            Slice::Real(values) => values,
            _ => panic!("the input is not f32"),
        }
    }

    /// Returns the words.
    ///
    /// # Panics
    /// If the input has another type.
    pub fn words(&self) -> &'a [u32] {
        match self {
            Slice::Words(values) => values,
            _ => panic!("the input is not u32"),
        }
    }
}

impl<T> SliceMut<'_, T> {
    /// Returns the floating-point numbers.
    ///
    /// # Panics
    /// If the output has another type.
    pub fn real(&mut self) -> &mut [T] {
        match self {
            SliceMut::Real(values) => values,
            SliceMut::Words(_) => panic!("the output is not f32"),
        }
    }

    /// Returns the words.
    ///
    /// # Panics
    /// If the output has another type.
    pub fn words(&mut self) -> &mut [u32] {
        match self {
            SliceMut::Words(values) => values,
            SliceMut::Real(_) => panic!("the output is not u32"),
        }
    }
}

/// The arguments of a run of a reference. Before the run, an output that updates an input in place has the contents of
/// the input. All other outputs have undefined contents.
pub struct Args<'a, T> {
    /// The node's shapes and names.
    pub io: NodeIo<'a>,
    /// The contents of the inputs.
    pub inputs: &'a [Slice<'a, T>],
    /// The outputs, to be overwritten.
    pub outputs: &'a mut [SliceMut<'a, T>],
    /// The scalars of this step.
    pub step: &'a StepScalars,
    /// Scratch memory, at least of the size that [`Reference::scratch`] returns.
    pub scratch: Scratch<'a, T>,
}

/// The size of the scratch memory of a [`Reference`], as a count of f32 or f64 elements. The memory is allocated once,
/// when a tape is loaded, so a step allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ScratchSize {
    /// Number of elements that all threads of the node share, for example for partial sums.
    pub shared: usize,
    /// Number of elements for each thread, for example for the patches of a convolution.
    pub per_thread: usize,
    /// The size of [`Scratch::transform`].
    pub transform: TransformSize,
}

/// The size of a transform of an input.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TransformSize {
    /// Index of the input.
    pub input: usize,
    /// Number of elements of the transform; 0 without a transform.
    pub n: usize,
}

impl ScratchSize {
    /// Returns a size of `n` elements for the whole node, and no elements per thread.
    pub fn shared(n: usize) -> Self {
        Self { shared: n, ..Self::default() }
    }

    /// Returns the smallest size that is enough for `self` and for `other`.
    pub fn max(self, other: Self) -> Self {
        Self {
            shared: self.shared.max(other.shared),
            per_thread: self.per_thread.max(other.per_thread),
            transform: if self.transform.n < other.transform.n {
                other.transform
            } else {
                self.transform
            },
        }
    }
}

/// The scratch memory for one run of a reference. Its contents are undefined, except those of a kept transform.
#[derive(Debug)]
pub struct Scratch<'a, T> {
    /// The scratch memory that all threads of the node share.
    pub shared: &'a mut [T],
    /// The scratch memory of each thread.
    pub threads: ThreadScratch<'a, T>,
    /// The transform of one input, for example of the weight.
    pub transform: Transform<'a, T>,
}

/// A transform of one input of a node, which depends on nothing else. A device may keep it from one run of the node to
/// the next one with the same input.
#[derive(Debug)]
pub struct Transform<'a, T> {
    values: &'a mut [T],
    is_kept: bool,
}

impl<'a, T> Transform<'a, T> {
    /// Returns the memory of a transform. If `is_kept` is true, `values` has the transform of the present input; otherwise
    /// its contents are undefined.
    pub(crate) fn new(values: &'a mut [T], is_kept: bool) -> Self {
        Self { values, is_kept }
    }

    /// Returns the transform, which has `n` elements. Calls `compute` first, unless the device has kept the transform.
    pub fn get(self, n: usize, compute: impl FnOnce(&mut [T])) -> &'a [T] {
        let values = &mut self.values[..n];
        if !self.is_kept {
            compute(values);
        }
        values
    }
}

/// Scratch memory for each thread of the thread pool.
#[derive(Clone, Copy, Debug)]
pub struct ThreadScratch<'a, T> {
    parts: &'a [Mutex<AlignedVec<T>>],
}

impl<'a, T> ThreadScratch<'a, T> {
    /// Returns the scratch memory. `parts` has one buffer per thread, and at least one buffer.
    pub(crate) fn new(parts: &'a [Mutex<AlignedVec<T>>]) -> Self {
        Self { parts }
    }

    /// Runs `work` with this thread's buffer.
    ///
    /// `work` must not wait for other tasks of the pool. While it waits, the thread could start another task that locks
    /// the same buffer, which is a deadlock.
    pub fn with<R>(&self, work: impl FnOnce(&mut [T]) -> R) -> R {
        let thread = rayon::current_thread_index().unwrap_or(0);
        // If the pool has more threads now than at the loading of the program, several threads share a buffer, which is
        // slower but correct. A poisoned lock is harmless, because the contents are undefined anyway.
        let part = self.parts[thread % self.parts.len()].lock();
        work(&mut part.unwrap_or_else(PoisonError::into_inner))
    }
}

/// An op in plain Rust. The CPU device runs it, and tests compare the shaders with it.
pub trait Reference {
    /// Returns the size of the scratch memory; none by default.
    fn scratch(&self, _io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::default()
    }

    /// Computes and overwrites every output. The result must not depend on the number of threads.
    fn run<T: Real>(&self, args: Args<'_, T>);
}

/// The functions of [`Reference`] without a type parameter. A tape holds its ops as trait objects, whose functions
/// cannot have type parameters. Every [`Reference`] implements this trait.
pub trait ErasedReference {
    /// Calls [`Reference::scratch`].
    fn scratch_size(&self, io: &NodeIo<'_>) -> ScratchSize;
    /// Calls [`Reference::run`] in f32.
    fn run_f32(&self, args: Args<'_, f32>);
    /// Calls [`Reference::run`] in f64.
    #[cfg(feature = "f64")]
    fn run_f64(&self, args: Args<'_, f64>);
}

impl<R: Reference> ErasedReference for R {
    fn scratch_size(&self, io: &NodeIo<'_>) -> ScratchSize {
        self.scratch(io)
    }
    fn run_f32(&self, args: Args<'_, f32>) {
        self.run(args);
    }
    #[cfg(feature = "f64")]
    fn run_f64(&self, args: Args<'_, f64>) {
        self.run(args);
    }
}

/// A number type in which the CPU device computes: f32 or, with the feature `f64`, f64 for gradient checks.
/// [`Precision::run_op`] calls `run_f32` or `run_f64` of [`ErasedReference`].
pub trait Precision: Real {
    /// Runs the reference of `op` in this number type.
    fn run_op(op: &dyn Op, args: Args<'_, Self>);
}

impl Precision for f32 {
    fn run_op(op: &dyn Op, args: Args<'_, f32>) {
        op.run_f32(args);
    }
}

#[cfg(feature = "f64")]
impl Precision for f64 {
    fn run_op(op: &dyn Op, args: Args<'_, f64>) {
        op.run_f64(args);
    }
}
